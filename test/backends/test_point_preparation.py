from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose_estimation_ros.backends.point_preparation import (
    choose_points,
    masked_pixels,
    normalize_points,
    spread_points,
)
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.up_direction import view_rotation

CAMERA = CameraIntrinsics.pinhole(64, 48, 60.0, 60.0, 31.5, 23.5)


def frame_with(depth: np.ndarray) -> RGBDFrame:
    return RGBDFrame(0, 'camera', np.zeros((48, 64, 3), np.uint8), depth, CAMERA)


UP = np.array([[0.0, -0.8, -0.6]])


@given(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6), st.floats(0.0, 1.57), st.floats(-0.5, 0.5))
def test_the_view_frame_has_up_as_y_and_looks_away_along_z(x: float, y: float, tilt: float,
                                                           roll: float) -> None:
    ray = np.array([[x, y, 1.0]]) / np.linalg.norm((x, y, 1.0))
    up = np.array([[np.sin(roll) * np.cos(tilt), -np.cos(roll) * np.cos(tilt), -np.sin(tilt)]])

    R = view_rotation(ray, up)[0]

    np.testing.assert_allclose(R @ up[0], (0, 1, 0), atol=1e-9)
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(R) == pytest.approx(1.0)
    assert (R @ (ray[0] - (0, 1, 0)))[2] > 0


def test_how_the_camera_is_held_does_not_change_the_points_of_the_view_frame() -> None:
    cloud = np.random.default_rng(0).normal((0.0, 0.0, 0.9), 0.04, (1, 200, 3))
    angle = 0.3
    roll = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0],
                     [0, 0, 1]])

    straight = normalize_points(cloud, UP)
    rolled = normalize_points(cloud @ roll.T, UP @ roll.T)

    # The roll moves the image's upward direction too, which enters the horizontal direction.
    np.testing.assert_allclose(rolled.points[..., 1], straight.points[..., 1], atol=0.02)
    np.testing.assert_allclose(rolled.condition, straight.condition, atol=0.01)


@pytest.mark.parametrize('up', [UP, np.full((1, 3), np.nan)])
def test_normalised_points_map_back_to_the_camera_frame(up: np.ndarray) -> None:
    cloud = np.random.default_rng(0).normal((0.3, -0.2, 0.9), 0.04, (2, 200, 3))

    prepared = normalize_points(cloud, np.tile(up, (2, 1)))
    back = np.einsum('bji,bnj->bni', prepared.R_view_camera,
                     prepared.points * prepared.radius[:, None, None]) + prepared.center[:, None]

    np.testing.assert_allclose(back, cloud, atol=1e-6)
    assert np.abs(np.median(prepared.points, axis=1)).max() < 0.2
    assert (prepared.condition[:, 2] == np.isfinite(up).all()).all()


def test_background_points_hardly_move_centre_and_radius() -> None:
    generator = np.random.default_rng(0)
    cloud = generator.normal((0.1, 0.0, 0.8), 0.03, (1, 400, 3))
    bled = cloud.copy()
    bled[0, :60, 2] += 1.0

    clean, disturbed = normalize_points(cloud, UP), normalize_points(bled, UP)

    assert np.linalg.norm(disturbed.center - clean.center) < 0.02
    assert disturbed.radius[0] < 1.3 * clean.radius[0]
    assert np.linalg.norm(disturbed.points, axis=2).max() < 4.0 + 1e-5


def test_only_mask_pixels_with_depth_become_points() -> None:
    depth = np.full((48, 64), 0.5, np.float32)
    depth[10, 20] = np.nan
    depth[10, 21] = 0.0
    detection = Detection('mug', 0.9, np.array([20.0, 10, 24, 11]), np.ones((1, 4), bool),
                          offset=(20, 10))

    rows, columns = masked_pixels(frame_with(depth), detection)

    assert list(zip(rows, columns, strict=True)) == [(10, 22), (10, 23)]


def test_a_mask_over_the_image_border_is_cut_off() -> None:
    detection = Detection('mug', 0.9, np.array([62.0, 46, 66, 50]), np.ones((4, 4), bool),
                          offset=(62, 46))

    rows, columns = masked_pixels(frame_with(np.ones((48, 64), np.float32)), detection)

    assert (rows.tolist(), columns.tolist()) == ([46, 46, 47, 47], [62, 63, 62, 63])


def test_many_points_are_thinned_without_repetition_and_few_are_repeated() -> None:
    generator = np.random.default_rng(0)

    many, few = choose_points(1000, 256, generator), choose_points(40, 256, generator)

    assert len(set(many)) == 256
    assert len(few) == 256
    assert set(few) == set(range(40))


@pytest.mark.parametrize('count', [32, 40, 255, 256, 257, 1000])
def test_spread_points_favour_no_part_of_an_object(count: int) -> None:
    chosen = spread_points(count, 256, np.random.default_rng(0))

    assert len(chosen) == 256
    assert (np.diff(chosen) >= 0).all()
    times = np.bincount(chosen, minlength=count)
    assert times.max() - times.min() <= 1
    # What is left over is drawn from all of it, not from where the image begins.
    once_more = np.flatnonzero(times == times.max())
    if 8 < len(once_more) < count:
        assert abs(once_more.mean() / count - 0.5) < 0.2
    # Of every so many points all are still seen, where there are fewer than that.
    if count <= 64:
        assert len(set(chosen[::4])) == count
