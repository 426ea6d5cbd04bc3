"""The fault suite as a table: docs/robustness.md is written from what the tests say.

python benchmarks/faults.py --write docs
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pose_estimation_ros.evaluation.ablation_order import filled
from pose_estimation_ros.evaluation.report import Report, write_text

_ROOT = Path(__file__).resolve().parents[1]
_MARK = 'fault'
_FUZZED = 'fuzzed messages'


@dataclass
class _Row:
    """One kind of fault: what its tests are called, and how they ended."""

    says: list[str] = field(default_factory=list)
    outcomes: set[str] = field(default_factory=set)

    @property
    def is_survived(self) -> bool:
        return self.outcomes == {'passed'}


class FaultTable:
    """A plugin of pytest that gathers the tests with the mark `fault`."""

    def __init__(self) -> None:
        self.rows: dict[str, _Row] = {}
        self.fuzzed = 0
        self._kinds: dict[str, list[str]] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note which tests belong to which kind of fault."""
        for item in items:
            kinds = [str(mark.args[0]) for mark in item.iter_markers(_MARK)]
            self._kinds[item.nodeid] = kinds
            sentence = item.name.partition('[')[0].removeprefix('test_').replace('_', ' ')
            for kind in kinds:
                row = self.rows.setdefault(kind, _Row())
                if sentence not in row.says:
                    row.says.append(sentence)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how a test or its fixtures ended."""
        for kind in self._kinds[report.nodeid]:
            # Set-up and end of a test that is skipped are passed; the body tells.
            if report.when == 'call' or report.outcome != 'passed':
                self.rows[kind].outcomes.add(report.outcome)
        if report.when == 'call':
            self.fuzzed += sum(int(str(value)) for name, value in report.user_properties
                               if name == _FUZZED)

    def report(self) -> Report:
        """Return the table, in the order of the tests."""
        survived = sum(row.is_survived for row in self.rows.values())
        return Report(
            'faults', ('fault', 'what the test says', 'survived'),
            [(kind, '; '.join(row.says), 'yes' if row.is_survived else 'NO')
             for kind, row in self.rows.items()],
            {'kinds of fault survived / tried': f'{survived} / {len(self.rows)}',
             _FUZZED: self.fuzzed})


def page_texts(report: Report, results: Path) -> Mapping[str, str]:
    """Return what the template of the page wants by name.

    Args:
        report: Of the faults.
        results: Folder with soak.md, if it was measured.
    """
    soak = results / 'soak.md'
    measured = (soak.read_text(encoding='utf-8').partition('\n\n')[2].strip()
                if soak.is_file() else 'Not measured yet.')
    return {'faults': report.markdown().strip(), 'soak': measured}


def main() -> None:
    """Run the suite and print its table."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--write', type=Path, metavar='DOCS',
                        help='write robustness.md there from robustness_template.md')
    arguments = parser.parse_args()
    table = FaultTable()
    suite = _ROOT / 'test' / 'faults'
    # The page is judged after it was written.
    code = pytest.main(['-q', str(suite), '--rootdir', str(_ROOT),
                        f'--ignore={suite / "test_robustness_page.py"}'], plugins=[table])
    report = table.report()
    print(report.markdown())
    if arguments.write is not None and code == pytest.ExitCode.OK:
        docs = arguments.write
        report.write(docs / 'results')
        write_text(docs / 'robustness.md', filled(docs / 'robustness_template.md',
                                                  page_texts(report, docs / 'results')))
    sys.exit(code)


if __name__ == '__main__':
    main()
