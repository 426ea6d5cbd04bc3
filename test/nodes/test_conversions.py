from array import array

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image, RegionOfInterest
from std_msgs.msg import Header

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.nodes.conversions import (
    camera_info_message,
    camera_intrinsics,
    cloud_message,
    color_image,
    depth_image,
    depth_intrinsics,
    image_message,
    misalignment,
    ns_to_stamp,
    pose_matrix,
    pose_message,
    stamp_to_ns,
)

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
ALPHA = np.full((5, 7, 1), 9, np.uint8)
GRAY = np.arange(35, dtype=np.uint8).reshape(5, 7)


@pytest.mark.parametrize(('encoding', 'image', 'expected'), [
    ('rgb8', RGB, RGB),
    ('bgr8', RGB[..., ::-1], RGB),
    ('rgba8', np.concatenate([RGB, ALPHA], axis=2), RGB),
    ('bgra8', np.concatenate([RGB[..., ::-1], ALPHA], axis=2), RGB),
    ('mono8', GRAY, np.repeat(GRAY[..., None], 3, axis=2)),
])
def test_every_colour_encoding_becomes_rgb(encoding, image, expected):
    read = color_image(image_message(image, encoding, Header()))
    np.testing.assert_array_equal(read, expected)


def with_padding(message: Image, padding: int) -> Image:
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    message.step += padding
    message.data = array('B', padded.tobytes())
    return message


@pytest.mark.parametrize('padding', [1, 2, 5])
def test_padding_at_the_end_of_rows_is_left_out_whatever_its_length(padding):
    message = with_padding(image_message(RGB, 'rgb8', Header()), padding)
    np.testing.assert_array_equal(color_image(message), RGB)
    depth = np.arange(1, 36, dtype=np.uint16).reshape(5, 7)
    message = with_padding(image_message(depth, '16UC1', Header()), padding)
    np.testing.assert_allclose(depth_image(message), depth / 1000.0, rtol=1e-6)


def test_the_last_row_may_lack_its_padding():
    message = with_padding(image_message(RGB, 'rgb8', Header()), 3)
    message.data = message.data[:-3]
    np.testing.assert_array_equal(color_image(message), RGB)


def test_an_rgb_image_is_read_without_a_copy():
    message = image_message(RGB, 'rgb8', Header())
    assert np.shares_memory(color_image(message), np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize('encoding', ['16UC1', 'mono16'])
@pytest.mark.parametrize('is_bigendian', [0, 1])
def test_depth_in_millimetres_is_read_in_both_byte_orders_and_zero_is_unknown(
        encoding, is_bigendian):
    depth = np.array([[0, 500, 65535]], np.uint16)
    message = image_message(depth.astype('>u2' if is_bigendian else '<u2'), encoding, Header())
    message.is_bigendian = is_bigendian
    read = depth_image(message)
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, [[np.nan, 0.5, 65.535]], rtol=1e-6)


@pytest.mark.parametrize('is_bigendian', [0, 1])
def test_depth_in_metres_keeps_only_finite_positive_values(is_bigendian):
    depth = np.array([[0.0, 0.5, np.inf, -np.inf, np.nan, -1.0]], np.float32)
    message = image_message(depth.astype('>f4' if is_bigendian else '<f4'), '32FC1', Header())
    message.is_bigendian = is_bigendian
    np.testing.assert_allclose(depth_image(message), [[np.nan, 0.5, *[np.nan] * 4]])


def test_a_step_shorter_than_a_row_is_refused():
    message = image_message(RGB, 'rgb8', Header())
    message.step = 20
    with pytest.raises(InvalidInputError, match='a row needs at least 21'):
        color_image(message)


def info(**changes) -> CameraInfo:
    message = CameraInfo(width=640, height=480, distortion_model='plumb_bob',
                         k=[600.0, 0.0, 319.5, 0.0, 610.0, 239.5, 0.0, 0.0, 1.0],
                         r=np.eye(3).reshape(-1),
                         p=[580.0, 0.0, 310.0, 0.0, 0.0, 580.0, 230.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def test_the_camera_is_k_and_d_for_raw_images_and_p_for_rectified_ones():
    message = info(d=[0.1, 0.0, 0.0, 0.0, 0.0])
    raw = camera_intrinsics(message)
    assert (raw.fx, raw.fy, raw.cx, raw.is_distorted) == (600.0, 610.0, 319.5, True)
    rectified = camera_intrinsics(message, rectified=True)
    assert (rectified.fx, rectified.fy, rectified.cx) == (580.0, 580.0, 310.0)
    assert not rectified.is_distorted


def test_binning_and_region_of_interest_shift_and_scale_the_camera():
    message = info(binning_x=2, binning_y=2,
                   roi=RegionOfInterest(x_offset=40, y_offset=20, width=400, height=300))
    camera = camera_intrinsics(message)
    assert (camera.width, camera.height) == (200, 150)
    assert camera.fx == pytest.approx(300.0)
    # Full pixel 40 + 2 u + 0.5 is the middle of binned pixel u.
    assert camera.cx == pytest.approx((319.5 - 40 - 0.5) / 2)


@pytest.mark.parametrize(('model', 'coefficients'), [
    ('plumb_bob', [0.1, -0.2, 0.001, 0.002, 0.05]),
    ('rational_polynomial', [0.4, -0.3, 0.001, -0.0005, 0.05, 0.38, -0.28, 0.04]),
    ('equidistant', [0.05, -0.01, 0.002, -0.0003]),
])
def test_every_distortion_model_is_that_of_opencv(model, coefficients):
    camera = camera_intrinsics(info(distortion_model=model, d=coefficients))
    points = np.random.default_rng(0).uniform((-0.3, -0.2, 0.9), (0.3, 0.2, 1.1), (50, 3))
    project = cv2.fisheye.projectPoints if model == 'equidistant' else cv2.projectPoints
    expected = project(points[:, None], np.zeros(3), np.zeros(3), camera.K,
                       np.array(coefficients))[0]
    np.testing.assert_allclose(camera.project(points), expected[:, 0], atol=1e-6)


def test_an_unknown_distortion_model_is_refused_only_if_it_bends():
    with pytest.raises(InvalidInputError, match="unknown distortion model 'magic'"):
        camera_intrinsics(info(distortion_model='magic', d=[0.1]))
    assert not camera_intrinsics(info(distortion_model='magic', d=[0.0, 0.0])).is_distorted
    assert camera_intrinsics(info(distortion_model='')).fx == 600.0


def test_binning_applies_to_rectified_cameras_too():
    camera = camera_intrinsics(info(binning_x=2, binning_y=2), rectified=True)
    assert (camera.width, camera.height, camera.fx) == (320, 240, 290.0)


def test_an_uncalibrated_camera_is_refused_with_the_cure():
    with pytest.raises(InvalidInputError, match=r'not calibrated: K has fx=0.*calibrate'):
        camera_intrinsics(info(k=np.zeros(9)))


@pytest.mark.parametrize(('changes', 'rectified'), [
    ({'k': [1e300, 0, 320, 0, 600, 240, 0, 0, 1]}, False),
    ({'k': [600, 0, 320, 0, 1e-300, 240, 0, 0, 1]}, False),
    ({'k': [600, 0, 1e9, 0, 600, 240, 0, 0, 1]}, False),
    ({'p': [1e300, 0, 320, 0, 0, 600, 240, 0, 0, 0, 1, 0]}, True)])
def test_a_calibration_that_no_camera_has_is_refused(changes, rectified):
    changes = {name: [float(x) for x in values] for name, values in changes.items()}
    with pytest.raises(InvalidInputError, match='camera is not calibrated: camera_info has'):
        camera_intrinsics(info(**changes), rectified=rectified)


def test_the_calibration_of_a_small_region_is_that_of_the_whole_image():
    roi = RegionOfInterest(x_offset=2, y_offset=4, width=4, height=4)
    camera = camera_intrinsics(info(roi=roi))
    assert (camera.width, camera.cx) == (4, camera_intrinsics(info()).cx - 2)


def test_camera_infos_survive_the_round_trip():
    camera = CameraIntrinsics(320, 240, np.array([[300.0, 0, 150], [0, 310, 110], [0, 0, 1]]),
                              D=np.array([0.1, -0.2, 0.001, 0.002, 0.05]))
    read = camera_intrinsics(camera_info_message(camera, Header()))
    np.testing.assert_array_equal(read.K, camera.K)
    np.testing.assert_array_equal(read.D, camera.D)


@pytest.mark.parametrize(('changes', 'reason'), [
    ({'width': 1280}, 'depth camera_info is 1280x480 but colour is 640x480'),
    ({'k': [500.0, 0.0, 319.5, 0.0, 610.0, 239.5, 0.0, 0.0, 1.0]}, 'fx=500.0'),
    ({'k': [600.0, 0.0, 325.0, 0.0, 610.0, 239.5, 0.0, 0.0, 1.0]}, 'cx=325.0'),
    ({'binning_x': 2, 'binning_y': 2}, 'depth camera_info is 320x240'),
    ({'roi': RegionOfInterest(x_offset=8, y_offset=0, width=632, height=480)}, '632x480'),
])
def test_depth_of_another_camera_is_not_taken_as_aligned(changes, reason):
    color = camera_intrinsics(info())
    assert misalignment(color, depth_intrinsics(info())) is None
    fault = misalignment(color, depth_intrinsics(info(**changes)))
    assert reason in fault
    assert 'depth is not aligned' in fault


def test_the_rectified_camera_is_compared_with_the_rectified_depth():
    color = camera_intrinsics(info(), rectified=True)
    assert misalignment(color, depth_intrinsics(info(), rectified=True)) is None
    # A driver whose depth info has no P: K is what its image shows.
    without_p = info(p=np.zeros(12), k=[580.0, 0.0, 310.0, 0.0, 580.0, 230.0, 0.0, 0.0, 1.0])
    assert misalignment(color, depth_intrinsics(without_p, rectified=True)) is None


def test_an_uncalibrated_depth_camera_is_named_as_such():
    with pytest.raises(InvalidInputError, match='depth camera_info: camera is not calibrated'):
        depth_intrinsics(info(k=np.zeros(9)))


def test_stamps_keep_every_nanosecond():
    for stamp in (0, 1, 999_999_999, 1_795_219_503_000_780_257):
        assert stamp_to_ns(ns_to_stamp(stamp)) == stamp


def test_poses_survive_the_round_trip():
    T = make_transform(np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), [0.1, -0.2, 0.9])
    half = np.sqrt(0.5)
    np.testing.assert_allclose(pose_matrix(pose_message(T, (0, 0, half, half))), T, atol=1e-12)


def test_a_cloud_holds_points_and_packed_colours():
    points = np.array([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.25]], np.float32)
    colors = np.array([[255, 128, 1], [0, 0, 7]], np.uint8)
    message = cloud_message(points, colors, Header(frame_id='camera'))
    cloud = np.frombuffer(message.data, np.float32).reshape(2, 4)
    np.testing.assert_array_equal(cloud[:, :3], points)
    assert cloud[:, 3].copy().view(np.uint32).tolist() == [0xff8001, 0x000007]
    assert (message.point_step, message.row_step, message.width) == (16, 32, 2)
    assert [f.name for f in message.fields] == ['x', 'y', 'z', 'rgb']


def test_a_cloud_may_be_empty():
    message = cloud_message(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), Header())
    assert (message.width, len(message.data)) == (0, 0)


def test_rectified_images_without_a_projection_name_the_parameter():
    info = CameraInfo(width=160, height=120, k=[140.0, 0.0, 79.5, 0.0, 140.0, 59.5, 0.0, 0.0, 1.0])
    with pytest.raises(InvalidInputError, match='P of camera_info has fx=0.*rectified to false'):
        camera_intrinsics(info, rectified=True)
