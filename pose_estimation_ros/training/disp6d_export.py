"""DISP6D as a model folder: ONNX networks and a manifest.

Encoder, codes of known rotations and decoders are networks of their own, because none of them is
needed for every object of every frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pose_estimation_ros.core.hyperspherical_harmonics import encoding_size
from pose_estimation_ros.networks.disp6d import Branch, Disp6d, Disp6dConfig, ViewCodes
from pose_estimation_ros.runtime.manifest import ModelFile, ModelManifest, write_manifest
from pose_estimation_ros.training.onnx_files import write_onnx
from pose_estimation_ros.training.trained_networks import filled, trained_network

ModelSize = Literal['lite', 'full']

BACKEND = 'disp6d'
ENCODER, CONDITIONED_CODES = 'encoder', 'conditioned_codes'
DECODERS: dict[Branch, str] = {'color': 'color_decoder', 'depth': 'depth_decoder'}

_SHAPE, _POSE = 'z_obj', 'z_pose'
_CROPS, _ROTATIONS = 'crops', 'rotations'


class EncoderGraph(nn.Module):
    """Crops to their two codes."""

    def __init__(self, network: Disp6d) -> None:
        """Take a network."""
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the codes; see `Disp6d.encode`."""
        return tuple(self.network.encode(image))


class ConditionedGraph(nn.Module):
    """Codes of shape and rotations to codes of pose."""

    def __init__(self, network: Disp6d) -> None:
        """Take a network."""
        super().__init__()
        self.network = network

    def forward(self, shape: Tensor, rotation: Tensor) -> Tensor:
        """Return the codes; see `Disp6d.condition`."""
        return self.network.condition(shape, rotation)


class DecoderGraph(nn.Module):
    """Codes to one image."""

    def __init__(self, network: Disp6d, branch: Branch) -> None:
        """Take a network and what to decode."""
        super().__init__()
        self.decoder = network.decoders[branch]

    def forward(self, shape: Tensor, pose: Tensor) -> Tensor:
        """Return the image; see `Disp6d.decode`."""
        image: Tensor = self.decoder(shape, pose)
        return image


def export_networks(network: Disp6d, folder: Path) -> dict[str, Path]:
    """Write a network's ONNX files; each appears when it is whole.

    Any number of crops B and rotations N: 'encoder' from `image` (B, 3, S, S) float32, BGR from 0
    to 1, to `z_obj` and `z_pose` (B, D); 'conditioned_codes' from `z_obj` and `encoding` (N, E)
    of rotations (`encode_rotations`) to `codes` (B, N, D) of free length; 'color_decoder' and
    'depth_decoder', where the network has them, from `z_obj` and `z_pose` to `color`
    (B, 3, S, S) and `depth` (B, 1, S, S).

    Args:
        network: The network.
        folder: Where to write.

    Returns:
        The files by their role.
    """
    config = network.config
    files = {role: folder / f'disp6d_{role}.onnx' for role in (
        ENCODER, CONDITIONED_CODES, *(DECODERS[branch] for branch in config.decoded))}
    codes = ViewCodes(torch.rand(2, config.code), torch.rand(2, config.code))
    per_crop = {0: _CROPS}
    write_onnx(EncoderGraph(network), {'image': torch.rand(2, 3, config.crop, config.crop)},
               (_SHAPE, _POSE), files[ENCODER],
               dict.fromkeys(('image', _SHAPE, _POSE), per_crop))
    write_onnx(ConditionedGraph(network),
               {_SHAPE: codes.shape, 'encoding': torch.rand(3, encoding_size(config.encoding))},
               ('codes',), files[CONDITIONED_CODES],
               {_SHAPE: per_crop, 'encoding': {0: _ROTATIONS},
                'codes': {0: _CROPS, 1: _ROTATIONS}})
    for branch in config.decoded:
        write_onnx(DecoderGraph(network, branch), {_SHAPE: codes.shape, _POSE: codes.pose},
                   (branch,), files[DECODERS[branch]],
                   dict.fromkeys((_SHAPE, _POSE, branch), per_crop))
    return files


def write_disp6d_model(network: Disp6d, categories: Sequence[str], size: ModelSize, out: Path,
                       parameters: Mapping[str, Any], training: Mapping[str, Any],
                       metrics: Mapping[str, Any], licence: str = 'Apache-2.0',
                       symmetries: Mapping[str, Any] | None = None) -> ModelManifest:
    """Write a model folder that the run time loads.

    Args:
        network: The network.
        categories: What it knows without CAD models, in the order of its codes of shape; none
            for a network that needs CAD models.
        size: Whether it is the published network or a smaller one.
        out: Folder to write; its name is the model's.
        parameters: How crops are cut and prepared, besides what the network is made of.
        training: How the weights were made.
        metrics: What was measured of them.
        licence: SPDX identifier of the weights' licence.
        symmetries: By category, for categories beyond the six: `Symmetry.as_plain`.
    """
    config = network.config
    files = export_networks(network, out)
    manifest = ModelManifest(
        name=out.name, task='pose', backend=BACKEND, size=size,
        files={role: ModelFile.of(path, out) for role, path in files.items()},
        categories=tuple(categories),
        input={'crop': config.crop, 'channels': ['blue', 'green', 'red'], 'range': [0, 1]},
        parameters={**config.as_dict(), **parameters}, training=training, metrics=metrics,
        licence=licence, symmetries=symmetries or {})
    write_manifest(manifest, out)
    return manifest


def _created(notes: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Disp6d:
    """Return the network without the codes that it was trained with."""
    return filled(Disp6d(Disp6dConfig.from_dict(notes['config'])), {
        name.removeprefix('network.'): value
        for name, value in weights.items() if name.startswith('network.')})


def export_disp6d(network: str, size: ModelSize, checkpoint: Path, out: Path,
                  training: Mapping[str, Any], metrics: Mapping[str, Any]) -> ModelManifest:
    """Write the model folder of a network that `pose-estimation train` trained.

    Args:
        network: Its name.
        size: Its size.
        checkpoint: The run's last.pt or best.pt.
        out: Folder to write; its name is the model's.
        training: What the manifest is to say of the training besides what the run noted.
        metrics: What was measured.

    Raises:
        ModelError: If the checkpoint is missing, damaged or not of this network.
    """
    trained, notes = trained_network(network, checkpoint, _created)
    return write_disp6d_model(
        trained, notes['categories'], size, out, notes['preparation'],
        {**notes['training'], **training}, metrics)
