import numpy as np
import pytest

from pose_estimation_ros.backends.neural_mesh_search import (
    ScoreMap,
    ViewGrid,
    gain_map,
    peaks,
    pose_scores,
    standing_rotations,
    view_grid,
)
from pose_estimation_ros.core.cuboid_mesh import centered_cuboid, view_vertices
from pose_estimation_ros.core.cuboid_raster import rasterize
from pose_estimation_ros.core.se3 import make_transform
from test.support.neural_mesh_scenes import SHAPE, K, made_up_mesh

CENTERED = np.diag([K[0, 0], K[1, 1], 1.0])


def test_a_standing_object_is_upright_and_turned_by_its_azimuth():
    R = standing_rotations([0.0, np.pi / 2], [0.0, 0.4], [0.0])

    front, above, side, _ = R
    np.testing.assert_allclose(front @ [0, 1, 0], [0, -1, 0], atol=1e-12)
    # At azimuth 0 the camera is over +z, at a quarter over +x.
    np.testing.assert_allclose(front @ [0, 0, 1], [0, 0, -1], atol=1e-12)
    np.testing.assert_allclose(side @ [1, 0, 0], [0, 0, -1], atol=1e-12)
    # From above, the top leans towards the camera.
    np.testing.assert_allclose(above @ [0, 1, 0], [0, -np.cos(0.4), -np.sin(0.4)], atol=1e-12)


def test_a_positive_theta_turns_an_object_counter_clockwise_in_the_image():
    R = standing_rotations([0.3], [0.2], [0.0, 0.1])

    up, turned = R @ [0, 1, 0]

    assert turned[0] < up[0]
    assert len(R) == 2


def test_views_hold_the_visible_vertices_relative_to_the_origin():
    mesh = centered_cuboid([0.2, 0.1, 0.3], 200)
    R = standing_rotations([0.0, 0.5], [0.0, 0.3])
    distance = np.array([0.8, 1.0, 1.2, 1.5])

    views = view_grid(mesh, R, distance, K)

    for number in range(4):
        T = make_transform(R[number], [0, 0, distance[number]])
        seen = view_vertices(mesh, T, CENTERED)
        used = views.weights[number] > 0
        np.testing.assert_array_equal(views.vertices[number][used], np.flatnonzero(seen.visible))
        np.testing.assert_allclose(views.offsets[number][used], seen.pixels[seen.visible],
                                   atol=1e-4)


@pytest.mark.parametrize('sample', [None, 24])
def test_weights_sum_to_the_cells_that_the_cuboid_covers(sample):
    mesh = centered_cuboid([0.2, 0.1, 0.3], 400)
    R = standing_rotations([0.0, 0.5, 2.0], [0.1, 0.6])

    views = view_grid(mesh, R, np.full(6, 0.9), K, sample)

    covered = rasterize(mesh, make_transform(R, [0.0, 0.0, 0.9]), K, SHAPE).masks().sum(
        axis=(1, 2))
    np.testing.assert_allclose(views.weights.sum(axis=1), covered, rtol=0.15)
    if sample is not None:
        assert views.vertices.shape == (6, sample)


def test_a_score_is_the_weighted_sum_of_vertices_in_their_cells_and_nothing_outside():
    values = np.zeros((2, 5, 6), dtype=np.float32)
    values[:, :4, :5] = np.arange(40).reshape(2, 4, 5)
    views = ViewGrid(np.eye(3)[None], np.ones(1), np.array([[0, 1]]),
                     np.array([[[0.0, 0.0], [1.4, 0.6]]], dtype=np.float32),
                     np.array([[1.0, 10.0]], dtype=np.float32))

    scores = pose_scores(ScoreMap((4, 5), values), views, np.array([1.0, 3.0]),
                         np.array([0.0, 2.0]))

    # Vertex 1 is in cell (2, 1), then in the last column or the last row, which do not count.
    assert scores.tolist() == [[[1 + 10 * (20 + 5 + 2), 3], [11, 13]]]


def test_portions_of_a_large_grid_give_the_same_scores(monkeypatch):
    mesh = made_up_mesh([0.12, 0.1, 0.09], 1)
    picture = np.random.default_rng(0).standard_normal((32, 20, 30)).astype(np.float32)
    gains = gain_map(picture, mesh.features, mesh.clutter, 0.3, -0.2)
    views = view_grid(mesh.cuboid(), standing_rotations(np.arange(6), [0.3]), np.full(6, 1.0), K)
    places = np.arange(30.0), np.arange(20.0)

    at_once = pose_scores(gains, views, *places)

    monkeypatch.setattr('pose_estimation_ros.backends.neural_mesh_search._GATHERED', 1)
    np.testing.assert_allclose(pose_scores(gains, views, *places), at_once, rtol=1e-5)


def test_gains_are_what_vertices_score_above_clutter_and_background_but_no_less_than_worst():
    features = np.zeros((2, 1, 3), dtype=np.float32)
    features[:, 0] = [[1, 0, 0.6], [0, 1, 0.8]]
    gains = gain_map(features, np.array([[1, 0]], dtype=np.float32),
                     np.array([[0, 1]], dtype=np.float32), background=0.3, worst=-0.5)

    np.testing.assert_allclose(gains.values[0, 0], [0.7, -0.5, -0.2, 0.0], atol=1e-6)
    assert (gains.values[:, 1] == 0).all()


def test_peaks_are_the_highest_of_their_surroundings_in_order():
    picture = np.zeros((8, 9))
    picture[1, 1], picture[2, 2], picture[6, 7], picture[7, 0] = 3, 5, 9, 1

    assert peaks(picture, 2, 2.0, 10).tolist() == [[6, 7], [2, 2]]
    assert peaks(picture, 2, 2.0, 1).tolist() == [[6, 7]]
    assert peaks(picture, 1, 0.5, 10).tolist() == [[6, 7], [2, 2], [7, 0]]
