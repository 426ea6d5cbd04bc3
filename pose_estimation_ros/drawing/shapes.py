"""Lines and areas of one object on an image: box, axes, mask. All in place, anti-aliased."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.boxes import BOX_EDGES, box_corners
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.detection import Detection

Color = tuple[int, int, int]

# x red, y green, z blue, as in RViz.
AXIS_COLORS: tuple[Color, ...] = ((220, 50, 47), (60, 180, 75), (38, 110, 220))
_NEAR = 0.01
_SUBPIXEL_BITS = 4
_FARTHEST_PIXEL = 1e5
# A dark rim tells lines from any background.
_RIM: Color = (20, 20, 20)
# Corners with y > 0: the lid of the box, drawn brighter, shows which way is up.
_TOP_EDGES = frozenset(edge for edge in BOX_EDGES if all(corner & 2 for corner in edge))


def draw_box(image: NDArray[np.uint8], intrinsics: CameraIntrinsics,
             T_camera_object: NDArray[np.float64], size: NDArray[np.float64], color: Color,
             thickness: int = 2) -> None:
    """Draw the edges of an oriented box; those of its +y side are brightened.

    Edges behind the box are thin, so that one sees which side is in front.

    Args:
        image: (H, W, 3) uint8 RGB, drawn on.
        intrinsics: Camera of the image, without distortion.
        T_camera_object: (4, 4) pose of the box, metres.
        size: (3,) extents, metres.
        color: RGB, 0 to 255.
        thickness: Of the lines, pixels.
    """
    corners = box_corners(T_camera_object, size)
    bright = brighten(color)
    hidden = _hidden_edges(T_camera_object, size)
    for edge in sorted(BOX_EDGES, key=lambda e: (e not in hidden, e in _TOP_EDGES)):
        own = bright if edge in _TOP_EDGES else color
        if edge in hidden:
            draw_segment(image, intrinsics, corners[edge[0]], corners[edge[1]], own, 1)
        else:
            draw_rimmed_segment(image, intrinsics, corners[edge[0]], corners[edge[1]], own,
                                thickness)


def _hidden_edges(T_camera_object: NDArray[np.float64],
                  size: NDArray[np.float64]) -> set[tuple[int, int]]:
    """Return the edges of a box both of whose faces look away from the camera."""
    R, t = T_camera_object[:3, :3], T_camera_object[:3, 3]
    camera = -R.T @ t
    # Whether the camera is beyond the face at the lower and at the upper end of each axis.
    seen = np.stack([camera < -0.5 * size, camera > 0.5 * size], axis=1)
    if not seen.any():
        return set()
    hidden = set()
    for a, b in BOX_EDGES:
        # The bits of a corner's index are its x, y and z; an edge's own axis is where they differ.
        sides = [(axis, a >> (2 - axis) & 1) for axis in range(3) if not (a ^ b) >> (2 - axis) & 1]
        if not any(seen[axis, side] for axis, side in sides):
            hidden.add((a, b))
    return hidden


def draw_axes(image: NDArray[np.uint8], intrinsics: CameraIntrinsics,
              T_camera_object: NDArray[np.float64], length: float, thickness: int = 2) -> None:
    """Draw the object's axes from its origin: x red, y green, z blue; farthest first."""
    origin = T_camera_object[:3, 3]
    ends = origin + length * T_camera_object[:3, :3].T
    for axis in np.argsort(-ends[:, 2]):
        draw_rimmed_segment(image, intrinsics, origin, ends[axis], AXIS_COLORS[axis], thickness)


def draw_outline(image: NDArray[np.uint8], intrinsics: CameraIntrinsics,
                 segments: NDArray[np.float64], color: Color, thickness: int = 2) -> None:
    """Draw line segments, such as the outline of a gripper.

    Args:
        image: (H, W, 3) uint8 RGB, drawn on.
        intrinsics: Camera of the image, without distortion.
        segments: (S, 2, 3) both ends of each, metres, camera frame.
        color: RGB, 0 to 255.
        thickness: Of the lines, pixels.
    """
    # All rims first: they must not cut the lines apart where these meet.
    for start, end in segments:
        draw_segment(image, intrinsics, start, end, _RIM, thickness + 2)
    for start, end in segments:
        draw_segment(image, intrinsics, start, end, color, thickness)


def draw_rimmed_segment(image: NDArray[np.uint8], intrinsics: CameraIntrinsics,
                        start: NDArray[np.float64], end: NDArray[np.float64], color: Color,
                        thickness: int) -> None:
    """Draw the line between two points of the camera frame on a slightly wider dark one."""
    draw_segment(image, intrinsics, start, end, _RIM, thickness + 2)
    draw_segment(image, intrinsics, start, end, color, thickness)


def draw_segment(image: NDArray[np.uint8], intrinsics: CameraIntrinsics,
                 start: NDArray[np.float64], end: NDArray[np.float64], color: Color,
                 thickness: int) -> None:
    """Draw the line between two points of the camera frame, cut off behind the camera."""
    if start[2] < _NEAR and end[2] < _NEAR:
        return
    points = np.stack([start, end])
    behind = points[:, 2] < _NEAR
    if behind.any():
        inside, outside = points[~behind][0], points[behind][0]
        share = (inside[2] - _NEAR) / (inside[2] - outside[2])
        points[behind] = inside + share * (outside - inside)
    pixels = np.clip(intrinsics.project(points), -_FARTHEST_PIXEL, _FARTHEST_PIXEL)
    (u0, v0), (u1, v1) = np.rint(pixels * 2 ** _SUBPIXEL_BITS).astype(int).tolist()
    cv2.line(image, (u0, v0), (u1, v1), color, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)


def draw_mask(image: NDArray[np.uint8], detection: Detection, color: Color,
              opacity: float = 0.35) -> None:
    """Tint the pixels of a detection's mask and outline it.

    Args:
        image: (H, W, 3) uint8 RGB, drawn on.
        detection: Its mask is tinted; parts outside the image are cut off.
        color: RGB, 0 to 255.
        opacity: Share of `color` in the tint, 0 to 1.
    """
    x, y = detection.offset
    height, width = image.shape[:2]
    top, left = max(-y, 0), max(-x, 0)
    mask = np.ascontiguousarray(
        detection.mask[top:max(height - y, 0), left:max(width - x, 0)]).view(np.uint8)
    if not mask.any():
        return
    x, y = x + left, y + top
    window = image[y:y + mask.shape[0], x:x + mask.shape[1]]
    inside = mask.astype(bool)
    tinted = window[inside] * (1.0 - opacity) + np.array(color) * opacity
    window[inside] = tinted.astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(image, contours, -1, color, 1, cv2.LINE_AA, offset=(x, y))


def brighten(color: Color) -> Color:
    """Return a colour half-way to white."""
    red, green, blue = ((channel + 255) // 2 for channel in color)
    return red, green, blue
