"""The planning scene: what is told when, as which message, and what a machine without MoveIt says.

Where moveit_msgs is not installed, classes made from its definitions in interfaces/ stand for it:
they take no field that is not defined, and what is built must serialise.
"""

from pathlib import Path

import numpy as np
import pytest
from ros_harness import NodeProcess
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from std_msgs.msg import Header

from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform, transform_points
from pose_estimation_ros.nodes.collision_messages import CollisionTypes, collision_object
from pose_estimation_ros.nodes.conversions import cloud_message, cloud_points, pose_matrix
from pose_estimation_ros.nodes.scene_objects import (
    Operation,
    SceneChange,
    SceneLimits,
    SceneMirror,
    SceneObject,
    with_hulls,
)

INTERFACES = Path(__file__).parents[2] / 'interfaces'
DEFINED = {name: (INTERFACES / f'{name.replace("/", "/msg/", 1)}.msg').read_text()
           for name in ('moveit_msgs/CollisionObject', 'object_recognition_msgs/ObjectType')}
SECOND = 1_000_000_000
SIZE = np.array([0.1, 0.2, 0.05])
T = make_transform(axis_rotation((0, 0, 1), 0.3), [0.5, 0.1, 0.2])


def typestore():
    store = get_typestore(Stores.ROS2_KILTED)
    for name, text in DEFINED.items():
        store.register(get_types_from_msg(text, name.replace('/', '/msg/')))
    return store


def stand_in(store, name):
    """Return a class with the fields of a definition and no others, empty at first."""
    _, fields = store.fielddefs[name]

    class Message:
        __slots__ = tuple(field for field, _ in fields)

        def __init__(self, **values):
            for field in self.__slots__:
                setattr(self, field, values.pop(field, None))
            assert not values, f'{name} has no {sorted(values)}'

    return Message


def serialised(store, name, message):
    """Return a message after it was written as CDR and read again."""
    return store.deserialize_cdr(store.serialize_cdr(filled(store, name, message), name), name)


def filled(store, name, message):
    """Return the message as an instance of the type store; what is not set is empty."""
    values = {}
    for field, kind in store.fielddefs[name][1]:
        values[field] = _value(store, kind, getattr(message, field, None))
    return store.types[name](**values)


def _value(store, kind, value):
    node, argument = kind
    if node.name == 'NAME':
        return filled(store, argument, value)
    if node.name == 'BASE':
        base = argument[0]
        if base in ('byte', 'octet', 'uint8'):
            return value[0] if isinstance(value, bytes) else int(value or 0)
        return (value or '') if base == 'string' else (value or 0)
    element, _ = argument
    if element[0].name == 'NAME':
        return [filled(store, element[1], item) for item in (value or [])]
    if element[1][0] == 'string':
        return list(value or [])
    return np.array([] if value is None else value, dtype=element[1][0])


@pytest.fixture(scope='module')
def store():
    return typestore()


@pytest.fixture(scope='module')
def types(store):
    return CollisionTypes(*(stand_in(store, name) for name in (
        'moveit_msgs/msg/CollisionObject', 'object_recognition_msgs/msg/ObjectType',
        'shape_msgs/msg/SolidPrimitive', 'shape_msgs/msg/Mesh', 'shape_msgs/msg/MeshTriangle')))


def mug(T=T, size=SIZE, name='mug_3'):
    return SceneObject(name, 'mug', T, size)


def operations(changes):
    return [(change.operation.name, change.object.name) for change in changes]


def test_a_new_object_is_a_box_with_its_padding(store, types):
    change = SceneChange(Operation.ADD, mug())
    message = collision_object(change, Header(frame_id='base_link'), 0.01, types)
    read = serialised(store, 'moveit_msgs/msg/CollisionObject', message)
    assert (read.id, read.type.key, read.header.frame_id) == ('mug_3', 'mug', 'base_link')
    assert read.operation == store.types['moveit_msgs/msg/CollisionObject'].ADD
    np.testing.assert_allclose(pose_matrix(read.pose), T, atol=1e-9)
    (box,) = read.primitives
    assert box.type == type(box).BOX
    np.testing.assert_allclose(box.dimensions, SIZE + 0.02)
    assert len(read.primitive_poses) == 1
    assert read.primitive_poses[0].orientation.w == 1.0
    assert read.meshes == []


@pytest.mark.parametrize('operation', [Operation.MOVE, Operation.REMOVE])
def test_what_moves_or_goes_is_told_without_shapes(store, types, operation):
    message = collision_object(SceneChange(operation, mug()), Header(), 0.0, types)
    read = serialised(store, 'moveit_msgs/msg/CollisionObject', message)
    assert read.operation == getattr(type(read), operation.name)
    assert read.primitives == read.meshes == []


def test_shapes_become_closed_hulls_around_the_points_of_their_objects(store, types):
    generator = np.random.default_rng(2)
    other = mug(make_transform(np.eye(3), [0.62, 0.1, 0.2]), name='mug_4')
    parts = [transform_points(item.T, generator.uniform(-0.5, 0.5, (200, 3)) * SIZE)
             for item in (mug(), other)]
    objects = with_hulls([mug(), other], np.concatenate(parts))
    for item, points in zip(objects, parts, strict=True):
        message = collision_object(SceneChange(Operation.ADD, item), Header(), 0.0, types)
        read = serialised(store, 'moveit_msgs/msg/CollisionObject', message)
        (mesh,) = read.meshes
        vertices = np.array([[p.x, p.y, p.z] for p in mesh.vertices])
        faces = np.array([triangle.vertex_indices for triangle in mesh.triangles])
        assert (np.abs(vertices) <= 0.5 * 1.15 * SIZE + 1e-9).all()
        a, b, c = (vertices[faces[:, i]] for i in range(3))
        normals = np.cross(b - a, c - a)
        # Faces look outward, and every edge has two.
        assert ((a - vertices.mean(axis=0)) * normals).sum(axis=1).min() > 0
        edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
        assert {tuple(edge) for edge in edges} == {tuple(edge[::-1]) for edge in edges}
        assert len(points) == 200


def test_an_object_without_shape_stays_a_box():
    (item,) = with_hulls([mug()], np.full((50, 3), 9.0))
    assert item.hull is None


def test_an_object_is_told_once_until_it_moves_or_grows():
    mirror = SceneMirror(SceneLimits(min_motion=0.01))
    assert operations(mirror.update(0, [mug()])) == [('ADD', 'mug_3')]
    near = make_transform(T[:3, :3], T[:3, 3] + [0.004, 0, 0])
    assert mirror.update(SECOND, [mug(near)]) == []
    # Small steps add up.
    far = make_transform(T[:3, :3], T[:3, 3] + [0.011, 0, 0])
    (change,) = mirror.update(2 * SECOND, [mug(far, 1.02 * SIZE)])
    assert change.operation is Operation.MOVE
    np.testing.assert_array_equal(change.object.size, SIZE)
    turned = far @ make_transform(axis_rotation((0, 1, 0), 0.2), np.zeros(3))
    assert operations(mirror.update(3 * SECOND, [mug(turned)])) == [('MOVE', 'mug_3')]
    assert operations(mirror.update(4 * SECOND, [mug(turned, 1.3 * SIZE)])) == [('ADD', 'mug_3')]


def test_a_lost_object_is_removed_after_its_time_and_comes_back_whole():
    mirror = SceneMirror(SceneLimits(max_missed_seconds=2.0))
    mirror.update(0, [mug(), mug(name='mug_4')])
    assert mirror.update(1 * SECOND, [mug()]) == []
    assert operations(mirror.update(3 * SECOND, [mug()])) == [('REMOVE', 'mug_4')]
    assert operations(mirror.update(6 * SECOND, [])) == [('REMOVE', 'mug_3')]
    assert operations(mirror.update(7 * SECOND, [mug()])) == [('ADD', 'mug_3')]


def test_silence_says_nothing_about_what_is_there_unless_that_is_wanted():
    mirror = SceneMirror(SceneLimits(max_missed_seconds=2.0))
    mirror.update(0, [mug()])
    assert mirror.listen(100 * SECOND) == []
    mirror.limits = SceneLimits(max_missed_seconds=2.0, max_silent_seconds=30.0)
    assert mirror.listen(30 * SECOND) == []
    assert operations(mirror.listen(31 * SECOND)) == [('REMOVE', 'mug_3')]


def test_who_comes_later_is_told_everything_as_it_was_told_last():
    mirror = SceneMirror(SceneLimits(min_motion=0.01))
    mirror.update(0, [mug(), mug(name='mug_4')])
    far = make_transform(T[:3, :3], T[:3, 3] + [0.2, 0, 0])
    mirror.update(SECOND, [mug(far), mug(name='mug_4')])
    told = mirror.everything()
    assert operations(told) == [('ADD', 'mug_3'), ('ADD', 'mug_4')]
    np.testing.assert_array_equal(told[0].object.T, far)


def test_everything_goes_when_time_jumps_back_or_the_node_ends():
    mirror = SceneMirror()
    mirror.update(100 * SECOND, [mug()])
    assert operations(mirror.listen(0)) == [('REMOVE', 'mug_3')]
    mirror.update(0, [mug()])
    assert operations(mirror.clear()) == [('REMOVE', 'mug_3')]
    assert mirror.clear() == []


def test_a_held_object_is_left_alone_until_it_is_released():
    mirror = SceneMirror()
    mirror.update(0, [mug()])
    mirror.leave_alone(frozenset({'mug_3'}))
    assert mirror.update(SECOND, [mug()]) == []
    mirror.leave_alone(frozenset())
    assert operations(mirror.update(10 * SECOND, [mug()])) == [('ADD', 'mug_3')]


def test_an_object_that_the_hand_hides_is_left_alone_as_long_as_it_is_held():
    mirror = SceneMirror()
    mirror.update(0, [mug()])
    mirror.leave_alone(frozenset({'mug_3'}))
    assert mirror.update(9 * SECOND, []) == []


def test_what_is_held_by_its_label_is_left_alone_under_any_name():
    mirror = SceneMirror()
    mirror.update(0, [mug()])
    mirror.leave_alone(frozenset({'mug'}))
    assert mirror.update(SECOND, [mug(name='mug_9')]) == []
    mirror.leave_alone(frozenset({'can'}))
    assert operations(mirror.update(SECOND, [mug(name='mug_9')])) == [('ADD', 'mug_9')]


def test_a_shape_that_comes_later_takes_the_place_of_the_box():
    mirror = SceneMirror()
    mirror.update(0, [mug()])
    (shaped,) = with_hulls([mug()], mug().T[:3, 3] + 0.02 * np.random.default_rng(0).normal(
        size=(200, 3)))
    assert operations(mirror.update(SECOND, [shaped])) == [('ADD', 'mug_3')]
    assert mirror.update(2 * SECOND, [mug()]) == []


def test_a_shape_that_reaches_out_of_the_one_before_takes_its_place_wherever_it_is():
    def shaped(T, points):
        (item,) = with_hulls([mug(T)], transform_points(T, points))
        return item

    box = np.random.default_rng(0).uniform(-0.5, 0.5, (400, 3)) * SIZE
    round_one = box[np.linalg.norm(box / SIZE, axis=1) < 0.5]
    far = make_transform(T[:3, :3], T[:3, 3] + [0.2, 0, 0])
    mirror = SceneMirror()
    mirror.update(0, [shaped(T, round_one)])
    assert operations(mirror.update(1, [shaped(far, 1.03 * round_one)])) == [('MOVE', 'mug_3')]
    (change,) = mirror.update(2, [shaped(T, box)])
    assert change.operation is Operation.ADD
    assert change.object.hull.reach_beyond(shaped(T, round_one).hull) > 0.02
    assert operations(mirror.update(3, [shaped(far, round_one)])) == [('MOVE', 'mug_3')]


def test_after_a_long_silence_a_moved_object_is_told_whole():
    mirror = SceneMirror(SceneLimits(max_missed_seconds=2.0))
    mirror.update(0, [mug()])
    far = make_transform(T[:3, :3], T[:3, 3] + [0.2, 0, 0])
    assert operations(mirror.update(60 * SECOND, [mug(far)])) == [('ADD', 'mug_3')]


def test_points_of_a_cloud_are_read_as_they_were_written():
    points = np.random.default_rng(0).uniform(-1, 1, (7, 3)).astype(np.float32)
    message = cloud_message(points, np.zeros((7, 3), np.uint8), Header())
    np.testing.assert_array_equal(cloud_points(message), points)


def test_without_moveit_the_node_says_what_to_install(tmp_path):
    pytest.importorskip('vision_msgs')
    try:
        import moveit_msgs  # noqa: F401
    except ImportError:
        pass
    else:
        pytest.skip('MoveIt is installed here')
    process = NodeProcess('planning_scene_bridge', tmp_path / 'log', {})
    assert process.process.wait(60) == 2
    assert 'moveit_msgs' in process.log and 'install' in process.log
