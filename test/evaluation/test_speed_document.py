from __future__ import annotations

from pathlib import Path

import pytest

from pose_estimation_ros.core.errors import ConfigurationError, PoseEstimationError
from pose_estimation_ros.evaluation import speed_document
from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.evaluation.speed_aims import AIMS, Cell
from pose_estimation_ros.evaluation.speed_document import SCRIPTS, Script, document, measure

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / 'docs' / 'benchmarks_template.md'


def write_stages(folder: Path) -> None:
    Report('stages', ('stage', 'crnet'), [('frames/s, one after another', 7.25),
                                          ('frames/s, overlapping', 9.5)], {'objects': 6}
           ).write(folder)


def test_every_table_has_its_place_and_stands_there(tmp_path: Path) -> None:
    write_stages(tmp_path)

    text = document(TEMPLATE, tmp_path)

    assert '{{' not in text
    assert '| frames/s, overlapping | 9.5 |' in text
    assert '5 frames/s | 12 frames/s | 7.25 / 9.5 frames/s |' in text


def test_what_was_not_measured_is_said_so(tmp_path: Path) -> None:
    text = document(TEMPLATE, tmp_path)

    tables = sum(len(script.tables) for script in SCRIPTS)
    assert text.count('Not measured yet.') == tables
    assert 'not measured' in next(iter(AIMS)).measured(tmp_path)


def test_a_figure_is_found_by_its_row_and_column(tmp_path: Path) -> None:
    write_stages(tmp_path)

    assert Cell('stages', {'stage': 'frames/s, overlapping'}, 'crnet').value(tmp_path) == 9.5
    assert Cell('stages', {'stage': 'another'}, 'crnet').value(tmp_path) is None
    assert Cell('another', {}, 'crnet').value(tmp_path) is None


def test_all_scripts_exist() -> None:
    missing = [script.name for script in SCRIPTS
               if not (ROOT / 'benchmarks' / f'{script.name}.py').is_file()]
    assert not missing


def test_a_script_that_fails_leaves_the_others(monkeypatch: pytest.MonkeyPatch,
                                               tmp_path: Path) -> None:
    def fail(name: str, *_: str, patience: float) -> None:
        raise PoseEstimationError(f'{name} ended with code 3 after {patience > 0}')

    monkeypatch.setattr(speed_document, 'run_benchmark', fail)

    assert measure(Script('stages', (), ('stages',)), tmp_path) == (
        'stages ended with code 3 after True')
    assert measure(Script('stages', (), (), 'no/such/data'), tmp_path) == (
        'there is no folder no/such/data')


def test_an_unknown_table_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"no table is named 'speed'.*alignment_speed"):
        speed_document._chosen(['speed'])
