"""OBJ files as modelling programs write them."""

import numpy as np
import pytest

pytest.importorskip('open3d', reason='meshes are rendered with Open3D, which is optional')

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import random_rotation
from pose_estimation_ros.datasets.mesh_files import MeshData, read_mesh
from pose_estimation_ros.datasets.obj_files import clip_ears

CORNERS = [(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
QUADS = ((1, 2, 4, 3), (5, 7, 8, 6), (1, 5, 6, 2), (3, 4, 8, 7), (1, 3, 7, 5), (2, 6, 8, 4))


def read(tmp_path, vertices, *lines) -> MeshData:
    path = tmp_path / 'model.obj'
    path.write_text('\n'.join(['# made by hand', *(f'v {x} {y} {z}' for x, y, z in vertices),
                               *lines]) + '\n')
    return read_mesh(path, 1.0)


def areas(vertices, triangles):
    a, b, c = np.moveaxis(np.asarray(vertices)[triangles], 1, 0)
    return np.cross(b - a, c - a) / 2


def volume(mesh: MeshData) -> float:
    a, b, c = np.moveaxis(mesh.vertices[mesh.faces], 1, 0)
    return float(np.einsum('fi,fi->', np.cross(a, b), c) / 6)


@pytest.mark.parametrize('corner', ['{0}', '{0}/1', '{0}//1', '{0}/1/1', '{1}', '{1}/1/-1'])
def test_a_cube_of_quads_is_read_whole(tmp_path, corner):
    faces = ['f ' + ' '.join(corner.format(index, index - 9) for index in quad) for quad in QUADS]
    mesh = read(tmp_path, CORNERS, 'vt 0 0', 'vn 0 0 1', 'usemtl wood', 's off', *faces)
    np.testing.assert_array_equal(mesh.vertices, CORNERS)
    assert mesh.faces.shape == (12, 3)
    assert np.linalg.norm(areas(mesh.vertices, mesh.faces), axis=1).sum() == pytest.approx(6)
    assert volume(mesh) == pytest.approx(1)


def test_triangles_keep_their_order_and_mix_with_larger_faces(tmp_path):
    mesh = read(tmp_path, CORNERS, 'f 3 2 1', 'f 1 2 3', 'l 1 2')
    np.testing.assert_array_equal(mesh.faces, [[2, 1, 0], [0, 1, 2]])
    mixed = read(tmp_path, CORNERS, 'f 1 2 4', 'f 1 4 3', *(
        f'f {" ".join(map(str, quad))} \\\n' for quad in QUADS[1:]))
    assert volume(mixed) == pytest.approx(1)


@pytest.mark.parametrize('teeth', [3, 20])
def test_a_polygon_that_is_not_convex_is_covered_once(tmp_path, teeth):
    angle = np.arange(2 * teeth) * np.pi / teeth
    radius = np.where(np.arange(2 * teeth) % 2, 1.0, 0.3)
    star = np.stack([radius * np.cos(angle), radius * np.sin(angle), 0 * angle], axis=1)
    turned = star @ random_rotation(np.random.default_rng(teeth)).T
    mesh = read(tmp_path, turned, 'f ' + ' '.join(str(1 + index) for index in range(2 * teeth)))
    parts = areas(mesh.vertices, mesh.faces)
    assert mesh.faces.shape == (2 * teeth - 2, 3)
    assert np.linalg.norm(parts, axis=1).sum() == pytest.approx(
        teeth * 0.3 * np.sin(np.pi / teeth))
    assert np.linalg.norm(parts.sum(axis=0)) == pytest.approx(
        np.linalg.norm(parts, axis=1).sum())


def test_a_polygon_around_a_hole_leaves_the_hole_open():
    square = np.array([[0, 0, 0], [3, 0, 0], [3, 3, 0], [0, 3, 0]], dtype=float)
    hole = np.array([[1, 1, 0], [1, 2, 0], [2, 2, 0], [2, 1, 0]], dtype=float)
    ring = np.concatenate([square, square[:1], hole, hole[:1]])
    assert areas(ring, clip_ears(ring))[:, 2].min() >= 0
    assert areas(ring, clip_ears(ring))[:, 2].sum() == pytest.approx(8)


def test_a_polygon_without_area_gives_triangles_without_area():
    line = np.stack([np.arange(5.0), np.zeros(5), np.zeros(5)], axis=1)
    assert clip_ears(line).shape == (3, 3)
    assert not areas(line, clip_ears(line)).any()


@pytest.mark.parametrize(('line', 'message'), [
    ('f 1 2 9', 'faces of vertices 1 to 9, but 8 vertices'),
    ('f 1 2 -9', 'but 8 vertices'),
    ('f 1 two 3', r"line 10: 'f 1 two 3' is damaged"),
    ('v 0 0', r"line 10: 'v 0 0' is damaged"),
    ('v nan 0 0\nf 1 2 3', 'NaN or infinite'),
    ('p 1', '8 vertices and 0 triangles'),
])
def test_a_damaged_file_is_named_with_its_line(tmp_path, line, message):
    with pytest.raises(InvalidInputError, match=message) as error:
        read(tmp_path, CORNERS, line)
    assert 'model.obj' in str(error.value)
