import numpy as np
import pytest
import torch

from pose_estimation_ros.networks.mask_rcnn import MaskRCNN, MaskRCNNConfig
from pose_estimation_ros.runtime.session import InferenceSession
from pose_estimation_ros.segmentation.preprocessing import InputSize
from pose_estimation_ros.training.maskrcnn_export import (
    OUTPUT_NAMES,
    DetectionGraph,
    export_onnx,
)

TINY = MaskRCNNConfig(stem_width=8, widths=(8, 16, 16, 24), pyramid_width=16, box_head_width=32,
                      mask_layers=1, anchor_sizes=((12, 20), (28, 40), (56, 72)),
                      score_threshold=0.0, detections=10)
SIZE = InputSize(96, 64)


@pytest.fixture
def network():
    torch.manual_seed(3)
    return MaskRCNN(TINY)


def images(count, seed=0):
    return torch.randn((count, 8, SIZE.height, SIZE.width),
                       generator=torch.Generator().manual_seed(seed))


def target(*boxes, ignored=()):
    masks = torch.zeros((len(boxes), SIZE.height, SIZE.width), dtype=torch.uint8)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        mask[y0:y1, x0:x1] = 1
    return {'boxes': torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            'labels': torch.arange(1, len(boxes) + 1), 'masks': masks,
            'ignored_boxes': torch.tensor(ignored, dtype=torch.float32).reshape(-1, 4)}


def test_detections_stay_inside_the_picture(network):
    found, losses = network.eval()(images(2))
    assert losses == {}
    assert len(found) == 2
    for detections in found:
        boxes = detections['boxes']
        assert 0 < len(boxes) <= TINY.detections
        assert (boxes >= 0).all()
        assert (boxes[:, 2] <= SIZE.width).all()
        assert (boxes[:, 3] <= SIZE.height).all()
        assert detections['masks'].shape == (len(boxes), 1, 28, 28)
        assert set(detections['labels'].tolist()) <= set(range(1, 7))


def test_training_lowers_every_loss_on_two_pictures(network):
    batch = images(2)
    targets = [target((10, 10, 40, 40)), target((30, 5, 80, 60), (2, 2, 20, 30))]
    optimizer = torch.optim.AdamW(network.train().parameters(), 2e-3)
    history = []
    for _ in range(40):
        _, losses = network(batch, targets)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        history.append(sum(float(value.detach()) for value in losses.values()))
    assert history[-1] < 0.5 * history[0]


def test_a_picture_without_objects_trains_too(network):
    _, losses = network.train()(images(2), [target((10, 10, 40, 40)), target()])
    assert all(torch.isfinite(value) for value in losses.values())


def test_background_anchors_in_ignored_regions_take_no_part_in_the_loss(network):
    anchors = torch.tensor([[10.0, 10, 30, 30], [50, 10, 70, 30], [10, 40, 20, 50]])
    seen = target((50, 10, 70, 30), ignored=[(8, 8, 32, 32)])
    labels, _ = network.proposals.assign_targets_to_anchors([anchors], [seen])
    assert labels[0].tolist() == [-1.0, 1.0, 0.0]


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_the_onnx_network_gives_the_same_detections(network, tmp_path_factory, seed):
    # Batch statistics of the pictures themselves make the outputs lively.
    network.train()
    with torch.no_grad():
        for _ in range(20):
            network.backbone(images(4, seed=9))
    network.eval()
    path = tmp_path_factory.mktemp('onnx') / 'tiny.onnx'
    export_onnx(network, 8, SIZE, path)
    session = InferenceSession(path, 'cpu', threads=1)
    picture = images(1, seed)
    with torch.inference_mode():
        expected = DetectionGraph(network)(picture)
    given = session.run({'image': picture.numpy()})
    for name, values in zip(OUTPUT_NAMES, expected, strict=True):
        assert given[name].shape == tuple(values.shape)
        np.testing.assert_allclose(given[name], values.numpy(), atol=2e-3, rtol=1e-4)


def test_the_onnx_network_may_find_nothing(network, tmp_path):
    network.eval()
    network.heads.score_thresh = 0.999
    export_onnx(network, 8, SIZE, tmp_path / 'tiny.onnx')
    given = InferenceSession(tmp_path / 'tiny.onnx', 'cpu', threads=1).run(
        {'image': images(1).numpy()})
    assert given['boxes'].shape == (0, 4)
    assert given['masks'].shape == (0, 28, 28)
