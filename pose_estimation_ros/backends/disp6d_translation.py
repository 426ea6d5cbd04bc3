"""From a matched view of a known object to a pose: how far, where, and seen from which side.

Source: DISP6D (ECCV 2022), setting with CAD models, after the augmented autoencoder (Sundermeyer
et al., ECCV 2018, section 3.6); facts in spec section 3.6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform

FloatArray = NDArray[np.float64]
Turn = Callable[[FloatArray], FloatArray]
"""From a position to the rotation of its line of sight, see `turned_to_ray`."""


@dataclass(frozen=True)
class LineOfSight:
    """The rules by which a matched view becomes a pose: ours, or the published ones.

    Attributes:
        turn: To the line of sight.
        place: From boxes and cameras to a position, see `box_translation`.
    """

    turn: Turn
    place: Callable[[FloatArray, FloatArray, FloatArray, FloatArray, float], FloatArray]


def box_translation(box: FloatArray, K: FloatArray, view_box: FloatArray, view_K: FloatArray,
                    view_distance: float) -> FloatArray:
    """Return where an object is, by the ratio of two boxes' diagonals as x/z and y/z.

    Args:
        box: (..., 4) x_min, y_min, x_max, y_max of the object, in the coordinates of `K`.
        K: (3, 3) camera matrix of the image.
        view_box: (..., 4) of the object in the matched view.
        view_K: (3, 3) camera matrix of that view; the identity for a box of x/z and y/z.
        view_distance: Of the object's origin in that view, which lies on the optical axis.

    Returns:
        (..., 3) in the unit of `view_distance`, in the camera of the image.
    """
    ratio = _diagonal(view_box, _focal(view_K)) / _diagonal(box, _focal(K))
    return _placed(ratio * view_distance, box, K, view_box, view_K, view_distance)


def published_translation(box: FloatArray, K: FloatArray, view_box: FloatArray,
                          view_K: FloatArray, view_distance: float) -> FloatArray:
    """Return `box_translation` as published, which compares the diagonals in pixels.

    It differs where pixels are not square.
    """
    pixels = np.ones(2)
    ratio = _diagonal(view_box, pixels) / _diagonal(box, pixels)
    z = ratio * np.mean(_focal(K) / _focal(view_K)) * view_distance
    return _placed(z, box, K, view_box, view_K, view_distance)


def turned_to_ray(t: FloatArray) -> FloatArray:
    """Return the (..., 3, 3) rotations that take the optical axis to the ray to (..., 3) points.

    An object that is seen at an angle shows the camera the side that it would show, turned back
    by this rotation, at the middle of the image.
    """
    across = axis_rotation((0.0, 1.0, 0.0), np.arctan2(t[..., 0], t[..., 2]))
    tilt = np.arctan2(t[..., 1], np.hypot(t[..., 0], t[..., 2]))
    return np.asarray(across @ axis_rotation((-1.0, 0.0, 0.0), tilt))


def published_turn(t: FloatArray) -> FloatArray:
    """Return `turned_to_ray` as published, which takes the tilt as if there were no turn before.

    It differs for objects that are far both from the middle column and from the middle row.
    """
    across = axis_rotation((0.0, 1.0, 0.0), np.arctan(t[..., 0] / t[..., 2]))
    return np.asarray(across @ axis_rotation((-1.0, 0.0, 0.0), np.arctan(t[..., 1] / t[..., 2])))


def about_origin(R: FloatArray, t: FloatArray, center: FloatArray) -> FloatArray:
    """Return the (..., 4, 4) poses of objects whose (3,) point `center` was put at `t`."""
    return make_transform(R, t - R @ center)


def _placed(z: FloatArray, box: FloatArray, K: FloatArray, view_box: FloatArray,
            view_K: FloatArray, view_distance: float) -> FloatArray:
    """Return the (..., 3) position at the distance `z` (...) whose box has its middle there."""
    return np.asarray(z[..., None] * _ray_of_middle(box, K)
                      - view_distance * _ray_of_middle(view_box, view_K) * (1.0, 1.0, 0.0))


def _focal(K: FloatArray) -> FloatArray:
    """Return the (2,) focal lengths of a camera matrix."""
    return K[[0, 1], [0, 1]]


def _diagonal(box: FloatArray, unit: FloatArray) -> FloatArray:
    """Return the (...) diagonals of boxes in the (2,) units of their sides."""
    return np.asarray(np.linalg.norm((box[..., 2:] - box[..., :2]) / unit, axis=-1))


def _ray_of_middle(box: FloatArray, K: FloatArray) -> FloatArray:
    """Return the (..., 3) ray of depth 1 through the middle of a box."""
    middle = 0.5 * (box[..., :2] + box[..., 2:])
    xy = (middle - K[:2, 2]) / _focal(K)
    return np.concatenate([xy, np.ones((*xy.shape[:-1], 1))], axis=-1)


EXACT = LineOfSight(turned_to_ray, box_translation)
PUBLISHED = LineOfSight(published_turn, published_translation)
