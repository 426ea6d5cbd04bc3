"""Tables of figures that were measured before, read back from their files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pose_estimation_ros.core.errors import InvalidInputError


@dataclass(frozen=True)
class StoredTable:
    """A table that `Report.write` wrote.

    Attributes:
        rows: Values by the head of their column; None = nothing to measure.
        facts: Settings, models and circumstances.
        pictures: Names of the PNG files beside it that belong to it.
    """

    rows: tuple[Mapping[str, Any], ...]
    facts: Mapping[str, object]
    pictures: tuple[str, ...]

    def value(self, row: str, column: str) -> float:
        """Return a figure; the first column names the rows.

        Raises:
            InvalidInputError: If there is no such row or column.
        """
        for entry in self.rows:
            if next(iter(entry.values())) == row and column in entry:
                return float('nan') if entry[column] is None else float(entry[column])
        raise InvalidInputError(f'there is no row {row!r} with a column {column!r}; columns are '
                                f'{", ".join(self.rows[0]) if self.rows else "none"}')


def read_table(results: Path, name: str) -> StoredTable | None:
    """Return a stored table, None if there is none."""
    path = results / f'{name}.json'
    if not path.is_file():
        return None
    content = json.loads(path.read_text(encoding='utf-8'))
    facts = {**content['settings']}
    if content.get('models'):
        facts['models'] = ', '.join(f'{model} (sha256 {digest})'
                                    for model, digest in content['models'].items())
    facts |= {key: content[key] for key in ('machine', 'python', 'commit')}
    return StoredTable(tuple(content['rows']), facts, tuple(content.get('pictures', ())))
