"""Whether a depth image holds depth in metres: what comes from a driver may be anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.frame import RGBDFrame

# Objects of interest stand in reach of a robot: a median beyond these is a wrong unit.
_FARTHEST_MEDIAN_DEPTH = 20.0
_NEAREST_MEDIAN_DEPTH = 0.02
_DEPTH_CHECK_STRIDE = 4
# No depth camera measures a single pixel beyond these, metres.
_NEAREST_DEPTH, _FARTHEST_DEPTH = 0.01, 100.0


def check_depth(depth: NDArray[np.float32] | None, users: Sequence[str] = ()) -> None:
    """Check that a depth image holds depth in metres.

    Args:
        depth: (H, W) float32 metres, NaN = unknown.
        users: Who needs it, for the message where there is none.

    Raises:
        InvalidInputError: If there is none, nothing is known, or the unit is wrong.
    """
    if depth is None:
        by = f' by {" and ".join(users)}' if users else ''
        raise InvalidInputError(f'there is no depth image but one is needed{by}; give depth '
                                'aligned to colour, or choose a backend and a segmentation model '
                                'that look at colour alone')
    known = depth[::_DEPTH_CHECK_STRIDE, ::_DEPTH_CHECK_STRIDE]
    known = known[np.isfinite(known) & (known != 0.0)]
    if known.size == 0:
        # A coarse look may miss a few valid pixels: look at all before refusing.
        known = depth[np.isfinite(depth) & (depth != 0.0)]
    if known.size == 0:
        raise InvalidInputError('depth image is all zero or NaN; check that the depth sensor is '
                                'on, uncovered and in range')
    median = float(np.median(known))
    if not _NEAREST_MEDIAN_DEPTH <= median <= _FARTHEST_MEDIAN_DEPTH:
        raise InvalidInputError(
            f'median depth is {median:.6g} m, outside {_NEAREST_MEDIAN_DEPTH} to '
            f'{_FARTHEST_MEDIAN_DEPTH:g} m: the unit does not fit the encoding; 16UC1 must hold '
            'millimetres and 32FC1 metres')


def has_depth(frame: RGBDFrame) -> bool:
    """Return whether anything is known of a frame's depth, whatever its unit."""
    return frame.depth is not None and bool(
        (np.isfinite(frame.depth) & (frame.depth != 0.0)).any())


def with_usable_depth(frame: RGBDFrame, users: Sequence[str] = ()) -> RGBDFrame:
    """Return a frame whose depth may be used.

    A pixel nearer than 1 cm or farther than 100 m is unknown in it: no camera measures that.

    Args:
        frame: As it came.
        users: Who needs depth; nobody = a frame of which no depth is known goes on without.

    Raises:
        InvalidInputError: If the unit of the depth is wrong, or none is known and it is needed.
    """
    if not users and not has_depth(frame):
        return replace(frame, depth=None)
    check_depth(frame.depth, users)
    assert frame.depth is not None
    absurd = (frame.depth < _NEAREST_DEPTH) | (frame.depth > _FARTHEST_DEPTH)
    if not absurd.any():
        return frame
    return replace(frame, depth=np.where(absurd, np.float32(np.nan), frame.depth))
