"""Raw frames whose depth is not aligned: refused with the cure, or projected."""

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.nodes.conversions import camera_info_message, image_message
from pose_estimation_ros.nodes.depth_registrar import DepthRegistrar
from pose_estimation_ros.nodes.frame_input import RawFrame

COLOR = CameraIntrinsics.pinhole(160, 120, 150.0, 150.0, 79.5, 59.5)
DEPTH = CameraIntrinsics.pinhole(80, 60, 60.0, 60.0, 39.5, 29.5)
COLOR_FRAME, DEPTH_FRAME = 'camera_color_optical_frame', 'camera_depth_optical_frame'
# The depth camera sits 50 mm to the right of the colour camera.
T_COLOR_DEPTH = make_transform(np.eye(3), np.array([0.05, 0.0, 0.0]))


def raw_frame(depth_camera=DEPTH, depth_frame=DEPTH_FRAME, metres=0.5, *, with_info=True):
    color, depth = Header(frame_id=COLOR_FRAME), Header(frame_id=depth_frame)
    counts = np.full((depth_camera.height, depth_camera.width), round(1000 * metres), np.uint16)
    counts[:, :10] = 0
    return RawFrame(
        image_message(np.zeros((120, 160, 3), np.uint8), 'rgb8', color),
        image_message(counts, '16UC1', depth), camera_info_message(COLOR, color),
        camera_info_message(depth_camera, depth) if with_info else None)


class Transforms:
    """What TF knows, and what it was asked."""

    def __init__(self):
        self.asked = []

    def find(self, target_frame, source_frame, stamp_ns):
        self.asked.append((target_frame, source_frame, stamp_ns))
        return T_COLOR_DEPTH


@pytest.mark.parametrize(('frame', 'reason'), [
    (raw_frame(), "depth is in frame 'camera_depth_optical_frame'"),
    (raw_frame(depth_frame=COLOR_FRAME), 'depth camera_info is 80x60 but colour is 160x120'),
    (raw_frame(COLOR, with_info=False), "depth is in frame 'camera_depth_optical_frame'"),
    (raw_frame(CameraIntrinsics.pinhole(160, 120, 140.0, 150.0, 79.5, 59.5), COLOR_FRAME),
     'depth has fx=140.0'),
])
def test_depth_that_is_not_aligned_is_refused_with_the_launch_arguments_that_cure_it(
        frame, reason):
    with pytest.raises(InvalidInputError) as caught:
        frame.read(rectified=False)
    assert reason in str(caught.value)
    for cure in ('align_depth.enable:=true', 'depth_registration:=true', 'depth.register'):
        assert cure in str(caught.value)


def test_aligned_depth_is_taken_as_it_is():
    frame = raw_frame(COLOR, COLOR_FRAME).read(rectified=False)
    assert np.isnan(frame.depth[:, :10]).all()
    np.testing.assert_allclose(frame.depth[:, 10:], 0.5)
    # Without a camera_info of depth, its frame and its size must agree.
    frame = raw_frame(COLOR, COLOR_FRAME, with_info=False).read(rectified=False)
    np.testing.assert_allclose(frame.depth[:, 10:], 0.5)


def test_depth_of_another_camera_is_projected_with_the_transform_of_tf():
    transforms = Transforms()
    frame = raw_frame().read(rectified=False, registrar=DepthRegistrar(transforms.find))
    assert transforms.asked == [(COLOR_FRAME, DEPTH_FRAME, 0)]
    assert frame.depth.shape == (120, 160)
    # The first column with depth is 9.5 - 39.5 pixels of 60 beside the axis, and 50 mm further.
    left = (9.5 - 39.5) / 60.0 * 0.5 + 0.05
    first = round(left / 0.5 * 150.0 + 79.5)
    assert np.isnan(frame.depth[60, :first - 2]).all()
    np.testing.assert_allclose(frame.depth[60, first + 2:], 0.5, atol=1e-6)


def test_the_projection_is_prepared_once_and_anew_when_the_camera_changes():
    registrar = DepthRegistrar(Transforms().find)
    first = raw_frame().read(rectified=False, registrar=registrar)
    again = raw_frame(metres=1.0).read(rectified=False, registrar=registrar)
    assert np.nanmedian(first.depth) == 0.5
    assert np.nanmedian(again.depth) == 1.0
    other = CameraIntrinsics.pinhole(40, 30, 30.0, 30.0, 19.5, 14.5)
    changed = raw_frame(other).read(rectified=False, registrar=registrar)
    assert np.nanmedian(changed.depth) == 0.5


def test_two_cameras_in_one_frame_need_no_transform():
    transforms = Transforms()
    frame = raw_frame(depth_frame=COLOR_FRAME).read(
        rectified=False, registrar=DepthRegistrar(transforms.find))
    assert transforms.asked == []
    np.testing.assert_allclose(frame.depth[60, 60:], 0.5, atol=1e-6)


def test_depth_without_camera_info_cannot_be_projected():
    with pytest.raises(InvalidInputError, match='remap depth/camera_info'):
        raw_frame(with_info=False).read(rectified=False,
                                        registrar=DepthRegistrar(Transforms().find))


def test_an_info_of_another_stream_than_the_depth_image_is_told():
    frame = raw_frame()
    info = CameraInfo(header=frame.depth_info.header, width=320, height=240,
                      k=[240.0, 0.0, 159.5, 0.0, 240.0, 119.5, 0.0, 0.0, 1.0])
    wrong = RawFrame(frame.color, frame.depth, frame.color_info, info)
    with pytest.raises(InvalidInputError, match='depth image is 80x60 but its camera_info says'):
        wrong.read(rectified=False, registrar=DepthRegistrar(Transforms().find))
