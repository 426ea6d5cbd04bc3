"""One frame and what was said of it, wherever it comes from: a bag, the graph or the pipeline."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.categories import category_named
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.symmetry import NO_SYMMETRY
from pose_estimation_ros.drawing import OverlayStyle, draw_overlay
from pose_estimation_ros.drawing.shapes import draw_box
from pose_estimation_ros.evaluation.bag_results import FrameResult
from pose_estimation_ros.evaluation.demo_report import EstimatedObject
from pose_estimation_ros.nodes.frame_input import RawFrame

_NUMBER_AT_END = re.compile(r'_(\d+)$')
_TRUTH_COLOR = (255, 255, 255)


@dataclass(frozen=True)
class SeenFrame:
    """A frame with its results.

    Attributes:
        name: Of the frame, for people.
        frame: The undistorted frame.
        objects: What was found, in the frame of the camera.
        latency: Seconds from the stamp to the result; NaN if unknown.
        remarks: What the reader should know of this frame.
        truth: True objects, where a simulated camera told them.
        undrawn: Categories of objects that were found too, but are in another frame.
    """

    name: str
    frame: RGBDFrame
    objects: tuple[ObjectPose, ...]
    latency: float = float('nan')
    remarks: tuple[str, ...] = ()
    truth: tuple[EstimatedObject, ...] = ()
    undrawn: tuple[str, ...] = ()


@dataclass(frozen=True)
class LostFrame:
    """A frame that cannot be shown.

    Attributes:
        name: Of the frame, for people.
        stamp_ns: Its time, nanoseconds.
        fault: What is wrong with it.
    """

    name: str
    stamp_ns: int
    fault: str


def seen_input(raw: RawFrame, *, rectified: bool) -> tuple[RGBDFrame, tuple[str, ...]]:
    """Return a frame to be shown, and a remark if it has depth that cannot be used.

    Args:
        raw: Its messages.
        rectified: Images are rectified: the camera is P without distortion.

    Raises:
        InvalidInputError: If colour or calibration cannot be used.
    """
    # Depth of another camera is registered by the estimator alone.
    frame, fault = raw.read_usable(rectified=rectified)
    return frame, (without_depth(fault),) if fault else ()


def without_depth(fault: str) -> str:
    """Return the remark of a frame whose depth cannot be used; cures are the estimator's."""
    return f'depth is not shown: {fault.partition(";")[0]}'


def seen_frame(name: str, frame: RGBDFrame, result: FrameResult, remarks: Sequence[str] = (),
               truth: Sequence[EstimatedObject] = ()) -> SeenFrame:
    """Join a frame with its published result.

    Args:
        name: Of the frame, for people.
        frame: Undistorted, as the poses mean it.
        result: Of the estimator.
        remarks: What the reader should know of the frame.
        truth: True objects.
    """
    if result.frame_id != frame.frame_id:
        remark = (f'{len(result.objects)} objects are in the frame {result.frame_id}, not in '
                  'that of the camera; they are not drawn')
        return SeenFrame(name, frame, (), result.latency, (*remarks, remark), tuple(truth),
                         tuple(found.category for found in result.objects))
    return SeenFrame(name, frame, tuple(map(_pose, result.objects)), result.latency,
                     tuple(remarks), tuple(truth))


def picture_of(seen: SeenFrame) -> NDArray[np.uint8]:
    """Return the (H, W, 3) RGB image with boxes, axes and names; thin white ones are true."""
    image = draw_overlay(seen.frame.rgb, seen.frame.intrinsics, seen.objects,
                         [pose.detection for pose in seen.objects if pose.detection is not None],
                         OverlayStyle())
    for true in seen.truth:
        draw_box(image, seen.frame.intrinsics, true.T_camera_object, true.size, _TRUTH_COLOR,
                 thickness=1)
    return image


def _pose(found: EstimatedObject) -> ObjectPose:
    category = category_named(found.category)
    number = _NUMBER_AT_END.search(found.identity)
    # Of the surface a recording keeps the box alone; its corners tell a pose where that is.
    corners = found.middle + 0.5 * np.array([[-1.0], [1.0]]) * found.box
    return ObjectPose(found.category, found.score, found.T_camera_object, found.size,
                      NO_SYMMETRY if category is None else category.symmetry, 'recording',
                      int(number[1]) if number else -1, points=corners.astype(np.float32),
                      faces=np.zeros((0, 3), np.int32))
