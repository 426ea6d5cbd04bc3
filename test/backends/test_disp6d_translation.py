"""Positions from boxes, and the turn to the line of sight."""

from pathlib import Path

import numpy as np

from pose_estimation_ros.backends.disp6d_translation import (
    about_origin,
    box_translation,
    published_translation,
    published_turn,
    turned_to_ray,
)
from pose_estimation_ros.core.rotation import angle_between, axis_rotation
from pose_estimation_ros.core.se3 import transform_points

PUBLISHED = np.load(Path(__file__).parents[1] / 'data/disp6d/translation.npz')


def corners(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1).astype(float)


def test_positions_equal_the_published_ones() -> None:
    detected = corners(PUBLISHED['tl_det_bb'])
    # The published code takes half of the width and height in whole pixels.
    size = PUBLISHED['tl_det_bb'][:, 2:]
    detected += np.tile(size // 2 - size / 2, 2)
    t = published_translation(detected, PUBLISHED['tl_K_test'], corners(PUBLISHED['tl_render_bb']),
                              PUBLISHED['tl_K_train'], 700.0)
    np.testing.assert_allclose(t[:, 2], PUBLISHED['tl_tz'], rtol=1e-6)
    np.testing.assert_allclose(t, PUBLISHED['tl_t'], rtol=1e-6, atol=1e-4)


def test_the_distance_is_right_where_pixels_are_not_square() -> None:
    """A wide and a tall thing of 0.7 m that a camera of twice as many columns sees at 1.4 m."""
    K = np.array([[800.0, 0.0, 320.0], [0.0, 400.0, 120.0], [0.0, 0.0, 1.0]])
    for half in ([0.2, 0.05], [0.05, 0.2]):
        view_box = np.concatenate([-np.array(half), half]) / 0.7
        box = np.array([800.0, 400.0] * 2) * view_box / 2 + [320.0, 120.0] * 2
        t = box_translation(box, K, view_box, np.eye(3), 0.7)
        np.testing.assert_allclose(t, [0.0, 0.0, 1.4], atol=1e-12)
        assert abs(published_translation(box, K, view_box, np.eye(3), 0.7)[2] - 1.4) > 0.2


def test_with_square_pixels_positions_are_the_published_ones() -> None:
    K = np.array([[600.0, 0.0, 320.0], [0.0, 600.0, 240.0], [0.0, 0.0, 1.0]])
    box, view_box = np.array([300.0, 200.0, 380.0, 330.0]), np.array([-0.1, -0.2, 0.12, 0.2])
    np.testing.assert_allclose(box_translation(box, K, view_box, np.eye(3), 0.7),
                               published_translation(box, K, view_box, np.eye(3), 0.7))


def test_the_published_turn_gives_the_published_rotations() -> None:
    R = published_turn(PUBLISHED['tl_t']) @ PUBLISHED['tl_R_codebook']
    np.testing.assert_allclose(R, PUBLISHED['tl_R'], atol=1e-12)
    np.testing.assert_allclose(
        published_turn(PUBLISHED['re_t']) @ PUBLISHED['tl_R_codebook'][0], PUBLISHED['re_R'],
        atol=1e-12)


def test_our_turn_takes_the_optical_axis_to_the_line_of_sight() -> None:
    t = np.random.default_rng(0).uniform([-0.5, -0.4, 0.6], [0.5, 0.4, 1.2], (50, 3))
    np.testing.assert_allclose(turned_to_ray(t)[..., 2],
                               t / np.linalg.norm(t, axis=1, keepdims=True), atol=1e-12)


def test_our_turn_is_the_published_one_near_the_middle_row_and_column() -> None:
    t = np.array([[0.4, 0.0, 1.0], [0.0, -0.3, 1.0], [0.02, 0.03, 1.0]])
    assert angle_between(turned_to_ray(t), published_turn(t)).max() < 1e-5


def test_the_center_of_a_pose_about_the_origin_is_where_it_was_put() -> None:
    R, center, t = axis_rotation([1.0, 2.0, 0.5], 1.0), np.array([0.1, 0.2, -0.3]), np.array(
        [0.3, 0.1, 0.9])
    np.testing.assert_allclose(transform_points(about_origin(R, t, center), center[None])[0], t)
