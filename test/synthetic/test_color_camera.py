from dataclasses import replace

import numpy as np
import pytest

from pose_estimation_ros.synthetic.color_camera import (
    Excerpt,
    develop,
    metered_light,
    sample_color_camera,
)


def ideal_camera():
    camera = sample_color_camera('primary', np.random.default_rng(0))
    return replace(camera, brightness=0.2, exposure=1.0, white_balance=(1.0, 1.0, 1.0),
                   vignetting=0.0, defocus=0.0, motion=(0.0, 0.0), shot_noise=0.0,
                   read_noise=0.0, haze=0.0, saturation=1.0, sharpening=0.0, jpeg_quality=0)


def half_and_half():
    light = np.full((48, 64, 3), 0.1, dtype=np.float32)
    light[:, 32:] = 0.4
    return light


@pytest.mark.parametrize('domain', ['primary', 'second'])
def test_pictures_are_eight_bit_and_repeatable(domain):
    camera = sample_color_camera(domain, np.random.default_rng(3))
    first = develop(half_and_half(), camera, np.random.default_rng(1))
    second = develop(half_and_half(), camera, np.random.default_rng(1))

    assert first.dtype == np.uint8
    assert first.shape == (48, 64, 3)
    np.testing.assert_array_equal(first, second)


def test_auto_exposure_makes_the_strength_of_the_lamps_irrelevant():
    dim = develop(half_and_half(), ideal_camera(), np.random.default_rng(1))
    bright = develop(half_and_half() * 50, ideal_camera(), np.random.default_rng(1))

    assert np.abs(dim.astype(int) - bright).max() <= 1


def test_input_is_left_unchanged():
    light = half_and_half()
    develop(light, sample_color_camera('primary', np.random.default_rng(0)),
            np.random.default_rng(1))

    np.testing.assert_array_equal(light, half_and_half())


def test_brighter_surfaces_stay_brighter():
    picture = develop(half_and_half(), ideal_camera(), np.random.default_rng(1))

    assert picture[:, 40:].mean() > picture[:, :20].mean() + 40


def test_exposure_error_darkens():
    right = develop(half_and_half(), ideal_camera(), np.random.default_rng(1))
    short = develop(half_and_half(), replace(ideal_camera(), exposure=0.5),
                    np.random.default_rng(1))

    assert short.mean() < 0.85 * right.mean()


def test_white_balance_error_tints():
    warm = develop(half_and_half(), replace(ideal_camera(), white_balance=(1.3, 1.0, 0.8)),
                   np.random.default_rng(1))

    assert warm[..., 0].mean() > warm[..., 2].mean() + 15


def test_defocus_softens_and_sharpening_overshoots_at_edges():
    sharp = develop(half_and_half(), ideal_camera(), np.random.default_rng(1)).astype(int)
    soft = develop(half_and_half(), replace(ideal_camera(), defocus=20.0),
                   np.random.default_rng(1)).astype(int)
    haloed = develop(half_and_half(), replace(ideal_camera(), sharpening=1.5),
                     np.random.default_rng(1)).astype(int)

    assert np.abs(np.diff(soft[24, :, 1])).max() < 0.8 * np.abs(np.diff(sharp[24, :, 1])).max()
    assert haloed.max() > sharp.max() + 5
    assert haloed.min() < sharp.min() - 5


def test_noise_grows_with_the_parameters():
    flat = np.full((48, 64, 3), 0.3, dtype=np.float32)
    spread = [develop(flat, replace(ideal_camera(), read_noise=noise), np.random.default_rng(1)
                      ).std() for noise in (0.0, 0.003, 0.012)]

    assert spread[0] < 0.1
    assert spread[1] > 0.3
    assert spread[2] > 2 * spread[1]


def test_corners_are_darker_with_vignetting():
    flat = np.full((48, 64, 3), 0.3, dtype=np.float32)
    picture = develop(flat, replace(ideal_camera(), vignetting=0.4), np.random.default_rng(1))

    assert picture[0, 0].mean() < picture[24, 32].mean() - 10


def test_an_excerpt_looks_as_it_does_in_the_whole_picture():
    light = np.random.default_rng(0).uniform(0.1, 0.5, (48, 64, 3)).astype(np.float32)
    camera = replace(ideal_camera(), vignetting=0.4, white_balance=(1.2, 1.0, 0.8))
    whole = develop(light, camera, np.random.default_rng(1))
    excerpt = Excerpt(40, 20, 64, 48, metered_light(light[::8, ::8]))
    part = develop(light[20:44, 40:60], camera, np.random.default_rng(2), excerpt)

    np.testing.assert_array_equal(part, whole[20:44, 40:60])
