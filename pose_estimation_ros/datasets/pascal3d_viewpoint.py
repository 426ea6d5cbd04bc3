"""How PASCAL3D+ and ObjectNet3D describe a pose, and what that is in the camera's frame.

Source: Xiang et al., Beyond PASCAL, WACV 2014, and the projection of its released tools.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform

FloatArray = NDArray[np.float64]

# The tools' camera has x right, y up and looks along -z; the optical frame has x right, y down
# and looks along +z.
_OPTICAL_FROM_TOOLS = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class Viewpoint:
    """Where the camera stands around an object that it looks at.

    The object is projected by a camera of its own, whose principal point is the projection of the
    object's origin.

    Attributes:
        azimuth: Radians around the object's z axis, 0 at its -y side, towards +x.
        elevation: Radians above the object's xy plane.
        theta: In-plane rotation, radians, counter-clockwise as seen in the image.
        distance: Of the camera from the object's origin, in units of the CAD model.
        principal: (px, py) projection of the object's origin, pixels.
        focal_length: Focal length times viewport, pixels (3000 in the released data).
    """

    azimuth: float
    elevation: float
    theta: float
    distance: float
    principal: tuple[float, float]
    focal_length: float

    @property
    def rotation(self) -> FloatArray:
        """(3, 3) float64 R_camera_object, optical frame.

        In the tools' camera frame this is R = Rz(theta) Rx(elevation - 90 degrees) Rz(-azimuth),
        of which the papers take the geodesic error; a common rotation on the left leaves that
        error as it is.
        """
        tools = (axis_rotation((0, 0, 1), self.theta)
                 @ axis_rotation((1, 0, 0), self.elevation - np.pi / 2)
                 @ axis_rotation((0, 0, 1), -self.azimuth))
        return np.asarray(_OPTICAL_FROM_TOOLS @ tools)

    def own_camera(self, width: int, height: int) -> CameraIntrinsics:
        """Return the camera of this object alone; with `pose(own principal)` it is exact."""
        return CameraIntrinsics.pinhole(width, height, self.focal_length, self.focal_length,
                                        *self.principal)

    def pose(self, camera_principal: tuple[float, float]) -> FloatArray:
        """Return the pose in a camera with the same focal length and another principal point.

        The origin is projected to where it is annotated, at the annotated distance, and the
        rotation is kept, as the papers do for ADD. Other points move by up to their share of
        depth in the distance times the shift of the principal point.

        Args:
            camera_principal: (cx, cy) of the camera, pixels.

        Returns:
            (4, 4) float64 T_camera_object, optical frame, units of the CAD model.
        """
        shift = np.subtract(self.principal, camera_principal) * self.distance / self.focal_length
        return make_transform(self.rotation, [*shift, self.distance])
