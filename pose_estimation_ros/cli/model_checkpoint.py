"""`pose-estimation models make-checkpoint`: to train a shipped model further."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import typer

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.runtime.model_store import ModelStore

DOCS = 'docs/known_objects.md'


def make_checkpoint(
        name: str = typer.Argument(..., help='Name or folder of an MRC-Net model.'),
        out: Path = typer.Option(..., help='The checkpoint to write, such as runs/mrc/start.pt.'),
) -> None:
    """Make a checkpoint of a model, for `train mrc-lite --start-from`.

    Models travel without one. It holds the weights as they were exported (in half precision),
    and no state of an optimizer: training begins anew with them.
    """
    if missing := [package for package in ('torch', 'onnx') if find_spec(package) is None]:
        raise ConfigurationError(f'checkpoints need {" and ".join(missing)}, which is not '
                                 'installed; run make setup-test or pip install torch onnx')
    from pose_estimation_ros.training.mrc_checkpoint import write_mrc_checkpoint

    print(write_mrc_checkpoint(ModelStore().find(name, 'pose'), out))
