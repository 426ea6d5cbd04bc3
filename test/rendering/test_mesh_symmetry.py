"""Symmetries of solids whose symmetry is known."""

import json
from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import angle_between, axis_rotation, random_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Symmetry
from pose_estimation_ros.datasets.mesh_files import read_mesh
from pose_estimation_ros.rendering.mesh import Mesh, concatenate
from pose_estimation_ros.rendering.mesh_symmetry import check_symmetry, propose_symmetry
from pose_estimation_ros.rendering.primitives import (
    box,
    cylinder,
    ellipsoid,
    rectangle,
    solid_of_revolution,
)

LMO = Path(__file__).parents[2].parent / 'shared/data/lmo/models'
TURN = random_rotation(np.random.default_rng(3))
TETRAHEDRON = Mesh(np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.05,
                   [[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])


def moved(mesh, R, t=(0, 0, 0)):
    return mesh.transformed(make_transform(R, t))


CORNER = concatenate([box((0.1, 0.05, 0.05)),
                      moved(box((0.05, 0.05, 0.3)), np.eye(3), [0.07, 0, 0.1]),
                      moved(box((0.05, 0.1, 0.03)), np.eye(3), [0, 0.06, 0])])


def assert_has_rotations(symmetry, expected):
    """Compare with a list of (3, 3) rotations, without the identity, to 1 degree."""
    found = symmetry.rotations[1:]
    assert len(found) == len(expected)
    for R in expected:
        assert angle_between(found, R).min() < np.radians(1)


def half_turns(*axes):
    return [axis_rotation(axis, np.pi) for axis in axes]


def test_a_box_has_three_half_turns_about_its_axes():
    proposal = propose_symmetry(moved(box((0.1, 0.2, 0.3)), TURN))
    assert proposal.symmetry.axis is None
    assert_has_rotations(proposal.symmetry, half_turns(*TURN.T))


@pytest.mark.parametrize(('solid', 'others'), [
    (box((0.1, 0.1, 0.1)), 23), (TETRAHEDRON, 11), (cylinder(0.05, 0.1, 6), 11),
    (cylinder(0.05, 0.1, 3), 5)], ids=['cube', 'tetrahedron', 'hexagonal', 'triangular'])
def test_regular_solids_have_all_rotations_of_their_group(solid, others):
    symmetry = propose_symmetry(moved(solid, TURN)).symmetry
    assert len(symmetry.discrete) == others
    products = symmetry.rotations[:, None] @ symmetry.rotations
    for R in products.reshape(-1, 3, 3):
        assert angle_between(symmetry.rotations, R).min() < np.radians(2)


def test_a_cylinder_turns_by_any_angle_and_stands_on_either_end():
    symmetry = propose_symmetry(moved(cylinder(0.05, 0.2, 48), TURN)).symmetry
    assert abs(TURN[:, 2] @ symmetry.axis) > np.cos(np.radians(0.5))
    (flip,) = symmetry.rotations[1:]
    np.testing.assert_allclose(flip @ symmetry.axis, -np.array(symmetry.axis), atol=1e-9)


def test_a_cone_turns_by_any_angle_and_stands_on_one_end():
    symmetry = propose_symmetry(solid_of_revolution([0.05, 0.01], [-0.1, 0.1], 48)).symmetry
    assert symmetry.axis == (0.0, 0.0, 1.0)
    assert symmetry.discrete == ()


def test_a_ball_gets_one_axis_and_says_that_there_are_more():
    proposal = propose_symmetry(ellipsoid((0.1, 0.1, 0.1), 40))
    assert proposal.symmetry.axis is not None
    assert 'it is a ball' in proposal.left_out[0].reason


def test_a_handle_breaks_the_symmetry_of_a_mug_but_for_a_half_turn_through_it():
    body = cylinder(0.04, 0.1, 48)
    handle = moved(box((0.03, 0.01, 0.06)), np.eye(3), [0.055, 0, 0])
    assert_has_rotations(propose_symmetry(concatenate([body, handle])).symmetry,
                         half_turns((1, 0, 0)))
    higher = moved(handle, np.eye(3), [0, 0, 0.018])
    assert propose_symmetry(concatenate([body, higher])).symmetry == NO_SYMMETRY


def test_an_odd_solid_has_no_symmetry():
    proposal = propose_symmetry(CORNER)
    assert proposal.symmetry == NO_SYMMETRY
    assert proposal.left_out == ()
    assert proposal.describe() == 'no symmetry'


def test_a_symmetry_that_misses_the_origin_is_left_out_with_the_distance():
    proposal = propose_symmetry(moved(cylinder(0.05, 0.2, 48), np.eye(3), [0.03, 0, 0.1]))
    assert proposal.symmetry == NO_SYMMETRY
    axis, flip = proposal.left_out
    assert axis.order == 0
    assert axis.offset == pytest.approx(0.03, abs=1e-4)
    assert 'passes the origin of the mesh at 30.0 mm' in axis.reason
    assert flip.offset >= 0.0999


def test_what_goes_through_the_origin_is_used_even_if_something_else_does_not():
    proposal = propose_symmetry(moved(cylinder(0.05, 0.2, 48), np.eye(3), [0, 0, 0.1]))
    assert proposal.symmetry.axis == (0.0, 0.0, 1.0)
    assert proposal.symmetry.discrete == ()
    assert proposal.left_out[0].describe().startswith('half turn about (')


def test_noise_and_a_frame_that_is_a_little_askew_do_not_hide_a_symmetry():
    generator = np.random.default_rng(0)
    smooth = ellipsoid((0.1, 0.16, 0.2), 40)
    rough = Mesh(smooth.vertices + generator.normal(0, 0.001, smooth.vertices.shape),
                 smooth.faces)
    tilt = axis_rotation((1, 1, 0), np.radians(4))
    symmetry = propose_symmetry(moved(rough, tilt, [0.0005, 0, -0.0005])).symmetry
    assert len(symmetry.discrete) == 3
    for R in half_turns(*tilt.T):
        assert angle_between(symmetry.rotations, R).min() < np.radians(3)


def test_flat_and_inside_out_meshes_have_symmetries_too():
    plate = rectangle((-0.1, -0.05, 0), (0.2, 0, 0), (0, 0.1, 0))
    assert_has_rotations(propose_symmetry(plate).symmetry, half_turns(*np.eye(3)))
    solid = box((0.1, 0.2, 0.3))
    inside_out = Mesh(solid.vertices, solid.faces[:, ::-1])
    assert_has_rotations(propose_symmetry(inside_out).symmetry, half_turns(*np.eye(3)))


def test_a_mesh_without_area_is_refused():
    with pytest.raises(InvalidInputError, match='without area'):
        propose_symmetry(Mesh(np.zeros((3, 3)), [[0, 1, 2]]))


@pytest.mark.skipif(not LMO.is_dir(), reason='the models of LM-O are not beside the repository')
@pytest.mark.parametrize('number', ['9', '11'])
def test_models_of_lmo_get_the_symmetries_that_bop_states(number):
    data = read_mesh(LMO / f'obj_{int(number):06d}.ply', 0.001)
    symmetry = propose_symmetry(Mesh(data.vertices, data.faces)).symmetry
    entry = json.loads((LMO / 'models_info.json').read_text())[number]
    stated = np.reshape(entry.get('symmetries_discrete', []), (-1, 4, 4))[:, :3, :3]
    assert symmetry.axis is None
    assert len(symmetry.discrete) == len(stated)
    for R in stated:
        assert angle_between(symmetry.rotations, R).min() < np.radians(3)


THIRDS = Symmetry(discrete=tuple(tuple(axis_rotation((0, 0, 1), angle).ravel().tolist())
                                 for angle in (2 * np.pi / 3, 4 * np.pi / 3)))


@pytest.mark.parametrize(('solid', 'symmetry'), [
    (cylinder(0.04, 0.1, 64), Symmetry(axis=(0.0, 0.0, 1.0))),
    (cylinder(0.05, 0.004, 64), Symmetry(axis=(0.0, 0.0, 1.0))),
    (cylinder(0.05, 0.1, 3), THIRDS)], ids=['can', 'washer', 'triangular'])
def test_a_stated_symmetry_is_refused_where_its_axis_passes_beside_the_object(solid, symmetry):
    check_symmetry(moved(solid, np.eye(3), (0, 0, 0.3)), symmetry, 'it')
    with pytest.raises(InvalidInputError, match=r'it moves it off itself.*through the origin'):
        check_symmetry(moved(solid, np.eye(3), (0.006, 0, 0.3)), symmetry, 'it')


def test_a_symmetry_that_holds_but_for_a_handle_is_accepted():
    """Neither the middle of the surface nor that of the box is on the axis of the mug."""
    mug = concatenate([cylinder(0.04, 0.1, 64), moved(box((0.03, 0.01, 0.06)), np.eye(3),
                                                     (0.055, 0, 0))])
    check_symmetry(mug, Symmetry(axis=(0.0, 0.0, 1.0)), 'it')
    check_symmetry(mug, NO_SYMMETRY, 'it')
