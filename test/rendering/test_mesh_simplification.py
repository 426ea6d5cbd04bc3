"""Fewer triangles, same shape, same frame."""

import numpy as np
import pytest

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.rendering.mesh import Mesh, concatenate
from pose_estimation_ros.rendering.mesh_simplification import simplified
from pose_estimation_ros.rendering.open3d_renderer import Open3DRayCaster
from pose_estimation_ros.rendering.primitives import box, ellipsoid, rectangle

FINE = ellipsoid((0.10, 0.16, 0.20), 64).transformed(make_transform(np.eye(3), [0.3, -0.1, 0.2]))


def test_a_simplified_mesh_has_so_many_triangles_and_no_vertex_without_one():
    coarse = simplified(FINE, 500)
    assert len(FINE.faces) > 3000
    assert 480 <= len(coarse.faces) <= 500
    assert len(np.unique(coarse.faces)) == len(coarse.vertices)


def test_a_simplified_mesh_stays_where_it_was():
    coarse = simplified(FINE, 500)
    assert Open3DRayCaster([coarse]).surface_distances(FINE.vertices).max() < 2.5e-3
    assert Open3DRayCaster([FINE]).surface_distances(coarse.vertices).max() < 2.5e-3


def test_faces_keep_looking_outward():
    coarse = simplified(FINE, 200)
    from_centre = coarse.vertices[coarse.faces].mean(axis=1) - (0.3, -0.1, 0.2)
    assert (np.einsum('fx,fx->f', from_centre, coarse.face_normals) > 0).all()


def test_a_mesh_that_is_small_enough_is_left_as_it_is():
    solid = box((0.1, 0.1, 0.1))
    assert simplified(solid, 12) is solid


def test_triangles_that_share_no_vertex_are_joined_before_they_are_merged():
    corners = FINE.vertices[FINE.faces].reshape(-1, 3)
    soup = Mesh(corners, np.arange(len(corners)).reshape(-1, 3))
    assert Open3DRayCaster([simplified(soup, 500)]).surface_distances(FINE.vertices).max() < 2.5e-3


def test_degenerate_triangles_are_dropped():
    extra = Mesh(np.zeros((3, 3)), [[0, 0, 0], [0, 1, 1]] * 20)
    kept = simplified(concatenate([box((0.1, 0.1, 0.1)), extra]), 20)
    assert len(kept.faces) == 12
    assert kept.face_areas.sum() == pytest.approx(0.06)


def test_a_mesh_of_which_nothing_would_be_left_is_refused():
    with pytest.raises(InvalidInputError, match='nothing is left'):
        simplified(Mesh(np.zeros((3, 3)), [[0, 1, 2]] * 10), 5)


def test_a_flat_mesh_stays_flat():
    tiles = concatenate([rectangle((0.1 * i, 0, 0), (0.1, 0, 0), (0, 0.1, 0)) for i in range(10)])
    flat = simplified(tiles, 8)
    assert np.abs(flat.vertices[:, 2]).max() == 0
    assert len(flat.faces) <= 8


def test_less_than_a_tetrahedron_is_not_made():
    with pytest.raises(ConfigurationError, match='to 3 triangles'):
        simplified(FINE, 3)
