import cv2
import numpy as np
import pytest

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.evaluation.image_statistics import measure, summarize


def frame(depth=None, rgb=None):
    if depth is None:
        depth = np.full((240, 320), 0.6, dtype=np.float32)
    if rgb is None:
        rgb = np.full((240, 320, 3), 90, dtype=np.uint8)
    return RGBDFrame(0, 'camera', rgb, depth, CameraIntrinsics.pinhole(320, 240, 300, 300, 160,
                                                                       120))


def test_a_flat_frame_has_no_holes_no_noise_and_no_texture():
    statistics = measure(frame())

    assert statistics.unknown == 0
    assert statistics.unknown_off_edges == 0
    assert statistics.plane_noise < 1e-6
    assert statistics.equal_neighbors == 1
    assert statistics.laplacian_variance == 0
    assert statistics.brightness == 90


def test_depth_beyond_the_asked_range_is_unknown():
    depth = np.full((240, 320), 0.6, dtype=np.float32)
    depth[:60] = 1.2

    assert measure(frame(depth), maximum_depth=0.9).unknown == pytest.approx(0.25)
    assert measure(frame(depth)).unknown == 0


def test_holes_at_edges_are_told_from_holes_elsewhere():
    depth = np.full((240, 320), 0.6, dtype=np.float32)
    depth[60:180, 140:220] = 0.4
    depth[60:180, 120:140] = np.nan
    depth[200:210, 40:50] = np.nan

    statistics = measure(frame(depth))

    assert statistics.unknown_off_edges == pytest.approx(100 / (240 * 320), rel=0.1)
    assert statistics.unknown_near_edges > 0.1
    assert statistics.unknown_inside == pytest.approx((120 * 20 + 100) / (240 * 320), rel=1e-5)


def test_hole_width_is_the_shadow_per_length_of_edge():
    widths = []
    for shadow in (10, 20):
        depth = np.full((240, 320), 0.6, dtype=np.float32)
        depth[60:180, 140:220] = 0.4
        depth[60:180, 140 - shadow:140] = np.nan
        widths.append(measure(frame(depth)).hole_width)

    assert widths[1] == pytest.approx(2 * widths[0], rel=0.02)


def test_the_unit_of_depth_is_found():
    ramp = np.tile(np.linspace(0.4, 0.9, 240, dtype=np.float32)[:, None], (1, 320))
    coarse = (np.round(ramp / 0.004) * 0.004).astype(np.float32)

    assert measure(frame(coarse)).depth_step == pytest.approx(0.004, rel=0.01)


def test_noise_on_a_slanted_plane_is_found_relative_to_squared_depth():
    generator = np.random.default_rng(0)
    plane = 1 / np.tile(np.linspace(1.5, 1.3, 240)[:, None], (1, 320))
    noisy = plane + generator.normal(0, 0.002, plane.shape) * plane ** 2

    statistics = measure(frame(noisy.astype(np.float32)))

    assert statistics.plane_noise == pytest.approx(0.002, rel=0.05)
    assert statistics.fine_noise == pytest.approx(0.002, rel=0.05)


def test_smooth_noise_is_not_fine_noise():
    noise = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 1, (240, 320)), (0, 0), 4)
    depth = (0.6 + 0.002 * noise / noise.std()).astype(np.float32)

    statistics = measure(frame(depth))

    assert statistics.fine_noise < 0.1 * statistics.plane_noise


def test_ragged_edges_are_rougher_than_slanted_ones():
    generator = np.random.default_rng(0)
    roughness = []
    for amplitude in (0.0, 1.2):
        depth = np.full((240, 320), 0.8, dtype=np.float32)
        for row in range(240):
            start = round(150 + 0.2 * row + generator.normal(0, amplitude))
            depth[row, start:] = 0.5
        roughness.append(measure(frame(depth)).edge_raggedness)

    assert roughness[0] < 0.4
    assert roughness[1] > 2 * roughness[0]


def test_saturation_sharpness_and_noise_of_colour():
    red = np.zeros((240, 320, 3), dtype=np.uint8)
    red[..., 0] = 200
    checks = (np.indices((240, 320)).sum(axis=0) // 8 % 2 * 200).astype(np.uint8)
    checks = np.repeat(checks[..., None], 3, axis=2)
    noisy = (128 + np.random.default_rng(0).normal(0, 3, (240, 320))).astype(np.uint8)

    assert measure(frame(rgb=red)).saturation == pytest.approx(1.0)
    assert measure(frame(rgb=checks)).laplacian_variance > 1000
    assert measure(frame(rgb=np.repeat(noisy[..., None], 3, axis=2))).color_noise == \
        pytest.approx(3.0, rel=0.15)


def test_rare_holes_count_in_a_summary():
    holed = np.full((240, 320), 0.6, dtype=np.float32)
    holed[100:120, 100:120] = np.nan

    summary = summarize([measure(frame()), measure(frame()), measure(frame(holed))])

    assert summary.unknown_off_edges == pytest.approx(400 / (240 * 320) / 3, rel=1e-3)


def test_frames_without_depth_are_refused():
    plain = RGBDFrame(0, 'camera', np.zeros((240, 320, 3), np.uint8), None,
                      CameraIntrinsics.pinhole(320, 240, 300, 300, 160, 120))

    with pytest.raises(InvalidInputError, match='no depth'):
        measure(plain)
