import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_estimation_ros.core.ray_box import enter_box
from test.core.strategies import sizes

SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=25)
@given(sizes(), SEEDS)
def test_a_ray_enters_at_a_point_on_the_named_face_and_nowhere_earlier(size, seed):
    generator = np.random.default_rng(seed)
    origins = 3 * generator.standard_normal((20, 3)) * size
    # Towards somewhere near the box, so that about half of them hit.
    directions = generator.uniform(-0.8, 0.8, (20, 3)) * size - origins

    hits = enter_box(origins, directions, -size / 2, size / 2)

    steps = np.linspace(0, 2, 1001)
    along = origins[:, None] + steps[:, None] * directions[:, None]
    within = (np.abs(along) <= size / 2 * (1 - 1e-9)).all(axis=-1)
    outside = ~(np.abs(origins) <= size / 2).all(axis=1)
    assert not hits.hit[~outside].any()
    for ray in np.flatnonzero(outside & within.any(axis=1)):
        assert hits.hit[ray]
        assert hits.distance[ray] == pytest.approx(steps[within[ray].argmax()], abs=2.1e-3)
    entered = np.flatnonzero(hits.hit)
    points = origins[entered] + hits.distance[entered, None] * directions[entered]
    sides = np.where(hits.upper[entered], 1, -1) * size[hits.axis[entered]] / 2
    np.testing.assert_allclose(points[np.arange(len(entered)), hits.axis[entered]], sides,
                               atol=1e-9)
    assert (np.abs(points) <= size / 2 + 1e-9).all()


def test_a_ray_along_an_axis_enters_although_two_of_its_components_are_zero():
    hits = enter_box(np.array([[0.0, 0.0, 5.0], [2.0, 0.0, 5.0], [0.0, 0.0, -5.0]]),
                     np.array([0.0, 0.0, -2.0]), -np.ones(3), np.ones(3))

    assert hits.hit.tolist() == [True, False, False]
    assert hits.distance[0] == 2.0
    assert (hits.axis[0], hits.upper[0]) == (2, True)


@pytest.mark.parametrize('zero', [0.0, -0.0])
@pytest.mark.parametrize('side', [-1.0, 1.0])
def test_a_ray_within_the_plane_of_a_face_enters_by_the_face_before_it(side, zero):
    hits = enter_box(np.array([side, 0.2, -5.0]), np.array([zero, 0.1, 2.0]), -np.ones(3),
                     np.ones(3))

    assert hits.hit
    assert hits.distance == 2.0
    assert (hits.axis, hits.upper) == (2, False)
