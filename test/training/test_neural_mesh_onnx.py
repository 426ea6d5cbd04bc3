"""The exported extractor takes images as cameras give them, of any size, and answers the same."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))

from neural_mesh_networks import tiny_extractor

from pose_estimation_ros.networks.neural_mesh import FeatureExtractor, NeuralMeshConfig
from pose_estimation_ros.runtime.session import InferenceSession
from pose_estimation_ros.training.neural_mesh_onnx import export_extractor

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# (B, H, W), of which the second has odd numbers of cells at the coarser stages.
SHAPES = {32: ((1, 64, 96), (2, 32, 64)), 8: ((1, 64, 96), (2, 40, 72))}


@pytest.mark.parametrize('config', [
    NeuralMeshConfig('own', 16, 8, (8, 12, 16, 20), (1, 1, 1, 1), 8), NeuralMeshConfig(),
    'published'], ids=['own', 'detector', 'published'])
def test_an_exported_extractor_answers_like_the_network(
        config: NeuralMeshConfig | str, tmp_path: Path) -> None:
    extractor = tiny_extractor() if isinstance(config, str) else FeatureExtractor(config).eval()

    export_extractor(extractor, tmp_path / 'features.onnx')

    assert [path.name for path in tmp_path.iterdir()] == ['features.onnx']
    session = InferenceSession(tmp_path / 'features.onnx', 'cpu', threads=1)
    for batch, height, width in SHAPES[extractor.config.side_multiple]:
        image = np.random.default_rng(0).integers(0, 256, (batch, 3, height, width), np.uint8)
        normalized = (image / 255 - np.reshape(IMAGENET_MEAN, (3, 1, 1))) / np.reshape(
            IMAGENET_DEVIATION, (3, 1, 1))
        with torch.no_grad():
            expected = extractor(torch.from_numpy(normalized.astype(np.float32)))
        features = session.run({'image': image})['features']
        np.testing.assert_allclose(features, expected, atol=1e-5)
