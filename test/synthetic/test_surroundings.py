"""Tables hold the group, rooms surround the table, furniture keeps away from the objects."""

import numpy as np
import pytest

from pose_estimation_ros.synthetic.surroundings import (
    SURROUNDINGS_STYLES,
    sample_clutter,
    sample_room,
    sample_table,
)


@pytest.fixture(scope='module', params=['primary', 'second'])
def places(request):
    style = SURROUNDINGS_STYLES[request.param]
    made = []
    for seed in range(40):
        generator = np.random.default_rng(seed)
        table = sample_table(style, generator)
        made.append((table, sample_room(style, table, generator)))
    return made


def test_the_origin_is_on_every_table_and_its_top_at_zero(places):
    for table, _ in places:
        assert table.holds(np.zeros(2))
        top = table.solid.mesh.vertices[:, 2].max() + table.T_world_table[2, 3]
        assert top == pytest.approx(0.0, abs=1e-6)


def test_tables_end_where_they_say(places):
    for table, _ in places:
        beyond = table.T_world_table[:2, 3] + table.T_world_table[:2, 0] * (table.half[0] + 0.01)
        assert not table.holds(beyond)


def test_the_floor_is_below_the_table_and_walls_look_inwards(places):
    for _, room in places:
        floor, *walls = room.solids[:5]
        assert (floor.mesh.face_normals @ [0, 0, 1] > 0.999).all()
        assert room.low[2] < -0.3
        middle = (room.low + room.high) / 2
        for wall, pose in zip(walls, room.poses[1:5], strict=True):
            inwards = middle - pose[:3, 3]
            assert (wall.mesh.face_normals @ inwards > 0).all()


def test_the_room_contains_what_is_above_the_table_only_within_its_walls(places):
    for _, room in places:
        assert not room.contains(room.high + 0.1, 0.0)
        assert not room.contains(np.array([0.0, 0.0, room.low[2] - 0.01]), 0.0)


def test_clutter_is_of_everyday_size():
    generator = np.random.default_rng(0)
    sizes = np.array([sample_clutter(generator).size for _ in range(300)])
    assert sizes.max() <= 0.31
    assert sizes.max(axis=1).min() > 0.015
