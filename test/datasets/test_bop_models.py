import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bop_scenes import BOX_FACES, HALF_TURN_Z, MODEL_INFO, SYMMETRY, box_vertices, write_json

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.symmetry import NO_SYMMETRY
from pose_estimation_ros.datasets.bop_models import read_models, symmetry_entries
from pose_estimation_ros.datasets.mesh_files import check_extent, diameter, read_mesh, write_ply


def read_model(folder, **values):
    write_json(folder / 'models_info.json', {'7': MODEL_INFO | values})
    return read_models(folder)[7]


def turn(degrees, translation=(0, 0, 0)):
    T = np.eye(4)
    T[:3, :3] = axis_rotation((0, 0, 1), np.radians(degrees))
    T[:3, 3] = translation
    return T.ravel().tolist()


def test_extents_are_in_metres(tmp_path):
    model = read_model(tmp_path)
    assert model.name == 'obj_000007'
    assert model.diameter == pytest.approx(0.12)
    np.testing.assert_allclose(model.low, [-0.05, -0.04, -0.03])
    np.testing.assert_allclose(model.size, [0.1, 0.08, 0.06])
    assert model.symmetry == NO_SYMMETRY


def test_symmetries_become_rotations_about_the_origin(tmp_path):
    model = read_model(tmp_path, symmetries_discrete=[turn(180, (0.2, 0, 0))],
                       symmetries_continuous=[{'axis': [0, 0, 2], 'offset': [0, 0, 40]}])
    assert model.symmetry.axis == (0.0, 0.0, 1.0)
    np.testing.assert_allclose(model.symmetry.rotations[1],
                               np.reshape(HALF_TURN_Z, (3, 3)), atol=1e-12)
    R = axis_rotation((0, 0, 1), 1.234)
    assert model.symmetry.rotation_error(R, np.eye(3)) == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(model.discrete_symmetries[0, :3, 3], [0.0002, 0, 0])
    assert model.symmetry_lines[0].point == (0.0, 0.0, 0.04)


def test_rotations_of_few_digits_become_exact(tmp_path):
    quarter = np.round(turn(60), 4).tolist()
    R = read_model(tmp_path, symmetries_discrete=[quarter]).symmetry.rotations[1]
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)


@pytest.mark.parametrize(('symmetries', 'message'), [
    ({'symmetries_continuous': [{'axis': [0, 0, 1], 'offset': [3, 0, 0]}]},
     'continuous symmetry.*of object 7.*moves its origin by 6.0 mm'),
    ({'symmetries_discrete': [turn(180, (0, 5, 0))]}, 'discrete.*object 7.*by 5.0 mm'),
    ({'symmetries_continuous': [{'axis': [0, 0, 1], 'offset': [0, 0, 0]},
                                {'axis': [0, 1, 0], 'offset': [0, 0, 0]}]},
     'continuous symmetries about 2 directions'),
])
def test_symmetries_beside_the_origin_are_refused_when_asked_for(tmp_path, symmetries, message):
    model = read_model(tmp_path, **symmetries)
    with pytest.raises(InvalidInputError, match=message):
        _ = model.symmetry


def test_a_symmetry_survives_writing_and_reading(tmp_path):
    assert read_model(tmp_path, **symmetry_entries(SYMMETRY)).symmetry == SYMMETRY
    assert symmetry_entries(NO_SYMMETRY) == {}


@pytest.mark.parametrize(('values', 'message'), [
    ({'size_x': 'wide'}, 'object 7 cannot be used'),
    ({'symmetries_discrete': [[1, 0, 0]]}, 'object 7 cannot be used'),
    ({'symmetries_discrete': [np.diag([1.0, 1, -1, 1]).ravel().tolist()]}, 'no rigid transform'),
    ({'symmetries_continuous': [{'axis': [0, 0, 0], 'offset': [0, 0, 0]}]}, 'symmetry axis'),
    ({'symmetries_continuous': [{'axis': [0, 0, 1], 'offset': [0, float('nan'), 0]}]},
     'symmetry axis'),
    ({'diameter': float('nan')}, 'not finite'),
    ({'size_x': 100000.0}, 'the model is 100 m large if its unit is millimetres'),
])
def test_an_entry_that_cannot_be_used_is_named(tmp_path, values, message):
    with pytest.raises(InvalidInputError, match=message) as error:
        read_model(tmp_path, **values)
    assert 'models_info.json' in str(error.value)


def test_a_mesh_survives_writing_and_reading(tmp_path):
    vertices = box_vertices((0.1, 0.0801234567, 0.06))
    write_ply(tmp_path / 'obj_000007.ply', vertices, BOX_FACES, 0.001)
    mesh = read_mesh(tmp_path / 'obj_000007.ply', 0.001)
    np.testing.assert_allclose(mesh.vertices, vertices, atol=1e-7)
    np.testing.assert_array_equal(mesh.faces, BOX_FACES)
    assert [path.name for path in tmp_path.iterdir()] == ['obj_000007.ply']
    assert 'property double nx' in (tmp_path / 'obj_000007.ply').read_text()


def test_vertices_of_no_triangle_are_left_out_with_their_colours(tmp_path):
    path = tmp_path / 'stray.ply'
    vertices = np.array([[0, 0, 0], [9, 9, 9], [0.1, 0, 0], [0, 0.1, 0], [0, 0, 0.1], [-9, 0, 0]])
    faces = np.array([[0, 2, 3], [0, 3, 4], [0, 4, 2], [2, 3, 4]])
    colors = (40 * np.arange(18)).reshape(6, 3).astype(np.uint8)
    write_ply(path, vertices, faces, 1.0, colors)
    mesh = read_mesh(path, 1.0)
    np.testing.assert_allclose(mesh.vertices, vertices[[0, 2, 3, 4]], atol=1e-6)
    np.testing.assert_allclose(mesh.size, [0.1, 0.1, 0.1], atol=1e-6)
    np.testing.assert_array_equal(mesh.colors, colors[[0, 2, 3, 4]])
    np.testing.assert_allclose(mesh.vertices[mesh.faces], vertices[faces], atol=1e-6)


def test_a_mesh_must_be_as_large_as_its_entry_says(tmp_path):
    model = read_model(tmp_path)
    write_ply(model.path, box_vertices((0.1, 0.08, 0.06)), BOX_FACES, 0.001)
    np.testing.assert_allclose(model.read_mesh().size, [0.1, 0.08, 0.06], atol=1e-7)
    write_ply(model.path, box_vertices((0.2, 0.08, 0.06)), BOX_FACES, 0.001)
    with pytest.raises(InvalidInputError, match=r'\[200.0, 80.0, 60.0\] mm large, but models'):
        model.read_mesh()


@pytest.mark.parametrize(('content', 'message'), [
    (None, 'is missing'),
    ('ply\nformat ascii 1.0\nelement vertex 0\nend_header\n', '0 vertices and 0 triangles'),
    ('OFF\n3 1 0\n0 0 0\n1 0 0\nnan 1 0\n3 0 1 2\n', 'damaged|NaN or infinite'),
])
def test_a_mesh_that_cannot_be_used_is_named(tmp_path, content, message):
    path = tmp_path / ('model.off' if content and content.startswith('OFF') else 'model.ply')
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidInputError, match=message) as error:
        read_mesh(path, 1.0)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(('extent', 'unit', 'message'), [
    (160.0, 'metres', 'probably in millimetres: multiply its coordinates by 0.001'),
    (0.00016, 'millimetres', 'probably in metres: multiply its coordinates by 1000'),
    (0.0001, 'metres', 'probably in an unknown unit'),
])
def test_a_model_in_another_unit_is_named_with_the_likely_one(extent, unit, message):
    with pytest.raises(InvalidInputError, match=message) as error:
        check_extent(np.array([0.0, extent, 0.0]), 'mug.ply', unit)
    assert f'mug.ply: the model is {extent:.6g} m large' in str(error.value)


def test_models_of_usual_size_pass():
    for extent in (0.002, 0.1, 5.0):
        check_extent(np.array([extent, 0.001, 0.001]), 'mug.ply', 'metres')


def test_the_diameter_is_the_largest_distance_of_two_vertices():
    points = np.random.default_rng(3).normal(size=(400, 3))
    every = np.linalg.norm(points[:, None] - points[None], axis=-1)
    assert diameter(points) == pytest.approx(every.max(), abs=1e-12)


def test_flat_models_have_a_diameter():
    assert diameter(np.array([[0, 0, 1.0], [3, 0, 1], [3, 4, 1], [1, 1, 1]])) == pytest.approx(5)
