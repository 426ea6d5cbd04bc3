"""Which way is up: the direction away from the ground, from one depth image.

Tables, shelves and floors share one normal, so it collects more votes than any other direction
of a tabletop scene. Walls are told apart by the image: a camera that is held upright and looks
down sees horizontal surfaces with normals that point up in the image, and walls with normals
that point sideways or down. A surface that faces the camera squarely may be either, the table
under a camera that looks straight down or the wall before a level one: it is the wall where a
table can be seen besides.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.rotation import axis_angle_to_matrix

FloatArray = NDArray[np.float64]

_CELL = 4
_SPAN = 2
# The inverse depth of a plane is linear in the image: cells that bend it by more than this share
# lie on different surfaces, however steeply the plane runs away from the camera.
_LARGEST_BEND = 0.012
# A horizontal surface's normal points up in the image by at least this part, or straight at a
# camera that looks down at it.
_LEAST_UPWARD = 0.15
_STRAIGHT = 0.95
# Of the table's votes so many are enough beside a surface that faces the camera: less are sides
# of objects that are seen from above.
_LEAST_TABLE = 0.2
_CANDIDATES = 192
_VOTE_ANGLE = np.radians(8.0)
# Wide at first: of a ground at the border of what counts as upward only a part was voted for.
_WIDE_ANGLES = np.radians((20.0, 14.0, 10.0))
_REFINE_ANGLES = np.radians((8.0, 6.0, 5.0))
_LEAST_VOTES = 150
_LEAST_SHARE = 0.08


def estimate_up(depth: NDArray[np.float32], intrinsics: CameraIntrinsics,
                seed: int = 0) -> FloatArray | None:
    """Return the unit direction away from the ground, or None if no surface stands out.

    Args:
        depth: (H, W) float32 metres, NaN = unknown.
        intrinsics: Camera of the depth image, without distortion.
        seed: Seed of the candidates.

    Returns:
        (3,) float64 in the camera optical frame.
    """
    normals = _surface_normals(depth, intrinsics)
    if len(normals) < _LEAST_VOTES:
        return None
    faced = (normals[:, 2] < -_STRAIGHT) & (normals[:, 1] < 0.1)
    upward = ~faced & (normals[:, 1] < -_LEAST_UPWARD)
    generator = np.random.default_rng(seed)
    voted = [_most_voted(normals[group], generator) for group in (upward, faced) if group.any()]
    votes = [_votes(normals, up) for up in voted]
    least = max(_LEAST_VOTES, _LEAST_SHARE * len(normals))
    if max(votes, default=0) < least:
        return None
    if len(votes) == 2 and _is_table(normals, voted[0], *votes):
        return _refined(normals, voted[0])
    _, best = max((number * float(_level(up)), place)
                  for place, (up, number) in enumerate(zip(voted, votes, strict=True))
                  if number >= least)
    up = voted[best]
    return _refined(normals, up)


def _most_voted(normals: NDArray[np.float32], generator: np.random.Generator) -> FloatArray:
    """Return the (3,) normal of (M, 3) that most others are near to."""
    chosen = generator.choice(len(normals), min(_CANDIDATES, len(normals)), replace=False)
    votes = (normals @ normals[chosen].T > np.cos(_VOTE_ANGLE)).sum(axis=0)
    best = chosen[int(np.argmax(votes * _level(normals[chosen])))]
    return np.asarray(normals[best], dtype=np.float64)


def _is_table(normals: NDArray[np.float32], up: FloatArray, votes: int, faced: int) -> bool:
    """Return whether a surface is the table before a wall that the camera faces.

    Args:
        normals: (M, 3) of all cells.
        up: (3,) normal of the surface.
        votes: For it.
        faced: For what the camera faces.
    """
    # Seen from above, an open box has a wall that faces each way; nothing faces a table.
    opposite = _votes(normals, -up)
    return up[1] < -_STRAIGHT and votes > max(_LEAST_VOTES, _LEAST_TABLE * faced, 2 * opposite)


def _level(up: NDArray[np.floating]) -> FloatArray:
    """Return (...) weights of (..., 3) directions: cameras lean forwards, seldom to a side."""
    return np.asarray((1.0 - 0.7 * up[..., 0] ** 2) ** 2)


def _votes(normals: NDArray[np.float32], up: FloatArray,
           angle: float = _VOTE_ANGLE) -> int:
    return int((normals @ up > np.cos(angle)).sum())


def _refined(normals: NDArray[np.float32], up: FloatArray) -> FloatArray:
    """Return the (3,) mean of the normals of the surface that one of them is of."""
    wide = _narrowed(normals, up, (*_WIDE_ANGLES, *_REFINE_ANGLES))
    # The wide mean of two surfaces lies between them, where few normals are.
    if 2 * _votes(normals, wide, _REFINE_ANGLES[-1]) < _votes(normals, up, _REFINE_ANGLES[-1]):
        return _narrowed(normals, up, _REFINE_ANGLES)
    return wide


def _narrowed(normals: NDArray[np.float32], up: FloatArray,
              angles: Iterable[float]) -> FloatArray:
    """Return the (3,) mean of the normals within one angle of the mean before, and so on."""
    for angle in angles:
        near = normals[normals @ up > np.cos(angle)]
        if not len(near):
            break
        up = near.sum(axis=0, dtype=np.float64)
        up /= np.linalg.norm(up)
    return up


def view_rotation(ray: FloatArray, up: FloatArray) -> FloatArray:
    """Return the (B, 3, 3) rotations from the camera to the view frame.

    Args:
        ray: (B, 3) unit viewing rays.
        up: (B, 3) unit up directions.

    The horizontal direction is that of the ray plus the image's upward direction: for a camera
    that looks straight down the ray has none, but the sum never vanishes while the camera is
    held upright.
    """
    forward = ray - np.array([0.0, 1.0, 0.0])
    z = forward - (forward * up).sum(axis=1, keepdims=True) * up
    length = np.linalg.norm(z, axis=1, keepdims=True)
    # A camera held upside down may look where the sum does vanish: any horizontal will do.
    other = np.cross(up, np.eye(3)[np.argmin(np.abs(up), axis=1)])
    z = np.where(length > 1e-3, z, other)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    return np.stack([np.cross(up, z), up, z], axis=1)


def guessed_up(ray: FloatArray) -> FloatArray:
    """Return (B, 3) up directions of an upright camera that looks down by 45 degrees.

    Args:
        ray: (B, 3) unit viewing rays, camera optical frame.
    """
    image_up = np.array([0.0, -1.0, 0.0]) + ray[:, 1:2] * ray
    image_up /= np.maximum(np.linalg.norm(image_up, axis=1, keepdims=True), 1e-9)
    return np.asarray((image_up - ray) / np.sqrt(2.0))


def upright_turn(R: FloatArray, up: FloatArray, tolerance: float) -> FloatArray:
    """Return the (B, 3, 3) least turns that make objects stand that nearly stand.

    Most things that lean by a few degrees do so in the estimate alone: what stands on a table
    stands upright, on its foot or on its head.

    Args:
        R: (B, 3, 3) rotations of object frames with +y up, as all categories have.
        up: (3,) or (B, 3) unit directions away from the ground, in the frame that they rotate
            to; NaN where unknown.
        tolerance: How far from upright an object may be to be turned, radians.

    Returns:
        From the left of R; the identity where an object leans by more, or nobody knows.
    """
    y = R[:, :, 1]
    # Up, or down for what stands on its head.
    vertical = np.where((y * up).sum(axis=1, keepdims=True) < 0, -up, up)
    axis = np.cross(y, vertical)
    sine = np.linalg.norm(axis, axis=1)
    lean = np.arctan2(sine, (y * vertical).sum(axis=1))
    turned = (lean < tolerance) & (sine > 0)
    angle = np.where(turned, lean / np.where(turned, sine, 1.0), 0.0)
    return axis_angle_to_matrix(angle[:, None] * np.where(turned[:, None], axis, 0.0))


def _surface_normals(depth: NDArray[np.float32],
                     intrinsics: CameraIntrinsics) -> NDArray[np.float32]:
    """Return (M, 3) unit normals, turned to the camera, of the cells of a coarse grid."""
    height, width = (size // _CELL * _CELL for size in depth.shape)
    cells = depth[:height, :width].reshape(height // _CELL, _CELL, width // _CELL, _CELL)
    known = np.isfinite(cells) & (cells > 0)
    count = known.sum(axis=(1, 3))
    # Averaging within a cell before differences are taken keeps the depth noise down.
    z = np.where(known, cells, 0).sum(axis=(1, 3)) / np.maximum(count, 1)
    z[count < _CELL * _CELL // 2] = np.nan
    u = np.arange(width // _CELL) * _CELL + (_CELL - 1) / 2
    v = np.arange(height // _CELL) * _CELL + (_CELL - 1) / 2
    points = np.stack([(u[None] - intrinsics.cx) / intrinsics.fx * z,
                       (v[:, None] - intrinsics.cy) / intrinsics.fy * z, z], axis=-1)
    middle = slice(_SPAN, -_SPAN)
    inner = points[middle, middle]
    right = points[middle, 2 * _SPAN:] - points[middle, :-2 * _SPAN]
    down = points[2 * _SPAN:, middle] - points[:-2 * _SPAN, middle]
    with np.errstate(invalid='ignore', divide='ignore'):
        inverse = 1.0 / z
        bend_right = inverse[middle, 2 * _SPAN:] + inverse[middle, :-2 * _SPAN]
        bend_down = inverse[2 * _SPAN:, middle] + inverse[:-2 * _SPAN, middle]
        twice = 2.0 * inverse[middle, middle]
        normal = np.cross(down, right)
        length = np.linalg.norm(normal, axis=-1)
        smooth = ((np.abs(bend_right - twice) < _LARGEST_BEND * twice)
                  & (np.abs(bend_down - twice) < _LARGEST_BEND * twice) & (length > 0))
    unit = normal[smooth] / length[smooth][:, None]
    facing = np.einsum('mi,mi->m', unit, inner[smooth]) < 0
    return np.asarray(np.where(facing[:, None], unit, -unit), dtype=np.float32)
