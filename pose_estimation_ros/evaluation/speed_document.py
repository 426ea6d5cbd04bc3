"""Measures all speeds anew and writes docs/benchmarks.md.

    python -m pose_estimation_ros.evaluation.speed_document
    python -m pose_estimation_ros.evaluation.speed_document --only stages alignment_speed

`make benchmark` calls it. Every table is a script in benchmarks/ of its own; one that fails, or
lacks its data, leaves the table that was measured before. Tables go to docs/results/speed/; the
words around them come from docs/benchmarks_template.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pose_estimation_ros.core.errors import ConfigurationError, PoseEstimationError
from pose_estimation_ros.evaluation.ablation_order import filled
from pose_estimation_ros.evaluation.accuracy_document import run_benchmark
from pose_estimation_ros.evaluation.report import format_value, markdown_table, write_text
from pose_estimation_ros.evaluation.speed_aims import AIMS, PUBLISHED
from pose_estimation_ros.evaluation.stored_tables import StoredTable, read_table

_ROOT = Path(__file__).resolve().parents[2]
# Longest time for one script, seconds.
_PATIENCE = 240.0
_NO_TABLE = 'Not measured yet.\n'


@dataclass(frozen=True)
class Script:
    """A benchmark that makes tables of the document.

    Attributes:
        name: Of the file in benchmarks/, without its ending.
        arguments: What it is called with.
        tables: Names of the tables that it writes.
        data: Folder that it needs, relative to the repository; None = none.
    """

    name: str
    arguments: tuple[str, ...]
    tables: tuple[str, ...]
    data: str | None = None


_LITE = ('spd', 'crnet', 'acr')
SCRIPTS = (
    Script('stages', ('--backends', *_LITE), ('stages',)),
    Script('frame_trace', (), ()),
    Script('running_node', ('--backends', *_LITE), ('running_node',)),
    Script('node_overhead', (), ('node_overhead',)),
    Script('scaling', ('objects', '--backends', *_LITE), ('scaling_objects',)),
    Script('scaling', ('resolution',), ('scaling_resolution',)),
    Script('scaling', ('threads',), ('scaling_threads',)),
    Script('alignment_speed', (), ('alignment_speed',)),
    Script('full_speed', ('--repeats', '5'), ('full_speed',)),
    Script('full_accuracy', ('data/models/spd_full', '--frames', '112'), ('full_accuracy',),
           'data/models/spd_full'),
    Script('mrc_full_speed', ('--repeats', '3'), ('mrc_full_speed',)),
    Script('mrc_speed', ('data/lmo/test', '--frames', '3', '--repeats', '2'), ('mrc_speed',),
           'data/lmo/test'),
    Script('neural_mesh_solver', ('--repeats', '1'), ('neural_mesh_solver',)),
    Script('neural_mesh_speed', ('data/occlusion/test', '--frames', '3'), ('neural_mesh_speed',),
           'data/occlusion/test'),
    Script('disp6d_encoder', (), ('disp6d_encoder',)),
    Script('tracking', ('--scenes',), ('tracking-made-up',)),
)


def measure(script: Script, results: Path) -> str | None:
    """Run a script; return why its tables are the old ones, None if they are new."""
    if not (_ROOT / 'benchmarks' / f'{script.name}.py').is_file():
        return 'there is no such script'
    if script.data is not None and not (_ROOT / script.data).is_dir():
        return f'there is no folder {script.data}'
    try:
        run_benchmark(script.name, *script.arguments, '--out', str(results), patience=_PATIENCE)
    except PoseEstimationError as error:
        return str(error)
    return None


def document(template: Path, results: Path) -> str:
    """Return the document from the stored tables.

    Raises:
        ConfigurationError: If the template lacks a table.
    """
    names = dict.fromkeys(name for script in SCRIPTS for name in script.tables)
    return filled(template, {
        'aims': aims_table(results), 'published': published_table(results),
        **{name: _text(read_table(results, name)) for name in names}})


def aims_table(results: Path) -> str:
    """Return what the package aims at beside what was measured."""
    return markdown_table(('what', 'at least', 'aim', 'measured', 'command'), [
        (aim.what, aim.least, aim.wanted, aim.measured(results), f'`{aim.command}`')
        for aim in AIMS])


def published_table(results: Path) -> str:
    """Return the times of published implementations beside ours."""
    return markdown_table(
        ('what', 'published code, elsewhere', 'plain evaluation here', 'ours here', 'outputs'),
        [(row.what, f'{format_value(row.published)} ms', row.plain(results), row.ours(results),
          row.outputs) for row in PUBLISHED])


def main() -> int:
    """Measure and write; 1 = some tables are old ones."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--only', nargs='+', metavar='TABLE', help='measure these tables only')
    parser.add_argument('--only-write', action='store_true', help='measure nothing')
    parser.add_argument('--docs', type=Path, default=_ROOT / 'docs')
    arguments = parser.parse_args()
    results = arguments.docs.resolve() / 'results' / 'speed'
    scripts: Sequence[Script] = () if arguments.only_write else _chosen(arguments.only)
    faults = {}
    for script in scripts:
        began = time.perf_counter()
        fault = measure(script, results)
        _tell(f'{script.name}: {fault or "measured"} ({time.perf_counter() - began:.0f} s)')
        if fault is not None:
            faults[script.name] = fault
    write_text(arguments.docs / 'benchmarks.md',
               document(arguments.docs / 'benchmarks_template.md', results))
    _tell(f'wrote {arguments.docs / "benchmarks.md"}')
    for name, fault in faults.items():
        sys.stderr.write(f'{name} was not measured: {fault}\n')
    return 1 if faults else 0


def _chosen(names: Sequence[str] | None) -> Sequence[Script]:
    """Return the scripts of some tables, all without names.

    Raises:
        ConfigurationError: If a name is unknown.
    """
    if names is None:
        return SCRIPTS
    chosen = [script for script in SCRIPTS if {script.name, *script.tables} & set(names)]
    known = {name for script in SCRIPTS for name in (script.name, *script.tables)}
    if unknown := set(names) - known:
        raise ConfigurationError(f'no table is named {sorted(unknown)[0]!r}; there are '
                                 f'{", ".join(sorted(known))}')
    return chosen


def _text(table: StoredTable | None) -> str:
    if table is None:
        return _NO_TABLE
    columns = tuple(table.rows[0])
    values = [[float('nan') if value is None else value for value in row.values()]
              for row in table.rows]
    facts = '; '.join(f'{key}: {format_value(value)}' for key, value in table.facts.items())
    pictures = ''.join(f'\n![{Path(name).stem}](results/speed/{name})\n'
                       for name in table.pictures)
    return f'{markdown_table(columns, values)}\n{facts}\n{pictures}'


def _tell(text: str) -> None:
    sys.stdout.write(f'{text}\n')
    sys.stdout.flush()


if __name__ == '__main__':
    sys.exit(main())
