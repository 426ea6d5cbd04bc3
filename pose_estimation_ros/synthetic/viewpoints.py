"""Random cameras as they stand on robots and desks. World frame: z up, table top at z = 0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform

FloatArray = NDArray[np.float64]

_TRIES = 60


@dataclass(frozen=True)
class ViewpointStyle:
    """How the cameras of a domain are placed; ranges are uniform unless said otherwise.

    Attributes:
        distance: Range to the point looked at, metres, uniform in the logarithm.
        elevation: Range of the angle over the horizon, degrees; low angles are more frequent.
        steep: Share of views from nearly straight above.
        roll: Standard deviation of the usual roll, degrees.
        tilted: Share of views with a roll of any size up to `tilt`.
        tilt: Largest roll of those, degrees.
        focal_length: Range at 640 columns, pixels.
        aim: Standard deviation of the aim, as a share of the image's half width.
    """

    distance: tuple[float, float]
    elevation: tuple[float, float]
    steep: float
    roll: float
    tilted: float
    tilt: float
    focal_length: tuple[float, float]
    aim: float


VIEWPOINT_STYLES = {
    'primary': ViewpointStyle((0.3, 1.6), (10.0, 78.0), 0.1, 4.0, 0.15, 45.0, (450.0, 750.0),
                              0.3),
    'second': ViewpointStyle((0.4, 1.4), (15.0, 65.0), 0.05, 6.0, 0.1, 30.0, (520.0, 680.0),
                             0.3),
}
# A camera that is held over a desk, as in LineMOD and most data sets of BOP.
KNOWN_OBJECT_VIEWS = ViewpointStyle((0.45, 1.4), (15.0, 85.0), 0.06, 8.0, 0.25, 45.0,
                                    (530.0, 620.0), 0.2)


@dataclass(frozen=True)
class View:
    """A camera at its place.

    Attributes:
        intrinsics: Camera of the colour image, without distortion.
        T_world_camera: (4, 4) pose of its optical frame.
    """

    intrinsics: CameraIntrinsics
    T_world_camera: FloatArray

    def resized(self, width: int, height: int) -> View:
        """Return the same view with another number of pixels."""
        return View(self.intrinsics.resize(width, height), self.T_world_camera)

    def orbited(self, angle: float) -> View:
        """Return the view after its camera turned about the world's z axis, radians."""
        turn = make_transform(axis_rotation((0.0, 0.0, 1.0), angle), np.zeros(3))
        return View(self.intrinsics, turn @ self.T_world_camera)


def look_at(eye: ArrayLike, target: ArrayLike, roll: float = 0.0) -> FloatArray:
    """Return the (4, 4) world pose of an optical frame at `eye` that looks at `target`.

    Args:
        eye: (3,) metres, world.
        target: (3,) metres, world.
        roll: Rotation about the optical axis, radians; 0 keeps the horizon level.
    """
    position = np.asarray(eye, dtype=np.float64)
    z = np.asarray(target, dtype=np.float64) - position
    z = z / np.linalg.norm(z)
    x = np.cross(z, (0.0, 0.0, 1.0))
    # Straight down, any direction is level.
    x = np.array([1.0, 0.0, 0.0]) if np.linalg.norm(x) < 1e-6 else x / np.linalg.norm(x)
    level = np.stack([x, np.cross(z, x), z], axis=1)
    return make_transform(level @ axis_rotation((0.0, 0.0, 1.0), roll), position)


def _low(limits: tuple[float, float], generator: np.random.Generator) -> float:
    """Return a number of a range, the lower half more often than the upper one."""
    return float(limits[0] + (limits[1] - limits[0]) * generator.random() ** 1.3)


def sample_view(style: ViewpointStyle, targets: FloatArray,
                is_free: Callable[[FloatArray], bool], generator: np.random.Generator) -> View:
    """Return a random 640x480 camera that looks roughly at one of several points.

    Args:
        style: Ranges.
        targets: (N, 3) points worth looking at, metres, world.
        is_free: Says whether a camera can be at a (3,) world point.
        generator: Source of randomness.
    """
    fx = generator.uniform(*style.focal_length)
    fy = fx * generator.normal(1.0, 0.002)
    cx, cy = (319.5, 239.5) + generator.normal(0.0, 4.0, 2)
    intrinsics = CameraIntrinsics.pinhole(640, 480, fx, fy, cx, cy)
    # Between one of the points and their middle, so that others are in view as well.
    target = targets[generator.integers(len(targets))]
    target = target + generator.random() ** 2 * (targets.mean(axis=0) - target)
    low, high = np.log(style.distance)
    for _ in range(_TRIES):
        steep = generator.random() < style.steep
        elevation = np.radians(generator.uniform(78.0, 90.0) if steep
                               else _low(style.elevation, generator))
        azimuth = generator.uniform(0, 2 * np.pi)
        distance = np.exp(generator.uniform(low, high))
        away = np.array([np.cos(azimuth) * np.cos(elevation),
                         np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
        eye = target + distance * away
        if is_free(eye):
            break
    else:
        eye = target + np.array([0.05, 0.0, style.distance[1] / 2])
    tilt = (generator.uniform(-style.tilt, style.tilt) if generator.random() < style.tilted
            else generator.normal(0.0, style.roll))
    pose = look_at(eye, target, np.radians(tilt))
    # A small turn off the target brings the objects anywhere into the image.
    off = style.aim * generator.standard_normal(2) * (320.0 / fx, 240.0 / fx)
    off = np.clip(off, -0.6 * 320.0 / fx, 0.6 * 320.0 / fx)
    turn = axis_rotation((0.0, 1.0, 0.0), off[0]) @ axis_rotation((1.0, 0.0, 0.0), off[1])
    pose[:3, :3] = pose[:3, :3] @ turn
    return View(intrinsics, pose)
