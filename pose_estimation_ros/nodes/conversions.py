"""ROS messages to plain values and back.

Input images are read without a copy where their layout allows it. Output bytes go through
`array.array`, because assigning a NumPy array to a message field checks every element.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, Quaternion
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField
from std_msgs.msg import Header

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import quaternion_to_matrix
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.nodes.compressed_images import decode_color, decode_depth, is_of_colors


@dataclass(frozen=True)
class _Layout:
    dtype: str
    channels: int
    to_rgb: int | None = None


_COLOR_LAYOUTS = {
    'rgb8': _Layout('u1', 3),
    'bgr8': _Layout('u1', 3, cv2.COLOR_BGR2RGB),
    'rgba8': _Layout('u1', 4, cv2.COLOR_RGBA2RGB),
    'bgra8': _Layout('u1', 4, cv2.COLOR_BGRA2RGB),
    'mono8': _Layout('u1', 1, cv2.COLOR_GRAY2RGB),
}
_DEPTH_LAYOUTS = {'16UC1': _Layout('u2', 1), 'mono16': _Layout('u2', 1), '32FC1': _Layout('f4', 1)}
_MILLIMETRE = np.float32(0.001)
_CLOUD_DTYPE = np.dtype([('x', '<f4'), ('y', '<f4'), ('z', '<f4'), ('rgb', '<u4')])
# Two drivers' statements of one camera differ by rounding only.
_SAME_CAMERA_PIXELS = 0.5


def stamp_to_ns(stamp: Time) -> int:
    """Return a stamp in nanoseconds."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def ns_to_stamp(stamp_ns: int) -> Time:
    """Return nanoseconds as a stamp."""
    return Time(sec=stamp_ns // 1_000_000_000, nanosec=stamp_ns % 1_000_000_000)


def color_image(message: Image | CompressedImage) -> NDArray[np.uint8]:
    """Return the (H, W, 3) uint8 RGB image of a message.

    Raises:
        InvalidInputError: If the encoding is unknown or data are missing.
    """
    if isinstance(message, CompressedImage):
        if not is_of_colors(message.format):
            raise _unknown_encoding(message.format.partition(';')[0], _COLOR_LAYOUTS, 'colour')
        return decode_color(message)
    layout = _layout(message, _COLOR_LAYOUTS, 'colour')
    pixels = _pixels(message, layout, 'colour')
    if layout.to_rgb is None:
        return pixels
    return np.asarray(cv2.cvtColor(pixels, layout.to_rgb), np.uint8)


def depth_image(message: Image | CompressedImage) -> NDArray[np.float32]:
    """Return the (H, W) float32 depth in metres of a message, NaN = unknown.

    The encoding alone says the unit: 16UC1 and mono16 are millimetres with 0 = unknown, 32FC1 is
    metres. Infinite, zero and negative depths become NaN (REP 117 and 118).

    Raises:
        InvalidInputError: If the encoding is unknown or data are missing.
    """
    counts = (decode_depth(message) if isinstance(message, CompressedImage)
              else _pixels(message, _layout(message, _DEPTH_LAYOUTS, 'depth'), 'depth'))
    depth = (counts.astype(np.float32) if counts.dtype.kind == 'f'
             else counts.astype(np.float32) * _MILLIMETRE)
    depth[~((depth > 0) & (depth < np.inf))] = np.nan
    return depth


def camera_intrinsics(message: CameraInfo, *, rectified: bool = False) -> CameraIntrinsics:
    """Return the intrinsics of the delivered image, binning and region of interest applied.

    Args:
        message: The camera info.
        rectified: The image was rectified by the driver: its camera is `P`, without distortion.

    Raises:
        InvalidInputError: If the camera is not calibrated or its distortion model is unknown.
    """
    if rectified and not (message.p[0] > 0 and message.p[5] > 0):
        raise InvalidInputError(
            f'color.rectified is set but P of camera_info has fx={message.p[0]:g}, '
            f'fy={message.p[5]:g}; publish P of the rectified image, or set the '
            'parameter color.rectified to false if the image is not rectified')
    full = CameraIntrinsics(
        message.width, message.height, np.array(message.k, dtype=np.float64).reshape(3, 3),
        message.distortion_model or 'plumb_bob',
        # The driver has removed the distortion already, whatever its model was.
        np.zeros(0) if rectified else np.array(message.d, dtype=np.float64),
        np.array(message.r, dtype=np.float64).reshape(3, 3),
        np.array(message.p, dtype=np.float64).reshape(3, 4))
    (full.rectified() if rectified else full).check_plausible()
    roi = message.roi
    delivered = full.apply_binning_and_roi(
        (message.binning_x, message.binning_y),
        (roi.x_offset, roi.y_offset, roi.width, roi.height))
    return delivered.rectified() if rectified else delivered


def misalignment(color: CameraIntrinsics, depth: CameraIntrinsics) -> str | None:
    """Return why depth is not that of the colour camera, None if it is.

    Args:
        color: Camera of the colour image.
        depth: Camera of the depth image.
    """
    sizes = [f'{camera.width}x{camera.height}' for camera in (color, depth)]
    if sizes[0] != sizes[1]:
        return f'depth camera_info is {sizes[1]} but colour is {sizes[0]}: depth is not aligned'
    if np.abs(color.K - depth.K).max() > _SAME_CAMERA_PIXELS:
        return (f'depth has fx={depth.fx:.1f}, cx={depth.cx:.1f}, cy={depth.cy:.1f} but colour '
                f'has fx={color.fx:.1f}, cx={color.cx:.1f}, cy={color.cy:.1f}: depth is not '
                'aligned')
    return None


def depth_intrinsics(message: CameraInfo, *, rectified: bool = False) -> CameraIntrinsics:
    """Return the intrinsics of a depth image.

    Args:
        message: Its camera info. Of rectified images too, drivers may leave out `P`.
        rectified: The images were rectified by the driver.

    Raises:
        InvalidInputError: If the camera is not calibrated or its distortion model is unknown.
    """
    try:
        return camera_intrinsics(message, rectified=rectified and message.p[0] > 0)
    except InvalidInputError as error:
        raise InvalidInputError(f'depth camera_info: {error}') from error


def image_message(image: NDArray[Any], encoding: str, header: Header) -> Image:
    """Return an image message of a C-contiguous (H, W[, C]) array in that encoding."""
    contiguous = np.ascontiguousarray(image)
    message = Image(header=header, height=image.shape[0], width=image.shape[1],
                    encoding=encoding, is_bigendian=0, step=contiguous.strides[0])
    message.data = _bytes(contiguous)
    return message


def camera_info_message(intrinsics: CameraIntrinsics, header: Header) -> CameraInfo:
    """Return the camera info of intrinsics."""
    return CameraInfo(header=header, width=intrinsics.width, height=intrinsics.height,
                      distortion_model=intrinsics.distortion_model, d=intrinsics.D.tolist(),
                      k=intrinsics.K.reshape(-1), r=np.asarray(intrinsics.R).reshape(-1),
                      p=np.asarray(intrinsics.P).reshape(-1))


def cloud_message(points: NDArray[np.float32], colors: NDArray[np.uint8],
                  header: Header) -> PointCloud2:
    """Return a coloured point cloud.

    Args:
        points: (N, 3) metres, in the header's frame.
        colors: (N, 3) RGB.
        header: Stamp and frame.
    """
    cloud = np.empty(len(points), dtype=_CLOUD_DTYPE)
    cloud['x'], cloud['y'], cloud['z'] = points[:, 0], points[:, 1], points[:, 2]
    red, green, blue = (colors[:, i].astype(np.uint32) for i in range(3))
    cloud['rgb'] = red << 16 | green << 8 | blue
    fields = [PointField(name=name, offset=4 * i, count=1,
                         datatype=PointField.UINT32 if name == 'rgb' else PointField.FLOAT32)
              for i, name in enumerate(('x', 'y', 'z', 'rgb'))]
    message = PointCloud2(header=header, height=1, width=len(points), fields=fields,
                          is_bigendian=False, point_step=_CLOUD_DTYPE.itemsize,
                          row_step=_CLOUD_DTYPE.itemsize * len(points), is_dense=True)
    message.data = _bytes(cloud)
    return message


def cloud_points(message: PointCloud2) -> NDArray[np.float64]:
    """Return the (N, 3) points, metres, of a cloud as `cloud_message` makes it.

    Raises:
        InvalidInputError: If the cloud has another layout.
    """
    names = tuple(field.name for field in message.fields)
    if names != _CLOUD_DTYPE.names or message.point_step != _CLOUD_DTYPE.itemsize:
        raise InvalidInputError(f'the cloud has fields {", ".join(names)} in steps of '
                                f'{message.point_step} bytes; subscribe to object_points of '
                                'pose_estimator')
    cloud = np.frombuffer(message.data, _CLOUD_DTYPE)
    return np.stack([cloud[name] for name in ('x', 'y', 'z')], axis=1).astype(np.float64)


def pose_message(T: NDArray[np.float64], quaternion: Sequence[float]) -> Pose:
    """Return a pose message of a (4, 4) transform, with the quaternion (xyzw) given for it."""
    x, y, z = T[:3, 3].tolist()
    qx, qy, qz, qw = (float(value) for value in quaternion)
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


def pose_matrix(message: Pose) -> NDArray[np.float64]:
    """Return the (4, 4) transform of a pose message."""
    p, q = message.position, message.orientation
    return make_transform(quaternion_to_matrix((q.x, q.y, q.z, q.w)), (p.x, p.y, p.z))


def _layout(message: Image, known: dict[str, _Layout], what: str) -> _Layout:
    if message.encoding not in known:
        raise _unknown_encoding(message.encoding, known, what)
    return known[message.encoding]


def _unknown_encoding(encoding: str, known: Iterable[str], what: str) -> InvalidInputError:
    return InvalidInputError(f'{what} image has unknown encoding {encoding!r}; '
                             f'publish one of {", ".join(known)}')


def _pixels(message: Image, layout: _Layout, what: str) -> NDArray[Any]:
    """Return (H, W) or (H, W, C) pixels in native byte order, a view where possible."""
    dtype = np.dtype(layout.dtype)
    row_bytes = message.width * layout.channels * dtype.itemsize
    if message.width == 0 or message.height == 0 or message.step < row_bytes:
        raise InvalidInputError(
            f'{what} image says {message.width}x{message.height} {message.encoding} with a step '
            f'of {message.step} bytes; a row needs at least {row_bytes}: fix the driver')
    # The padding of the last row may be missing.
    needed = message.step * (message.height - 1) + row_bytes
    if len(message.data) < needed:
        raise InvalidInputError(
            f'{what} image is truncated: {len(message.data)} of {needed} bytes for '
            f'{message.width}x{message.height} {message.encoding}; fix the driver or transport')
    data = np.frombuffer(message.data, np.uint8)
    rows = np.lib.stride_tricks.as_strided(data, (message.height, row_bytes), (message.step, 1),
                                           writeable=False)
    pixels = np.ascontiguousarray(rows).view(dtype.newbyteorder('>' if message.is_bigendian
                                                                else '<'))
    pixels = pixels.astype(dtype, copy=False)
    if layout.channels > 1:
        return pixels.reshape(message.height, message.width, layout.channels)
    return pixels


def _bytes(contiguous: NDArray[Any]) -> array[int]:
    data = array('B')
    data.frombytes(memoryview(contiguous).cast('B') if contiguous.size else b'')
    return data
