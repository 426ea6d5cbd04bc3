"""How much of an object's surface, placed at an estimated pose, is where depth was observed.

Points take the place of a renderer. The visible ones of them are those that are nearest to the
camera in their cell of a coarse grid. Each of them is compared with the depth of its pixel:

- at the observed depth, in the object's mask: it agrees;
- at the observed depth outside the mask: it is another thing's surface, so it does not;
- in front of what was observed: it stands in space that is seen to be empty;
- behind what was observed, in the mask: the object is seen there, and nearer than that;
- behind what was observed outside the mask: something else hides it, which says nothing;
- where no depth was measured: nothing either.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose

FloatArray = NDArray[np.float64]

_POINTS = 1024
_BOX_POINTS = 128
# Of the object's diagonal: what depth noise and a coarse surface leave open, and no less than
# what depth cameras measure at arm's length, metres.
_TOLERANCE, _LEAST_TOLERANCE = 0.05, 0.004
# Of the diagonal: side of a cell of the grid, and how deep the nearest surface in it may be.
_CELL, _THICKNESS = 0.06, 0.05
# Of the diagonal: how far beside its pixel a point may agree, at outlines.
_BESIDE = 0.02
_NEIGHBOURS = np.array([(0, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)])
# Fewer comparisons than this are no evidence.
_LEAST_COMPARED = 16
_NEAREST = 1e-3


def surface_agreement(frame: RGBDFrame, pose: ObjectPose,
                      surface: NDArray[np.floating] | None) -> float:
    """Return how much of a placed surface agrees with the observed depth.

    Args:
        frame: Undistorted, as the pose was estimated in it.
        pose: With the detection that it was estimated from.
        surface: (N, 3) points all over the object, metres, object frame, see `surface_points`;
            None if nothing is known but its box.

    Returns:
        The share, 0 to 1, of the visible surface points that can be compared; of a box the share
        of the observed points in the mask that lie in it. NaN without depth, without a detection,
        or where fewer than 16 points can be compared.
    """
    detection = pose.detection
    if frame.depth is None or detection is None:
        return float('nan')
    diagonal = float(np.linalg.norm(pose.box()[1]))
    if surface is None or not len(surface):
        tolerance = max(_TOLERANCE * diagonal, _LEAST_TOLERANCE)
        return _within_box(frame.depth, frame.intrinsics, pose, detection, tolerance)
    return _of_surface(frame.depth, frame.intrinsics, pose, detection, diagonal, surface)


def surface_points(pose: ObjectPose) -> NDArray[np.float32] | None:
    """Return at most 1024 points all over an object's surface, equal poses giving equal points.

    Args:
        pose: Whose `points` are taken, or, if it has `faces`, points on those by area.

    Returns:
        (N, 3) float32 metres, object frame; None if the pose has no points.
    """
    if pose.points is None or not len(pose.points):
        return None
    if pose.faces is None or not len(pose.faces):
        chosen = np.linspace(0, len(pose.points) - 1, min(_POINTS, len(pose.points)))
        return pose.points[chosen.astype(np.intp)]
    corners = pose.points[pose.faces].astype(np.float64)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normal, axis=1)
    if not area.sum() > 0:
        return pose.points[:_POINTS]
    generator = np.random.default_rng(0)
    face = generator.choice(len(corners), _POINTS, p=area / area.sum())
    first, second = generator.random((2, _POINTS, 1))
    root = np.sqrt(first)
    chosen = corners[face]
    return np.asarray((1 - root) * chosen[:, 0] + root * (1 - second) * chosen[:, 1]
                      + root * second * chosen[:, 2], np.float32)


class AgreementCheck:
    """Compares poses with depth; remembers the surfaces of known meshes."""

    def __init__(self) -> None:
        """Start with no meshes."""
        self._meshes: dict[str, tuple[NDArray[np.int32], NDArray[np.float32] | None]] = {}

    def agreement(self, frame: RGBDFrame, pose: ObjectPose) -> float:
        """Return `surface_agreement` of a pose."""
        return surface_agreement(frame, pose, self._surface(pose))

    def _surface(self, pose: ObjectPose) -> NDArray[np.float32] | None:
        if pose.faces is None:
            return surface_points(pose)
        known = self._meshes.get(pose.label)
        # A backend hands out the same arrays with every pose.
        if known is None or known[0] is not pose.faces:
            known = pose.faces, surface_points(pose)
            self._meshes[pose.label] = known
        return known[1]


def _of_surface(depth: NDArray[np.float32], camera: CameraIntrinsics, pose: ObjectPose,
                detection: Detection, diagonal: float,
                surface: NDArray[np.floating]) -> float:
    T = pose.T_camera_object
    x, y, z = T[:3, :3] @ surface.T + T[:3, 3:]
    if z.min() < _NEAREST:
        return 0.0
    tolerance = max(_TOLERANCE * diagonal, _LEAST_TOLERANCE)
    # Rows, then columns: their pixels may be of different sides, as binning makes them.
    place = np.stack([camera.fy * y / z + camera.cy, camera.fx * x / z + camera.cx])
    scale = np.array([[camera.fy], [camera.fx]]) * diagonal / np.median(z)
    shape = np.array(depth.shape)[:, None]
    inside = ((place > -0.5) & (place < shape - 0.5)).all(axis=0)
    side = np.maximum(_CELL * scale, 1.0)
    # Close to the camera points lie far outside the image; the grid must not reach to them.
    seen = inside & _visible(place.clip(-2 * side, shape + 2 * side), z, side,
                             _THICKNESS * diagonal)
    around = np.maximum(np.rint(_BESIDE * scale), 1).astype(np.intp) * _NEIGHBOURS[:, :, None]
    pixels = np.rint(place[:, seen]).astype(np.intp) + around
    rows, columns = pixels.clip(0, shape - 1).swapaxes(0, 1)
    own = _in_mask(detection, rows, columns)
    with np.errstate(invalid='ignore'):
        gap = z[seen] - depth[rows, columns]
        # Unknown depth compares as false.
        near = np.abs(gap) <= tolerance
        against = near | (gap < -tolerance) | ((gap > tolerance) & own)
    agrees = (near & own).any(axis=0)
    compared = int((agrees | against[0]).sum())
    return float(agrees.sum() / compared) if compared >= _LEAST_COMPARED else float('nan')


def _visible(place: FloatArray, z: FloatArray, side: FloatArray,
             thickness: float) -> NDArray[np.bool_]:
    """Return which points are nearest to the camera in their cells, up to a thickness.

    Args:
        place: (2, N) rows and columns, pixels.
        z: (N,) metres along the view.
        side: (2, 1) height and width of a cell, pixels.
        thickness: How deep the nearest surface in a cell may be, metres.
    """
    down, across = ((place - place.min(axis=1, keepdims=True)) / side).astype(np.intp)
    cell = down * (int(across.max()) + 1) + across
    nearest = np.full(int(cell.max()) + 1, np.inf)
    np.minimum.at(nearest, cell, z)
    return np.asarray(z <= nearest[cell] + thickness)


def _in_mask(detection: Detection, rows: NDArray[np.intp],
             columns: NDArray[np.intp]) -> NDArray[np.bool_]:
    x, y = detection.offset
    height, width = detection.mask.shape
    rows, columns = rows - y, columns - x
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    inside[inside] = detection.mask[rows[inside], columns[inside]]
    return np.asarray(inside)


def _within_box(depth: NDArray[np.float32], camera: CameraIntrinsics, pose: ObjectPose,
                detection: Detection, tolerance: float) -> float:
    rows, columns = detection.pixels()
    sample = np.linspace(0, len(rows) - 1, min(_BOX_POINTS, len(rows))).astype(np.intp)
    rows, columns = rows[sample], columns[sample]
    observed = depth[rows, columns]
    known = np.isfinite(observed)
    if known.sum() < _LEAST_COMPARED:
        return float('nan')
    pixels = np.stack([columns[known], rows[known]], axis=1).astype(np.float64)
    points = camera.back_project(pixels, observed[known])
    T = pose.T_camera_object
    local = (points - T[:3, 3]) @ T[:3, :3]
    return float((np.abs(local) <= pose.size / 2 + tolerance).all(axis=1).mean())
