"""Meshes: areas, normals, sampling, moving."""

import numpy as np
import pytest

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import random_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.rendering.mesh import Mesh, concatenate
from pose_estimation_ros.rendering.primitives import box, cylinder, ellipsoid, rectangle


def enclosed_volume(mesh: Mesh) -> float:
    a, b, c = np.moveaxis(mesh.vertices[mesh.faces].astype(np.float64), 1, 0)
    return float(np.einsum('ij,ij->i', a, np.cross(b, c)).sum() / 6)


@pytest.mark.parametrize(('solid', 'volume'), [
    (box((0.1, 0.2, 0.3)), 0.006),
    (cylinder(0.1, 0.2, 256), np.pi * 0.01 * 0.2),
    (ellipsoid((0.2, 0.4, 0.6), 96), 4 / 3 * np.pi * 0.1 * 0.2 * 0.3)])
def test_solids_are_closed_with_outward_faces(solid, volume):
    assert enclosed_volume(solid) == pytest.approx(volume, rel=5e-3)


def test_areas_of_a_box_add_up_to_its_surface():
    assert box((1.0, 2.0, 3.0)).face_areas.sum() == pytest.approx(22.0)


def test_normals_of_a_rectangle_follow_the_right_hand_rule():
    flat = rectangle((0, 0, 0), (1, 0, 0), (0, 1, 0))
    np.testing.assert_allclose(flat.face_normals, [[0, 0, 1]] * 2, atol=1e-7)


def test_samples_lie_on_the_surface_and_spread_by_area():
    generator = np.random.default_rng(0)
    samples = box((2.0, 1.0, 1.0)).sample_surface(20000, generator)
    off = np.abs(np.abs(samples.points) - (1.0, 0.5, 0.5))
    assert off.min(axis=1).max() < 1e-6
    ends = np.abs(samples.normals[:, 0]) > 0.5
    assert ends.mean() == pytest.approx(2.0 / 10.0, abs=0.01)


def test_sampling_twice_with_one_seed_gives_the_same_points():
    first, second = (box((1, 1, 1)).sample_surface(10, np.random.default_rng(3)).points
                     for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_moving_a_mesh_keeps_its_volume_and_moves_its_centre():
    T = make_transform(random_rotation(np.random.default_rng(1)), [0.3, -0.2, 1.0])
    moved = box((0.1, 0.2, 0.3)).transformed(T)
    np.testing.assert_allclose(moved.vertices.mean(axis=0), T[:3, 3], atol=1e-6)
    assert moved.face_areas.sum() == pytest.approx(0.22, rel=1e-5)


def test_joined_meshes_keep_all_faces():
    both = concatenate([box((1, 1, 1)), box((2, 2, 2))])
    assert both.face_areas.sum() == pytest.approx(6 + 24)


def test_a_mesh_without_area_cannot_be_sampled():
    flat = Mesh(np.zeros((3, 3)), np.array([[0, 1, 2]]))
    with pytest.raises(InvalidInputError, match='without area'):
        flat.sample_surface(5, np.random.default_rng(0))


def test_a_face_that_names_a_missing_vertex_is_refused():
    with pytest.raises(InvalidInputError, match='there are 3'):
        Mesh(np.zeros((3, 3)), np.array([[0, 1, 3]]))


def test_the_volume_of_a_mesh_that_is_inside_out_is_negative() -> None:
    mesh = box([0.1, 0.2, 0.3])
    far = Mesh(mesh.vertices + np.float32([3, 0, -2]), mesh.faces)
    assert far.signed_volume == pytest.approx(0.006, rel=1e-4)
    assert Mesh(far.vertices, far.faces[:, ::-1]).signed_volume == pytest.approx(-0.006, rel=1e-4)
