import numpy as np
import pytest

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.segmentation.object_cloud import (
    AROUND,
    INSIDE,
    classifier_input,
    label_scores,
    object_cloud,
)

CAMERA = CameraIntrinsics.pinhole(160, 120, 150.0, 150.0, 79.5, 59.5)
MASK = np.ones((30, 20), np.bool_)


def frame(depth: np.ndarray) -> RGBDFrame:
    rgb = np.zeros((120, 160, 3), np.uint8)
    rgb[40:70, 60:80] = (200, 100, 50)
    return RGBDFrame(0, 'camera', rgb, depth.astype(np.float32), CAMERA)


def detection() -> Detection:
    return Detection('mug', 0.6, np.array([60.0, 40.0, 80.0, 70.0]), MASK, (60, 40))


def object_before_a_wall(wall: float = 0.65) -> RGBDFrame:
    depth = np.full((120, 160), wall)
    depth[40:70, 60:80] = 0.5
    return frame(depth)


def test_points_under_the_mask_come_first_and_carry_the_object_s_colour() -> None:
    cloud = object_cloud(object_before_a_wall(), detection(), np.random.default_rng(0))

    assert cloud is not None
    np.testing.assert_allclose(cloud.points[:INSIDE, 2], 0.5)
    np.testing.assert_allclose(cloud.points[INSIDE:, 2], 0.65)
    assert (cloud.colors[:INSIDE] == (200, 100, 50)).all()
    assert (cloud.colors[INSIDE:] == 0).all()


def test_what_is_far_behind_the_object_is_left_out() -> None:
    cloud = object_cloud(object_before_a_wall(2.0), detection(), np.random.default_rng(0))

    assert cloud is not None
    assert np.isnan(cloud.points[INSIDE:]).all()


def test_an_object_without_depth_has_no_cloud() -> None:
    depth = np.full((120, 160), np.nan)

    assert object_cloud(frame(depth), detection(), np.random.default_rng(0)) is None


def clouds(number: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(1)
    points = generator.normal((0.1, 0.0, 0.8), 0.04, (number, INSIDE + AROUND, 3))
    return points, generator.integers(0, 256, points.shape).astype(np.uint8)


def test_the_input_is_metric_and_does_not_depend_on_where_the_object_is() -> None:
    points, colors = clouds(1)
    up, scores = np.array([[0.0, -1.0, 0.0]]), np.zeros((1, 6))

    here = classifier_input(points, colors, up, scores)
    # Straight away along its ray, so that it is seen from the same side.
    ray = np.median(points[0, :INSIDE], axis=0)
    there = classifier_input(points + 0.5 * ray, colors, up, scores)

    np.testing.assert_allclose(there.points, here.points, atol=1e-4)
    spread = np.linalg.norm(points[0] - np.median(points[0, :INSIDE], axis=0), axis=1)
    np.testing.assert_allclose(np.linalg.norm(here.points[0, :, :3], axis=1), 10 * spread,
                               rtol=1e-4)


def test_up_is_the_second_axis_whatever_the_camera_s_tilt() -> None:
    points, colors = clouds(1)
    center = np.median(points[0, :INSIDE], axis=0)
    up = np.array([0.0, -0.8, -0.6])
    points[0, 0] = center + 0.1 * up

    prepared = classifier_input(points, colors, up[None], np.zeros((1, 6)))

    assert prepared.points[0, 0, 1] == pytest.approx(1.0, abs=0.05)


def test_missing_points_and_an_unknown_up_leave_no_gap_in_the_numbers() -> None:
    points, colors = clouds(2)
    points[1, INSIDE:] = np.nan

    prepared = classifier_input(points, colors, np.full((2, 3), np.nan), np.zeros((2, 6)))

    assert np.isfinite(prepared.points).all()
    assert np.isfinite(prepared.condition).all()
    assert (prepared.points[1, INSIDE:] == 0).all()
    assert (prepared.condition[:, 1] == 0).all()


def test_scores_stand_at_the_place_of_their_category() -> None:
    scores = label_scores([detection()], ('bottle', 'mug'), [{'bottle': 0.3, 'robot': 0.2}])

    np.testing.assert_allclose(scores, [[0.3, 0.6]])
