"""Rotations at which views of an object are learnt by heart: directions times in-plane turns.

Directions are the corners of an icosahedron whose triangles are split in four again and again;
they number 12, 42, 162, 642, 2562. A rotation takes the object frame into the camera optical
frame.

Source: Hinterstoisser et al., Simultaneous recognition and homography extraction of local
patches, CVPR 2008 (the subdivision), in the order of the BOP toolkit, as DISP6D (ECCV 2022) and
the augmented autoencoder (ECCV 2018) use them; facts in spec section 3.6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.rotation import axis_rotation

FloatArray = NDArray[np.float64]

_MOST_SPLITS = 6
_PUBLISHED_SPLITS, _PUBLISHED_TURNS = 4, 36
_GOLDEN = (1.0 + np.sqrt(5.0)) / 2.0
_CORNERS = np.array([
    (-1, _GOLDEN, 0), (1, _GOLDEN, 0), (-1, -_GOLDEN, 0), (1, -_GOLDEN, 0),
    (0, -1, _GOLDEN), (0, 1, _GOLDEN), (0, -1, -_GOLDEN), (0, 1, -_GOLDEN),
    (_GOLDEN, 0, -1), (_GOLDEN, 0, 1), (-_GOLDEN, 0, -1), (-_GOLDEN, 0, 1)])


@dataclass(frozen=True, eq=False)
class ReferenceRotations:
    """A set of rotations: each view direction in each turn about the optical axis.

    Attributes:
        views: (V, 3, 3) rotations that look at the object from V directions, z of the object
            frame up in the image.
        turns: (P,) angles by which the camera is turned about its optical axis, radians: the
            object turns the other way in the image.
    """

    views: FloatArray
    turns: FloatArray

    def __len__(self) -> int:
        """Return the number of rotations, V * P."""
        return len(self.views) * len(self.turns)

    def matrices(self) -> FloatArray:
        """Return the (V * P, 3, 3) rotations, the turns of a view one after another."""
        turned = axis_rotation((0.0, 0.0, -1.0), self.turns)[None] @ self.views[:, None]
        return np.asarray(turned.reshape(-1, 3, 3))

    def matrix(self, view: int, turn: int) -> FloatArray:
        """Return the (3, 3) rotation of one view in one turn, by their numbers."""
        return np.asarray(axis_rotation((0.0, 0.0, -1.0), self.turns[turn]) @ self.views[view])


def reference_rotations(splits: int, turns: int) -> ReferenceRotations:
    """Return evenly spread rotations.

    Args:
        splits: How often the triangles of the icosahedron are split: 3 for 642 directions.
        turns: Number of different turns about the optical axis.

    Raises:
        ConfigurationError: If a number is out of range.
    """
    if not 0 <= splits <= _MOST_SPLITS or turns < 1:
        raise ConfigurationError(f'reference rotations with {splits} splits and {turns} turns: '
                                 f'there may be 0 to {_MOST_SPLITS} splits and 1 or more turns')
    return ReferenceRotations(_views(splits), 2.0 * np.pi * np.arange(turns) / turns)


def published_reference_rotations() -> ReferenceRotations:
    """Return the 92 232 published rotations: 2562 directions times 36 turns.

    The last turn is a full one and equals the first; so the published code books have it.
    """
    return ReferenceRotations(_views(_PUBLISHED_SPLITS),
                              np.linspace(0.0, 2.0 * np.pi, _PUBLISHED_TURNS))


def icosphere_directions(splits: int) -> FloatArray:
    """Return (V, 3) unit vectors, from the top one ring by ring, each ring by azimuth."""
    points, faces = _CORNERS.copy(), _faces()
    for _ in range(splits):
        points, faces = _split(points, faces)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points[_from_the_top(points, faces)]


def _faces() -> NDArray[np.int64]:
    """Return the (20, 3) triangles: all corners that are pairwise an edge apart."""
    distance = np.linalg.norm(_CORNERS[:, None] - _CORNERS[None], axis=-1)
    adjacent = np.isclose(distance, 2.0)
    return np.array([(a, b, c) for a in range(12) for b in range(a) for c in range(b)
                     if adjacent[a, b] and adjacent[b, c] and adjacent[a, c]])


def _split(points: FloatArray,
           faces: NDArray[np.int64]) -> tuple[FloatArray, NDArray[np.int64]]:
    """Put a point on the middle of each edge, and make four triangles of each."""
    edges = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1), axis=-1)
    unique, middle = np.unique(edges.reshape(-1, 2), axis=0, return_inverse=True)
    middles = len(points) + middle.reshape(-1, 3)
    (a, b, c), (ab, bc, ca) = faces.T, middles.T
    finer = np.stack([(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)])
    return (np.concatenate([points, points[unique].mean(axis=1)]),
            np.moveaxis(finer, 1, 2).reshape(-1, 3))


def _from_the_top(points: FloatArray, faces: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the order of (V, 3) points: the top one, its neighbours, theirs and so on."""
    neighbours: list[set[int]] = [set() for _ in points]
    for face in faces.tolist():
        for corner in face:
            neighbours[corner].update(face)
    # Rounded, so that points above each other have one azimuth whatever their last digits are.
    azimuth = np.round(np.arctan2(points[:, 1], points[:, 0]) % (2.0 * np.pi), 9)
    ring, seen, order = {int(points[:, 2].argmax())}, set[int](), list[int]()
    while ring:
        seen |= ring
        order += sorted(ring, key=lambda index: (azimuth[index], index))
        ring = set.union(*(neighbours[index] for index in ring)) - seen
    return np.array(order)


def _views(splits: int) -> FloatArray:
    """Return the (V, 3, 3) rotations that look from the directions to the origin."""
    forward = -icosphere_directions(splits)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    length = np.linalg.norm(right, axis=1, keepdims=True)
    # Straight from above and below there is no up.
    right = np.where(length > 0, right / np.maximum(length, 1e-300), (1.0, 0.0, 0.0))
    return np.stack([right, np.cross(forward, right), forward], axis=1)
