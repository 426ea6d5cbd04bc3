from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.rotation import angle_between, axis_rotation, random_rotation
from pose_estimation_ros.core.up_direction import estimate_up, upright_turn

CAMERA = CameraIntrinsics.pinhole(320, 240, 300.0, 300.0, 159.5, 119.5)


def plane_depth(normal: np.ndarray, height: float) -> np.ndarray:
    """Depth of the plane `normal . p = -height`, NaN where it is behind the camera or far."""
    u, v = np.meshgrid(np.arange(CAMERA.width), np.arange(CAMERA.height))
    rays = np.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, np.ones(u.shape)],
                    axis=-1)
    with np.errstate(divide='ignore'):
        depth = -height / (rays @ normal)
    return np.where((depth > 0) & (depth < 4), depth, np.nan).astype(np.float32)


def looking_down(tilt: float, roll: float) -> np.ndarray:
    """Up direction in the frame of a camera that looks down by `tilt`, both radians."""
    up = np.array([0.0, -np.cos(tilt), -np.sin(tilt)])
    turn = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0],
                     [0, 0, 1]])
    return turn @ up


def angle(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(a @ b, -1, 1))))


@settings(max_examples=30, deadline=None)
@given(st.floats(0.35, 1.57), st.floats(-0.5, 0.5), st.integers(0, 1000))
def test_a_noisy_table_gives_its_normal(tilt: float, roll: float, seed: int) -> None:
    up = looking_down(tilt, roll)
    depth = plane_depth(up, 0.5)
    noise = np.random.default_rng(seed).normal(0, 0.002, depth.shape).astype(np.float32)

    estimate = estimate_up(depth + noise * depth ** 2, CAMERA)

    assert estimate is not None
    assert angle(estimate, up) < 1.0


@pytest.mark.parametrize('noise', [0.05, 0.1, 0.15])
@pytest.mark.parametrize(('tilt', 'roll'), [(8, 180), (10, 180), (15, 135), (20, 90), (25, 0)])
def test_a_camera_that_looks_down_past_the_vertical_sees_no_leaning_table(
        tilt: float, roll: float, noise: float) -> None:
    up = looking_down(np.radians(90 - tilt), np.radians(roll))
    depth = plane_depth(up, 0.8)
    disparity = 15.0 / depth + np.random.default_rng(0).normal(0, noise, depth.shape)

    estimate = estimate_up((15.0 / disparity).astype(np.float32), CAMERA)

    # Where too little of it counts as upward, it is not seen.
    assert estimate is None or angle(estimate, up) < 1.0


def test_a_wall_that_fills_more_of_the_image_is_not_taken_for_the_ground() -> None:
    up = looking_down(0.5, 0.0)
    wall = np.array([0.0, np.sin(0.5), -np.cos(0.5)])
    depth = np.fmin(plane_depth(up, 0.5), plane_depth(wall, 0.9))

    estimate = estimate_up(depth, CAMERA)

    assert angle(estimate, up) < 1.0


def first_surface(*planes: tuple[np.ndarray, float]) -> np.ndarray:
    return np.fmin.reduce([plane_depth(normal, height) for normal, height in planes])


@pytest.mark.parametrize('pitch', [0.0, 3.0, 5.0, 8.0])
@pytest.mark.parametrize('yaw', [0.0, 10.0, 17.0])
def test_the_table_before_a_wall_is_the_ground_of_a_level_camera(pitch: float,
                                                                yaw: float) -> None:
    up = looking_down(np.radians(pitch), 0.0)
    ahead = np.array([0.0, -np.sin(np.radians(pitch)), np.cos(np.radians(pitch))])
    wall = axis_rotation(up, np.radians(yaw)) @ -ahead

    estimate = estimate_up(first_surface((up, 0.25), (wall, 1.2)), CAMERA)

    assert angle(estimate, up) < 1.0


def test_an_open_box_from_above_stands_on_its_bottom() -> None:
    up = np.array([0.0, 0.0, -1.0])
    walls = [(np.array(side), 0.3) for side in
             ([1.0, 0, 0], [-1.0, 0, 0], [0, 1.0, 0], [0, -1.0, 0])]

    estimate = estimate_up(first_surface((up, 1.2), *walls), CAMERA)

    assert angle(estimate, up) < 1.0


def test_a_wall_at_a_side_is_not_the_ground_of_a_rolled_camera() -> None:
    up = looking_down(np.radians(30), np.radians(20))
    wall = np.cross(up, np.array([0.0, 0.0, 1.0]))
    wall /= np.linalg.norm(wall)
    table = plane_depth(up, 0.6)
    table[:80] = np.nan
    # More of it is seen, and its normal points up in the image, too.
    depth = np.fmin(table, plane_depth(wall, 0.05))
    assert (depth == table).sum() < (depth > 0).sum() / 2
    assert wall[1] < -0.15
    assert angle(estimate_up(depth, CAMERA), up) < 1.0


@pytest.mark.parametrize('between', [11.0, 13.0, 15.0, 18.0])
@pytest.mark.parametrize('column', [120, 160, 200])
def test_of_two_tables_that_lean_towards_each_other_one_is_the_ground(between: float,
                                                                     column: int) -> None:
    up = looking_down(np.radians(40), 0.0)
    other = looking_down(np.radians(40 - between), 0.0)
    left = np.arange(CAMERA.width) < column
    depth = np.where(left, plane_depth(up, 0.6), plane_depth(other, 0.45))

    estimate = estimate_up(depth, CAMERA)

    assert min(angle(estimate, up), angle(estimate, other)) < 1.0


def test_an_object_on_the_table_does_not_tilt_the_normal() -> None:
    up = looking_down(0.8, 0.1)
    depth = plane_depth(up, 0.6)
    depth[90:150, 120:200] -= 0.1

    assert angle(estimate_up(depth, CAMERA), up) < 0.5


@pytest.mark.parametrize('depth', [np.full((240, 320), np.nan, np.float32),
                                   np.zeros((240, 320), np.float32)])
def test_without_depth_there_is_no_direction(depth: np.ndarray) -> None:
    assert estimate_up(depth, CAMERA) is None


def test_random_depth_has_no_ground() -> None:
    depth = np.random.default_rng(0).uniform(0.3, 2.0, (240, 320)).astype(np.float32)

    assert estimate_up(depth, CAMERA) is None


class TestUprightTurn:
    TOLERANCE = np.radians(8.0)

    @settings(max_examples=50, deadline=None)
    @given(st.integers(0, 10 ** 6), st.floats(0.0, np.pi), st.booleans())
    def test_what_nearly_stands_is_turned_by_its_lean_and_the_rest_is_left(
            self, seed: int, lean: float, is_on_its_head: bool) -> None:
        generator = np.random.default_rng(seed)
        camera = random_rotation(generator)
        up = camera[:, 1]
        flip = axis_rotation((1.0, 0.0, 0.0), np.pi if is_on_its_head else 0.0)
        standing = (camera @ axis_rotation((0.0, 1.0, 0.0), generator.uniform(0, 6)) @ flip)
        sideways = camera @ np.array([np.cos(seed), 0.0, np.sin(seed)])
        R = axis_rotation(sideways, lean) @ standing
        turned = upright_turn(R[None], up, self.TOLERANCE)[0] @ R
        off = min(lean, np.pi - lean)
        if abs(off - self.TOLERANCE) < 1e-6:
            return
        if off < self.TOLERANCE:
            np.testing.assert_allclose(np.abs(turned[:, 1] @ up), 1.0, atol=1e-9)
            np.testing.assert_allclose(angle_between(turned, R), off, atol=1e-6)
        else:
            np.testing.assert_array_equal(turned, R)

    def test_what_stands_already_is_left(self) -> None:
        np.testing.assert_array_equal(
            upright_turn(np.eye(3)[None], np.array([0.0, 1.0, 0.0]), self.TOLERANCE)[0],
            np.eye(3))
