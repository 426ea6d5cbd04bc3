"""Oriented boxes: corners and the true intersection over union of their volumes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Signs of the eight corners; index bits are (x, y, z).
_CORNER_SIGNS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
# Pairs of corners that an edge joins.
BOX_EDGES: tuple[tuple[int, int], ...] = (
    (0, 1), (0, 2), (0, 4), (1, 3), (1, 5), (2, 3), (2, 6), (3, 7), (4, 5), (4, 6), (5, 7), (6, 7))
# Faces in the order -x, +x, -y, +y, -z, +z: their axis, its sign and the two axes along them.
_FACE_AXIS = np.array([0, 0, 1, 1, 2, 2])
_FACE_SIGN = np.array([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0])
_ALONG_FACE = np.array([[1, 2], [1, 2], [2, 0], [2, 0], [0, 1], [0, 1]])
# Below this angle, in radians, planes and lines count as parallel, and below this share of the
# boxes' diagonals as the same. Rounding moves the line where planes cross by 1e-16 / angle, so
# that about 1e-8 of the volume may be wrong whichever way such planes are seen.
_PARALLEL = 1e-8
_SAME = 1e-8
# Stands for the infinite end of a line; differences of it stay finite.
_FAR = 1e300
# Pairs of boxes at a time: their intermediate arrays fit into the processor's cache.
_CHUNK = 512


def box_corners(T_camera_object: FloatArray, size: FloatArray) -> FloatArray:
    """Return the (8, 3) corners of a box centred on the object's origin, camera frame, metres."""
    local = _CORNER_SIGNS * (np.asarray(size) / 2.0)
    return np.asarray(local @ T_camera_object[:3, :3].T + T_camera_object[:3, 3])


def oriented_box_iou(T_a: FloatArray, size_a: FloatArray, T_b: FloatArray,
                     size_b: FloatArray) -> float:
    """Return the intersection over union of the volumes of two oriented boxes.

    Args:
        T_a: (4, 4) pose of box a; its centre is the origin of the object frame.
        size_a: (3,) extents of box a, metres.
        T_b: (4, 4) pose of box b.
        size_b: (3,) extents of box b, metres.

    Returns:
        Ratio between 0 and 1.
    """
    return float(oriented_box_ious(T_a[None], np.asarray(size_a)[None], T_b[None],
                                   np.asarray(size_b)[None])[0])


def oriented_box_ious(T_a: FloatArray, size_a: FloatArray, T_b: FloatArray,
                      size_b: FloatArray) -> FloatArray:
    """Return the intersection over union of the volumes of N pairs of oriented boxes.

    Exact up to rounding, at worst to about 1e-7 for boxes that are all but parallel. The
    intersection of two boxes is bounded by the parts of each one's faces that lie inside the
    other. The divergence theorem gives its volume from the areas of those parts, and Green's
    theorem the areas from the lengths of their edges, each of which is a straight line cut by the
    other boundaries (Cyrus and Beck 1978): no polygon is ever built, so that all pairs take the
    same steps.

    Args:
        T_a: (N, 4, 4) poses; a box is centred on the origin of the object frame.
        size_a: (N, 3) extents, metres.
        T_b: (N, 4, 4) poses.
        size_b: (N, 3) extents, metres.

    Returns:
        (N,) ratios between 0 and 1; 0 for boxes without volume.
    """
    ious = np.zeros(len(T_a))
    for start in range(0, len(T_a), _CHUNK):
        part = slice(start, start + _CHUNK)
        ious[part] = _ious(T_a[part], size_a[part], T_b[part], size_b[part])
    return ious


def _ious(T_a: FloatArray, size_a: FloatArray, T_b: FloatArray, size_b: FloatArray) -> FloatArray:
    # Lengths in units of the boxes' diagonals, so that tolerances are relative.
    unit = (np.linalg.norm(size_a, axis=1) + np.linalg.norm(size_b, axis=1))[:, None]
    unit[unit == 0.0] = 1.0
    half_a, half_b = 0.5 * size_a / unit, 0.5 * size_b / unit
    R_a, R_b = T_a[:, :3, :3], T_b[:, :3, :3]
    offset = (T_b[:, :3, 3] - T_a[:, :3, 3]) / unit
    R = np.swapaxes(R_a, 1, 2) @ R_b
    b_in_a = np.einsum('nji,nj->ni', R_a, offset)
    a_in_b = -np.einsum('nji,nj->ni', R_b, offset)
    intersection = (
        _volume_below(half_a, half_b, R, b_in_a, np.zeros_like(b_in_a), owns_shared_faces=True)
        + _volume_below(half_b, half_a, np.swapaxes(R, 1, 2), a_in_b, a_in_b,
                        owns_shared_faces=False))
    volume_a, volume_b = 8 * half_a.prod(axis=1), 8 * half_b.prod(axis=1)
    intersection = np.clip(intersection, 0.0, np.minimum(volume_a, volume_b))
    union = volume_a + volume_b - intersection
    return np.asarray(np.divide(intersection, union, out=np.zeros_like(union),
                                where=union > 0.0))


def _volume_below(half: FloatArray, half_other: FloatArray, R: FloatArray, t: FloatArray,
                  origin: FloatArray, *, owns_shared_faces: bool) -> FloatArray:
    """Return the volume between a point and those parts of a box's faces inside another box.

    Args:
        half: (N, 3) half extents of the box whose faces are taken.
        half_other: (N, 3) half extents of the other box.
        R: (N, 3, 3) rotation from the other box's frame to the box's frame.
        t: (N, 3) centre of the other box in the box's frame.
        origin: (N, 3) the point in the box's frame; a face seen from behind counts negative.
        owns_shared_faces: Whether this box's face counts where both boxes have the same one.

    Returns:
        (N,) signed volumes.
    """
    centre = np.zeros((len(half), 6, 3))
    centre[:, np.arange(6), _FACE_AXIS] = _FACE_SIGN * half[:, _FACE_AXIS]
    # The other box's planes, normal . p <= offset, in this box's frame and in its faces.
    normals = np.repeat(np.swapaxes(R, 1, 2), 2, axis=1) * _FACE_SIGN[:, None]
    offsets = half_other[:, _FACE_AXIS] + np.einsum('npi,ni->np', normals, t)
    slack = offsets[:, None] - np.einsum('nfi,npi->nfp', centre, normals)
    in_face = normals[:, :, _ALONG_FACE].swapaxes(1, 2)
    steepness = np.linalg.norm(in_face, axis=-1)
    parallel = steepness < _PARALLEL
    same_side = normals[:, :, _FACE_AXIS].swapaxes(1, 2) * _FACE_SIGN[:, None] > 0
    shared = parallel & same_side & (np.abs(slack) < _SAME)
    outside = parallel & (slack < 0)
    outside = (outside & ~shared) if owns_shared_faces else (outside | shared)

    steepness = np.where(parallel, 1.0, steepness)
    directions = np.concatenate([_rectangle_normals(len(half)), in_face / steepness[..., None]], 2)
    distances = np.concatenate([half[:, _ALONG_FACE[:, [0, 0, 1, 1]]], slack / steepness], 2)
    bounds = np.concatenate([np.ones((len(half), 6, 4), dtype=bool), ~parallel], 2)
    area = _area(directions, distances, bounds)
    height = _FACE_SIGN * (centre - origin[:, None])[:, np.arange(6), _FACE_AXIS]
    return np.asarray((np.where(outside.any(axis=2), 0.0, area) * height).sum(axis=1) / 3.0)


def _rectangle_normals(count: int) -> FloatArray:
    normals = np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, -1.0], [0.0, 1.0]])
    return np.broadcast_to(normals, (count, 6, 4, 2))


def _area(normals: FloatArray, distances: FloatArray, bounds: NDArray[np.bool_]) -> FloatArray:
    """Return the area of convex polygons that are given by half-planes n . p <= d.

    Args:
        normals: (..., L, 2) unit normals n.
        distances: (..., L) signed distances d of the lines from the origin.
        bounds: (..., L) False where there is no half-plane.

    Returns:
        (...) areas; half of the sum over the edges of distance times length.
    """
    lines = normals.shape[-2]
    first = np.full(distances.shape, -_FAR)
    last = np.full(distances.shape, _FAR)
    for other in range(lines):
        normal, distance = normals[..., other, None, :], distances[..., other, None]
        cosine = (normals * normal).sum(axis=-1)
        slope = normals[..., 0] * normal[..., 1] - normals[..., 1] * normal[..., 0]
        crosses = np.abs(slope) > _PARALLEL
        # Of lines that coincide only the first bounds the polygon; a line never cuts itself.
        gap = distance - np.sign(cosine) * distances
        hides = gap < -_SAME
        hides[..., other + 1:] |= (np.abs(gap) <= _SAME)[..., other + 1:] & (
            cosine[..., other + 1:] > 0)
        cut = np.divide(distance - cosine * distances, slope, where=crosses,
                        out=np.where(hides, -_FAR, _FAR))
        valid = bounds[..., other, None]
        np.minimum(last, cut, out=last, where=valid & (~crosses | (slope > 0)))
        np.maximum(first, cut, out=first, where=valid & crosses & (slope < 0))
    length = np.where(bounds, np.maximum(last - first, 0.0), 0.0)
    return np.asarray(0.5 * (distances * length).sum(axis=-1))
