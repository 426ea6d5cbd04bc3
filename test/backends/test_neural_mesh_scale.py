import numpy as np
import pytest

from pose_estimation_ros.backends.neural_mesh_scale import (
    at_cells,
    category_scale,
    depth_scale,
    with_scale,
)

RENDERED = np.linspace(0.7, 0.8, 40)


def test_without_depth_an_object_has_the_mean_size_of_its_category():
    scale = category_scale(0.25)
    assert (scale.factor, scale.deviation, scale.source) == (1.0, 0.25, 'category')


def test_exact_depth_gives_the_scale_and_takes_the_spread_away():
    scale = depth_scale(1.3 * RENDERED, RENDERED, surface=0.0, roughness=1e-5, spread=0.2)
    assert scale.factor == pytest.approx(1.3, rel=1e-4)
    assert scale.observed == pytest.approx(1.3)
    assert scale.deviation < 1e-3
    assert scale.source == 'depth'


def test_the_surface_of_a_category_lies_behind_its_cuboid():
    scale = depth_scale(1.1 * (RENDERED + 0.02), RENDERED, 0.02, 1e-5, 0.2)
    assert scale.factor == pytest.approx(1.1, rel=1e-4)


def test_outliers_and_holes_of_the_depth_do_no_harm():
    seen = 0.9 * RENDERED
    seen[:8], seen[8:20] = 3.0, np.nan
    scale = depth_scale(seen, RENDERED, 0.0, 1e-5, 0.2)
    assert scale.factor == pytest.approx(0.9, rel=1e-3)


def test_depth_and_sizes_are_weighed_by_their_variances():
    rough = 0.2 * float(np.median(RENDERED))
    scale = depth_scale(1.3 * RENDERED, RENDERED, 0.0, rough, spread=0.2)
    assert scale.factor == pytest.approx(np.sqrt(1.3), rel=1e-6)
    assert scale.deviation == pytest.approx(0.2 / np.sqrt(2.0), rel=1e-6)


def test_scattered_depth_says_less_than_smooth_depth():
    wild = RENDERED * np.exp(np.random.default_rng(0).normal(0.0, 0.1, RENDERED.size))
    assert (depth_scale(wild, RENDERED, 0.0, 1e-3, 0.2).deviation
            > 3 * depth_scale(RENDERED, RENDERED, 0.0, 1e-3, 0.2).deviation)


def test_a_few_pixels_say_nothing():
    seen = np.full(RENDERED.size, np.nan)
    seen[:3] = RENDERED[:3]
    assert depth_scale(seen, RENDERED, 0.0, 1e-3, 0.2) is None


@pytest.mark.parametrize(('known', 'source'), [(0.2, None), (0.4, 'depth')])
def test_the_few_pixels_with_depth_of_an_object_that_has_none_say_nothing(known, source):
    """Those at its rim show the wall behind it."""
    seen = np.full(RENDERED.size, np.nan)
    count = int(known * seen.size)
    seen[:count] = 1.5 * RENDERED[:count]
    scale = depth_scale(seen, RENDERED, 0.0, 1e-3, 0.2)
    assert (None if scale is None else scale.source) == source


def test_an_uncertain_scale_moves_the_object_along_the_line_of_sight_only():
    t = np.array([0.3, -0.4, 1.2])
    fixed = np.diag([1e-4] * 3 + [1e-2] * 3)
    total = with_scale(fixed, t, 0.2)
    sight = t / np.linalg.norm(t)
    aside = np.cross(sight, [0.0, 0.0, 1.0])
    aside /= np.linalg.norm(aside)
    assert sight @ total[:3, :3] @ sight == pytest.approx(1e-4 + (0.2 * 1.3) ** 2)
    assert aside @ total[:3, :3] @ aside == pytest.approx(1e-4)
    np.testing.assert_array_equal(total[3:], fixed[3:])


def test_cells_take_the_depth_at_their_centres():
    depth = np.arange(12 * 16, dtype=np.float32).reshape(12, 16)
    np.testing.assert_array_equal(at_cells(depth, (3, 4)),
                                  depth[2::4, 2::4])
