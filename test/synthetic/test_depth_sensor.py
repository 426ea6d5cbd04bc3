from dataclasses import replace

import numpy as np
import pytest

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.synthetic.depth_sensor import sample_depth_sensor, simulate_depth
from pose_estimation_ros.synthetic.stereo_depth import StereoSensor, sample_stereo_sensor
from pose_estimation_ros.synthetic.time_of_flight_depth import (
    TimeOfFlightSensor,
    sample_time_of_flight_sensor,
)

CAMERA = CameraIntrinsics.pinhole(320, 240, 616.0, 616.0, 159.5, 119.5)


def perfect_stereo(**changes):
    sensor = sample_stereo_sensor(np.random.default_rng(0))
    perfect = replace(
        sensor, focal=616.0, baseline=0.055, color_offset=0.015, border=-1000.0, noise=0.0,
        ripple=0.0, grain=0.0, bias=0.0, resampling=64.0, misalignment=(0.0, 0.0), fattening=0.0,
        raggedness=0.0, flying=0.0, edge_holes=0.0, dark_holes=0.0, gloss_holes=0.0,
        highlight=0.0, grazing=1e-6, base_holes=0.0, minimum=0.2, maximum=4.0)
    return replace(perfect, **changes)


def table(far=0.5):
    """Return a plane whose inverse depth grows from the upper to the lower edge."""
    rows = np.linspace(1 / far, 1 / (0.8 * far), 240, dtype=np.float32)[:, None]
    return np.tile(1 / rows, (1, 320)).astype(np.float32)


def block(front=0.4, back=0.6):
    depth = np.full((240, 320), back, dtype=np.float32)
    depth[60:180, 140:220] = front
    return depth


def measured(depth, sensor, seed=0, cosine=1.0, albedo=0.5, gloss=0.0, camera=CAMERA,
             window=None):
    return simulate_depth(depth, cosine, albedo, gloss, camera, sensor,
                          np.random.default_rng(seed), window)


@pytest.mark.parametrize('domain', ['primary', 'second'])
def test_the_same_generator_gives_the_same_image(domain):
    for seed in range(6):
        sensor = sample_depth_sensor(domain, np.random.default_rng(seed))
        first, second = (measured(block(), sensor, seed=5) for _ in range(2))
        np.testing.assert_array_equal(first, second)
        assert first.dtype == np.float32


@pytest.mark.parametrize('domain', ['primary', 'second'])
def test_most_of_an_ordinary_table_is_measured_within_two_percent(domain):
    for seed in range(8):
        sensor = replace(sample_depth_sensor(domain, np.random.default_rng(seed)), minimum=0.2)
        answer = measured(table(), sensor)[20:-20, 260:-5]

        assert np.isfinite(answer).mean() > 0.9
        assert np.nanmedian(np.abs(answer / table()[20:-20, 260:-5] - 1)) < 0.02


def test_domains_differ_in_kind():
    primary = [sample_depth_sensor('primary', np.random.default_rng(seed)) for seed in range(20)]
    second = [sample_depth_sensor('second', np.random.default_rng(seed)) for seed in range(20)]

    assert all(isinstance(sensor, StereoSensor) for sensor in primary)
    assert {type(sensor) for sensor in second} == {StereoSensor, TimeOfFlightSensor}


def test_nothing_is_measured_where_nothing_is():
    depth = table()
    depth[:100] = np.nan
    for sensor in (perfect_stereo(), sample_time_of_flight_sensor(np.random.default_rng(0))):
        assert np.isnan(measured(depth, sensor)[:90]).all()


def test_a_perfect_stereo_camera_errs_by_its_quantisation_only():
    depth = table(1.2)
    error = measured(depth, perfect_stereo(unit=1e-6)) - depth
    half_step = depth ** 2 / (616 * 0.055) / 32 / 2

    assert (np.abs(error) <= 1.05 * half_step + 1e-6).all()


def test_depth_steps_of_a_stereo_camera_grow_with_the_square_of_depth():
    steps = []
    for far in (1.6, 3.2):
        values = np.unique(measured(table(far), perfect_stereo(unit=1e-7, maximum=9.0)))
        steps.append(np.median(np.diff(values)))

    assert steps[1] / steps[0] == pytest.approx(4.0, rel=0.1)


def test_depth_is_a_multiple_of_the_unit():
    answer = measured(table(), perfect_stereo(noise=0.1)) * 1000

    np.testing.assert_allclose(answer, np.round(answer), atol=1e-3)


def test_the_shadow_of_a_block_lies_at_its_left_and_is_as_wide_as_geometry_says():
    unknown = np.isnan(measured(block(), perfect_stereo()))
    expected = 616 * (0.055 + 0.015) * (1 / 0.4 - 1 / 0.6)

    width = unknown[100, :140].sum()
    assert width == pytest.approx(expected, abs=2)
    assert unknown[100, 140 - int(width) + 2:138].all()
    assert not unknown[100, 225:].any()
    assert not unknown[30].any()


def test_the_right_camera_does_not_see_the_left_border():
    unknown = np.isnan(measured(np.full((240, 320), 0.5, np.float32), perfect_stereo(border=0.0)))

    assert unknown[50:-50].sum(axis=1) == pytest.approx(616 * 0.07 / 0.5, abs=2)


def test_a_crop_knows_where_in_the_image_it_is():
    depth = np.full((100, 120), 0.5, np.float32)
    camera = CAMERA.crop(180, 80, 120, 100)
    sensor = perfect_stereo(border=0.0)

    assert np.isfinite(measured(depth, sensor, camera=camera, window=(180, 80, 320, 240))).all()
    assert np.isnan(measured(depth, sensor, camera=camera)[:, :80]).all()


def test_fattening_grows_the_foreground():
    thin = (measured(block(), perfect_stereo()) < 0.5).sum()
    fat = (measured(block(), perfect_stereo(fattening=2.0)) < 0.5).sum()

    assert fat > thin + 300


def test_ragged_edges_stay_near_the_true_edge():
    edge = measured(block(), perfect_stereo(raggedness=1.5)) < 0.5
    right_ends = np.array([np.flatnonzero(row).max() for row in edge[70:170]])

    assert right_ends.std() > 0.4
    assert np.abs(right_ends - 219).max() < 8


def test_noise_of_disparity_becomes_noise_of_depth():
    error = measured(np.full((240, 320), 0.8, np.float32),
                     perfect_stereo(noise=0.1, noise_correlation=10.0, unit=1e-6)) - 0.8

    assert error.std() == pytest.approx(0.1 * 0.8 ** 2 / (616 * 0.055), rel=0.25)
    assert np.abs(np.diff(error, axis=1)).mean() < 0.4 * error.std()


@pytest.mark.parametrize(('fault', 'surface'), [
    ({'dark_holes': 0.05}, {'albedo': 0.01}),
    ({'gloss_holes': 0.3}, {'gloss': 1.0}),
    ({'highlight': 0.1}, {'gloss': 1.0, 'cosine': 0.999}),
    ({'grazing': 0.3}, {'cosine': 0.1}),
])
def test_holes_appear_on_surfaces_that_are_hard_to_match_only(fault, surface):
    depth = np.full((240, 320), 0.5, np.float32)
    easy = measured(depth, perfect_stereo(**fault), cosine=0.9)
    hard = measured(depth, perfect_stereo(**fault), **{'cosine': 0.9, **surface})

    assert np.isnan(easy).mean() < 0.001
    assert np.isnan(hard).mean() > 0.1


def test_holes_are_patches():
    depth = np.full((240, 320), 0.5, np.float32)
    holes = np.isnan(measured(depth, perfect_stereo(gloss_holes=0.2, patch=8.0), gloss=1.0))

    alike = (holes[:, 1:] & holes[:, :-1]).sum() / holes[:, 1:].sum()
    assert alike > 2.5 * holes.mean()


def test_what_is_too_near_or_too_far_is_unknown():
    sensor = perfect_stereo(minimum=0.3, maximum=1.0)

    assert np.isnan(measured(np.full((240, 320), 0.25, np.float32), sensor)).all()
    assert np.isnan(measured(np.full((240, 320), 1.5, np.float32), sensor)).all()
    assert np.isfinite(measured(np.full((240, 320), 0.6, np.float32), sensor)).all()


def test_lines_along_edges_are_lost():
    kept = np.isnan(measured(block(), perfect_stereo()))
    lost = np.isnan(measured(block(), perfect_stereo(edge_holes=0.95, edge_step=2.0)))

    assert lost[:, 216:228].sum() > kept[:, 216:228].sum() + 60
    assert not lost[20:40].any()


def test_time_of_flight_noise_grows_with_the_square_of_depth():
    sensor = replace(sample_time_of_flight_sensor(np.random.default_rng(0)), wiggle=0.0,
                     weak_signal=0.0, unit=1e-6, noise=0.002)
    spread = [(measured(np.full((240, 320), z, np.float32), sensor) - z).std()
              for z in (0.6, 1.2)]

    assert spread[1] / spread[0] == pytest.approx(4.0, rel=0.15)


def test_time_of_flight_rounds_concave_corners():
    sensor = replace(sample_time_of_flight_sensor(np.random.default_rng(0)), wiggle=0.0,
                     weak_signal=0.0, unit=1e-6, noise=0.0, multipath=0.5, multipath_radius=15.0)
    columns = np.abs(np.arange(320) - 160)
    corner = np.tile(0.8 - 0.001 * columns, (240, 1)).astype(np.float32)
    answer = measured(corner, sensor)

    assert answer[120, 160] < corner[120, 160] - 0.002
    assert abs(answer[120, 60] - corner[120, 60]) < 0.0005
