"""The feature extractor of neural meshes as an ONNX file."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from pose_estimation_ros.backends.neural_mesh_model import FEATURES, IMAGE
from pose_estimation_ros.backends.spd_preprocessing import IMAGE_MEAN, IMAGE_STD
from pose_estimation_ros.networks.neural_mesh import FeatureExtractor
from pose_estimation_ros.training.onnx_files import write_onnx

_BRIGHTEST = 255.0
# Sides of the example, in multiples; odd ones, where upsampling has to cut.
_EXAMPLE_SIDES = (3, 5)


class ExtractorGraph(nn.Module):
    """The extractor as the run time sees it: it takes images as cameras give them."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, extractor: FeatureExtractor) -> None:
        """Take an extractor."""
        super().__init__()
        self.extractor = extractor
        for name, value in (('mean', IMAGE_MEAN), ('deviation', IMAGE_STD)):
            self.register_buffer(
                name, _BRIGHTEST * torch.tensor(value.tolist()).reshape(3, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Return (B, D, H / stride, W / stride) unit features of (B, 3, H, W) uint8 RGB."""
        features: Tensor = self.extractor((image.float() - self.mean) / self.deviation)
        return features


def export_extractor(extractor: FeatureExtractor, path: Path) -> None:
    """Write an extractor; the file appears when it is whole.

    Its input `image` is (B, 3, H, W) uint8 RGB, its output `features` (B, D, H / stride,
    W / stride) float32, see `FeatureExtractor.forward`. Batch and sides vary; the sides are
    multiples of `NeuralMeshConfig.side_multiple`.

    Args:
        extractor: The network; it is left in evaluation mode.
        path: File to write.
    """
    height, width = (side * extractor.config.side_multiple for side in _EXAMPLE_SIDES)
    example = torch.zeros(2, 3, height, width, dtype=torch.uint8)
    write_onnx(ExtractorGraph(extractor), {IMAGE: example}, [FEATURES], path,
               {name: {0: 'images', 2: 'height', 3: 'width'} for name in (IMAGE, FEATURES)})
