"""Scale and position of decoded shapes: the published comparison of boxes, and our fit."""

from pathlib import Path

import numpy as np

from pose_estimation_ros.backends.disp6d_depth_alignment import (
    DecodedView,
    at_distance,
    box_about_origin,
    compare_boxes,
    fit_pairs,
    without_stray,
)
from pose_estimation_ros.backends.disp6d_translation import turned_to_ray
from pose_estimation_ros.core.rotation import axis_rotation

PUBLISHED = np.load(Path(__file__).parents[1] / 'data/disp6d/translation.npz')
FARTHEST_DEPTH = 32.0


def test_scale_position_and_points_equal_the_published_ones() -> None:
    K, depth = PUBLISHED['re_K'], PUBLISHED['re_depth']
    x, y, width, height = PUBLISHED['re_bb'].tolist()
    box = np.zeros(depth.shape, np.bool_)
    box[y:y + height, x:x + width] = True
    rows, columns = np.nonzero(box & (depth > 0) & (depth < FARTHEST_DEPTH))
    rays = np.linalg.inv(K) @ np.stack([columns, rows, np.ones(len(rows))])
    observed = (rays * depth[rows, columns].astype(float)).T
    middle = (np.array([x + width / 2, y + height / 2]) - K[:2, 2]) / K[[0, 1], [0, 1]]

    found = compare_boxes(DecodedView().points(PUBLISHED['re_dec_depth'][..., 0]),
                          without_stray(observed), middle)

    np.testing.assert_allclose(found.scale, PUBLISHED['re_s'], rtol=1e-6)
    np.testing.assert_allclose(found.t, PUBLISHED['re_t'], rtol=1e-6)
    np.testing.assert_allclose(found.points, PUBLISHED['re_pts'], atol=1e-6)


def shell(count: int = 1500) -> np.ndarray:
    """Return the nearer half of an ellipsoid about the origin, camera axes."""
    points = np.random.default_rng(0).normal(size=(4 * count, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return (points[points[:, 2] < 0] * (0.3, 0.4, 0.25))[:count]


def test_a_fit_repairs_what_a_cut_off_object_does_to_its_box() -> None:
    shape, scale, t = shell(), 0.2, np.array([0.1, -0.05, 0.8])
    observed = scale * shape @ turned_to_ray(t).T + t
    # A third is hidden, so the extents and their middle are wrong.
    observed = observed[observed[:, 0] > t[0] - 0.02]
    across = observed[:, :2] / observed[:, 2:]
    middle = 0.5 * (across.min(axis=0) + across.max(axis=0))

    start = compare_boxes(shape, observed, middle)
    fitted = fit_pairs(start, observed, turned_to_ray(start.t))

    assert abs(start.scale / scale - 1) > 0.05
    assert abs(fitted.scale / scale - 1) < 0.03
    assert np.linalg.norm(start.t - t) > 0.008
    assert np.linalg.norm(fitted.t - t) < 0.004
    assert fitted.residual < 0.003


def test_edges_that_fade_into_the_background_do_not_change_the_distance() -> None:
    view, side = DecodedView(), 64
    rows, columns = np.mgrid[:side, :side] - side / 2
    # A disc that faces the camera, whose edge rises to the background over six pixels.
    depth = np.clip(0.5 + (np.hypot(rows, columns) - 14) * 0.05, 0.5, 1.0).astype(np.float32)
    points, surface = view.points(depth), view.is_surface(depth)
    assert 0.4 < surface.mean() < 0.9
    observed = 0.2 * points[surface] + (0.0, 0.0, 1.0)

    start = compare_boxes(points, observed, np.zeros(2))
    found = at_distance(start, points[surface], observed, np.zeros(2))

    assert abs(start.t[2] - 1.0) > 0.004
    assert abs(found.t[2] - 1.0) < 1e-6


def test_stray_points_do_not_change_the_scale() -> None:
    shape, t = shell(), np.array([0.0, 0.0, 1.0])
    observed = np.concatenate([0.2 * shape + t, [[0.6, 0.0, 1.0], [0.0, 0.0, 3.0]]])
    found = compare_boxes(shape, without_stray(observed), np.zeros(2))
    np.testing.assert_allclose(found.scale, 0.2, rtol=0.02)
    np.testing.assert_allclose(found.t, t, atol=2e-3)


def test_thinned_points_of_a_large_object_are_not_taken_for_stray_ones() -> None:
    rows, columns = np.mgrid[:100, :100]
    # A laptop of 35 cm.
    plane = np.stack([0.0035 * columns, 0.0035 * rows, np.ones((100, 100))], -1).reshape(-1, 3)
    assert len(without_stray(plane)) == len(plane)
    assert len(without_stray(plane[::13], 13)) == len(plane[::13])


def test_the_box_about_the_origin_doubles_what_is_seen() -> None:
    R = axis_rotation([0.2, 1.0, -0.4], 0.7)
    corners = np.array([[0.1, 0.2, -0.3], [-0.05, 0.1, 0.1]])
    np.testing.assert_allclose(box_about_origin(corners @ R.T, R), [0.2, 0.4, 0.6])


def test_points_that_are_all_equally_far_from_the_shape_are_all_kept() -> None:
    decoded = np.array([[-0.5, 0.0, 0.9], [0.5, 0.0, 0.9]])
    observed = np.array([[0.0, 0.3, 1.5], [0.0, 0.3, 1.5]])
    placed = compare_boxes(decoded, observed + [[-0.1, 0, 0], [0.1, 0, 0]], np.array([0.0, 0.0]))
    assert len(placed.points) == 2
    assert np.isfinite(placed.t).all() and placed.scale > 0
