from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.spatial import ConvexHull, HalfspaceIntersection

from pose_estimation_ros.core.boxes import box_corners, oriented_box_iou, oriented_box_ious
from pose_estimation_ros.core.rotation import axis_rotation, random_rotation
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


def _common_point(planes: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the centre and radius of the largest ball inside the half-spaces (6 + 6, 4)."""
    answer = linprog((0, 0, 0, -1), np.c_[planes[:, :3], np.ones(len(planes))], -planes[:, 3],
                     bounds=((None, None),) * 3 + ((0, None),))
    return (answer.x[:3], answer.x[3]) if answer.success else (np.zeros(3), 0.0)


def _planes(T: np.ndarray, size: np.ndarray) -> np.ndarray:
    normals = np.concatenate([-T[:3, :3].T, T[:3, :3].T])
    return np.c_[normals, -(normals @ T[:3, 3] + np.tile(size / 2, 2))]


@settings(max_examples=60)
@given(poses(), sizes(), sizes(), st.integers(0, 2**31))
def test_any_two_boxes_agree_with_the_convex_hull_of_their_intersection(
        T: np.ndarray, size_a: np.ndarray, size_b: np.ndarray, seed: int) -> None:
    generator = np.random.default_rng(seed)
    # Small and large turns, near and far: all faces take part.
    turn = 10.0 ** generator.uniform(-4, 0.5)
    delta = make_transform(axis_rotation(generator.standard_normal(3), turn),
                           generator.uniform(-0.2, 0.2, 3))
    planes = np.concatenate([_planes(np.eye(4), size_a), _planes(delta, size_b)])
    centre, radius = _common_point(planes)
    # Slivers are beyond Qhull's precision.
    assume(radius == 0.0 or radius > 1e-4)
    volume = (ConvexHull(HalfspaceIntersection(planes, centre).intersections).volume
              if radius > 0 else 0.0)
    expected = volume / (size_a.prod() + size_b.prod() - volume)

    assert oriented_box_iou(T, size_a, T @ delta, size_b) == pytest.approx(expected, abs=1e-9)


@given(poses(), sizes(), st.floats(-12, -4))
def test_a_turn_too_small_to_see_changes_nothing(T: np.ndarray, size: np.ndarray,
                                                 exponent: float) -> None:
    angle = 10.0 ** exponent
    turned = T @ make_transform(axis_rotation((1, 2, 3), angle), np.zeros(3))

    # At most the largest extent times the angle is lost at each of the faces.
    bound = (3e-8 + 10 * angle) * size.max() / size.min()
    assert oriented_box_iou(T, size, turned, size) == pytest.approx(1.0, abs=bound)


@given(poses(), sizes(), st.integers(0, 2), st.integers(1, 3))
def test_quarter_turns_of_a_cuboid_give_the_closed_form(T: np.ndarray, size: np.ndarray,
                                                        axis: int, quarters: int) -> None:
    turned = T @ make_transform(axis_rotation(np.eye(3)[axis], quarters * np.pi / 2), np.zeros(3))
    u, v = np.delete(size, axis)
    common = min(u, v) ** 2 if quarters % 2 else u * v
    expected = common / (2 * u * v - common)

    assert oriented_box_iou(T, size, turned, size) == pytest.approx(expected, abs=1e-9)


def test_two_squares_turned_by_45_degrees_share_an_octagon() -> None:
    turned = make_transform(axis_rotation((0, 0, 1), np.pi / 4), np.zeros(3))
    octagon = 2 * (np.sqrt(2) - 1)

    iou = oriented_box_iou(np.eye(4), np.ones(3), turned, np.ones(3))

    assert iou == pytest.approx(octagon / (2 - octagon), abs=1e-12)


def test_boxes_that_touch_or_lie_apart_or_have_no_volume_do_not_overlap() -> None:
    beside = make_transform(np.eye(3), (0.2, 0, 0))
    apart = make_transform(np.eye(3), (0.5, 0, 0))
    size = np.array([0.2, 0.3, 0.4])

    assert oriented_box_iou(np.eye(4), size, beside, size) == pytest.approx(0.0, abs=1e-12)
    assert oriented_box_iou(np.eye(4), size, apart, size) == 0.0
    assert oriented_box_iou(np.eye(4), size, np.eye(4), np.zeros(3)) == 0.0
    assert oriented_box_iou(np.eye(4), np.zeros(3), np.eye(4), np.zeros(3)) == 0.0


def test_many_pairs_at_once_give_what_each_gives_alone() -> None:
    generator = np.random.default_rng(3)
    count = 1100
    T_a = np.stack([make_transform(random_rotation(generator), generator.uniform(-1, 1, 3))
                    for _ in range(count)])
    delta = np.stack([make_transform(random_rotation(generator), generator.uniform(-.1, .1, 3))
                      for _ in range(count)])
    size_a, size_b = generator.uniform(0.05, 0.4, (2, count, 3))

    together = oriented_box_ious(T_a, size_a, T_a @ delta, size_b)

    chosen = np.r_[0:4, 510:515, count - 2:count]
    alone = [oriented_box_iou(T_a[i], size_a[i], T_a[i] @ delta[i], size_b[i]) for i in chosen]
    np.testing.assert_allclose(together[chosen], alone, rtol=1e-12)
    assert oriented_box_ious(T_a[:0], size_a[:0], T_a[:0], size_b[:0]).shape == (0,)


@given(poses(), sizes())
def test_corners_lie_half_a_size_from_the_origin(T: np.ndarray, size: np.ndarray) -> None:
    corners = transform_points(inverse(T), box_corners(T, size))

    np.testing.assert_allclose(np.abs(corners), np.tile(size / 2, (8, 1)), atol=1e-9)
