"""The values of grasping: a gripper, what it may do, and a grasp.

Frame of a grasp: the origin lies in the middle between the ends of the fingers (the tool centre
point), +z is the approach direction, +-y the direction in which the fingers close, +x completes
the right hand. That is how `fr3_hand_tcp` and MoveIt's examples of it have it; GPD calls the same
axes x and y of a hand whose origin is at its base, GraspNet x and y, too. A gripper turned by half
a turn about z is the same grasp; of the two the one with +x towards up is given.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.se3 import make_transform

FloatArray = NDArray[np.float64]

KINDS: tuple[str, ...] = ('top', 'side', 'rim', 'handle', 'given')


@dataclass(frozen=True)
class Gripper:
    """A parallel-jaw gripper as boxes: two fingers and a palm. Metres; defaults: a Franka hand.

    Attributes:
        opening: Largest distance between the fingers.
        finger_depth: Length of the fingers from the palm to their ends, along z.
        finger_thickness: Of each finger in the closing direction, along y.
        finger_width: Of each finger along x.
        palm_width: Of the palm along y.
        palm_thickness: Of the palm along x.
        palm_height: Of the palm and what is behind it along z.
    """

    opening: float = 0.08
    finger_depth: float = 0.045
    finger_thickness: float = 0.012
    finger_width: float = 0.02
    palm_width: float = 0.2
    palm_thickness: float = 0.06
    palm_height: float = 0.07

    def __post_init__(self) -> None:
        """Check that every length is positive.

        Raises:
            ConfigurationError: If one is not.
        """
        for name in self.__dataclass_fields__:
            length = getattr(self, name)
            if not 0 < length < 10:
                raise ConfigurationError(f'{name} of the gripper is {length} m; give a positive '
                                         'length in metres')

    def boxes(self, distance: float) -> tuple[FloatArray, FloatArray]:
        """Return centres and half extents, each (3, 3), of the boxes in the grasp frame.

        Args:
            distance: Between its fingers, metres.

        Returns:
            Of the finger at -y, of that at +y and of the palm, metres.
        """
        y = 0.5 * (distance + self.finger_thickness)
        z = -0.5 * self.finger_depth
        centres = np.array([[0.0, -y, z], [0.0, y, z],
                            [0.0, 0.0, -self.finger_depth - 0.5 * self.palm_height]])
        finger = 0.5 * np.array([self.finger_width, self.finger_thickness,
                                 self.finger_depth])
        palm = 0.5 * np.array([self.palm_thickness, self.palm_width, self.palm_height])
        return centres, np.stack([finger, finger, palm])

    def outline(self, distance: float) -> FloatArray:
        """Return the (6, 2, 3) line segments that draw it, in the grasp frame, metres.

        Args:
            distance: Between its fingers, metres.
        """
        y, z = 0.5 * distance, -self.finger_depth
        palm = 0.5 * min(self.palm_width, self.opening + 2 * self.finger_thickness)
        middle = [0.0, 0.0, z]
        return np.array([
            [[0.0, -y, 0.0], [0.0, -y, z]], [[0.0, y, 0.0], [0.0, y, z]],
            [[0.0, -palm, z], middle], [middle, [0.0, palm, z]],
            [middle, [0.0, 0.0, z - self.palm_height]],
            # What is between the fingers when they are closed as far as they go.
            [[0.0, -y, 0.0], [0.0, y, 0.0]]])


@dataclass(frozen=True)
class GraspLimits:
    """Which grasps are acceptable.

    Attributes:
        friction: Coefficient between finger and object; a surface may be tilted against the
            finger by atan(friction).
        clearance: Free space that the open fingers, the palm and the table keep, metres.
        max_tilt: Largest angle between the approach and straight down, radians.
        max_turn: Largest angle, seen from above, between a sideways approach and the direction
            from the robot to the object, radians; pi = from all around.
        pregrasp_distance: The pre-grasp lies so far back along the approach, metres.
        retreat_distance: The retreat lies so far up, metres.
        max_grasps: Most grasps of an object, the best that differ.
    """

    friction: float = 0.5
    clearance: float = 0.004
    max_tilt: float = float(np.radians(95.0))
    max_turn: float = float(np.pi)
    pregrasp_distance: float = 0.1
    retreat_distance: float = 0.1
    max_grasps: int = 16


@dataclass(frozen=True)
class Surroundings:
    """What a grasp has to respect besides its object, in the camera optical frame.

    Attributes:
        up: (3,) unit direction away from the ground; None = not known: objects of categories are
            taken to stand upright, of others no grasps are planned.
        robot: (3,) where the robot is, metres: whence a gripper comes with the least effort.
    """

    up: FloatArray | None = None
    robot: FloatArray = field(default_factory=lambda: np.zeros(3))


@dataclass(frozen=True)
class Grasp:
    """One way to take hold of an object.

    Attributes:
        T_camera_grasp: (4, 4) rigid transform, metres, grasp frame to camera optical frame; see
            the module for the grasp frame.
        width: Of the object between the fingers, metres.
        opening: Distance between the fingers on the way, metres: as far as may be, so that errors
            of the pose do no harm.
        score: 0 to 1; of the geometry alone: the pose's score is apart.
        kind: One of `KINDS`; top comes from above, side from the side.
        T_camera_pregrasp: (4, 4) where the gripper waits, open, before it advances along z.
        T_camera_retreat: (4, 4) where it is after lifting the object straight up.
    """

    T_camera_grasp: FloatArray
    width: float
    opening: float
    score: float
    kind: str
    T_camera_pregrasp: FloatArray = field(repr=False)
    T_camera_retreat: FloatArray = field(repr=False)


def grasp_rotation(approach: FloatArray, closing: FloatArray) -> FloatArray:
    """Return the (G, 3, 3) rotations of grasp frames with these axes.

    Args:
        approach: (G, 3) unit directions of z.
        closing: (G, 3) unit directions of y, at right angles to them.
    """
    return np.stack([np.cross(closing, approach), closing, approach], axis=-1)


def shifted(T: FloatArray, offset: FloatArray) -> FloatArray:
    """Return (..., 4, 4) transforms with (..., 3) offsets added to their positions."""
    return make_transform(T[..., :3, :3], T[..., :3, 3] + offset)
