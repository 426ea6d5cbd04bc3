"""Oriented boxes: corners and the true intersection over union of two of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Signs of the eight corners; index bits are (x, y, z).
_CORNER_SIGNS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
# Corner indices of each face, counter-clockwise seen from outside: -x, +x, -y, +y, -z, +z.
_FACES = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4],
                   [1, 5, 7, 3]])
# Pairs of corners that an edge joins.
BOX_EDGES: tuple[tuple[int, int], ...] = (
    (0, 1), (0, 2), (0, 4), (1, 3), (1, 5), (2, 3), (2, 6), (3, 7), (4, 5), (4, 6), (5, 7), (6, 7))
_COPLANAR = 1e-9


def box_corners(T_camera_object: FloatArray, size: FloatArray) -> FloatArray:
    """Return the (8, 3) corners of a box centred on the object's origin, camera frame, metres."""
    local = _CORNER_SIGNS * (np.asarray(size) / 2.0)
    return np.asarray(local @ T_camera_object[:3, :3].T + T_camera_object[:3, 3])


def oriented_box_iou(T_a: FloatArray, size_a: FloatArray, T_b: FloatArray,
                     size_b: FloatArray) -> float:
    """Return the intersection over union of the volumes of two oriented boxes.

    The intersection of two convex bodies is bounded by the parts of each one's faces that lie
    inside the other; its volume follows from the divergence theorem.

    Args:
        T_a: (4, 4) pose of box a; its centre is the origin of the object frame.
        size_a: (3,) extents of box a, metres.
        T_b: (4, 4) pose of box b.
        size_b: (3,) extents of box b, metres.

    Returns:
        Ratio between 0 and 1.
    """
    volume_a, volume_b = float(np.prod(size_a)), float(np.prod(size_b))
    # Coordinates relative to one centre keep the sums well conditioned far from the camera.
    origin = T_a[:3, 3]
    faces_a, normals_a, offsets_a = _planes(T_a, size_a, origin)
    faces_b, normals_b, offsets_b = _planes(T_b, size_b, origin)
    intersection = (_clipped_volume(faces_a, normals_a, normals_b, offsets_b, keep_shared=True)
                    + _clipped_volume(faces_b, normals_b, normals_a, offsets_a,
                                      keep_shared=False))
    intersection = min(max(intersection, 0.0), volume_a, volume_b)
    return intersection / (volume_a + volume_b - intersection)


def _planes(T: FloatArray, size: FloatArray,
            origin: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return face polygons (6, 4, 3), outward normals (6, 3) and offsets (6,) of a box."""
    faces = (box_corners(T, size) - origin)[_FACES]
    axes = T[:3, :3].T
    normals = np.stack([-axes[0], axes[0], -axes[1], axes[1], -axes[2], axes[2]])
    return faces, normals, np.einsum('ij,ij->i', normals, faces[:, 0])


def _clipped_volume(faces: FloatArray, face_normals: FloatArray, normals: FloatArray,
                    offsets: FloatArray, *, keep_shared: bool) -> float:
    """Return the volume contribution of faces clipped by the half-spaces n.x <= offset.

    A face that both boxes share would count twice; `keep_shared` says whether this side does.
    """
    volume = 0.0
    for polygon, face_normal in zip(faces, face_normals, strict=True):
        clipped = polygon
        for normal, offset in zip(normals, offsets, strict=True):
            distance = clipped @ normal - offset
            if np.abs(distance).max() < _COPLANAR and face_normal @ normal > 0.0:
                if keep_shared:
                    continue
                clipped = clipped[:0]
            else:
                clipped = _clip(clipped, distance)
            if len(clipped) < 3:
                break
        if len(clipped) >= 3:
            fan = np.cross(clipped[1:-1] - clipped[0], clipped[2:] - clipped[0]).sum(axis=0)
            volume += float(clipped[0] @ face_normal) * float(fan @ face_normal) / 6.0
    return volume


def _clip(polygon: FloatArray, distance: FloatArray) -> FloatArray:
    """Return the part of a convex polygon where the signed distance is not positive."""
    following = np.roll(polygon, -1, axis=0)
    following_distance = np.roll(distance, -1)
    points: list[FloatArray] = []
    for point, next_point, d, next_d in zip(polygon, following, distance, following_distance,
                                            strict=True):
        if d <= 0.0:
            points.append(point)
        if (d < 0.0 < next_d) or (next_d < 0.0 < d):
            points.append(point + (next_point - point) * (d / (d - next_d)))
    return np.array(points).reshape(-1, 3)
