from __future__ import annotations

import numpy as np

from pose_estimation_ros.training.point_recoloring import recolored


def test_colours_stay_in_range_up_to_noise_and_differ_between_views() -> None:
    color = np.full((64, 20, 9), 0.5, dtype=np.float32)

    varied = recolored(color, np.random.default_rng(0))

    assert varied.dtype == np.float32
    assert np.nanmin(varied) > -0.2
    assert np.nanmax(varied) < 1.2
    shown = varied[~np.isnan(varied).any(axis=(1, 2))]
    assert np.std(shown.mean(axis=(1, 2))) > 0.05


def test_some_views_lose_their_colours_as_a_whole() -> None:
    varied = recolored(np.full((400, 8, 9), 0.5), np.random.default_rng(1))

    hidden = np.isnan(varied).any(axis=(1, 2))
    assert np.isnan(varied[hidden]).all()
    assert 0.03 < hidden.mean() < 0.2


def test_unknown_colours_stay_unknown() -> None:
    color = np.full((6, 5, 9), np.nan)

    assert np.isnan(recolored(color, np.random.default_rng(2))).all()


def test_what_is_blurred_and_what_is_not_get_the_same_colours() -> None:
    generator = np.random.default_rng(3)
    pixel = generator.uniform(0.2, 0.8, (50, 1, 3))
    color = np.tile(pixel, (1, 40, 3))

    varied = recolored(color, generator).reshape(50, 40, 3, 3)

    shown = varied[~np.isnan(varied).any(axis=(1, 2, 3))]
    spread = shown[:, :, 0].mean(axis=1) - shown[:, :, 2].mean(axis=1)
    assert np.abs(spread).max() < 0.03
