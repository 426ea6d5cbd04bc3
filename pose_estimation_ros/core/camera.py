"""Pinhole camera intrinsics of an image *as delivered*.

Frame: optical (x right, y down, z forward). Pixel centres lie at integer coordinates, so the
left edge of the image is at u = -0.5.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError

FloatArray: TypeAlias = NDArray[np.float64]

DISTORTION_MODELS = ('plumb_bob', 'rational_polynomial', 'equidistant')
_UNDISTORT_ITERATIONS = 10
# Angles from the optical axis at which lenses are sampled, radians; at 90 degrees no point of
# the plane z = 1 is seen.
_LENS_ANGLES = np.linspace(0.0, np.radians(89.9), 4096)
# Farther from a pixel than this, in pixels, an ideal point does not appear there.
_FARTHEST_OFF = 0.5
# From the middle, on the plane z = 1: nearer to it directions have no meaning.
_SMALLEST = 1e-12
# How many coefficients `distort` knows: no thin prism and no tilted sensor.
_RADIAL_TANGENTIAL_COEFFICIENTS = 8
_EQUIDISTANT_COEFFICIENTS = 4
# In longer sides of the whole image: from beyond the widest fisheye to beyond a 400 mm lens.
_FOCAL_LENGTHS = (0.02, 100.0)
# From the middle of the image, likewise: it may be the corner of a larger one.
_FARTHEST_PRINCIPAL_POINT = 10.0


def _no_distortion() -> FloatArray:
    return np.zeros(0)


@dataclass(frozen=True)
class CameraIntrinsics:
    """Intrinsics of one image, with binning, region of interest and resizing already applied.

    Attributes:
        width: Image width, pixels.
        height: Image height, pixels.
        K: (3, 3) float64 camera matrix, pixels.
        distortion_model: One of `DISTORTION_MODELS`; its coefficients are in `D`. Any other
            name will do if `D` has none.
        D: (k,) float64 distortion coefficients in OpenCV's order; empty or all zero = none.
        R: (3, 3) float64 rectification rotation, identity for a single camera.
        P: (3, 4) float64 projection matrix of the rectified image.
    """

    width: int
    height: int
    K: FloatArray
    distortion_model: str = 'plumb_bob'
    D: FloatArray = field(default_factory=_no_distortion)
    R: FloatArray | None = None
    P: FloatArray | None = None

    def __post_init__(self) -> None:
        """Validate and normalise the fields.

        Raises:
            InvalidInputError: If a size, focal length or the distortion is unusable.
        """
        K = np.ascontiguousarray(self.K, dtype=np.float64).reshape(3, 3)
        if self.width <= 0 or self.height <= 0:
            raise InvalidInputError(
                f'camera intrinsics have size {self.width}x{self.height}; '
                'both must be positive: check the width and height of camera_info')
        if not np.isfinite(K).all() or K[0, 0] <= 0 or K[1, 1] <= 0:
            raise InvalidInputError(
                f'camera is not calibrated: K has fx={K[0, 0]:g}, fy={K[1, 1]:g}; '
                'publish a camera_info with positive focal lengths (calibrate the camera)')
        D = np.ascontiguousarray(self.D, dtype=np.float64).reshape(-1)
        if np.any(D != 0.0):
            _check_distortion(self.distortion_model, D)
        R = np.eye(3) if self.R is None else np.ascontiguousarray(self.R, np.float64)
        P = np.hstack([K, np.zeros((3, 1))]) if self.P is None else np.ascontiguousarray(
            self.P, np.float64)
        for name, value in (('K', K), ('D', D), ('R', R.reshape(3, 3)), ('P', P.reshape(3, 4))):
            object.__setattr__(self, name, value)

    @classmethod
    def pinhole(cls, width: int, height: int, fx: float, fy: float, cx: float,
                cy: float) -> CameraIntrinsics:
        """Return distortion-free intrinsics from focal lengths and principal point, in pixels."""
        return cls(width, height, np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]))

    @property
    def fx(self) -> float:
        """Focal length along x, pixels."""
        return float(self.K[0, 0])

    @property
    def fy(self) -> float:
        """Focal length along y, pixels."""
        return float(self.K[1, 1])

    @property
    def cx(self) -> float:
        """Principal point, x, pixels."""
        return float(self.K[0, 2])

    @property
    def cy(self) -> float:
        """Principal point, y, pixels."""
        return float(self.K[1, 2])

    @property
    def is_distorted(self) -> bool:
        """Whether the image is bent by a lens: any coefficient of `D` is not zero."""
        return bool(np.any(self.D != 0.0))

    def check_plausible(self) -> None:
        """Check that a real camera can have these focal lengths and this principal point.

        Meant for calibrations of whole images: those of a small crop may be anything.

        Raises:
            InvalidInputError: If none can.
        """
        side = max(self.width, self.height)
        shortest, longest = (factor * side for factor in _FOCAL_LENGTHS)
        if not all(shortest <= focal <= longest for focal in (self.fx, self.fy)):
            raise InvalidInputError(
                f'camera is not calibrated: camera_info has fx={self.fx:g}, fy={self.fy:g} for '
                f'{self.width}x{self.height} pixels, but a camera of that size has {shortest:g} '
                f'to {longest:g}; publish focal lengths in pixels of this image (calibrate the '
                'camera)')
        away = max(abs(self.cx - self.width / 2), abs(self.cy - self.height / 2)) / side
        if away > _FARTHEST_PRINCIPAL_POINT:
            raise InvalidInputError(
                f'camera is not calibrated: camera_info has cx={self.cx:g}, cy={self.cy:g} for '
                f'{self.width}x{self.height} pixels, far outside the image; publish the principal '
                'point in pixels of this image (calibrate the camera)')

    def crop(self, x: int, y: int, width: int, height: int) -> CameraIntrinsics:
        """Return the intrinsics of the sub-image whose first pixel is (x, y)."""
        K, P = self.K.copy(), np.array(self.P)
        K[:2, 2] -= (x, y)
        P[:2, 2] -= (x, y)
        return replace(self, width=width, height=height, K=K, P=P)

    def resize(self, width: int, height: int) -> CameraIntrinsics:
        """Return the intrinsics after the image is resampled to width x height pixels.

        The outer borders of both images coincide, as `cv2.resize` does it.
        """
        return self._scale(width / self.width, height / self.height, width, height)

    def turned(self, quarters: int) -> CameraIntrinsics:
        """Return the intrinsics of the image turned clockwise by so many quarters of a turn.

        Its camera is turned as `turned_camera` says. What belongs to rectification, R and P, is
        that of a single camera.
        """
        camera = self
        for _ in range(quarters % 4):
            camera = camera._quarter_turned()
        return camera

    def _quarter_turned(self) -> CameraIntrinsics:
        """Return the intrinsics of the image in which (u, v) has become (height - 1 - v, u)."""
        K = np.array([[self.fy, 0.0, self.height - 1 - self.cy], [0.0, self.fx, self.cx],
                      [0.0, 0.0, 1.0]])
        D = self.D.copy()
        if self.distortion_model != 'equidistant' and D.size >= 4:
            # A decentred lens leans elsewhere; everything else is the same all around.
            D[2], D[3] = self.D[3], -self.D[2]
        return CameraIntrinsics(self.height, self.width, K, self.distortion_model, D)

    def _scale(self, sx: float, sy: float, width: int, height: int) -> CameraIntrinsics:
        scale = np.array([[sx, 0.0, 0.5 * sx - 0.5], [0.0, sy, 0.5 * sy - 0.5], [0.0, 0.0, 1.0]])
        return replace(self, width=width, height=height, K=scale @ self.K,
                       P=scale @ np.array(self.P))

    def apply_binning_and_roi(
            self, binning: tuple[int, int] = (0, 0),
            roi: tuple[int, int, int, int] = (0, 0, 0, 0)) -> CameraIntrinsics:
        """Turn full-calibration intrinsics into those of the delivered image (REP 104).

        Args:
            binning: Pixels summed along x and y; 0 means 1.
            roi: (x, y, width, height) in unbinned pixels; all zero means the full image.

        Returns:
            Intrinsics of the delivered image.
        """
        bx, by = max(binning[0], 1), max(binning[1], 1)
        x, y, width, height = roi
        full = width == 0 and height == 0
        cropped = self if full else self.crop(x, y, width, height)
        if (bx, by) == (1, 1):
            return cropped
        # Pixels left over at the right and lower border are dropped, not squeezed in.
        return cropped._scale(1.0 / bx, 1.0 / by, cropped.width // bx, cropped.height // by)

    def undistort(self) -> CameraIntrinsics:
        """Return the pinhole intrinsics of the image after its distortion is removed.

        The camera matrix is kept; `undistortion_map` says where each pixel comes from.
        """
        return CameraIntrinsics(self.width, self.height, self.K)

    def rectified(self) -> CameraIntrinsics:
        """Return the pinhole intrinsics for an image that was rectified upstream: those of `P`."""
        return CameraIntrinsics(self.width, self.height, np.array(self.P)[:, :3])

    def undistortion_map(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return for each undistorted pixel its source in the distorted image.

        Returns:
            Two (height, width) float32 arrays, source x and source y, ready for `cv2.remap`.
        """
        u, v = np.meshgrid(np.arange(self.width), np.arange(self.height))
        xy = np.stack([(u - self.cx) / self.fx, (v - self.cy) / self.fy], axis=-1)
        bent = self.distort(xy)
        return (np.ascontiguousarray(bent[..., 0] * self.fx + self.cx, dtype=np.float32),
                np.ascontiguousarray(bent[..., 1] * self.fy + self.cy, dtype=np.float32))

    def distort(self, xy: FloatArray) -> FloatArray:
        """Bend ideal image-plane points as the lens does.

        Args:
            xy: (..., 2) points on the plane z = 1.

        Returns:
            (..., 2) bent points on the plane z = 1.

        Source: OpenCV's camera model (plumb_bob and rational_polynomial) and its fisheye model
        (equidistant).
        """
        if not self.is_distorted:
            return xy.copy()
        x, y = xy[..., 0], xy[..., 1]
        r2 = x * x + y * y
        radial = self._radial_factor(r2)
        if self.distortion_model == 'equidistant':
            return np.stack([x * radial, y * radial], axis=-1)
        _, _, p1, p2, *_ = self._coefficients(_RADIAL_TANGENTIAL_COEFFICIENTS)
        return np.stack([x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
                         y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y], axis=-1)

    def undistort_points(self, xy: FloatArray) -> FloatArray:
        """Invert `distort`: its radial part by a table, the rest by fixed-point iteration.

        Args:
            xy: (..., 2) bent points on the plane z = 1.

        Returns:
            (..., 2) ideal points on the plane z = 1. NaN where none is bent to within half a
            pixel: the lens model ends before these points, or turns back.
        """
        if not self.is_distorted:
            return xy.copy()
        radius = np.tan(_LENS_ANGLES)
        bent_radius = radius * self._radial_factor(radius * radius)
        # Beyond the first place where it turns back, a lens model describes no lens.
        end = int(np.argmin(np.append(np.diff(bent_radius) > 0, False))) + 1
        radius, bent_radius = radius[:end], bent_radius[:end]
        target = xy
        for _ in range(_UNDISTORT_ITERATIONS):
            length = np.linalg.norm(target, axis=-1)
            factor = np.interp(length, bent_radius, radius) / np.maximum(length, _SMALLEST)
            ideal = target * np.where(length > _SMALLEST, factor, 1.0)[..., None]
            off = xy - self.distort(ideal)
            target = target + off
        appears = np.linalg.norm(off * (self.fx, self.fy), axis=-1) <= _FARTHEST_OFF
        return np.where(appears[..., None], ideal, np.nan)

    def _radial_factor(self, r2: FloatArray) -> FloatArray:
        """Return by how much the lens moves points away from the middle.

        Args:
            r2: (...) squared distance of ideal points from the middle, on the plane z = 1.
        """
        if self.distortion_model == 'equidistant':
            k = self._coefficients(_EQUIDISTANT_COEFFICIENTS)
            r = np.sqrt(r2)
            theta = np.arctan(r)
            t2 = theta * theta
            bent = theta * (1 + t2 * (k[0] + t2 * (k[1] + t2 * (k[2] + t2 * k[3]))))
            return np.where(r > _SMALLEST, bent / np.maximum(r, _SMALLEST), 1.0)
        k1, k2, _, _, k3, k4, k5, k6 = self._coefficients(_RADIAL_TANGENTIAL_COEFFICIENTS)
        return np.asarray((1 + r2 * (k1 + r2 * (k2 + r2 * k3)))
                          / (1 + r2 * (k4 + r2 * (k5 + r2 * k6))))

    def _coefficients(self, count: int) -> FloatArray:
        """Return the first coefficients of `D`; those that it does not have are 0."""
        coefficients = np.zeros(count)
        coefficients[:self.D.size] = self.D[:count]
        return coefficients

    def project(self, points: FloatArray) -> FloatArray:
        """Project points of the camera's optical frame into the image.

        Args:
            points: (..., 3) metres, camera optical frame, z > 0.

        Returns:
            (..., 2) pixel coordinates (u, v), with distortion.
        """
        xy = self.distort(points[..., :2] / points[..., 2:3])
        return xy * (self.fx, self.fy) + (self.cx, self.cy)

    def back_project(self, pixels: FloatArray, depth: NDArray[np.floating]) -> FloatArray:
        """Lift pixels with depth into the camera's optical frame.

        Args:
            pixels: (..., 2) pixel coordinates (u, v).
            depth: (...) metres along z.

        Returns:
            (..., 3) metres, camera optical frame; NaN where `undistort_points` knows no point.
        """
        xy = self.undistort_points((pixels - (self.cx, self.cy)) / (self.fx, self.fy))
        z = np.asarray(depth, dtype=np.float64)[..., None]
        return np.concatenate([xy * z, z], axis=-1)


def turned_camera(quarters: int) -> FloatArray:
    """Return the (4, 4) T_turned_camera of an image turned clockwise by quarters of a turn.

    What was up in the image lies to the right in it after one, x has become y and y has become
    -x.
    """
    T = np.eye(4)
    for _ in range(quarters % 4):
        T[:2] = np.stack([-T[1], T[0]])
    return T


def _check_distortion(model: str, D: FloatArray) -> None:
    """Check that `CameraIntrinsics.distort` can do what these coefficients say.

    Raises:
        InvalidInputError: If it cannot.
    """
    if model not in DISTORTION_MODELS:
        raise InvalidInputError(f'unknown distortion model {model!r}; known are '
                                f'{", ".join(DISTORTION_MODELS)}: rectify the image upstream')
    if not np.isfinite(D).all():
        raise InvalidInputError(f'the distortion coefficients D are {D.tolist()}; they must be '
                                'finite: calibrate the camera')
    known = (_EQUIDISTANT_COEFFICIENTS if model == 'equidistant'
             else _RADIAL_TANGENTIAL_COEFFICIENTS)
    beyond = np.flatnonzero(D[known:]) + known
    if beyond.size:
        named = ', '.join(f'D[{index}] = {D[index]:g}' for index in beyond)
        raise InvalidInputError(
            f'distortion model {model!r} has {named}, but only its first {known} coefficients are '
            'supported (no thin prism, no tilt): rectify the image upstream')
