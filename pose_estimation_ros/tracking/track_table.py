"""Values of many tracks in arrays, one row per track, so that all are updated at once."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_Table = TypeVar('_Table', bound='TrackTable')


class TrackTable:
    """Base of dataclasses whose fields are all arrays with one row per track."""

    def take(self: _Table, rows: NDArray[np.intp]) -> _Table:
        """Return the chosen rows."""
        return type(self)(*(column[rows] for column in self._columns()))

    def put(self: _Table, rows: NDArray[np.intp], other: _Table) -> _Table:
        """Return a copy in which the chosen rows are those of another table."""
        changed = [column.copy() for column in self._columns()]
        for column, new in zip(changed, other._columns(), strict=True):
            column[rows] = new
        return type(self)(*changed)

    def joined(self: _Table, other: _Table) -> _Table:
        """Return the rows of this table and then those of another."""
        return type(self)(*(np.concatenate(pair) for pair in
                            zip(self._columns(), other._columns(), strict=True)))

    def _columns(self) -> list[NDArray[np.float64]]:
        return list(vars(self).values())
