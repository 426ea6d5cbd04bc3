from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_estimation_ros.core.alignment import align_robustly, umeyama
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import angle_between
from test.core.strategies import poses

# The published alignment's recorded cases, without `line`, whose rotation is undetermined.
FIXTURE = Path(__file__).parents[1] / 'data' / 'spd' / 'align.npz'
CASES = ['clean', 'noise5mm', 'nocs_noise', 'noise10mm_out30', 'noise5mm_out60',
         'noise2mm_out80', 'all_outliers', 'n32_noise', 'n7_noise', 'mm_units', 'planar',
         'mirrored']


@pytest.mark.parametrize('case', CASES)
def test_recorded_samples_give_the_published_alignment(case: str) -> None:
    with np.load(FIXTURE) as data:
        fixture = {key.split('/')[1]: data[key] for key in data.files
                   if key.startswith(f'{case}/')}

    result = align_robustly(fixture['source'][None], fixture['target'][None],
                            samples=fixture['rand_idx'][None])

    assert result.valid[0] == (not fixture['none'])
    if result.valid[0]:
        unit = np.abs(fixture['t']).max()
        assert result.inliers.sum() == fixture['n_inliers']
        np.testing.assert_allclose(result.similarity.scale[0], fixture['scale'], rtol=1e-9)
        np.testing.assert_allclose(result.similarity.R[0], fixture['R'], atol=1e-9)
        np.testing.assert_allclose(result.similarity.t[0], fixture['t'], atol=1e-9 * unit)


@given(poses(), st.floats(0.05, 5.0), st.integers(0, 1000))
def test_exact_correspondences_are_recovered(T: np.ndarray, scale: float, seed: int) -> None:
    source = np.random.default_rng(seed).uniform(-0.5, 0.5, (60, 3))
    target = scale * source @ T[:3, :3].T + T[:3, 3]

    result = align_robustly(source[None], target[None])

    assert result.valid[0]
    assert result.inlier_ratio[0] == 1.0
    np.testing.assert_allclose(result.similarity.scale[0], scale, rtol=1e-9)
    np.testing.assert_allclose(result.similarity.R[0], T[:3, :3], atol=1e-8)
    np.testing.assert_allclose(result.similarity.apply(source[None])[0], target, atol=1e-8)


@settings(max_examples=30)
@given(poses(), st.integers(0, 1000))
def test_half_of_the_points_may_be_wrong(T: np.ndarray, seed: int) -> None:
    generator = np.random.default_rng(seed)
    source = generator.uniform(-0.5, 0.5, (400, 3))
    target = 0.2 * source @ T[:3, :3].T + T[:3, 3] + generator.normal(0, 0.001, source.shape)
    target[:200] = T[:3, 3] + generator.uniform(-0.3, 0.3, (200, 3))

    result = align_robustly(source[None], target[None], seed=seed)

    assert float(angle_between(result.similarity.R[0], T[:3, :3])) < np.radians(6)
    assert np.linalg.norm(result.similarity.t[0] - T[:3, 3]) < 0.008
    assert result.inliers[0, 200:].mean() > 0.95
    assert result.residual[0] < 0.02


def test_an_object_does_not_depend_on_its_neighbours_in_the_batch() -> None:
    generator = np.random.default_rng(3)
    source = generator.uniform(-0.5, 0.5, (3, 100, 3))
    target = source * 0.3 + generator.normal(0, 0.02, source.shape) + (0, 0, 1)

    together = align_robustly(source, target, seed=5)
    alone = [align_robustly(source[i:i + 1], target[i:i + 1], seed=5) for i in range(3)]

    for i, single in enumerate(alone):
        np.testing.assert_allclose(together.similarity.R[i], single.similarity.R[0], atol=1e-12)
        np.testing.assert_array_equal(together.inliers[i], single.inliers[0])


def test_points_marked_invalid_or_not_finite_have_no_say() -> None:
    generator = np.random.default_rng(0)
    source = generator.uniform(-0.5, 0.5, (1, 100, 3))
    target = 0.3 * source + (0.1, 0.2, 0.9)
    valid = np.ones((1, 100), dtype=bool)
    valid[0, :40] = False
    target[0, :40] += 5.0
    target[0, 40:45] = np.nan

    result = align_robustly(source, target, valid)

    np.testing.assert_allclose(result.similarity.scale, 0.3, rtol=1e-9)
    assert not result.inliers[0, :45].any()


@pytest.mark.parametrize('source', [np.zeros((1, 50, 3)), np.full((1, 50, 3), np.nan)])
def test_degenerate_points_give_no_alignment(source: np.ndarray) -> None:
    target = np.random.default_rng(0).standard_normal((1, 50, 3))

    assert not align_robustly(source, target).valid[0]


def test_an_empty_batch_gives_an_empty_alignment() -> None:
    assert align_robustly(np.zeros((0, 10, 3)), np.zeros((0, 10, 3))).valid.shape == (0,)


def test_mismatched_shapes_are_named() -> None:
    with pytest.raises(InvalidInputError, match=r'\(1, 5, 3\).*\(1, 6, 3\)'):
        align_robustly(np.zeros((1, 5, 3)), np.zeros((1, 6, 3)))


def test_weights_select_the_points_of_a_plain_fit() -> None:
    generator = np.random.default_rng(1)
    source = generator.standard_normal((20, 3))
    target = 2.0 * source + 1.0
    target[10:] = generator.standard_normal((10, 3))
    weights = np.r_[np.ones(10), np.zeros(10)]

    fit = umeyama(source, target, weights)

    np.testing.assert_allclose(fit.scale, 2.0)
    np.testing.assert_allclose(fit.R, np.eye(3), atol=1e-12)
