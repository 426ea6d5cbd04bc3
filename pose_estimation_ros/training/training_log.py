"""The record of a training run: a CSV file, and TensorBoard events where it is installed."""

from __future__ import annotations

import csv
import importlib.util
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from pose_estimation_ros.core.errors import ConfigurationError


class TrainingLog:
    """Writes one row of numbers per call to `<folder>/<name>.csv` and to TensorBoard.

    Opened again at the step of a checkpoint it drops the rows that were written after that
    checkpoint, so that an interrupted run's curve has no doubled steps. Use it as a context
    manager.
    """

    def __init__(self, folder: Path, resume_step: int = 0, name: str = 'train') -> None:
        """Open the log.

        Args:
            folder: Where the files go; made when missing.
            resume_step: Rows of later steps are dropped; 0 starts afresh.
            name: Stem of the CSV file and prefix of the TensorBoard tags.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f'{name}.csv'
        self._name = name
        self._start = time.monotonic()
        self._columns, rows = _read_rows(self.path, resume_step)
        self._elapsed_before = float(rows[-1]['seconds']) if rows else 0.0
        self._file = self.path.open('w', newline='')
        if self._columns:
            self._write(rows)
        self._events = _event_writer(folder, resume_step)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append one row.

        Args:
            step: Optimizer step.
            values: The numbers, under the same names in every row.

        Raises:
            ConfigurationError: The names differ from those of the first row.
        """
        columns = ['step', 'seconds', *values]
        if not self._columns:
            self._columns = columns
            self._write([])
        if columns != self._columns:
            raise ConfigurationError(
                f'{self.path} has the columns {self._columns}, but the row of step {step} has '
                f'{columns}. Log the same names each time, or use another log name.'
            )
        seconds = self._elapsed_before + time.monotonic() - self._start
        row = {'step': step, 'seconds': f'{seconds:.1f}'}
        row |= {name: f'{value:.6g}' for name, value in values.items()}
        csv.DictWriter(self._file, self._columns).writerow(row)
        self._file.flush()
        if self._events is not None:
            for name, value in values.items():
                self._events.add_scalar(f'{self._name}/{name}', value, step)

    def close(self) -> None:
        """Flush and close the files."""
        self._file.close()
        if self._events is not None:
            self._events.close()

    def __enter__(self) -> TrainingLog:
        """Return the log itself."""
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the files."""
        self.close()

    def _write(self, rows: list[dict[str, str]]) -> None:
        writer = csv.DictWriter(self._file, self._columns)
        writer.writeheader()
        writer.writerows(rows)
        self._file.flush()


def _read_rows(path: Path, resume_step: int) -> tuple[list[str], list[dict[str, str]]]:
    if resume_step == 0 or not path.is_file():
        return [], []
    with path.open(newline='') as file:
        reader = csv.DictReader(file)
        rows = [row for row in reader if int(row['step']) <= resume_step]
        return list(reader.fieldnames or []), rows


def _event_writer(folder: Path, resume_step: int) -> Any:
    """Return a TensorBoard writer, or None where TensorBoard is not installed."""
    if importlib.util.find_spec('tensorboard') is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=resume_step + 1 if resume_step else None)
