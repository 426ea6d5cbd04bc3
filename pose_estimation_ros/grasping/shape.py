"""The surface of an object as points with normals, from whatever a pose estimate brings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.grasping.affordances import Affordance

FloatArray = NDArray[np.float64]

_MOST_POINTS = 256
_MESH_POINTS = 1024
_NEIGHBOURS = 8
_MIDPOINTS = 4
_GOLDEN_RATIO = 0.5 * (np.sqrt(5.0) - 1.0)
_COPIES = 3
_GRID = 15
# What is farther from the axis than this share of the radius is no part of the round body.
_BODY_RADIUS = 1.05


@dataclass(frozen=True)
class ObjectShape:
    """Points on the surface of an object.

    Attributes:
        points: (M, 3) metres, object frame.
        normals: (M, 3) unit, of either sign.
    """

    points: FloatArray
    normals: FloatArray


def shape_of(pose: ObjectPose, affordance: Affordance) -> ObjectShape:
    """Return the surface of an object: its mesh, its reconstructed points, or else its box.

    A network reconstructs a few hundred points, farther apart than a finger is wide. Round bodies
    are filled up by turning copies about their axis, straight ones by shifting copies, others by
    the points midway between neighbours.
    """
    if pose.points is None:
        return _box(pose.size)
    if pose.faces is not None:
        return _sampled(pose.points.astype(np.float64), pose.faces)
    stride = -(-len(pose.points) // _MOST_POINTS)
    points = pose.points[::stride].astype(np.float64)
    if len(points) <= _NEIGHBOURS:
        return _box(pose.size)
    nearest = _nearest(points)
    shape = ObjectShape(points, _normals(points, nearest))
    if affordance.is_round:
        return _turned(shape, affordance.axis_x(pose.size), affordance.radius(pose.size))
    if affordance.is_straight:
        return _shifted(shape, pose.size[2])
    return _filled_up(shape, nearest)


def _nearest(points: FloatArray) -> NDArray[np.intp]:
    """Return the (N, K) nearest neighbours of each point, itself among them, in any order."""
    square = (points ** 2).sum(axis=1)
    distance = square[:, None] + square - 2.0 * points @ points.T
    return np.argpartition(distance.astype(np.float32), _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]


def _normals(points: FloatArray, nearest: NDArray[np.intp]) -> FloatArray:
    """Return the direction in which the neighbours of each point spread least.

    That is the eigenvector of the smallest eigenvalue of their covariance, in closed form: the
    eigenvalues by the trigonometric formula, and the eigenvector at right angles to the rows of
    what is left when the eigenvalue is subtracted.
    """
    near = points[nearest]
    near = near - near.mean(axis=1, keepdims=True)
    spread = np.swapaxes(near, 1, 2) @ near
    mean = np.trace(spread, axis1=1, axis2=2) / 3.0
    rest = spread - mean[:, None, None] * np.eye(3)
    scale = np.sqrt((rest ** 2).sum(axis=(1, 2)) / 6.0) + 1e-30
    angle = np.arccos(np.clip(0.5 * np.linalg.det(rest / scale[:, None, None]), -1, 1)) / 3.0
    smallest = mean + 2.0 * scale * np.cos(angle + 2.0 * np.pi / 3.0)
    rows = spread - smallest[:, None, None] * np.eye(3)
    across = np.cross(rows, np.roll(rows, 1, axis=1))
    length = np.linalg.norm(across, axis=2)
    best = np.take_along_axis(across, length.argmax(axis=1)[:, None, None], axis=1)[:, 0]
    return np.asarray(best / (length.max(axis=1)[:, None] + 1e-30))


def _turned(shape: ObjectShape, axis_x: float, radius: float) -> ObjectShape:
    """Return the surface with copies of its round body turned about its axis."""
    points = shape.points - [axis_x, 0.0, 0.0]
    body = np.hypot(points[:, 0], points[:, 2]) <= _BODY_RADIUS * radius
    turns = axis_rotation((0.0, 1.0, 0.0), 2 * np.pi * _GOLDEN_RATIO * np.arange(1, _COPIES))
    turned = (points[body] @ np.swapaxes(turns, 1, 2)).reshape(-1, 3) + [axis_x, 0.0, 0.0]
    normals = (shape.normals[body] @ np.swapaxes(turns, 1, 2)).reshape(-1, 3)
    return ObjectShape(np.concatenate([shape.points, turned]),
                       np.concatenate([shape.normals, normals]))


def _shifted(shape: ObjectShape, length: float) -> ObjectShape:
    """Return the surface with copies that are shifted along z; what leaves one end comes back."""
    steps = length * _GOLDEN_RATIO * np.arange(_COPIES)
    points = np.tile(shape.points, (_COPIES, 1, 1))
    points[..., 2] = (points[..., 2] + steps[:, None] + 0.5 * length) % length - 0.5 * length
    return ObjectShape(points.reshape(-1, 3), np.tile(shape.normals, (_COPIES, 1)))


def _filled_up(shape: ObjectShape, nearest: NDArray[np.intp]) -> ObjectShape:
    points, normals = shape.points, shape.normals
    first = np.repeat(np.arange(len(points)), _MIDPOINTS)
    second = nearest[:, :_MIDPOINTS].reshape(-1)
    # Of two points that are neighbours of each other one midpoint is enough.
    once = first < second
    first, second = first[once], second[once]
    aligned = np.sign((normals[first] * normals[second]).sum(axis=1, keepdims=True) + 1e-12)
    between = normals[first] + aligned * normals[second]
    between /= np.linalg.norm(between, axis=1, keepdims=True)
    middle = 0.5 * (points[first] + points[second])
    return ObjectShape(np.concatenate([points, middle]), np.concatenate([normals, between]))


def _sampled(vertices: FloatArray, faces: NDArray[np.int32]) -> ObjectShape:
    """Return points spread evenly over the triangles of a mesh, always the same ones."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    cross = np.cross(b - a, c - a)
    length = np.linalg.norm(cross, axis=1)
    ends = np.cumsum(length)
    places = (np.arange(_MESH_POINTS) + 0.5) / _MESH_POINTS * ends[-1]
    chosen = np.minimum(np.searchsorted(ends, places), len(faces) - 1)
    # Two irrational steps spread the points within the triangles.
    u, v = (np.arange(1, _MESH_POINTS + 1)[:, None] * step % 1.0
            for step in (0.7548776662466927, 0.5698402909980532))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    points = a[chosen] + u * (b - a)[chosen] + v * (c - a)[chosen]
    return ObjectShape(points, cross[chosen] / length[chosen][:, None])


def _box(size: FloatArray) -> ObjectShape:
    """Return a grid of points on the faces of a box."""
    grid = np.linspace(-0.5, 0.5, _GRID)
    first, second = (axis.reshape(-1) for axis in np.meshgrid(grid, grid))
    points, normals = [], []
    for axis in range(3):
        for side in (-0.5, 0.5):
            face = np.full((len(first), 3), side)
            face[:, (axis + 1) % 3], face[:, (axis + 2) % 3] = first, second
            points.append(face * size)
            normals.append(np.tile(np.eye(3)[axis], (len(first), 1)))
    return ObjectShape(np.concatenate(points), np.concatenate(normals))
