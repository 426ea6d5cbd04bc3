"""From a matched view of a known object to a pose: how far, where, and seen from which side.

Source: DISP6D (ECCV 2022), setting with CAD models, after the augmented autoencoder (Sundermeyer
et al., ECCV 2018, section 3.6); facts in spec section 3.6.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform

FloatArray = NDArray[np.float64]


def box_translation(box: FloatArray, K: FloatArray, view_box: FloatArray, view_K: FloatArray,
                    view_distance: float) -> FloatArray:
    """Return where an object is, by the ratio of two boxes' diagonals.

    Args:
        box: (..., 4) x_min, y_min, x_max, y_max of the object, in the coordinates of `K`.
        K: (3, 3) camera matrix of the image.
        view_box: (..., 4) of the object in the matched view.
        view_K: (3, 3) camera matrix of that view; the identity for a box of x/z and y/z.
        view_distance: Of the object's origin in that view, which lies on the optical axis.

    Returns:
        (..., 3) in the unit of `view_distance`, in the camera of the image.
    """
    ratio = _diagonal(view_box) / _diagonal(box)
    z = ratio * np.mean(K[[0, 1], [0, 1]] / view_K[[0, 1], [0, 1]]) * view_distance
    return (z[..., None] * _ray_of_middle(box, K)
            - view_distance * _ray_of_middle(view_box, view_K) * (1.0, 1.0, 0.0))


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


def _diagonal(box: FloatArray) -> FloatArray:
    return np.hypot(box[..., 2] - box[..., 0], box[..., 3] - box[..., 1])


def _ray_of_middle(box: FloatArray, K: FloatArray) -> FloatArray:
    """Return the (..., 3) ray of depth 1 through the middle of a box."""
    middle = 0.5 * (box[..., :2] + box[..., 2:])
    xy = (middle - K[:2, 2]) / K[[0, 1], [0, 1]]
    return np.concatenate([xy, np.ones((*xy.shape[:-1], 1))], axis=-1)
