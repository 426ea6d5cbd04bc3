"""What a run leaves behind while it trains: rows of its log, checkpoints, and its clock."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor

from pose_estimation_ros.training.checkpoints import TrainingState, save_checkpoint
from pose_estimation_ros.training.distributed import Ranks
from pose_estimation_ros.training.stages import total_steps
from pose_estimation_ros.training.task import TrainingSettings
from pose_estimation_ros.training.training_log import TrainingLog

_logger = logging.getLogger(__name__)


class RunRecord:
    """Logs, checkpoints and time of one call; only the first process writes."""

    def __init__(self, out: Path, state: TrainingState, ranks: Ranks,
                 settings: TrainingSettings) -> None:
        """Open the logs at the state's step."""
        self._state, self._ranks, self._settings = state, ranks, settings
        state.notes.setdefault('images', 0)
        state.notes.setdefault('seconds', 0.0)
        # Sums since the last row, so that a run stopped between two rows goes on writing the same.
        kept = state.notes.get('sums', {})
        self._sums = {name: torch.tensor(value, dtype=torch.float64, device=ranks.device)
                      for name, value in kept.items()}
        self._count = state.notes.get('sums_count', 0)
        self._seconds_before = state.notes['seconds']
        self._start = self._saved = time.monotonic()
        self._first_step = state.step
        self._files = ExitStack()
        self._over = False
        self._check_time()
        if ranks.is_first:
            self._log = self._files.enter_context(TrainingLog(out, state.step))
            self._validation = self._files.enter_context(
                TrainingLog(out, state.step, 'validation'))

    @property
    def is_over(self) -> bool:
        """Whether this call's minutes are used up, as the first process sees it."""
        return self._over

    def add(self, losses: Mapping[str, Tensor], rate: float) -> None:
        """Count a step; write a row when it is due."""
        state = self._state
        state.notes['images'] += self._settings.batch
        for name, value in losses.items():
            value = value.double()
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._count += 1
        row_due = state.step % self._settings.log_every == 0
        if row_due or state.step == total_steps(self._settings.stages):
            self._write_row(rate)
        # With several processes the question costs a message.
        if self._ranks.count == 1 or row_due:
            self._check_time()

    def _write_row(self, rate: float) -> None:
        names = list(self._sums)
        means = self._ranks.mean(torch.stack([self._sums[name] for name in names]) / self._count)
        row = dict(zip(names, means.tolist(), strict=True))
        self._sums, self._count = {}, 0
        if not self._ranks.is_first:
            return
        state = self._state
        self._log.write(state.step, {**row, 'rate': rate, 'images': state.notes['images']})
        total = next((value for name, value in row.items() if name.endswith('total')), math.nan)
        pace = (state.step - self._first_step) / max(time.monotonic() - self._start, 1e-9)
        left = (total_steps(self._settings.stages) - state.step) / max(pace, 1e-9) / 60
        _logger.info('step %d  loss %.4f  %.1f samples/s  %.0f min to the last step', state.step,
                     total, pace * self._settings.batch, left)

    def validated(self, values: Mapping[str, float], figure: float) -> bool:
        """Write a row of validation values; return whether the figure is the least so far."""
        self._validation.write(self._state.step, values)
        _logger.info('step %d: %s', self._state.step, ', '.join(
            f'{name} {value:.4g}' for name, value in values.items()))
        if figure >= self._state.notes.get('best', math.inf):
            return False
        self._state.notes |= {'best': figure, 'best_step': self._state.step}
        return True

    def save_if_due(self, path: Path) -> None:
        """Write a checkpoint if the last one is old enough."""
        if not self._ranks.is_first or (self._ranks.count > 1 and self._count):
            # The sums since the last row are those of one process.
            return
        if time.monotonic() - self._saved >= self._settings.save_every:
            self.save(path)

    def save(self, path: Path) -> None:
        """Write a checkpoint."""
        notes = self._state.notes
        notes['sums'] = {name: float(value) for name, value in self._sums.items()}
        notes['sums_count'] = self._count
        notes['seconds'] = self._seconds_before + time.monotonic() - self._start
        save_checkpoint(path, self._state)
        self._saved = time.monotonic()

    def _check_time(self) -> None:
        over = time.monotonic() - self._start >= 60 * self._settings.minutes
        self._over = self._ranks.agreed(over)

    def __enter__(self) -> RunRecord:
        """Return the record itself."""
        return self

    def __exit__(self, error_type: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        """Close the logs."""
        self._files.close()
