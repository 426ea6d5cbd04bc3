from dataclasses import replace

import numpy as np
import pytest

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.segmentation.object_cloud import AROUND, INSIDE
from pose_estimation_ros.synthetic.synthetic_frame import Instance, SyntheticFrame
from pose_estimation_ros.training.classifier_samples import (
    UNCLEAR,
    Candidates,
    read_candidates,
    true_category,
)
from pose_estimation_ros.training.point_classifier_training import (
    CandidateAugmentation,
    candidate_batch,
)

CAMERA = CameraIntrinsics.pinhole(80, 60, 70.0, 70.0, 39.5, 29.5)


def truth() -> SyntheticFrame:
    instance_map = np.zeros((60, 80), np.int16)
    instance_map[10:30, 10:30] = 1
    can = Instance(1, 'can', 'a', np.eye(4), np.ones(3), 1.0, {}, np.array([10.0, 10, 30, 30]),
                   1.0)
    frame = RGBDFrame(0, 'camera', np.zeros((60, 80, 3), np.uint8),
                      np.ones((60, 80), np.float32), CAMERA)
    return SyntheticFrame(frame, None, instance_map, (can,))


@pytest.mark.parametrize(('shift', 'expected'), [
    (0, 1 + CATEGORY_NAMES.index('can')), (8, UNCLEAR), (15, 0)])
def test_a_candidate_is_what_it_covers(shift: int, expected: int) -> None:
    box = np.array([10.0 + shift, 10, 30 + shift, 30])
    candidate = Detection('mug', 0.5, box, np.ones((20, 20), np.bool_), (10 + shift, 10))

    assert true_category(truth(), candidate) == expected


def candidates(number: int) -> Candidates:
    generator = np.random.default_rng(0)
    points = generator.normal((0.0, 0.0, 0.8), 0.05, (number, INSIDE + AROUND, 3))
    return Candidates(points.astype(np.float32),
                      generator.integers(0, 256, points.shape).astype(np.uint8),
                      np.tile((0.0, -1.0, 0.0), (number, 1)),
                      generator.random((number, 6)).astype(np.float32),
                      np.arange(number) % 7)


def test_varied_points_keep_their_colors() -> None:
    data = candidates(8)
    brightness = 105 + 150 * data.points[..., :1]
    data = replace(data, colors=np.broadcast_to(brightness, data.points.shape).astype(np.uint8))

    batch = candidate_batch(data, CandidateAugmentation(noise=0.0, tilt=0.0, unknown_up=0.0,
                                                        no_color=0.0), np.random.default_rng(3))

    for cloud in batch.points.numpy():
        for group in (cloud[:INSIDE], cloud[INSIDE:]):
            assert abs(np.corrcoef(group[:, 0], group[:, 4:].mean(axis=1))[0, 1]) > 0.95


def test_equal_seeds_give_equal_batches_and_targets_stay() -> None:
    data = candidates(8)

    first, second = (candidate_batch(data, CandidateAugmentation(), np.random.default_rng(3))
                     for _ in range(2))

    for name in ('points', 'condition', 'target'):
        assert (getattr(first, name) == getattr(second, name)).all()
    assert (first.target.numpy() == data.target).all()


def test_augmentation_keeps_an_object_s_size_within_its_bounds() -> None:
    data = candidates(64)

    plain = candidate_batch(data, None, np.random.default_rng(0)).points
    varied = candidate_batch(data, CandidateAugmentation(scale=0.0, noise=0.0),
                             np.random.default_rng(0)).points

    extent = [np.median(np.linalg.norm(batch[:, :INSIDE, :3].numpy(), axis=2), axis=1)
              for batch in (plain, varied)]
    assert np.abs(np.log(extent[1] / extent[0])).mean() < 0.1


def test_an_empty_folder_says_how_candidates_are_made(tmp_path) -> None:
    with pytest.raises(ConfigurationError, match='dataset candidates --out'):
        read_candidates(tmp_path)
