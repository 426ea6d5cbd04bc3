from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.rotation import angle_between, random_rotation, rotation_from_6d
from pose_estimation_ros.core.so3_grid import grid_size, so3_grid

RECORDED = Path(__file__).parents[1] / 'data' / 'mrc' / 'grids.npz'


def test_the_grid_is_the_published_one() -> None:
    grid = so3_grid(4)

    assert grid.shape == (4608, 3, 3)
    with np.load(RECORDED) as file:
        # Recorded in float32.
        np.testing.assert_allclose(grid[file['rotation_index']], file['rotation'], atol=2e-6)


def test_neighbours_are_as_far_apart_as_in_the_published_grid() -> None:
    grid = so3_grid(4)
    some = grid[::64]
    cosine = (np.einsum('aij,bij->ab', some, grid) - 1) / 2
    cosine[np.arange(len(some)), np.arange(0, len(grid), 64)] = -1

    nearest = np.degrees(np.arccos(cosine.max(axis=1)))

    with np.load(RECORDED) as file:
        least, mean, most = file['neighbour_deg']
    assert nearest.min() > least - 1e-3
    assert nearest.max() < most + 1e-3
    assert nearest.mean() == pytest.approx(mean, abs=0.3)


@pytest.mark.parametrize(('nside', 'farthest_deg'), [(1, 55.0), (2, 30.0), (3, 20.0)])
def test_every_rotation_has_a_near_one_in_a_coarser_grid(nside: int, farthest_deg: float) -> None:
    grid = so3_grid(nside)
    generator = np.random.default_rng(0)

    distances = [angle_between(grid, random_rotation(generator)).min() for _ in range(200)]

    assert len(grid) == grid_size(nside)
    np.testing.assert_allclose(grid @ grid.transpose(0, 2, 1), np.eye(3)[None].repeat(
        len(grid), axis=0), atol=1e-12)
    assert np.degrees(max(distances)) < farthest_deg
    # The limit is no loose one.
    assert np.degrees(max(distances)) > farthest_deg / 2


def test_a_grid_without_rows_is_refused() -> None:
    with pytest.raises(ConfigurationError, match='nside of at least 1, not 0'):
        so3_grid(0)


def test_six_numbers_turn_a_grid_rotation_as_published() -> None:
    with np.load(RECORDED) as file:
        final = rotation_from_6d(file['numbers']) @ so3_grid(4)[file['rotation_bin']]
        np.testing.assert_allclose(final, file['final_rotation'], atol=2e-6)
