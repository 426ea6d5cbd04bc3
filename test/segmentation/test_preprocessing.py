import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.segmentation.preprocessing import (
    CHANNEL_NAMES,
    InputSize,
    color_input,
    detector_input,
    stack_channels,
)

DEPTH_CHANNELS = slice(CHANNEL_NAMES.index('inverse_depth'), None)
NORMAL = slice(CHANNEL_NAMES.index('normal_x'), None)


def frame_of(width: int, height: int, depth: np.ndarray | None = None) -> RGBDFrame:
    rgb = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    camera = CameraIntrinsics.pinhole(width, height, width * 0.95, width * 0.95, width / 2,
                                      height / 2)
    return RGBDFrame(0, 'camera', rgb, depth, camera)


def plane_depth(camera: CameraIntrinsics, normal: np.ndarray, distance: float) -> np.ndarray:
    """Depth of the plane normal . p = -distance, whose normal faces the camera."""
    v, u = np.mgrid[:camera.height, :camera.width]
    rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy,
                     np.ones(u.shape)], axis=-1)
    return (-distance / (rays @ normal)).astype(np.float32)


@given(tilt=st.floats(0, 60), turn=st.floats(0, 360), distance=st.floats(0.3, 1.5))
@settings(max_examples=25, deadline=None)
def test_normals_of_a_plane_are_its_normal(tilt, turn, distance):
    camera = CameraIntrinsics.pinhole(80, 60, 150, 150, 40, 30)
    tilt, turn = np.radians(tilt), np.radians(turn)
    normal = np.array([np.sin(tilt) * np.cos(turn), np.sin(tilt) * np.sin(turn), -np.cos(tilt)])
    channels = stack_channels(np.zeros((60, 80, 3), np.uint8),
                              plane_depth(camera, normal, distance), camera)
    inside = channels[NORMAL, 5:-5, 5:-5].reshape(3, -1).T
    np.testing.assert_allclose(inside, np.broadcast_to(normal, inside.shape), atol=2e-3)


@pytest.mark.parametrize(('width', 'height', 'used'), [
    (640, 480, (320, 240)), (1280, 720, (320, 180)), (848, 480, (320, 181)),
    (320, 240, (320, 240)), (240, 320, (180, 240)), (160, 120, (320, 240))])
def test_every_image_size_fits_with_its_aspect_ratio(width, height, used):
    assert InputSize(320, 240).fit(width, height) == used
    channels = detector_input(frame_of(width, height), InputSize(320, 240))
    assert channels.shape == (8, 240, 320)
    assert (channels[:, used[1]:] == 0).all()
    assert (channels[:, :, used[0]:] == 0).all()


def test_colours_are_normalised_in_the_order_red_green_blue():
    frame = frame_of(320, 240)
    channels = detector_input(frame, InputSize(320, 240))
    expected = (frame.rgb.transpose(2, 0, 1) / 255 - 0.45) / 0.25
    np.testing.assert_allclose(channels[:3], expected, atol=1e-5)


def test_a_frame_without_depth_has_empty_depth_channels():
    channels = detector_input(frame_of(320, 240), InputSize(320, 240))
    assert (channels[DEPTH_CHANNELS] == 0).all()


@pytest.mark.parametrize('value', [np.nan, 0.0, np.inf, -1.0, 0.05, 20.0])
def test_unusable_depth_counts_as_unknown(value):
    depth = np.full((240, 320), 0.8, np.float32)
    depth[100:140, 100:160] = value
    channels = detector_input(frame_of(320, 240, depth), InputSize(320, 240))
    assert np.isfinite(channels).all()
    assert (channels[DEPTH_CHANNELS, 100:140, 100:160] == 0).all()
    assert channels[4].sum() == 320 * 240 - 40 * 60
    assert channels[3, 0, 0] == pytest.approx(1 / 0.8 - 1)


def test_depth_is_never_mixed_between_two_surfaces():
    depth = np.full((480, 640), 0.5, np.float32)
    depth[:, 333:] = 1.5
    channels = detector_input(frame_of(640, 480, depth), InputSize(320, 240))
    values = np.unique(np.round(1 / (channels[3] + 1), 4))
    np.testing.assert_allclose(values, [0.5, 1.5])


def test_depth_of_another_size_is_refused():
    camera = CameraIntrinsics.pinhole(32, 24, 30, 30, 16, 12)
    with pytest.raises(InvalidInputError, match='colour of 32x24 but depth of 16x12'):
        stack_channels(np.zeros((24, 32, 3), np.uint8), np.ones((12, 16), np.float32), camera)


def test_the_colour_only_input_uses_the_given_mean_and_deviation():
    rgb = np.full((60, 80, 3), (255, 0, 51), np.uint8)
    mean, deviation = np.array([0.5, 0.2, 0.1], np.float32), np.array([0.5, 0.1, 0.2], np.float32)
    channels = color_input(rgb, InputSize(80, 64), mean, deviation)
    assert channels.shape == (3, 64, 80)
    np.testing.assert_allclose(channels[:, 30, 40], [1.0, -2.0, 0.5], atol=1e-6)
    assert (channels[:, 60:] == 0).all()
