"""Options of the commands that read recordings: its camera, and the estimator's parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ColorTopic = Annotated[str, typer.Option(
    help='Topic of the colour images of a recording; default: found.')]
ColorInfoTopic = Annotated[str, typer.Option(
    help='Topic of their camera_info; default: that beside them.')]
DepthTopic = Annotated[str, typer.Option(
    help='Topic of the depth images of a recording; default: found.')]
DepthInfoTopic = Annotated[str, typer.Option(
    help='Topic of their camera_info; default: that beside them.')]
ParamsFile = Annotated[Path | None, typer.Option(
    help='Parameters of the estimator; default: those kept in the recording.')]
Changes = Annotated[list[str] | None, typer.Option(
    '--set', help='Change a parameter: name=value. May be given several times.')]
