"""One object of a result in the output frame, as every message about it needs it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.pipeline import GraspPlan


@dataclass(frozen=True)
class PlacedObject:
    """One object in the output frame.

    Attributes:
        name: '<label>_<id>'.
        number: Its id, or its place in the frame if it has none.
        pose: As it was estimated, camera frame.
        T: (4, 4) object to output frame, metres.
        quaternion: (4,) of that rotation, xyzw, its sign continuous along a track.
        covariance: (6, 6) in the output frame; zero = unknown.
        plan: Its grasps, camera frame; None if none were planned.
    """

    name: str
    number: int
    pose: ObjectPose
    T: NDArray[np.float64]
    quaternion: NDArray[np.float64]
    covariance: NDArray[np.float64]
    plan: GraspPlan | None = None
