"""A uniform grid of rotations: HEALPix directions times turns in the image plane.

Source: Yershova et al., "Generating uniform incremental grids on SO(3) using the Hopf fibration"
(IJRR 2010); the order of the rotations is that of MRC-Net's classifier (CVPR 2024, section 3.2).
"""

from __future__ import annotations

import numpy as np

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.rotation import FloatArray, quaternion_to_matrix


def grid_size(nside: int) -> int:
    """Return the number of rotations of a grid: 576, 1944 and 4608 for `nside` 2, 3 and 4."""
    return 72 * nside ** 3


def so3_grid(nside: int) -> FloatArray:
    """Return the rotations of a grid as (72 nside^3, 3, 3) matrices.

    The 12 nside^2 directions of HEALPix vary fastest, the 6 nside turns slowest. With `nside` 4
    neighbours are 12.7 to 15 degrees apart and no rotation is farther than 13 degrees.

    Args:
        nside: Resolution: rows between the pole and the end of HEALPix' polar cap, at least 1.

    Raises:
        ConfigurationError: If `nside` is below 1.
    """
    if nside < 1:
        raise ConfigurationError(f'a grid of rotations needs nside of at least 1, not {nside}; '
                                 'choose 2, 3 or 4')
    colatitude, longitude = _directions(nside)
    turn = np.arange(6 * nside)[:, None] * (2 * np.pi / (6 * nside))
    quaternions = np.stack([
        np.sin(colatitude / 2) * np.sin(longitude - turn / 2),
        np.sin(colatitude / 2) * np.cos(longitude - turn / 2),
        np.cos(colatitude / 2) * np.sin(turn / 2),
        np.cos(colatitude / 2) * np.cos(turn / 2)], axis=-1)
    return quaternion_to_matrix(quaternions.reshape(-1, 4))


def axis_deviation(count: int) -> float:
    """Return how far a rotation is from the nearest of so many, root mean square about each axis.

    Measured of grids; 72 rotations are 29.3 degrees from others, and this goes with the cube root
    of their number. It holds for any evenly spread rotations.

    Args:
        count: Number of rotations.

    Returns:
        Radians.
    """
    return float(np.radians(29.3 / np.sqrt(3.0)) * np.cbrt(grid_size(1) / count))


def _directions(nside: int) -> tuple[FloatArray, FloatArray]:
    """Return colatitude and longitude of HEALPix' 12 nside^2 directions, southern rows mirrored.

    Order: northern cap, southern cap, northern belt, southern belt, equator.
    """
    cap_cosines, cap_longitudes = [], []
    for row in range(1, nside):
        column = np.arange(1, 4 * row + 1)
        cap_cosines.append(np.full(4 * row, 1 - row ** 2 / (3 * nside ** 2)))
        cap_longitudes.append(np.pi / (2 * row) * (column - 0.5))
    belt_rows = np.repeat(np.arange(nside, 2 * nside + 1), 4 * nside)
    column = np.tile(np.arange(1, 4 * nside + 1), nside + 1)
    # Every other row is shifted by half a cell.
    shift = (belt_rows - nside + 1) % 2
    longitude = np.pi / (2 * nside) * (column - shift / 2)
    colatitude = np.arccos(4 / 3 - 2 * belt_rows / (3 * nside))
    equator = slice(4 * nside ** 2, None)
    belt = slice(0, 4 * nside ** 2)
    cap_colatitude = np.arccos(np.concatenate(cap_cosines or [np.empty(0)]))
    cap_longitude = np.concatenate(cap_longitudes or [np.empty(0)])
    return (np.concatenate([cap_colatitude, np.pi - cap_colatitude, colatitude[belt],
                            np.pi - colatitude[belt], colatitude[equator]]),
            np.concatenate([cap_longitude, cap_longitude, longitude[belt], longitude[belt],
                            longitude[equator]]))
