"""Export of the full SPD network to ONNX."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pose_estimation_ros.backends.spd_preprocessing import CROP_SIZE
from pose_estimation_ros.networks.spd import SPD, reconstruct

INPUT_NAMES = ('points', 'image', 'pixel_index', 'category')
OUTPUT_NAMES = ('nocs', 'shape')

_OPSET = 17


class SPDGraph(nn.Module):
    """SPD as the run time sees it: it knows its priors and gives coordinates, not logits."""

    priors: Tensor

    def __init__(self, network: SPD, priors: NDArray[np.float32]) -> None:
        """Join a network and the (6, 1024, 3) priors it was trained with, NOCS coordinates."""
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


def export_spd(
    network: SPD, priors: NDArray[np.float32], path: Path, point_count: int = 1024
) -> None:
    """Write the network with its priors to an ONNX file.

    Inputs: points (B, N, 3) float32 metres, camera optical frame; image (B, 3, 192, 192)
    float32, ImageNet-normalised RGB; pixel_index (B, N) int64, row * 192 + column; category (B,)
    int64. Outputs: nocs (B, N, 3) and shape (B, 1024, 3), NOCS coordinates. B is dynamic.

    Args:
        network: The trained network.
        priors: (6, 1024, 3) float32 NOCS coordinates.
        path: File to write.
        point_count: Observed points per object, N, fixed in the file.
    """
    graph = SPDGraph(network, priors).eval()
    batch = 2  # one object would let the exporter fix the batch
    example = (
        torch.zeros(batch, point_count, 3),
        torch.zeros(batch, 3, CROP_SIZE, CROP_SIZE),
        torch.zeros(batch, point_count, dtype=torch.int64),
        torch.zeros(batch, dtype=torch.int64),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), torch.inference_mode():
        # The newer exporter needs a package more and says so at every call of this one.
        warnings.simplefilter('ignore', DeprecationWarning)
        torch.onnx.export(
            graph,
            example,
            str(path),
            dynamo=False,
            opset_version=_OPSET,
            input_names=list(INPUT_NAMES),
            output_names=list(OUTPUT_NAMES),
            dynamic_axes={name: {0: 'objects'} for name in (*INPUT_NAMES, *OUTPUT_NAMES)},
        )
