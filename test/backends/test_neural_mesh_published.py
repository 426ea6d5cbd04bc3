"""The published solver's numbers, as recorded from its code."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from pose_estimation_ros.backends.neural_mesh_competition import compete
from pose_estimation_ros.backends.neural_mesh_published import (
    PUBLISHED,
    Adam,
    PublishedPose,
    evaluate,
)
from pose_estimation_ros.backends.neural_mesh_published_solver import (
    PublishedGrid,
    initial_poses,
    search_everything,
    search_places_first,
    solve,
)
from pose_estimation_ros.backends.neural_mesh_search import score_map
from pose_estimation_ros.core.cuboid_mesh import view_vertices
from test.support.neural_mesh_fixture import EXCERPT, WHOLE, published_run


@pytest.fixture(scope='module', params=[EXCERPT, WHOLE])
def run(request):
    return published_run(request.param)


def grid_of(recorded) -> PublishedGrid:
    return PublishedGrid(*(np.unique(recorded['coarse_poses'][:, column]).astype(np.float64)
                           for column in range(4)), recorded['px'], recorded['py'])


def test_vertices_project_to_where_the_published_formula_puts_them(run):
    recorded = run.recorded
    K = np.diag([PUBLISHED.search_focal, PUBLISHED.search_focal, 1.0])
    for published, index in zip(recorded['kp_coords_sel'], recorded['kp_sel'], strict=False):
        azimuth, elevation, theta, distance = recorded['coarse_poses'][index].astype(np.float64)
        pose = PublishedPose.of(azimuth, elevation, theta, distance, PUBLISHED.image_center)

        view = view_vertices(run.mesh, pose.T_camera_mesh, K)

        np.testing.assert_allclose(view.pixels, published, atol=3e-4)
        assert view.visible.sum() == recorded['kp_vis_sum'][index]


def test_scores_of_poses_at_all_places_are_the_published_ones(run):
    recorded = run.recorded
    whole = grid_of(recorded)
    for index, published in zip(recorded['kp_sel'], recorded['corr_sel'], strict=True):
        azimuth, elevation, theta, distance = (np.array([value]) for value in whole.poses[index])
        grid = replace(whole, azimuths=azimuth, elevations=elevation, thetas=theta,
                       distances=distance)

        places = search_everything(score_map(run.features, run.vertices), run.mesh, grid)

        # The recording has x before y; its scores reach 320.
        np.testing.assert_allclose(places.scores.T, published, atol=run.tolerance(3e-4, 0.02))


@pytest.mark.parametrize('kind', [WHOLE])
def test_the_best_of_all_poses_at_each_place_is_the_published_one(kind):
    run = published_run(kind)

    places = search_everything(score_map(run.features, run.vertices), run.mesh,
                               grid_of(run.recorded))

    np.testing.assert_allclose(places.scores.T, run.recorded['corr2d_max'], atol=1e-4)
    np.testing.assert_array_equal(places.best.T.ravel(), run.recorded['corr_argmax_pose'])


def test_searching_places_first_finds_the_same_pose_with_the_same_score(run):
    recorded, scores = run.recorded, score_map(run.features, run.vertices)
    grid = grid_of(recorded)

    places = search_places_first(scores, run.mesh, grid, scouts=60)

    found = initial_poses(places, grid)
    assert len(found) == 1
    np.testing.assert_allclose(found[0].angles(), recorded['solver_pre'][0], atol=1e-6)
    assert places.scores.max() == pytest.approx(recorded['corr2d_max'].max(),
                                                abs=run.tolerance(1e-4, 0.02))


def test_the_default_grid_of_7776_poses_is_searched_in_bounded_memory():
    run = published_run(EXCERPT)
    grid = replace(PublishedGrid.default(), azimuths=np.arange(4.0), thetas=np.zeros(1))
    tracemalloc.start()

    search_places_first(score_map(run.features, run.vertices), run.mesh, grid, scouts=20)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(PublishedGrid.default().poses) == 7776
    # Poses are worked on in portions of 256, of which this grid of 216 is nearly one.
    assert peak < 300e6


def test_loss_and_gradient_are_the_published_ones(run):
    recorded = run.recorded

    fit = evaluate(run.start, run.mesh, run.scores)

    assert fit.loss == pytest.approx(recorded['loss0'][0], abs=run.tolerance(2e-7, 2e-5))
    published = np.array([*recorded['gC'][0], recorded['gtheta']])
    np.testing.assert_allclose(fit.gradient[:4], published, atol=run.tolerance(2e-7, 2e-5))


def test_the_gradient_by_the_shift_lies_between_those_on_both_sides_of_a_whole_shift(run):
    """The recorded shift is a whole number of cells, where rounding chose the side."""
    sides = [evaluate(PublishedPose.from_parameters(run.start.parameters + shift), run.mesh,
                      run.scores).gradient[4:]
             for shift in ([0, 0, 0, 0, -1e-6, -1e-6], [0, 0, 0, 0, 1e-6, 1e-6])]

    assert (np.min(sides, axis=0) < run.recorded['gflow']).all()
    assert (np.max(sides, axis=0) > run.recorded['gflow']).all()


@pytest.mark.parametrize('parameter', range(6))
def test_the_gradient_is_the_loss_s_difference_quotient(parameter):
    run = published_run(EXCERPT)
    # A smooth aim: pixels at the silhouette come and go, so only the inner ones count.
    parameters = run.start.parameters + [0, 0, 0, 0.02, 0.013, 0.017]
    pose = PublishedPose.from_parameters(parameters)
    fit = evaluate(pose, run.mesh, run.scores)
    won = (fit.object_scores > run.scores.clutter + 0.05).reshape(40, 56)
    seen = (fit.object_scores != 0).reshape(40, 56)
    inner = won & np.all([np.roll(seen, shift, axis) for shift in (-2, 2) for axis in (0, 1)],
                         axis=0)
    step = np.zeros(6)
    step[parameter] = 1e-6

    later, earlier = (evaluate(PublishedPose.from_parameters(parameters + sign * step), run.mesh,
                               run.scores, inner.ravel()).loss for sign in (1, -1))

    gradient = evaluate(pose, run.mesh, run.scores, inner.ravel()).gradient
    assert (later - earlier) / 2e-6 == pytest.approx(gradient[parameter], rel=0.01, abs=1e-4)


def test_adam_takes_the_recorded_steps(run):
    recorded = run.recorded
    parameters, adam = run.start.parameters, Adam()
    for step, (loss, *published) in enumerate(recorded['adam_trace_loss_C_theta_flow']):
        fit = evaluate(PublishedPose.from_parameters(parameters), run.mesh, run.scores)
        # At the first, the shift is whole: see above.
        gradient = fit.gradient if step else np.array(
            [*recorded['gC'][0], recorded['gtheta'], *recorded['gflow']])
        adam, move = adam.step(gradient, PUBLISHED)
        parameters = parameters + move

        assert fit.loss == pytest.approx(loss, abs=run.tolerance(3e-7, 3e-5))
        np.testing.assert_allclose(parameters, published, atol=run.tolerance(5e-6, 2e-3))


@pytest.mark.parametrize('kind', [WHOLE])
def test_the_whole_solver_ends_where_the_published_one_did(kind):
    run = published_run(kind)
    azimuth, elevation, theta, distance, px, py = run.recorded['solver_pre'][0]
    start = PublishedPose.of(azimuth, elevation, theta, distance, (px, py))

    found, = solve([start], run.mesh, run.scores)

    *angles, loss, score = run.recorded['solver_final'][0]
    # 600 steps that never settle: the recording itself scatters so much about the optimum, and
    # other processors end elsewhere in it.
    np.testing.assert_allclose(found.pose.angles()[:3], angles[:3], atol=1e-3)
    assert found.pose.angles()[3] == pytest.approx(angles[3], rel=1e-3)
    np.testing.assert_allclose(found.pose.angles()[4:], angles[4:], atol=0.3)
    assert found.loss == pytest.approx(loss, abs=1e-3)
    assert found.score == pytest.approx(score, rel=2e-3)


@pytest.mark.parametrize('azimuth', [0.7, 2.4, 4.0, 5.9])
def test_angles_come_back_as_the_code_recovers_them(azimuth):
    pose = PublishedPose.of(azimuth, -0.3, 0.2, 5.0, (100.0, 60.0))

    np.testing.assert_allclose(pose.angles(), [azimuth, -0.3, 0.2, 5.0, 100.0, 60.0])


def test_the_weaker_of_two_objects_loses_the_pixels_that_both_claim(run):
    recorded = run.recorded

    kept = compete(recorded['occ_seg'] > 0, recorded['occ_score'].astype(np.float64))

    # In the recording the first is not its own claim any more but where anything is.
    np.testing.assert_array_equal(kept[1:], recorded['occ_newseg'][1:] > 0)
    claims = recorded['occ_seg'] > 0
    np.testing.assert_array_equal(kept[0], claims[0] & ~claims[1] & ~claims[2])
