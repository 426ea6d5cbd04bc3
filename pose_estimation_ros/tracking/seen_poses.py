"""The poses of one frame as tracking looks at them: arrays in the frame of the tracks.

A pose is that of a point in the object's middle, with the object's axes: a wrong rotation must not
move an object whose CAD file has its origin far from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.pose_covariance import at_other_point, turned
from pose_estimation_ros.core.se3 import at_point
from pose_estimation_ros.core.symmetry import Symmetry
from pose_estimation_ros.tracking.appearance import appearances
from pose_estimation_ros.tracking.assignment import Sightings
from pose_estimation_ros.tracking.motion import usable_covariances, with_settled_spin

FloatArray = NDArray[np.float64]

_NO_COLOURS = np.zeros((1, 1, 3), np.uint8)


@dataclass(frozen=True, eq=False)
class SeenPoses:
    """The P poses of one frame in the frame of the tracks.

    Attributes:
        T: (P, 4, 4) poses of the points that are followed.
        followed: (P, 3) these points, object frames, metres.
        covariance: (P, 6, 6), known for all; the spin of round objects counts as settled.
        size: (P, 3) metres.
        diagonal: (P,) of the objects' boxes, metres.
        appearance: (P, B) histograms of colours, NaN = unknown.
    """

    T: FloatArray
    followed: FloatArray
    covariance: FloatArray
    size: FloatArray
    diagonal: FloatArray
    appearance: FloatArray

    @classmethod
    def of(cls, poses: Sequence[ObjectPose], rgb: NDArray[np.uint8] | None,
           T_fixed_camera: FloatArray) -> SeenPoses:
        """Return the poses of a frame.

        Args:
            poses: In the camera frame.
            rgb: (H, W, 3) uint8 image that their detections are of; None = colours are unknown.
            T_fixed_camera: (4, 4) from the camera's frame into that of the tracks.
        """
        T = np.stack([pose.T_camera_object for pose in poses]) if poses else np.zeros((0, 4, 4))
        boxes = [pose.box() for pose in poses]
        followed = np.array([_unmoved(middle, pose.symmetry) for (middle, _), pose in
                             zip(boxes, poses, strict=True)]).reshape(-1, 3)
        T = at_point(T_fixed_camera @ T, followed)
        covariance = turned(usable_covariances([pose.covariance for pose in poses]),
                            T_fixed_camera[:3, :3])
        for i in np.flatnonzero(followed.any(axis=1)):
            covariance[i] = at_other_point(covariance[i], T[i, :3, :3] @ followed[i])
        round_ones = [i for i, pose in enumerate(poses) if pose.symmetry.axis is not None]
        if round_ones:
            axes = np.array([poses[i].symmetry.axis for i in round_ones])
            covariance[round_ones] = with_settled_spin(
                covariance[round_ones], (T[round_ones, :3, :3] @ axes[..., None])[..., 0])
        size = np.array([pose.size for pose in poses]).reshape(-1, 3)
        detections = [None if rgb is None else pose.detection for pose in poses]
        diagonal = np.array([np.linalg.norm(extent) for _, extent in boxes])
        return cls(T, followed, covariance, size, diagonal,
                   appearances(_NO_COLOURS if rgb is None else rgb, detections))

    def sightings(self, rows: NDArray[np.intp]) -> Sightings:
        """Return what assignment compares of some of them."""
        return Sightings(self.T[rows], np.linalg.norm(self.size[rows], axis=1),
                         self.appearance[rows])


def _unmoved(middle: FloatArray, symmetry: Symmetry) -> FloatArray:
    """Return the point nearest to an object's middle that its symmetry leaves where it is.

    The middle of the box about a triangle is not in the axis that the triangle is turned about.
    """
    if not middle.any():
        return middle
    if symmetry.axis is not None:
        axis = np.array(symmetry.axis)
        middle = axis * (axis @ middle)
    return np.asarray((symmetry.rotations @ middle).mean(axis=0))
