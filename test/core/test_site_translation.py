from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.site_translation import TranslationGrid

RECORDED = Path(__file__).parents[1] / 'data' / 'mrc' / 'grids.npz'
# T-LESS, which the fixture was recorded for.
TLESS = TranslationGrid(256, 64, 1000, 0.05e-3, 1.7e-3)


def test_translations_are_seen_by_a_crop_as_published() -> None:
    with np.load(RECORDED) as file:
        tau = TLESS.encode(file['translation_mm'] * 1e-3, file['K'])

        np.testing.assert_allclose(tau[:, :2], file['tau'][:, :2], atol=1e-6)
        np.testing.assert_allclose(tau[:, 2] * 1e3, file['tau'][:, 2], rtol=1e-6)


def test_decoding_undoes_encoding() -> None:
    grid = TranslationGrid(128, 32, 200, 1e-5, 4e-3)
    K = np.array([[800.0, 0, 70], [0, 780, 60], [0, 0, 1]])
    translation = np.random.default_rng(0).uniform([-0.3, -0.3, 0.2], [0.3, 0.3, 2], (5, 4, 3))

    np.testing.assert_allclose(grid.decode(grid.encode(translation, K), K), translation,
                               atol=1e-12)


def test_bins_and_cells_with_their_residuals_give_the_published_answer() -> None:
    with np.load(RECORDED) as file:
        depth = TLESS.depth_centers()[file['depth_bin']] * 1e3 + file['depth_residual'][:, 0]
        xy = TLESS.cell_centers()[file['cell']] + file['cell_residual']

        np.testing.assert_allclose(depth, file['depth'][:, 0], atol=1e-6)
        np.testing.assert_allclose(xy, file['xy'], atol=1e-6)


def test_cells_are_numbered_row_by_row() -> None:
    centers = TranslationGrid(64, 4, 1, 0.0, 1.0).cell_centers()

    np.testing.assert_allclose(centers[[0, 1, 4, 15]], [
        [-0.375, -0.375], [-0.125, -0.375], [-0.375, -0.125], [0.375, 0.375]])


def test_an_object_in_the_middle_of_its_crop_is_at_zero_with_the_size_of_its_pixels() -> None:
    grid = TranslationGrid(256, 64, 1000, 0.0, 1.0)
    K = np.array([[1000.0, 0, 128], [0, 1000, 128], [0, 0, 1]])

    np.testing.assert_allclose(grid.encode((0.0, 0.0, 0.8), K), [0.0, 0.0, 0.8e-3])


@pytest.mark.parametrize(('values', 'message'), [
    ((256, 0, 1000, 0.0, 1.0), 'not 256, 0 and 1000'),
    ((256, 64, 1000, 1.0, 1.0), 'from 1.0 to 1.0')])
def test_an_empty_grid_is_refused(values: tuple[float, ...], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        TranslationGrid(*values)
