"""Export of a trained SPD `lite` to ONNX with its manifest.

python -m pose_estimation_ros.training.spd_lite_export --checkpoint runs/spd_lite/last.pt \
        --out models/spd_lite --training-note runs/spd_lite/training.yaml
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from pose_estimation_ros.core.categories import CATEGORIES, Category
from pose_estimation_ros.networks.spd_lite import SpdLite, SpdLiteConfig
from pose_estimation_ros.runtime.manifest import ModelFile, ModelManifest, write_manifest
from pose_estimation_ros.training.checkpoints import read_checkpoint

INPUTS = ('points', 'condition', 'category')
OUTPUTS = ('nocs', 'shape', 'membership')


class _Runtime(nn.Module):
    """What runs on the robot: correspondences, shape, membership."""

    def __init__(self, network: SpdLite) -> None:
        super().__init__()
        self.network = network

    def forward(self, points: Tensor, condition: Tensor,
                category: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        output = self.network(points, condition, category)
        return output.nocs, output.shape, output.membership


def load_trained(checkpoint: Path) -> tuple[SpdLite, dict[str, Any]]:
    """Return the averaged network of a checkpoint and the run's notes."""
    content = read_checkpoint(checkpoint)
    notes = content['notes']
    config = SpdLiteConfig(**notes['config'])
    network = SpdLite(config, torch.zeros(config.categories, notes['prior_points'], 3))
    averaged = {name.removeprefix('module.'): value for name, value in content['average'].items()
                if name.startswith('module.')}
    network.load_state_dict(averaged)
    return network.eval(), {**notes, 'steps': content['step']}


def export_onnx(network: SpdLite, points: int, path: Path) -> None:
    """Write the network as ONNX with a dynamic batch, under a temporary name first."""
    example = (torch.randn(2, points, 3), torch.zeros(2, 3),
               torch.tensor([0, network.config.categories - 1]))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix('.partial')
    with torch.no_grad():
        torch.onnx.export(
            _Runtime(network).eval(), example, str(temporary), dynamo=False,
            input_names=list(INPUTS), output_names=list(OUTPUTS), opset_version=17,
            dynamic_axes={name: {0: 'objects'} for name in INPUTS + OUTPUTS})
    temporary.replace(path)


def export_model(checkpoint: Path, out: Path, training: Mapping[str, Any],
                 metrics: Mapping[str, Any]) -> None:
    """Write the network and its manifest into a model folder."""
    network, notes = load_trained(checkpoint)
    path = out / 'spd_lite.onnx'
    export_onnx(network, notes['points'], path)
    categories = _categories(notes)
    write_manifest(ModelManifest(
        name=out.name, task='pose', backend='spd', size='lite',
        files={'network': ModelFile.of(path, out)},
        categories=tuple(category.name for category in categories),
        input={'points': notes['points'],
               'frame': 'view frame (+y up), centred, divided by the radius'},
        parameters=notes['config'],
        training={**training, 'steps': notes['steps'], 'samples': notes['images']},
        metrics=metrics,
        # What the six have is known; other categories bring their symmetries along.
        symmetries={category.name: category.symmetry.as_plain() for category in categories
                    if category not in CATEGORIES}), out)


def _categories(notes: Mapping[str, Any]) -> tuple[Category, ...]:
    """Return the categories of a run; runs that do not tell are of the six."""
    return tuple(map(Category.from_plain, notes['categories'])) if 'categories' in notes else (
        CATEGORIES)


def main() -> None:
    """Parse the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--checkpoint', type=Path, required=True)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--training-note', type=Path, help='YAML for the manifest: commands, '
                        'seeds, commit, time')
    parser.add_argument('--metrics', type=Path, help='YAML for the manifest: what was measured')
    arguments = parser.parse_args()
    notes = [yaml.safe_load(path.read_text()) if path else {}
             for path in (arguments.training_note, arguments.metrics)]
    export_model(arguments.checkpoint, arguments.out, *notes)
    sys.stdout.write(f'wrote {arguments.out}\n')


if __name__ == '__main__':
    main()
