"""`pose-estimation export`: from a training's checkpoint to a model that the robot runs."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from pose_estimation_ros.cli.train import Network
from pose_estimation_ros.core.errors import ConfigurationError


def export(
        network: Annotated[Network, typer.Argument(help='Which network was trained.')],
        checkpoint: Annotated[Path, typer.Option(help="The run's last.pt or best.pt.")],
        out: Annotated[Path, typer.Option(help=(
            "Folder of the model, whose name becomes the model's; an .npz file for "
            'shape-prior.'))],
        priors: Annotated[Path | None, typer.Option(help=(
            'Shape priors of the training, for spd-full, crnet-full, acr-full.'))] = None,
        classifier: Annotated[Path | None, typer.Option(help=(
            'Checkpoint of the point-classifier, for maskrcnn.'))] = None,
        training_note: Annotated[Path | None, typer.Option(help=(
            'YAML to add to `training` of the manifest; the checkpoint already tells commands, '
            'data, seed, commit and machine.'))] = None,
        metrics: Annotated[Path | None, typer.Option(help=(
            'YAML to become `metrics` of the manifest: what was measured.'))] = None,
        data: Annotated[list[str] | None, typer.Option(help=(
            'Pictures of the training, for neural_mesh-lite, neural_mesh-full. Give it again for '
            'several folders.'))] = None,
) -> None:
    """Write the ONNX network and the manifest of a trained network into a model folder."""
    if find_spec('torch') is None:
        raise ConfigurationError('exporting needs PyTorch, which is not installed; run '
                                 'make setup-test or pip install torch torchvision onnx')
    from pose_estimation_ros.training.export import ExportRequest
    from pose_estimation_ros.training.export import export as write_model

    write_model(network.value, ExportRequest(
        checkpoint, out, priors, classifier, _notes(training_note), _notes(metrics),
        tuple(data or ())))
    print(f'wrote {out}')


def _notes(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f'{path} cannot be read ({error}); give a YAML file of names and '
                                 'values') from error
    if not isinstance(content, dict):
        raise ConfigurationError(f'{path} holds {type(content).__name__} instead of names and '
                                 'values; give a YAML mapping')
    return content
