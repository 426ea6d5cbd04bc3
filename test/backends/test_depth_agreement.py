"""Surfaces against drawn depth pictures whose answer is known."""

import numpy as np
import pytest

from pose_estimation_ros.backends.depth_agreement import depth_agreement
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.frame import RGBDFrame

CAMERA = CameraIntrinsics.pinhole(160, 120, 200.0, 200.0, 79.5, 59.5)
DIAGONAL = 0.2
SIDE = 0.1  # metres of a square plate at 0.5 m, 40 pixels


def _frame(hole: bool = False) -> RGBDFrame:
    """Return a plate at half a metre before a wall at one metre."""
    depth = np.full((120, 160), 1.0, np.float32)
    depth[40:80, 60:100] = 0.5
    if hole:
        depth[40:80, 60:100] = np.nan
    return RGBDFrame(0, 'camera', np.zeros((120, 160, 3), np.uint8), depth, CAMERA)


def _detection() -> Detection:
    return Detection('can', 1.0, np.array([60.0, 40.0, 100.0, 80.0]), np.ones((40, 40), np.bool_),
                     (60, 40))


def _plate(x: float = 0.0, z: float = 0.5) -> np.ndarray:
    """Return points evenly over a plate, (256, 3)."""
    along = (np.arange(16) + 0.5) / 16 * SIDE - SIDE / 2
    u, v = np.meshgrid(along, along)
    return np.stack([u.ravel() + x, v.ravel(), np.full(256, z)], axis=1)


def _shares(*surfaces: np.ndarray, hole: bool = False) -> np.ndarray:
    agreement = depth_agreement(_frame(hole), [_detection()] * len(surfaces), np.stack(surfaces),
                                np.full(len(surfaces), DIAGONAL))
    return np.stack([agreement.violation, agreement.support, agreement.explained], axis=1)


def test_a_surface_where_it_was_seen_is_supported_and_explains_its_mask() -> None:
    np.testing.assert_allclose(_shares(_plate()), [[0.0, 1.0, 1.0]])


def test_a_surface_in_front_is_a_violation_and_one_behind_is_hidden() -> None:
    np.testing.assert_allclose(_shares(_plate(z=0.45), _plate(z=0.55)),
                               [[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])


def test_a_surface_moved_by_half_its_width_stands_half_in_free_space() -> None:
    violation, support, explained = _shares(_plate(x=SIDE / 2))[0]
    assert violation == pytest.approx(0.5)
    assert support == pytest.approx(0.5)
    # Of the uncovered half, a strip of one window's width, 8 of 20 pixels, is near a point.
    assert explained == pytest.approx(0.7, abs=0.06)


def test_where_no_depth_was_measured_nothing_is_said() -> None:
    np.testing.assert_allclose(_shares(_plate(), hole=True), [[0.0, 0.0, 1.0]])


def test_points_outside_the_image_or_behind_the_camera_are_no_fault_of_the_pose() -> None:
    np.testing.assert_allclose(_shares(_plate(x=3.0), _plate(z=-0.5)), np.zeros((2, 3)))


def test_an_empty_mask_is_not_explained() -> None:
    empty = Detection('can', 1.0, np.zeros(4), np.zeros((2, 2), np.bool_))
    agreement = depth_agreement(_frame(), [empty], _plate()[None], np.array([DIAGONAL]))
    assert agreement.explained[0] == 0.0


def test_each_object_is_compared_with_its_own_mask_and_tolerance() -> None:
    both = depth_agreement(_frame(), [_detection()] * 2, np.stack([_plate(z=0.48)] * 2),
                           np.array([0.2, 0.5]))
    np.testing.assert_allclose(both.violation, [1.0, 0.0])
    np.testing.assert_allclose(both.support, [0.0, 1.0])
