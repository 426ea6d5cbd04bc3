from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_estimation_ros.core.boxes import box_corners, oriented_box_iou
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import inverse, make_transform, transform_points
from test.core.strategies import poses, sizes


@given(poses(), sizes())
def test_a_box_overlaps_itself_wholly(T: np.ndarray, size: np.ndarray) -> None:
    assert oriented_box_iou(T, size, T, size) == pytest.approx(1.0, abs=1e-6)


@given(poses(), sizes(), st.floats(0.0, 1.2))
def test_a_shift_along_an_axis_gives_the_closed_form(T: np.ndarray, size: np.ndarray,
                                                     share: float) -> None:
    moved = T @ make_transform(np.eye(3), (share * size[0], 0, 0))
    left = max(0.0, 1.0 - share)

    assert oriented_box_iou(T, size, moved, size) == pytest.approx(left / (2 - left), abs=1e-6)


@given(poses(), sizes(), st.floats(0.1, 1.0))
def test_a_box_inside_another_gives_the_ratio_of_volumes(T: np.ndarray, size: np.ndarray,
                                                         share: float) -> None:
    expected = share ** 3

    assert oriented_box_iou(T, size, T, share * size) == pytest.approx(expected, abs=1e-6)


@settings(max_examples=25)
@given(poses(), sizes(), sizes(), st.integers(0, 2**31))
def test_any_two_boxes_agree_with_counting_random_points(
        T: np.ndarray, size_a: np.ndarray, size_b: np.ndarray, seed: int) -> None:
    generator = np.random.default_rng(seed)
    delta = make_transform(axis_rotation(generator.standard_normal(3), 1.0),
                           generator.uniform(-0.3, 0.3, 3))
    points = (generator.random((40000, 3)) - 0.5) * size_a
    inside = (np.abs(transform_points(inverse(delta), points)) <= size_b / 2).all(axis=1).mean()
    intersection = inside * size_a.prod()
    expected = intersection / (size_a.prod() + size_b.prod() - intersection)

    iou = oriented_box_iou(T, size_a, T @ delta, size_b)

    assert iou == pytest.approx(expected, abs=0.02)
    assert iou == pytest.approx(oriented_box_iou(T @ delta, size_b, T, size_a), abs=1e-6)


@given(poses(), sizes())
def test_corners_lie_half_a_size_from_the_origin(T: np.ndarray, size: np.ndarray) -> None:
    corners = transform_points(inverse(T), box_corners(T, size))

    np.testing.assert_allclose(np.abs(corners), np.tile(size / 2, (8, 1)), atol=1e-9)
