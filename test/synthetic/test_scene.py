"""Scenes: repeatable, on the table, from the right split."""

import numpy as np
import pytest

from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.se3 import is_rigid
from pose_estimation_ros.synthetic.scene import SceneGenerator
from pose_estimation_ros.synthetic.splits import split_of_seed

SEEDS = range(6)


@pytest.fixture(scope='module', params=['primary', 'second'])
def scenes(request):
    generator = SceneGenerator(request.param, 'test')
    return [generator.scene(seed) for seed in SEEDS]


def test_a_seed_gives_the_same_scene_again(scenes):
    again = SceneGenerator(scenes[3].domain, 'test').scene(3)
    assert [body.solid.name for body in again.bodies] == [
        body.solid.name for body in scenes[3].bodies]
    for one, other in zip(again.bodies, scenes[3].bodies, strict=True):
        np.testing.assert_array_equal(one.T_world_object, other.T_world_object)
    np.testing.assert_array_equal(again.view.T_world_camera, scenes[3].view.T_world_camera)
    assert again.bodies[0].materials[0].gloss == scenes[3].bodies[0].materials[0].gloss


def test_instances_come_first_and_are_of_the_split(scenes):
    for scene in scenes:
        assert scene.instance_count >= 1
        assert all(body.solid.category in CATEGORY_NAMES for body in scene.instances)
        assert not any(body.solid.category in CATEGORY_NAMES
                       for body in scene.bodies[scene.instance_count:])
        assert {split_of_seed(int(body.solid.name.rsplit('_', 1)[1]))
                for body in scene.instances} == {'test'}


def test_nothing_sinks_into_the_table(scenes):
    for scene in scenes:
        for body in scene.instances:
            T = body.T_world_object
            assert is_rigid(T)
            lowest = (body.solid.mesh.vertices @ T[:3, :3].T + T[:3, 3])[:, 2].min()
            assert lowest > -1e-4


def test_cameras_are_above_the_table_and_inside_the_room(scenes):
    for scene in scenes:
        for view in scene.views(3):
            position = view.T_world_camera[:3, 3]
            assert position[2] > 0.03
            assert scene.room.contains(position, 0.0)


def test_another_view_shares_the_search_tree(scenes):
    first, second = scenes[0].views(2)
    other = scenes[0].seen_from(second)
    assert other.caster is scenes[0].caster
    assert not np.allclose(first.T_world_camera, second.T_world_camera)


def test_an_unknown_domain_is_named_with_the_known_ones():
    with pytest.raises(ConfigurationError, match=r"'tertiary'.*primary, second"):
        SceneGenerator('tertiary', 'train')
