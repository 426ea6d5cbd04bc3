"""What of the objects of a category can be taken hold of: facts of the category, as data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.object_pose import ObjectPose

FloatArray = NDArray[np.float64]

_Y_AXIS = (0.0, 1.0, 0.0)


@dataclass(frozen=True)
class Affordance:
    """The parts of an object that a gripper can hold, in its canonical frame.

    Attributes:
        is_round: Its body is round about the y axis, whatever else sticks out towards +x.
        is_straight: Its cross-section is the same all along z.
        has_rim: A wall ends in a free upper edge: that of a vessel if the body is round, or one
            along z.
        has_handle: A handle sticks out of a round body towards +x.
    """

    is_round: bool = False
    is_straight: bool = False
    has_rim: bool = False
    has_handle: bool = False

    def radius(self, size: FloatArray) -> float:
        """Return the radius of a round body by the (3,) extents of the object's box, metres."""
        return 0.5 * float(min(size[0], size[2]))

    def axis_x(self, size: FloatArray) -> float:
        """Return where along x the axis of a round body is: a handle makes the box longer."""
        return self.radius(size) - 0.5 * float(size[0]) if self.has_handle else 0.0


AFFORDANCES: dict[str, Affordance] = {
    'bottle': Affordance(is_round=True),
    'bowl': Affordance(is_round=True, has_rim=True),
    'camera': Affordance(),
    'can': Affordance(is_round=True),
    'laptop': Affordance(is_straight=True, has_rim=True),
    'mug': Affordance(is_round=True, has_rim=True, has_handle=True),
}


def affordance_of(pose: ObjectPose) -> Affordance:
    """Return what of an object can be taken hold of: of an unknown label its body alone."""
    symmetric = pose.symmetry.axis
    known = AFFORDANCES.get(pose.label)
    # A mesh says itself what shape it has, whatever its object is called.
    if known is not None and pose.faces is None and symmetric in (None, _Y_AXIS):
        return known
    return Affordance(is_round=symmetric == _Y_AXIS)
