"""Things on a table do not stand in each other and rest on it."""

import numpy as np
import pytest

from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.rendering.primitives import box
from pose_estimation_ros.synthetic.placement import (
    Stance,
    overlap,
    place_at,
    place_group,
    stack_on,
)
from pose_estimation_ros.synthetic.solids import Solid


def block(x: float, y: float, z: float) -> Solid:
    return Solid.of_mesh('block', 'clutter', box((x, y, z)))


def everywhere(points):
    return np.ones(points.shape[:-1], dtype=bool)


def world_vertices(placed):
    T = placed.T_world_object
    return placed.solid.mesh.vertices @ T[:3, :3].T + T[:3, 3]


@pytest.mark.parametrize('seed', range(5))
def test_placed_things_rest_on_the_table_and_keep_apart(seed):
    generator = np.random.default_rng(seed)
    stances = [Stance(block(*generator.uniform(0.03, 0.2, 3)), np.eye(3)) for _ in range(9)]
    placed = place_group(stances, 0.6, everywhere, generator)
    assert len(placed) == 9
    for index, thing in enumerate(placed):
        assert world_vertices(thing)[:, 2].min() == pytest.approx(0.0, abs=1e-6)
        for other in placed[:index]:
            assert not overlap(thing.footprint.corners[None], thing.footprint.axes[None],
                               other.footprint.corners, other.footprint.axes)[0]


def test_footprint_corners_are_the_corners_of_the_turned_box():
    stance = Stance(block(0.2, 0.1, 0.05), np.eye(3))
    placed = place_at(stance, stance.bounds(), np.array([0.3, -0.1]), 0.7)
    seen = world_vertices(placed)[:4, :2]
    distance = np.linalg.norm(seen[:, None] - placed.footprint.corners[None], axis=-1)
    np.testing.assert_allclose(distance.min(axis=1), 0.0, atol=1e-6)
    assert placed.footprint.top == pytest.approx(0.05)


def test_rectangles_that_only_touch_diagonally_do_not_overlap():
    square = np.array([[[1, 1], [1, -1], [-1, -1], [-1, 1]]]) * 0.1
    turned = axis_rotation((0, 0, 1), np.pi / 4)[:2, :2]
    diamond = square[0] @ turned.T
    apart = overlap(square, np.eye(2)[None], diamond + (0.21, 0.21), turned.T)
    inside = overlap(square, np.eye(2)[None], diamond + (0.15, 0.15), turned.T)
    assert not apart[0]
    assert inside[0]


def test_nothing_is_placed_where_the_table_does_not_reach():
    generator = np.random.default_rng(0)
    stances = [Stance(block(0.1, 0.1, 0.1), np.eye(3))] * 8
    placed = place_group(stances, 2.0, lambda points: points[..., 0] > 0, generator)
    assert placed
    assert min(thing.footprint.corners[:, 0].min() for thing in placed) > 0


def test_what_is_stacked_stands_on_top_of_what_is_below():
    generator = np.random.default_rng(0)
    below = place_group([Stance(block(0.2, 0.2, 0.12), np.eye(3))], 1.0, everywhere, generator)[0]
    above = stack_on(Stance(block(0.05, 0.05, 0.1), np.eye(3)), below, generator)
    assert world_vertices(above)[:, 2].min() == pytest.approx(0.12, abs=1e-6)
    assert np.abs(above.footprint.center - below.footprint.center).max() < 0.1
