"""The answer of a pose backend for one object: a pose, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.se3 import at_point, is_rigid
from pose_estimation_ros.core.symmetry import Symmetry


@dataclass(frozen=True)
class ObjectPose:
    """Position, rotation and size of one object.

    Attributes:
        label: Category, or the name of a known CAD object.
        score: Confidence that the pose is right, 0 to 1.
        T_camera_object: (4, 4) float64 rigid transform, metres, object to camera optical frame.
        size: (3,) float64 extent of the object's box along its own axes, metres. The box is
            centred on the object frame's origin.
        symmetry: Rotations of the object that leave it unchanged.
        source: Name of the backend.
        track_id: Identity over time; -1 before tracking.
        detection: The detection this pose was estimated from, if any.
        points: (N, 3) float32 reconstructed or known surface, metres, object frame.
        faces: (F, 3) int32 triangles between those points; None if they are points only.
        nocs: (M, 3) float32 predicted NOCS coordinates of the observed points, -0.5 to 0.5.
        covariance: (6, 6) float64, x y z then fixed-axis rotations, metres and radians, in the
            camera frame; None = unknown.
        inlier_ratio: Share of observed points that agree with the pose, NaN = unknown.
        residual: Root-mean-square distance of those inliers, metres, NaN = unknown.
        agreement: Share of its visible surface that is where depth was observed, 0 to 1, see
            `surface_agreement`; NaN = not compared.
    """

    label: str
    score: float
    T_camera_object: NDArray[np.float64]
    size: NDArray[np.float64]
    symmetry: Symmetry
    source: str
    track_id: int = -1
    detection: Detection | None = field(default=None, repr=False)
    points: NDArray[np.float32] | None = field(default=None, repr=False)
    faces: NDArray[np.int32] | None = field(default=None, repr=False)
    nocs: NDArray[np.float32] | None = field(default=None, repr=False)
    covariance: NDArray[np.float64] | None = field(default=None, repr=False)
    inlier_ratio: float = float('nan')
    residual: float = float('nan')
    agreement: float = float('nan')

    def __post_init__(self) -> None:
        """Check that pose and size are finite, rigid and positive, and the covariance is one.

        Raises:
            InvalidInputError: If they are not.
        """
        pose = np.ascontiguousarray(self.T_camera_object, dtype=np.float64)
        size = np.ascontiguousarray(self.size, dtype=np.float64)
        if not is_rigid(pose):
            raise InvalidInputError(f'{self.label}: T_camera_object is not a rigid transform:'
                                    f' {pose.tolist()}')
        if size.shape != (3,) or not np.isfinite(size).all() or (size <= 0).any():
            raise InvalidInputError(f'{self.label}: size must be three positive lengths in '
                                    f'metres, got {size.tolist()}')
        if self.covariance is not None:
            _check_covariance(self.label, self.covariance)
        object.__setattr__(self, 'T_camera_object', pose)
        object.__setattr__(self, 'size', size)

    def box(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (3,) middle and (3,) size of what the object fills, metres, object frame.

        Of categories that is the box of `size`. The origin of a CAD model may be anywhere, and
        `size` then reaches as far on both sides of it.
        """
        if self.points is None or self.faces is None:
            return np.zeros(3), self.size
        vertices = self.points.astype(np.float64)
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        return 0.5 * (low + high), high - low

    def placed_box(self, T: NDArray[np.float64]
                   ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (4, 4) pose of the middle of `box` and its (3,) size, metres.

        Args:
            T: (4, 4) object to the frame that the box is wanted in.
        """
        middle, size = self.box()
        return at_point(T, middle), size


def _check_covariance(label: str, covariance: NDArray[np.float64]) -> None:
    """Check shape, values and symmetry.

    Raises:
        InvalidInputError: If it is no covariance of a pose.
    """
    if (np.shape(covariance) != (6, 6) or not np.isfinite(covariance).all()
            or (np.diag(covariance) < 0).any()
            or not np.allclose(covariance, covariance.T, rtol=1e-3, atol=1e-9)):
        raise InvalidInputError(f'{label}: covariance must be a symmetric 6 x 6 matrix of finite '
                                'values with none below 0 on its diagonal, got '
                                f'{np.asarray(covariance).tolist()}; None = unknown')


@dataclass(frozen=True)
class Rejection:
    """A detection for which no pose is published, and why.

    Attributes:
        detection: What was detected.
        reason: One clear sentence with the value that led to the rejection.
    """

    detection: Detection
    reason: str
