from pathlib import Path

import numpy as np

from pose_estimation_ros.core.se3 import is_rigid, transform_points
from pose_estimation_ros.core.symmetry import Y_AXIS_SYMMETRY
from pose_estimation_ros.datasets.bop_models import SymmetryLine
from pose_estimation_ros.evaluation.bop_symmetries import SymmetryTransforms

FIXTURE = np.load(Path(__file__).parents[1] / 'data' / 'rgb' / 'bop_metrics_fixture.npz')
ABOUT_X = SymmetryLine((1, 0, 0), (0, 0, 0))
ABOUT_Z = SymmetryLine((0, 0, 1), (0, 0, 0))
NO_TRANSFORMS = np.zeros((0, 4, 4))
UPSIDE_DOWN = np.diag([1.0, -1, -1, 1])


def test_the_transforms_are_those_of_the_toolkit_in_its_order():
    symmetries = SymmetryTransforms.of(UPSIDE_DOWN[None], [ABOUT_Z])
    assert len(symmetries) == 630
    np.testing.assert_allclose(symmetries.T[:, :3, :3], FIXTURE['sym2_R'], atol=1e-12)
    np.testing.assert_allclose(symmetries.T[:, :3, 3], FIXTURE['sym2_t'][:, :, 0] / 1000,
                               atol=1e-12)


def test_an_object_without_symmetry_has_the_identity():
    np.testing.assert_array_equal(SymmetryTransforms.of(NO_TRANSFORMS, []).T, np.eye(4)[None])
    np.testing.assert_array_equal(SymmetryTransforms.none().T, np.eye(4)[None])


def test_turns_about_an_axis_beside_the_origin_keep_its_points():
    axis = SymmetryLine((0.0, 3.0, 0.0), (0.1, 0.0, -0.2))
    symmetries = SymmetryTransforms.of(NO_TRANSFORMS, [axis])
    assert len(symmetries) == 315
    np.testing.assert_array_equal(symmetries.T[0], np.eye(4))
    on_axis = np.array([[0.1, 0.7, -0.2]])
    for T in symmetries.T:
        np.testing.assert_allclose(transform_points(T, on_axis), on_axis, atol=1e-12)
    # A third of the way round, to be seen from above: the angle is counter-clockwise about +y.
    np.testing.assert_allclose(
        transform_points(symmetries.T[105], np.array([[0.1, 0.0, 0.8]])),
        [[0.1 + np.sin(2 * np.pi / 3), 0.0, -0.2 + np.cos(2 * np.pi / 3)]], atol=1e-12)


def test_a_discrete_symmetry_acts_before_the_turn():
    shifted = np.eye(4)
    shifted[0, 3] = 0.5
    symmetries = SymmetryTransforms.of(shifted[None], [ABOUT_Z], steps=4)
    assert len(symmetries) == 8
    # A quarter turn moves the shifted origin from +x to +y.
    np.testing.assert_allclose(symmetries.T[5, :3, 3], (0.0, 0.5, 0.0), atol=1e-12)
    assert all(is_rigid(T) for T in symmetries.T)


def test_two_axes_give_the_turns_about_either():
    symmetries = SymmetryTransforms.of(NO_TRANSFORMS, [ABOUT_Z, ABOUT_X], steps=10)
    assert len(symmetries) == 20


def test_the_symmetry_of_a_category_can_be_taken():
    symmetries = SymmetryTransforms.of_symmetry(Y_AXIS_SYMMETRY)
    assert len(symmetries) == 315
    np.testing.assert_allclose(symmetries.T[:, 1, 1], 1.0)
