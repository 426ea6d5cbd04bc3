"""Against figures that BOP's own toolkit printed (specs/mrc_c2f_disp6d.md, section 7)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import random_rotation
from pose_estimation_ros.core.se3 import make_transform, transform_points
from pose_estimation_ros.datasets.bop_models import SymmetryLine
from pose_estimation_ros.evaluation.bop_errors import (
    average_distance,
    average_nearest_distance,
    maximum_projection_distance,
    maximum_surface_distance,
    rotation_errors,
    translation_errors,
)
from pose_estimation_ros.evaluation.bop_model import CadModel
from pose_estimation_ros.evaluation.bop_symmetries import SymmetryTransforms
from pose_estimation_ros.evaluation.bop_vsd import (
    MissingDepth,
    Scene,
    VsdSettings,
    render_surface,
    vsd_errors,
)
from pose_estimation_ros.rendering.mesh import Mesh

FIXTURE = np.load(Path(__file__).parents[1] / 'data' / 'rgb' / 'bop_metrics_fixture.npz')
MILLIMETRES = 1000.0
ABOUT_Z = SymmetryLine((0, 0, 1), (0, 0, 0))
# The second object looks the same upside down and under any turn about its axis.
SYMMETRIES = {1: SymmetryTransforms.none(),
              2: SymmetryTransforms.of(np.diag([1.0, -1, -1, 1])[None], [ABOUT_Z])}


@dataclass(frozen=True)
class Case:
    """One object of the fixture, in metres."""

    model: CadModel
    estimates: np.ndarray
    truth: np.ndarray
    scene: Scene
    expected: dict[str, np.ndarray]
    vsd_official: np.ndarray
    vsd_rays: np.ndarray


@pytest.fixture(params=[1, 2], ids=['without symmetry', 'symmetric'])
def case(request) -> Case:
    number = request.param
    letter = 'AB'[number - 1]
    rows = np.flatnonzero(FIXTURE['obj'] == number)
    estimates, truths = (
        make_transform(FIXTURE[f'R_{kind}'][rows], FIXTURE[f't_{kind}'][rows, :, 0] / MILLIMETRES)
        for kind in ('est', 'gt'))
    width, height = FIXTURE['size_wh'].tolist()
    depth = FIXTURE[f'depth_scene_{number}'] / np.float32(MILLIMETRES)
    camera = CameraIntrinsics(width, height, FIXTURE['K'])
    return Case(
        CadModel(Mesh(FIXTURE[f'{letter}_v'] / MILLIMETRES, FIXTURE[f'{letter}_f']),
                 FIXTURE['diam'][number - 1] / MILLIMETRES, SYMMETRIES[number]),
        estimates, truths[0],
        Scene.of(np.where(depth > 0, depth, np.nan), camera),
        {str(name): FIXTURE['metrics'][rows, column]
         for column, name in enumerate(FIXTURE['cols'])},
        FIXTURE['vsd_official_renderer'][rows], FIXTURE['vsd_ray'][rows])


def vsd(case: Case, taus: np.ndarray, settings: VsdSettings | None = None) -> np.ndarray:
    errors = vsd_errors(case.estimates, case.truth[None], case.model, case.scene, taus,
                        settings or VsdSettings())
    return errors[:, :, 0].T


def test_mssd_is_that_of_the_toolkit(case: Case):
    errors = maximum_surface_distance(case.estimates, case.truth, case.model.points,
                                      case.model.symmetries, case.model.diameter)
    np.testing.assert_allclose(MILLIMETRES * errors, case.expected['mssd'], atol=1e-5)


def test_mspd_is_that_of_the_toolkit(case: Case):
    errors = maximum_projection_distance(case.estimates, case.truth, case.model.points,
                                         case.model.symmetries, FIXTURE['K'])
    np.testing.assert_allclose(errors, case.expected['mspd'], atol=1e-5)


def test_add_and_adi_are_those_of_the_toolkit(case: Case):
    arguments = case.estimates, case.truth, case.model.points
    np.testing.assert_allclose(MILLIMETRES * average_distance(*arguments), case.expected['add'],
                               atol=1e-5)
    np.testing.assert_allclose(MILLIMETRES * average_nearest_distance(*arguments),
                               case.expected['adi'], atol=1e-5)


def test_rotation_and_translation_errors_are_those_of_the_toolkit(case: Case):
    np.testing.assert_allclose(np.degrees(rotation_errors(case.estimates, case.truth)),
                               case.expected['re_deg'], atol=1e-9)
    np.testing.assert_allclose(MILLIMETRES * translation_errors(case.estimates, case.truth),
                               case.expected['te'], atol=1e-9)


def test_vsd_is_that_of_the_toolkit(case: Case):
    taus = FIXTURE['taus'] * case.model.diameter
    np.testing.assert_allclose(vsd(case, taus), case.vsd_official, atol=1.6e-4)
    # Open3D's rays meet the same pixels as those of the fixture's exact caster.
    np.testing.assert_allclose(vsd(case, taus), case.vsd_rays, atol=1e-12)


def test_vsd_at_20_mm_is_that_of_the_toolkit(case: Case):
    np.testing.assert_allclose(vsd(case, np.array([0.02]))[:, 0], case.expected['vsd_tau20mm'],
                               atol=1.6e-4)


def test_the_rendered_distance_is_that_of_the_depth_map(case: Case):
    number = 1 if case.model.symmetries is SYMMETRIES[1] else 2
    depth = FIXTURE[f'depth_gt_{number}'] / np.float32(MILLIMETRES)
    expected = Scene.of(np.where(depth > 0, depth, np.nan), case.scene.intrinsics).distance.ravel()
    surface = render_surface(case.model.caster, case.model.points, case.truth,
                             case.scene.intrinsics)
    np.testing.assert_array_equal(surface.pixels, np.flatnonzero(depth > 0))
    np.testing.assert_allclose(surface.distance, expected[surface.pixels], atol=2e-6)


def test_what_the_scene_hides_does_not_count(case: Case):
    wall = Scene(case.scene.intrinsics, np.full_like(case.scene.distance, 0.2))
    hidden = Case(case.model, case.estimates, case.truth, wall, {}, case.vsd_official,
                  case.vsd_rays)
    np.testing.assert_array_equal(vsd(hidden, np.array([0.02])), 1.0)


def test_missing_depth_is_visible_or_hidden_as_asked(case: Case):
    blind = Scene(case.scene.intrinsics, np.full_like(case.scene.distance, np.nan))
    case = Case(case.model, case.estimates, case.truth, blind, {}, case.vsd_official,
                case.vsd_rays)
    assert vsd(case, np.array([0.02]))[0, 0] == 0.0
    settings = VsdSettings(missing_depth=MissingDepth.HIDDEN)
    np.testing.assert_array_equal(vsd(case, np.array([0.02]), settings), 1.0)


def test_vsd_of_poses_beside_the_image_or_behind_the_camera_is_one(case: Case):
    aside, behind = case.truth.copy(), case.truth.copy()
    aside[0, 3] += 1.0
    behind[2, 3] = -0.5
    errors = vsd_errors(np.stack([aside, behind]), case.truth[None], case.model, case.scene,
                        np.array([0.02]), VsdSettings())
    np.testing.assert_array_equal(errors, 1.0)


def test_vsd_of_a_model_around_the_camera_is_a_number(case: Case):
    around = case.truth.copy()
    around[:3, 3] = (0.0, 0.0, 0.01)
    errors = vsd_errors(around[None], around[None], case.model, case.scene, np.array([0.02]),
                        VsdSettings(missing_depth=MissingDepth.VISIBLE))
    assert errors[0, 0, 0] == 0.0


def test_vsd_needs_depth_and_no_distortion():
    camera = CameraIntrinsics.pinhole(4, 3, 5, 5, 2, 1.5)
    with pytest.raises(InvalidInputError, match='use a data set with depth'):
        Scene.of(None, camera)
    bent = CameraIntrinsics(4, 3, camera.K, D=np.array([0.1, 0, 0, 0, 0]))
    with pytest.raises(InvalidInputError, match='undistort the data set'):
        Scene.of(np.ones((3, 4), np.float32), bent)


def test_mssd_is_infinite_from_one_diameter_on():
    truth = np.eye(4)
    at, below = np.eye(4), np.eye(4)
    at[0, 3], below[0, 3] = 0.5, 0.4999
    errors = maximum_surface_distance(np.stack([at, below]), truth, np.eye(3),
                                      SymmetryTransforms.none(), diameter=0.5)
    assert errors[0] == np.inf
    assert errors[1] == pytest.approx(0.4999)


def test_errors_over_symmetries_are_those_of_the_definition():
    generator = np.random.default_rng(3)
    points = generator.normal(0.0, 0.05, (700, 3))
    symmetries = SymmetryTransforms.of(
        make_transform(random_rotation(generator), generator.normal(0, 0.01, 3))[None],
        [SymmetryLine((1.0, 2.0, 0.5), (0.01, 0.0, 0.02))], steps=40)
    truth = make_transform(random_rotation(generator), (0.1, 0.0, 0.8))
    estimates = np.stack([make_transform(random_rotation(generator), (0.1, 0.02, 0.85))
                          for _ in range(3)])
    K = np.array([[500.0, 0, 320], [0, 510, 240], [0, 0, 1]])

    def project(x):
        return (x @ K.T)[:, :2] / (x @ K.T)[:, 2:]

    for row, estimate in enumerate(estimates):
        moved = transform_points(estimate, points)
        equivalent = [transform_points(truth @ T, points) for T in symmetries.T]
        assert maximum_surface_distance(estimates, truth, points, symmetries, 1.0)[row] == \
            pytest.approx(min(np.linalg.norm(moved - e, axis=1).max() for e in equivalent))
        assert maximum_projection_distance(estimates, truth, points, symmetries, K)[row] == \
            pytest.approx(min(np.linalg.norm(project(moved) - project(e), axis=1).max()
                              for e in equivalent))


def test_no_estimates_have_no_errors():
    none = np.zeros((0, 4, 4))
    symmetries = SymmetryTransforms.none()
    truth = make_transform(np.eye(3), (0.0, 0.0, 1.0))
    assert maximum_surface_distance(none, truth, np.eye(3), symmetries, 1.0).shape == (0,)
    assert maximum_projection_distance(none, truth, np.eye(3), symmetries,
                                       np.eye(3)).shape == (0,)
    assert average_distance(none, np.eye(4), np.eye(3)).shape == (0,)
    assert average_nearest_distance(none, np.eye(4), np.eye(3)).shape == (0,)
