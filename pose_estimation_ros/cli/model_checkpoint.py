"""`pose-estimation models make-checkpoint`: to train a shipped model further."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import typer

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.runtime.model_store import ModelStore

DOCS = 'docs/known_objects.md'


def make_checkpoint(
        name: str = typer.Argument(..., help='Name or folder of a lite model of CR-Net or '
                                             'ACR-Pose, of MRC-Net, or of neural meshes of '
                                             '`train neural_mesh-lite`.'),
        out: Path = typer.Option(..., help='The checkpoint to write, such as runs/mrc/start.pt.'),
        data: list[str] = typer.Option(
            [], help='Of neural meshes: pictures as those of the training; of CR-Net and '
            'ACR-Pose: crops. Repeatable.'),
        picture: Path | None = typer.Option(
            None, help='Of CR-Net and ACR-Pose: checkpoint of `train picture-placement`, to '
            'place objects by its pictures.'),
) -> None:
    """Make a checkpoint of a model, for `train --start-from`.

    Models travel without one. It holds the weights as they were exported (those of MRC-Net in
    half precision), and no state of an optimizer: training begins anew with them. Networks of
    neural meshes, and pictures of points, are normalised by their batch, whose statistics are
    measured on --data.
    """
    if missing := [package for package in ('torch', 'onnx') if find_spec(package) is None]:
        raise ConfigurationError(f'checkpoints need {" and ".join(missing)}, which is not '
                                 'installed; run make setup-test or pip install torch onnx')
    from pose_estimation_ros.training import (
        lite_checkpoint,
        mrc_checkpoint,
        neural_mesh_checkpoint,
    )

    model = ModelStore().find(name, 'pose')
    if model.manifest.backend in lite_checkpoint.BACKENDS:
        print(lite_checkpoint.write_lite_checkpoint(model, data, out, picture))
    elif model.manifest.backend == neural_mesh_checkpoint.BACKEND:
        if not data:
            raise ConfigurationError(f'{name} is a model of neural meshes: give --data, the '
                                     'folder of `pose-estimation dataset pictures`')
        print(neural_mesh_checkpoint.write_neural_mesh_checkpoint(model, data, out))
    else:
        print(mrc_checkpoint.write_mrc_checkpoint(model, out))
