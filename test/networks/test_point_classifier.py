from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.networks.point_classifier import PointClassifier, PointClassifierConfig
from pose_estimation_ros.runtime import InferenceSession
from pose_estimation_ros.segmentation.object_cloud import AROUND, CONDITIONS, INSIDE
from pose_estimation_ros.training.checkpoints import TrainingState, save_checkpoint
from pose_estimation_ros.training.maskrcnn_export import export_classifier
from pose_estimation_ros.training.weight_average import averaged_weights

CONFIG = PointClassifierConfig(width=32, latents=4, stages=1)


@pytest.fixture
def network() -> PointClassifier:
    torch.manual_seed(0)
    return PointClassifier(CONFIG).eval()


@pytest.fixture
def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (torch.randn(3, INSIDE + AROUND, 7, generator=generator),
            torch.randn(3, CONDITIONS + 6, generator=generator))


def test_the_order_of_the_points_and_the_neighbours_in_the_batch_do_not_matter(
        network: PointClassifier, inputs: tuple[torch.Tensor, torch.Tensor]) -> None:
    points, condition = inputs
    order = torch.randperm(points.shape[1], generator=torch.Generator().manual_seed(0))

    straight = network(points, condition)

    torch.testing.assert_close(network(points[:, order], condition), straight, atol=1e-4,
                               rtol=1e-4)
    torch.testing.assert_close(network(points[1:2], condition[1:2]), straight[1:2], atol=1e-4,
                               rtol=1e-4)


def test_the_exported_network_answers_like_the_trained_one(
        network: PointClassifier, inputs: tuple[torch.Tensor, torch.Tensor],
        tmp_path: Path) -> None:
    state = TrainingState(network, {'': torch.optim.SGD(network.parameters(), 0.1)},
                          average=averaged_weights(network), notes={'config': CONFIG.as_dict()})
    save_checkpoint(tmp_path / 'last.pt', state)

    export_classifier(tmp_path / 'last.pt', tmp_path / 'classifier.onnx')

    answer = InferenceSession(tmp_path / 'classifier.onnx', 'cpu', 1).run(
        {'points': inputs[0].numpy(), 'condition': inputs[1].numpy()})['logits']
    np.testing.assert_allclose(answer, network(*inputs).detach().numpy(), atol=1e-4)


def test_the_checkpoint_of_another_network_is_refused_by_name(tmp_path: Path) -> None:
    other = torch.nn.Linear(2, 2)
    state = TrainingState(other, {'': torch.optim.SGD(other.parameters(), 0.1)},
                          average=averaged_weights(other), notes={'config': CONFIG.as_dict()})
    save_checkpoint(tmp_path / 'last.pt', state)

    with pytest.raises(ModelError, match=r'last\.pt is not one of the present point-classifier'):
        export_classifier(tmp_path / 'last.pt', tmp_path / 'classifier.onnx')
