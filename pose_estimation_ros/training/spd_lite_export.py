"""Export of a trained SPD `lite` to ONNX with its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pose_estimation_ros.core.categories import CATEGORIES, Category
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.networks.spd_lite import SpdLite, SpdLiteConfig
from pose_estimation_ros.runtime.manifest import ModelFile, ModelManifest, write_manifest
from pose_estimation_ros.training.checkpoints import (
    check_network,
    first_fault,
    read_checkpoint,
    trained_weights,
)
from pose_estimation_ros.training.provenance import training_facts

INPUTS = ('points', 'condition', 'category', 'rank')
OUTPUTS = ('nocs', 'shape', 'membership', 'probability')
# Twice as many as in training: the network takes any number, and thin parts gain.
RUNTIME_POINTS = 512


class _Runtime(nn.Module):
    """What runs on the robot: correspondences, shape, membership, probability of the offer."""

    def __init__(self, network: SpdLite) -> None:
        super().__init__()
        self.network = network

    def forward(self, points: Tensor, condition: Tensor, category: Tensor,
                rank: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        output = self.network(points, condition, category, rank)
        probability = torch.softmax(output.likelihood, dim=1)
        return (output.nocs, output.shape, output.membership,
                probability.gather(1, output.chosen[:, None])[:, 0])


def load_trained(checkpoint: Path) -> tuple[SpdLite, dict[str, Any]]:
    """Return the network of a checkpoint, with averaged weights, and the run's notes.

    Raises:
        ModelError: If the checkpoint is missing, damaged or not of this network.
    """
    content = read_checkpoint(checkpoint)
    check_network(content, 'spd-lite', checkpoint)
    notes = content['notes']
    try:
        config = SpdLiteConfig(**notes['config'])
        network = SpdLite(config, torch.zeros(config.categories, notes['prior_points'], 3))
        network.load_state_dict(trained_weights(content))
    except (KeyError, TypeError, RuntimeError) as error:
        raise ModelError(f'checkpoint {checkpoint} is not one of the present SPD lite: '
                         f'{first_fault(error)}; give the last.pt of `pose-estimation train '
                         'spd-lite`, or export it with the version that trained it') from error
    return network.eval(), {**notes, 'training': training_facts(notes, content['step'])}


def export_onnx(network: SpdLite, points: int, path: Path) -> None:
    """Write the network as ONNX with a dynamic batch, under a temporary name first."""
    example = (torch.randn(2, points, 3), torch.zeros(2, 3),
               torch.tensor([0, network.config.categories - 1]), torch.tensor([0, 1]))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix('.partial')
    with torch.no_grad():
        torch.onnx.export(
            _Runtime(network).eval(), example, str(temporary), dynamo=False,
            input_names=list(INPUTS), output_names=list(OUTPUTS), opset_version=17,
            dynamic_axes={name: {0: 'objects'} for name in INPUTS + OUTPUTS})
    temporary.replace(path)


def export_model(checkpoint: Path, out: Path, training: Mapping[str, Any],
                 metrics: Mapping[str, Any]) -> ModelManifest:
    """Write the network and its manifest into a model folder.

    Args:
        checkpoint: The run's last.pt or best.pt.
        out: Folder of the model; its name is the model's.
        training: What the manifest is to say of the training besides what the run noted.
        metrics: What was measured.

    Raises:
        ModelError: If the checkpoint is missing, damaged or not of this network.
    """
    network, notes = load_trained(checkpoint)
    path = out / 'spd_lite.onnx'
    export_onnx(network, RUNTIME_POINTS, path)
    categories = _categories(notes)
    manifest = ModelManifest(
        name=out.name, task='pose', backend='spd', size='lite',
        files={'network': ModelFile.of(path, out)},
        categories=tuple(category.name for category in categories),
        input={'points': RUNTIME_POINTS,
               'frame': 'view frame (+y up), centred, divided by the radius'},
        parameters=notes['config'],
        training={**notes['training'], **training},
        metrics=metrics,
        # What the six have is known; other categories bring their symmetries along.
        symmetries={category.name: category.symmetry.as_plain() for category in categories
                    if category not in CATEGORIES})
    write_manifest(manifest, out)
    return manifest


def _categories(notes: Mapping[str, Any]) -> tuple[Category, ...]:
    """Return the categories of a run; runs that do not tell are of the six."""
    return tuple(map(Category.from_plain, notes['categories'])) if 'categories' in notes else (
        CATEGORIES)
