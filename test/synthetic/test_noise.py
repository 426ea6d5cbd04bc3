import numpy as np
import pytest

from pose_estimation_ros.synthetic import noise
from pose_estimation_ros.synthetic.blocks import in_blocks

NOISES = (noise.value_noise, noise.gradient_noise, noise.cell_noise, noise.wave_noise)


@pytest.mark.parametrize('function', NOISES)
def test_noise_varies_smoothly_over_space(function):
    points = np.random.default_rng(0).uniform(-40, 40, (3000, 3)).astype(np.float32)
    here = function(points, 3)
    near = function(points + np.float32(0.01), 3)

    assert here.shape == (3000,)
    assert here.std() > 0.05
    assert np.quantile(np.abs(near - here), 0.99) < 0.1
    assert -0.1 < here.min() < here.max() < 1.6


@pytest.mark.parametrize('function', NOISES)
def test_seeds_give_different_noise(function):
    points = np.random.default_rng(0).uniform(-10, 10, (500, 3)).astype(np.float32)

    assert np.abs(function(points, 1) - function(points, 2)).mean() > 0.02


def test_planes_have_the_noise_of_space():
    points = np.random.default_rng(0).uniform(-40, 40, (4000, 3)).astype(np.float32)
    points[:, 2] = -3.3

    plane = noise.value_noise(points, 5)
    # Blocks of few points do not take the short way of planes.
    space = np.concatenate([noise.value_noise(points[start:start + 500], 5)
                            for start in range(0, 4000, 500)])

    np.testing.assert_allclose(plane, space, atol=1e-5)


@pytest.mark.parametrize('correlation', [1.0, 4.0, 20.0])
def test_fields_have_unit_spread_and_the_asked_correlation(correlation):
    fields = np.stack([noise.smooth_field(120, 160, correlation, np.random.default_rng(seed))
                       for seed in range(20)])
    step = np.diff(fields, axis=2).std()

    assert fields.std() == pytest.approx(1.0, abs=0.1)
    assert fields.std(axis=0).std() < 0.25
    assert abs(fields.mean()) < 0.1
    assert step == pytest.approx(np.sqrt(2) if correlation == 1 else 1.3 / correlation, rel=0.35)


def test_blocks_join_to_the_whole():
    values = np.random.default_rng(0).random((50_000, 3), dtype=np.float32)

    np.testing.assert_array_equal(in_blocks(lambda a, b: a * b[:, None], values, values[:, 0]),
                                  values * values[:, :1])
