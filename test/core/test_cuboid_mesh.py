import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pose_estimation_ros.core.cuboid_mesh import centered_cuboid, cuboid_mesh, view_vertices
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.ray_box import enter_box
from pose_estimation_ros.core.se3 import inverse, make_transform, transform_points
from test.core.strategies import rotations, sizes

PUBLISHED = json.loads(
    (Path(__file__).parents[1] / 'data' / 'neural_mesh' / 'cuboids.json').read_text())
K = np.array([[60.0, 0.0, 30.0], [0.0, 62.0, 22.0], [0.0, 0.0, 1.0]])


@pytest.mark.parametrize('category', PUBLISHED)
def test_the_mesh_of_a_category_has_the_published_vertices_and_triangles(category):
    published = PUBLISHED[category]

    mesh = cuboid_mesh(published['lower'], published['upper'])

    assert mesh.counts == tuple(published['counts'])
    assert [face.vertices.stop for face in mesh.faces] == published['face_ends']
    assert mesh.vertices.shape == (published['vertices'], 3)
    cells = sum((face.rows - 1) * (face.columns - 1) for face in mesh.faces)
    assert 2 * cells == published['triangles']


@settings(max_examples=25)
@given(sizes())
def test_the_grids_of_the_faces_cover_the_surface(size):
    assume(size.max() < 8 * size.min())
    mesh = centered_cuboid(size, 200)

    areas = np.array([
        np.linalg.norm(np.cross(np.subtract(*mesh.vertices[face.vertices][[-1, 0]]),
                                np.subtract(*mesh.vertices[face.vertices][[face.columns - 1, 0]])))
        for face in mesh.faces])

    width, height, depth = size
    assert areas.sum() == pytest.approx(2 * (width * height + height * depth + depth * width))
    np.testing.assert_allclose(np.abs(mesh.vertices).max(axis=0), size / 2)
    for face in mesh.faces:
        side = size[face.axis] / 2 * (1 if face.upper else -1)
        np.testing.assert_allclose(mesh.vertices[face.vertices, face.axis], side)


@settings(max_examples=25)
@given(sizes(), rotations(), st.floats(2.0, 5.0))
def test_a_vertex_is_visible_where_the_ray_to_it_meets_no_other_face(size, R, distance):
    mesh = centered_cuboid(size, 60)
    T = make_transform(R, [0.1, -0.2, distance])
    eye = inverse(T)[:3, 3]
    # Within its face, as rays to edges graze two faces.
    inner = 0.5 * mesh.vertices + 0.5 * np.array(
        [mesh.vertices[mesh.faces[face].vertices].mean(axis=0) for face in mesh.face_of_vertex])

    view = view_vertices(mesh, T, K)

    hits = enter_box(eye, inner - eye, mesh.lower, mesh.upper)
    clear = np.abs(hits.distance - 1) > 1e-6
    np.testing.assert_array_equal(view.visible, ~clear)
    points = transform_points(T, mesh.vertices)
    np.testing.assert_allclose(view.depth, points[:, 2])
    np.testing.assert_allclose(view.pixels[:, 1], 62 * points[:, 1] / points[:, 2] + 22)


def test_a_batch_of_poses_is_seen_as_each_alone_and_nothing_behind_the_camera_is_visible():
    mesh = centered_cuboid([0.2, 0.1, 0.3], 100)
    poses = make_transform(np.eye(3), [[0.0, 0.0, 1.0], [0.2, 0.1, 0.7], [0.0, 0.0, -1.0]])

    together = view_vertices(mesh, poses, K)

    alone = view_vertices(mesh, poses[1], K)
    np.testing.assert_array_equal(together.pixels[1], alone.pixels)
    np.testing.assert_array_equal(together.visible[1], alone.visible)
    assert not together.visible[2].any()
    assert np.isnan(together.pixels[2]).all()


@pytest.mark.parametrize('extents', [[0.1, 0.0, 0.2], [0.1, np.inf, 0.2]])
def test_a_cuboid_without_extent_is_refused(extents):
    with pytest.raises(ConfigurationError, match='three positive extents'):
        centered_cuboid(extents)


def test_a_cuboid_of_too_few_vertices_is_refused():
    with pytest.raises(ConfigurationError, match='4 vertices are too few'):
        centered_cuboid([1, 1, 1], 4)
