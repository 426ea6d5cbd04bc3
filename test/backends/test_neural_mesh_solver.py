from dataclasses import replace

import numpy as np
import pytest

from pose_estimation_ros.backends.neural_mesh_competition import compete
from pose_estimation_ros.backends.neural_mesh_proposals import CellBox, SearchSettings
from pose_estimation_ros.backends.neural_mesh_search import standing_rotations
from pose_estimation_ros.backends.neural_mesh_solver import NeuralMeshSolver, SolverSettings
from pose_estimation_ros.core.cuboid_raster import rasterize
from pose_estimation_ros.core.rotation import angle_between, axis_angle_to_matrix
from pose_estimation_ros.core.se3 import make_transform
from test.support.neural_mesh_scenes import SHAPE, K, Thing, feature_picture, made_up_mesh

ROTATIONS = standing_rotations(np.arange(12) * np.pi / 6, np.radians([20, 45, 65]),
                               np.radians([-15, 15]))
SETTINGS = SolverSettings(search=SearchSettings(distances=(0.5, 0.65, 0.8, 1.0), pool=1, peaks=4,
                                                initial_poses=2))
MUG, CASE = made_up_mesh([0.12, 0.1, 0.09], 1), made_up_mesh([0.16, 0.14, 0.2], 2)
MESHES = {'mug': MUG, 'case': CASE}


def pose(azimuth, elevation, theta, t) -> np.ndarray:
    return make_transform(standing_rotations([azimuth], [elevation], [theta])[0], t)


BESIDE = {'mug': Thing(MUG, pose(0.8, 0.6, 0.1, [-0.15, 0.05, 0.6])),
          'case': Thing(CASE, pose(2.9, 0.4, -0.1, [0.15, -0.04, 0.8]))}
# The mug hides a good part of the case.
BEFORE = {'mug': Thing(MUG, pose(0.8, 0.6, 0.1, [0.01, 0.02, 0.55])),
          'case': Thing(CASE, pose(2.9, 0.4, -0.1, [0.08, -0.02, 0.8]))}


def solver(settings=SETTINGS, meshes=MESHES) -> NeuralMeshSolver:
    return NeuralMeshSolver(meshes, dict.fromkeys(meshes, ROTATIONS), settings)


def errors(candidate, thing) -> tuple[float, float]:
    T = candidate.T_camera_object
    return (float(np.degrees(angle_between(T[:3, :3], thing.T_camera_object[:3, :3]))),
            float(np.linalg.norm(T[:3, 3] - thing.T_camera_object[:3, 3])))


def best_of(candidates, category):
    return next(one for one in candidates if one.category == category)


@pytest.fixture(scope='module')
def beside():
    return solver().solve(feature_picture(list(BESIDE.values()), noise=0.6), K)


@pytest.mark.parametrize('category', MESHES)
def test_objects_are_found_without_boxes_where_they_are(beside, category):
    found = best_of(beside, category)

    rotation, shift = errors(found, BESIDE[category])
    assert rotation < 3
    assert shift < 0.015
    assert found.score > 0.7
    assert found.box == -1
    np.testing.assert_allclose(found.extents, MESHES[category].extents)


def test_what_is_no_object_scores_far_below_one(beside):
    assert [one.score < 0.3 for one in beside[2:]] == [True] * len(beside[2:])
    assert {one.category for one in beside[:2]} == {'mug', 'case'}


def test_a_candidate_describes_its_cells(beside):
    mug = best_of(beside, 'mug')

    assert mug.mask.shape == mug.silhouette.shape == mug.depth.shape == SHAPE
    assert not (mug.mask & ~mug.silhouette).any()
    np.testing.assert_array_equal(np.isfinite(mug.depth), mug.silhouette)
    assert abs(np.nanmin(mug.depth) - 0.6) < np.linalg.norm(mug.extents) / 2
    assert mug.score == pytest.approx(mug.similarity * mug.mask.sum() / mug.silhouette.sum())
    # Of six numbers the distance is known worst.
    assert np.linalg.eigvalsh(mug.hessian).min() > 0
    deviations = np.sqrt(np.linalg.inv(mug.hessian).diagonal())
    assert deviations[2] > 2 * max(deviations[0], deviations[1])


@pytest.mark.parametrize('direction', range(6))
def test_the_hessian_says_how_features_change_along_and_about_the_axes_of_the_camera(
        beside, direction):
    case = best_of(beside, 'case')
    T, step = case.T_camera_object, np.zeros(6)
    step[direction] = 1e-6
    moved = make_transform(axis_angle_to_matrix(step[3:]) @ T[:3, :3], T[:3, 3] + step[:3])

    before, after = (rasterize(CASE.cuboid(), pose[None], K, SHAPE) for pose in (T, moved))

    _, rows, later = np.intersect1d(before.pixel, after.pixel, return_indices=True)
    same = ((before.corners[rows] == after.corners[later]).all(axis=1)
            & case.mask.ravel()[before.pixel[rows]])
    assert same.sum() >= 0.98 * case.mask.sum()
    features = CASE.features.astype(np.float64)
    change = (after.interpolate(features)[later[same]]
              - before.interpolate(features)[rows[same]]) / 1e-6
    assert (change ** 2).sum() == pytest.approx(case.hessian[direction, direction], rel=0.03)


def test_an_occluded_object_is_found_and_leaves_the_pixels_to_the_one_before_it():
    found = solver().solve(feature_picture(list(BEFORE.values()), noise=0.6), K)

    mug, case = best_of(found, 'mug'), best_of(found, 'case')
    assert errors(mug, BEFORE['mug'])[0] < 3
    assert errors(case, BEFORE['case'])[0] < 8
    assert not (mug.mask & case.mask).any()
    assert mug.mask.sum() > 0.9 * mug.silhouette.sum()
    assert 0.2 < case.mask.sum() / case.silhouette.sum() < 0.8
    assert case.similarity > 0.6


def test_without_competition_each_object_claims_what_it_likes():
    picture = feature_picture(list(BEFORE.values()), noise=0.6)
    # A case whose features are the mug's claims the mug's pixels.
    alike = {'mug': MUG, 'other': MUG}

    alone = solver(replace(SETTINGS, competes=False), alike).solve(picture, K)
    competing = solver(SETTINGS, alike).solve(picture, K)

    assert best_of(alone, 'mug').mask.sum() == best_of(alone, 'other').mask.sum()
    assert len([one for one in competing if one.score > 0.5]) == 1


def test_what_loses_its_pixels_stays_where_it_was_and_is_marked():
    picture = feature_picture(list(BEFORE.values()), noise=0.6)

    found = solver(SETTINGS, {'mug': MUG, 'other': MUG}).solve(picture, K)

    winner, loser = (best_of(found, category) for category in ('mug', 'other'))
    if winner.score < loser.score:
        winner, loser = loser, winner
    assert (winner.is_outcompeted, loser.is_outcompeted) == (False, True)
    assert winner.score > 0.5
    assert loser.score < 0.1
    assert loser.gain < 0.1 * winner.gain
    assert not (winner.mask & loser.mask).any()
    assert errors(loser, BEFORE['mug'])[0] < 3
    # What it does not see tells it nothing.
    assert np.trace(loser.hessian) < 0.1 * np.trace(winner.hessian)


def test_boxes_of_a_detector_replace_the_search():
    picture = feature_picture(list(BESIDE.values()), noise=0.6)
    # Around the case; nothing is said of the mug.
    rows, columns = np.nonzero(np.isfinite(best_of(solver().solve(picture, K), 'case').depth))
    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1.0])

    found = solver().solve(picture, K, boxes=[CellBox('case', box)])

    case, = found
    assert (case.category, case.box) == ('case', 0)
    rotation, shift = errors(case, BESIDE['case'])
    assert rotation < 3
    assert shift < 0.02


def test_an_object_of_other_proportions_is_found_with_the_aspect_that_it_has():
    aspect = [0.12, 0.14, 0.07]
    mesh = made_up_mesh([0.12, 0.1, 0.09], 1, [aspect])
    thing = Thing(mesh, pose(0.8, 0.6, 0.1, [-0.1, 0.05, 0.6]), np.array(aspect))

    found = solver(meshes={'mug': mesh}).solve(feature_picture([thing], noise=0.4), K)

    np.testing.assert_allclose(found[0].extents, aspect)
    assert errors(found[0], thing)[0] < 3


def test_only_wanted_categories_are_looked_for_and_nothing_is_found_in_clutter():
    picture = feature_picture(list(BESIDE.values()), noise=0.6)

    assert {one.category for one in solver().solve(picture, K, categories=['mug'])} == {'mug'}
    empty = np.broadcast_to(MUG.clutter[0][:, None, None], (32, *SHAPE)).copy()
    assert solver().solve(empty, K, categories=['mug']) == []


@pytest.mark.parametrize('shape', [(1, 1), (1, 9), (3, 1)])
def test_nothing_is_found_in_a_map_too_small_for_the_search(shape):
    assert solver().solve(np.ones((32, *shape), dtype=np.float32), K) == []


def test_places_of_which_nothing_is_seen_after_the_first_steps_are_given_up():
    picture = feature_picture(list(BESIDE.values()), noise=0.6)
    demanding = replace(SETTINGS, least_visible=0.999)

    assert solver(demanding).solve(picture, K, categories=['mug']) == []


def test_of_two_claims_the_stronger_keeps_the_overlap_and_the_rest_counts_by_its_share():
    claims = np.array([[True, True, True, True], [False, True, True, False]])
    scores = np.array([[0.9, 0.4, 0.4, 0.9], [0.0, 0.6, 0.6, 0.0]])

    assert compete(claims, scores).tolist() == [[True] * 4, [False] * 4]
    assert compete(claims, scores, rest_share=0.0).tolist() == [
        [True, False, False, True], [False, True, True, False]]
