"""The codes of an object seen from everywhere, and which of them is nearest to a code.

Codes are stored as 16 bit whole numbers about their mean: half the size of float32, and with more
digits than float16 has where codes are alike. `benchmarks/disp6d_codebook.py` measures how often
the nearest code stays the same, also for 8 bit, where it does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]

_LARGEST = np.iinfo(np.int16).max


@dataclass(frozen=True, eq=False)
class PackedCodes:
    """Codes of unit length as they are stored.

    Attributes:
        numbers: (K, D) int16, so that code = mean + step * number.
        step: Of the numbers.
        mean: (D,) float32 mean of the codes.
    """

    numbers: NDArray[np.int16]
    step: float
    mean: Float32Array

    @classmethod
    def of(cls, codes: Float32Array) -> PackedCodes:
        """Pack (K, D) codes of any length."""
        unit = unit_length(codes)
        mean = unit.mean(axis=0)
        centered = unit - mean
        step = float(np.abs(centered).max()) / _LARGEST or 1.0
        return cls(np.round(centered / np.float32(step)).astype(np.int16), step, mean)


@dataclass(frozen=True, eq=False)
class Matches:
    """The nearest codes of N queries.

    Attributes:
        index: (N,) of the nearest code.
        cosine: (N,) between query and code, -1 to 1.
    """

    index: NDArray[np.intp]
    cosine: FloatArray


class CodeTable:
    """Codes that are ready to be compared: one matrix product for all queries of an object."""

    def __init__(self, packed: PackedCodes) -> None:
        """Unpack codes; in memory they take 4 bytes per number."""
        self._centered = packed.numbers * np.float32(packed.step)
        self._mean = packed.mean

    def __len__(self) -> int:
        """Return the number of codes."""
        return len(self._centered)

    @property
    def bytes(self) -> int:
        """Memory of the codes."""
        return int(self._centered.nbytes)

    def nearest(self, queries: Float32Array) -> Matches:
        """Return the codes with the largest cosines.

        Args:
            queries: (N, D) codes of any length.

        Raises:
            InvalidInputError: If the queries are codes of another length.
        """
        if queries.ndim != 2 or queries.shape[1] != len(self._mean):
            raise InvalidInputError(f'codes of {len(self._mean)} numbers cannot be compared with '
                                    f'{queries.shape}: they are of another encoder')
        unit = unit_length(queries)
        return nearest_rows(unit @ self._centered.T, unit @ self._mean)


def nearest_rows(cosines: Float32Array, offsets: Float32Array | float = 0.0) -> Matches:
    """Return the best column of each row.

    Args:
        cosines: (N, K).
        offsets: (N,) added to the cosines of each row.
    """
    index = cosines.argmax(axis=1)
    best = cosines[np.arange(len(index)), index] + offsets
    return Matches(index, np.asarray(best, dtype=np.float64))


def unit_length(codes: Float32Array) -> Float32Array:
    """Return (..., D) codes with length 1; those of length 0 stay."""
    length = np.linalg.norm(codes, axis=-1, keepdims=True)
    return np.asarray(codes / np.where(length > 0, length, 1), dtype=np.float32)
