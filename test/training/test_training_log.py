"""The training log: one row per step, none doubled after a resume."""

import csv
from pathlib import Path

import pytest

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.training.training_log import TrainingLog


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline='') as file:
        return list(csv.DictReader(file))


def test_rows_after_the_checkpoint_are_dropped_on_resume(tmp_path: Path) -> None:
    with TrainingLog(tmp_path) as log:
        for step in (10, 20, 30):
            log.write(step, {'loss': step / 10})
    with TrainingLog(tmp_path, resume_step=20) as log:
        log.write(30, {'loss': 9.0})
    rows = _rows(tmp_path / 'train.csv')
    assert [int(row['step']) for row in rows] == [10, 20, 30]
    assert [float(row['loss']) for row in rows] == [1.0, 2.0, 9.0]
    seconds = [float(row['seconds']) for row in rows]
    assert seconds == sorted(seconds)


def test_a_new_run_starts_an_empty_log(tmp_path: Path) -> None:
    with TrainingLog(tmp_path) as log:
        log.write(1, {'loss': 1.0})
    with TrainingLog(tmp_path) as log:
        log.write(1, {'loss': 2.0, 'chamfer': 3.0})
    rows = _rows(tmp_path / 'train.csv')
    assert len(rows) == 1
    assert float(rows[0]['chamfer']) == 3.0


def test_a_row_of_other_names_is_refused(tmp_path: Path) -> None:
    with TrainingLog(tmp_path) as log:
        log.write(1, {'loss': 1.0})
        with pytest.raises(ConfigurationError, match='step 2'):
            log.write(2, {'other': 1.0})
