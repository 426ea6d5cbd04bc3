"""Pose and NOCS targets that do not depend on the unseen turn about a symmetry axis.

A bottle turned about its own axis looks the same, so its ground truth rotation is one of
infinitely many. Every one of them is mapped to the same representative: the rotation R with
R02 = R20 and R00 + R22 > 0, which among all turns R Ry is the closest to the identity.

Source: the published training of SPD (spec 4.2); NOCS, Wang et al., CVPR 2019, section 5.
"""

from __future__ import annotations

import numpy as np

# Below this length the turn is undetermined (the object's axis points to -y); it is left alone.
_SMALLEST_NORM = 1e-8


def canonical_turn(rotation: np.ndarray) -> np.ndarray:
    """Return the turn S about y for which R S is the representative of R.

    Args:
        rotation: (..., 3, 3) R_camera_object.

    Returns:
        (..., 3, 3) float64 S, the identity where the turn is undetermined.
    """
    rotation = np.asarray(rotation, dtype=np.float64)
    cosine = rotation[..., 0, 0] + rotation[..., 2, 2]
    sine = rotation[..., 0, 2] - rotation[..., 2, 0]
    norm = np.hypot(cosine, sine)
    determined = norm > _SMALLEST_NORM
    norm = np.where(determined, norm, 1.0)
    cosine = np.where(determined, cosine / norm, 1.0)
    sine = np.where(determined, sine / norm, 0.0)
    turn = np.zeros_like(rotation)
    turn[..., 0, 0] = turn[..., 2, 2] = cosine
    turn[..., 1, 1] = 1.0
    turn[..., 0, 2] = -sine
    turn[..., 2, 0] = sine
    return turn


def symmetric_targets(
    rotation: np.ndarray, nocs: np.ndarray, symmetric: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the targets with symmetric objects turned to their representative.

    The observed points stay where they are: (R S)(nocs S)^T = R nocs^T.

    Args:
        rotation: (B, 3, 3) R_camera_object.
        nocs: (B, N, 3) NOCS coordinates of the observed points, rows.
        symmetric: (B,) bool, whether the object is continuously symmetric about its y axis.

    Returns:
        rotation (B, 3, 3) and nocs (B, N, 3), dtypes as given.
    """
    turn = np.where(np.asarray(symmetric)[:, None, None], canonical_turn(rotation), np.eye(3))
    return (
        (rotation @ turn).astype(rotation.dtype, copy=False),
        (nocs @ turn).astype(nocs.dtype, copy=False),
    )
