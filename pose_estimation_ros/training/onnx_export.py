"""A full network of the SPD family as a model folder: ONNX, priors and manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pose_estimation_ros.backends.spd_preprocessing import (
    CROP_RULE,
    CROP_SIZE,
    IMAGE_MEAN,
    IMAGE_STD,
)
from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.networks.spd import reconstruct
from pose_estimation_ros.runtime.manifest import ModelFile, ModelManifest, write_manifest
from pose_estimation_ros.training.onnx_files import write_onnx
from pose_estimation_ros.training.shape_priors import save_priors

INPUT_NAMES = ('points', 'image', 'pixel_index', 'category')
OUTPUT_NAMES = ('nocs', 'shape')

OBSERVED_POINTS = 1024

_PRIORS_FILE = 'priors.npz'


class FullGraph(nn.Module):
    """A network as the run time sees it: it knows its priors and gives coordinates, not logits."""

    priors: Tensor

    def __init__(self, network: nn.Module, priors: NDArray[np.float32]) -> None:
        """Join a network and its priors.

        Args:
            network: Maps the inputs of `networks.spd.SPD` to logits and deformation.
            priors: (6, 1024, 3) that it was trained with, NOCS coordinates.
        """
        super().__init__()
        self.network = network
        self.register_buffer('priors', torch.from_numpy(priors.astype(np.float32)))

    def forward(
        self, points: Tensor, image: Tensor, pixel_index: Tensor, category: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return NOCS coordinates (B, N, 3) of the points and the shape (B, 1024, 3).

        The inputs are those of `networks.spd.SPD` without the prior.
        """
        prior = self.priors[category]
        logits, deformation = self.network(points, image, pixel_index, category, prior)
        return reconstruct(logits, deformation, prior)


def export_network(
    network: nn.Module, priors: NDArray[np.float32], path: Path, point_count: int = OBSERVED_POINTS
) -> None:
    """Write the network with its priors to an ONNX file.

    Inputs: points (B, N, 3) float32 metres, camera optical frame; image (B, 3, 192, 192)
    float32, ImageNet-normalised RGB; pixel_index (B, N) int64, row * 192 + column; category (B,)
    int64. Outputs: nocs (B, N, 3) and shape (B, 1024, 3), NOCS coordinates. B is dynamic.

    Args:
        network: The trained network, see `FullGraph`.
        priors: (6, 1024, 3) float32 NOCS coordinates.
        path: File to write.
        point_count: Observed points per object, N, fixed in the file.
    """
    graph = FullGraph(network, priors)
    batch = 2  # one object would let the exporter fix the batch
    example = (
        torch.zeros(batch, point_count, 3),
        torch.zeros(batch, 3, CROP_SIZE, CROP_SIZE),
        torch.zeros(batch, point_count, dtype=torch.int64),
        torch.zeros(batch, dtype=torch.int64),
    )
    write_onnx(graph, dict(zip(INPUT_NAMES, example, strict=True)), OUTPUT_NAMES, path,
               {name: {0: 'objects'} for name in (*INPUT_NAMES, *OUTPUT_NAMES)})


def write_full_model(
    network: nn.Module,
    priors: NDArray[np.float32],
    out_dir: Path,
    backend: str,
    parameters: Mapping[str, Any],
    training: Mapping[str, Any],
    licence: str,
) -> ModelManifest:
    """Write a model folder that the run time loads.

    Args:
        network: The trained network, see `FullGraph`.
        priors: (6, 1024, 3) float32 shape priors it was trained with.
        out_dir: Folder to write; its name is the model's name.
        backend: Name of the backend that runs it.
        parameters: Settings for the backend, for the manifest.
        training: How the weights were made, for the manifest.
        licence: SPDX identifier of the weights' licence.

    Returns:
        The manifest that was written.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    network_file = f'{backend}.onnx'
    export_network(network, priors, out_dir / network_file)
    save_priors(out_dir / _PRIORS_FILE, priors, 'of the training')
    manifest = ModelManifest(
        name=out_dir.name,
        task='pose',
        backend=backend,
        size='full',
        files={
            'network': ModelFile.of(out_dir / network_file, out_dir),
            'priors': ModelFile.of(out_dir / _PRIORS_FILE, out_dir),
        },
        categories=CATEGORY_NAMES,
        input={
            'crop_size': CROP_SIZE,
            'crop_rule': CROP_RULE,
            'points': OBSERVED_POINTS,
            'channels': ['red', 'green', 'blue'],
            'mean': [round(float(value), 6) for value in IMAGE_MEAN],
            'std': [round(float(value), 6) for value in IMAGE_STD],
        },
        parameters=parameters,
        training=training,
        licence=licence,
    )
    write_manifest(manifest, out_dir)
    return manifest
