"""Export of the lite correspondence networks (SPD, CR-Net, ACR-Pose) to ONNX with a manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pose_estimation_ros.core.categories import CATEGORIES, Category
from pose_estimation_ros.core.point_colors import COLOR_CHANNELS
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Y_AXIS_SYMMETRY
from pose_estimation_ros.networks.acr_lite import ACRLite, ACRLiteConfig
from pose_estimation_ros.networks.crnet_lite import CRNetLite, CRNetLiteConfig, LiteOutput
from pose_estimation_ros.networks.spd_lite import SpdLite, SpdLiteConfig
from pose_estimation_ros.runtime.manifest import ModelFile, ModelManifest, write_manifest
from pose_estimation_ros.training.adversarial_losses import RECONSTRUCTOR
from pose_estimation_ros.training.onnx_files import halve_weights, write_onnx
from pose_estimation_ros.training.trained_networks import filled, trained_network

INPUTS = ('points', 'condition', 'category', 'rank')
OUTPUTS = ('nocs', 'shape', 'membership', 'probability')
# Points per object that get coordinates at run time. The networks take any number; twice as many
# as in training helped SPD on validation frames, CR-Net hardly for twice the time, and ACR-Pose
# not.
_MANY_POINTS, _USUAL_POINTS = 512, 256
# Points that a picture is drawn of, which cost little.
_PICTURED_POINTS = 1024
# Of networks with pictures. Most of what a mirror brings is had so, and objects that stand free
# seldom need a second run. Chosen on validation frames.
_MIRRORED_BELOW = 0.99


class _SpdRuntime(nn.Module):
    """What runs on the robot: correspondences, shape, membership, probability of the offer."""

    inputs, outputs = INPUTS, OUTPUTS

    def __init__(self, network: SpdLite, every: int = 1) -> None:
        super().__init__()
        assert every == 1, 'SPD sees no picture, it encodes every point'
        self.network = network

    def forward(self, points: Tensor, condition: Tensor, category: Tensor,
                rank: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        output = self.network(points, condition, category, rank)
        return (output.nocs, output.shape, output.membership,
                _probability(output.likelihood, output.chosen))


class _ColorRuntime(nn.Module):
    """The same with colours, and with how sure the network is of its coordinates."""

    inputs, outputs = (*INPUTS, 'color'), (*OUTPUTS, 'entropy', 'error')

    def __init__(self, network: CRNetLite | ACRLite, every: int = 1) -> None:
        super().__init__()
        self.network = network
        self._every = every

    def forward(self, points: Tensor, condition: Tensor, category: Tensor, rank: Tensor,
                color: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        output: LiteOutput = self.network(points, condition, category, color, rank,
                                          every=self._every)
        last = output.steps[-1]
        return (last.nocs, last.shape, output.membership,
                _probability(output.encoding.likelihood, output.encoding.chosen),
                member_entropy(last.assignment, output.membership), output.error)


def _probability(likelihood: Tensor, chosen: Tensor) -> Tensor:
    return torch.softmax(likelihood, dim=1).gather(1, chosen[:, None])[:, 0]


def member_entropy(assignment: Tensor, membership: Tensor) -> Tensor:
    """Return (B,) mean entropies, in nats, of (B, N, V) assignments of points on the object."""
    log_share = torch.log_softmax(assignment, dim=2)
    entropy = -(log_share.exp() * log_share).sum(dim=2)
    member = torch.sigmoid(membership)
    return (entropy * member).sum(dim=1) / member.sum(dim=1).clamp(min=1e-6)


@dataclass(frozen=True)
class LiteNetwork:
    """How the checkpoints of a lite network become a model.

    Attributes:
        backend: Name of the backend that runs it.
        load: Returns the network of notes and weights.
        runtime: Wraps it for export.
        points: Points per object that the exported network gives coordinates of.
    """

    backend: str
    load: Callable[[Mapping[str, Any], Mapping[str, Tensor]], nn.Module]
    runtime: type[_SpdRuntime] | type[_ColorRuntime]
    points: int


def _load_spd(notes: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module:
    config = SpdLiteConfig(**notes['config'])
    return filled(SpdLite(config, _no_prior(config.categories, notes)), weights)


def _load_crnet(notes: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module:
    config = CRNetLiteConfig.from_dict(notes['config'])
    return filled(CRNetLite(config, _no_prior(config.encoder.categories, notes)), weights)


def _load_acr(notes: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module:
    config = ACRLiteConfig.from_dict(notes['config'])
    own = {name.removeprefix(f'{RECONSTRUCTOR}.'): value for name, value in weights.items()
           if name.startswith(f'{RECONSTRUCTOR}.')}
    return filled(ACRLite(config, _no_prior(config.encoder.categories, notes)), own)


def _no_prior(categories: int, notes: Mapping[str, Any]) -> Tensor:
    return torch.zeros(categories, notes['prior_points'], 3)


LITE_NETWORKS = {
    'spd-lite': LiteNetwork('spd', _load_spd, _SpdRuntime, _MANY_POINTS),
    'crnet-lite': LiteNetwork('crnet', _load_crnet, _ColorRuntime, _USUAL_POINTS),
    'acr-lite': LiteNetwork('acr', _load_acr, _ColorRuntime, _USUAL_POINTS)}


def load_trained(network: str, checkpoint: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Return the network of a checkpoint, see `trained_network`."""
    return trained_network(network, checkpoint, LITE_NETWORKS[network].load)


def export_onnx(name: str, network: nn.Module, points: int, path: Path, every: int = 1) -> None:
    """Write a network as ONNX with a dynamic batch, under a temporary name first.

    Args:
        name: Of the network, such as 'crnet-lite'.
        network: The network.
        points: Points per object that it takes.
        path: File to write.
        every: Of so many of them one gets coordinates.
    """
    runtime = LITE_NETWORKS[name].runtime
    example = {'points': torch.randn(2, points, 3), 'condition': torch.zeros(2, 3),
               'category': torch.tensor([0, 1]), 'rank': torch.tensor([0, 1]),
               'color': torch.rand(2, points, COLOR_CHANNELS)}
    write_onnx(runtime(network, every), {entry: example[entry] for entry in runtime.inputs},
               runtime.outputs, path,
               {entry: {0: 'objects'} for entry in (*runtime.inputs, *runtime.outputs)})


def export_model(name: str, checkpoint: Path, out: Path, training: Mapping[str, Any],
                 metrics: Mapping[str, Any]) -> ModelManifest:
    """Write the network and its manifest into a model folder.

    Args:
        name: Name of the network, such as 'crnet-lite'.
        checkpoint: The run's last.pt or best.pt.
        out: Folder of the model; its name is the model's.
        training: What the manifest is to say of the training besides what the run noted.
        metrics: What was measured.

    Raises:
        ModelError: If the checkpoint is missing, damaged or not of this network.
    """
    network, notes = load_trained(name, checkpoint)
    lite = LITE_NETWORKS[name]
    path = out / f'{lite.backend}_lite.onnx'
    encoder = notes['config'].get('encoder', {})
    pictured = encoder.get('picture') == 'on'
    points = _PICTURED_POINTS if pictured else lite.points
    every = points // lite.points
    export_onnx(name, network, points, path, every)
    if pictured:
        # Two thirds of the weights are those of convolutions.
        halve_weights(path)
    categories = _categories(notes)
    colored = {'color': True} if 'color' in lite.runtime.inputs else {}
    manifest = ModelManifest(
        name=out.name, task='pose', backend=lite.backend, size='lite',
        files={'network': ModelFile.of(path, out)},
        categories=tuple(category.name for category in categories),
        input={'points': points, **({'every': every} if every > 1 else {}), **colored,
               **(_mirrors(categories) if pictured else {}),
               'frame': 'view frame (+y up), centred, divided by the radius'},
        parameters=notes['config'],
        training={**notes['training'], **training},
        metrics=metrics,
        # What the six have is known; other categories bring their symmetries along.
        symmetries={category.name: category.symmetry.as_plain() for category in categories
                    if category not in CATEGORIES})
    write_manifest(manifest, out)
    return manifest


def _mirrors(categories: Sequence[Category]) -> dict[str, Any]:
    """Return which categories a manifest lets look at in a mirror, and when.

    Of those with other symmetries, what a mirror shows is not the representative of the training.
    """
    return {'mirrored_below': _MIRRORED_BELOW, 'mirrors': [
        category.name for category in categories
        if category.mirrors and category.symmetry in (NO_SYMMETRY, Y_AXIS_SYMMETRY)]}


def _categories(notes: Mapping[str, Any]) -> tuple[Category, ...]:
    """Return the categories of a run; runs that do not tell are of the six."""
    return tuple(map(Category.from_plain, notes['categories'])) if 'categories' in notes else (
        CATEGORIES)
