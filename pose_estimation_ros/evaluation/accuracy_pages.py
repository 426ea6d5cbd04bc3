"""The text of docs/accuracy.md and of the table in README.md, from stored tables.

The template is Markdown. `{{aims}}` becomes the table of aims, `{{table PATH}}` the table
docs/results/PATH.json with its circumstances and pictures, `{{table PATH without WORD}}` the same
less the columns whose heads begin with WORD. A table that is not there is said to be so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.evaluation.report import format_value, markdown_table

# Shipped models whose figures have aims.
_POSE_MODEL, _DETECTOR = 'spd_lite', 'maskrcnn_lite'
_FOUND = '{domain}/' + _POSE_MODEL + '/whole-path/found-objects'
_ERRORS = '{domain}/' + _POSE_MODEL + '/mask-errors/pose-recall'
_SPEED, _REAL = 'speed/frame_rate', 'real/real_frames'
_EVALUATE = 'pose-estimation evaluate data/frames/{domain}/test --visibility 0.4'


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


def fill_template(template: str, results: Path) -> str:
    """Return the template with its tables.

    Raises:
        ConfigurationError: If it holds a mark of another kind.
    """
    def filled(mark: re.Match[str]) -> str:
        words = mark[1].split()
        if words == ['aims']:
            return _aims_table(results)
        if words[:1] == ['table'] and len(words) in (2, 4) and words[2:3] in ([], ['without']):
            return _table(results, words[1], words[3] if len(words) == 4 else '')
        raise ConfigurationError(f'the template holds {mark[0]!r}; marks are {{{{aims}}}}, '
                                 '{{table PATH}} and {{table PATH without WORD}}')

    return re.sub(r'\{\{(.*?)\}\}', filled, template)


def replace_between(text: str, mark: str, content: str) -> str:
    """Return the text with what stands between the marks of a name replaced.

    Raises:
        ConfigurationError: If the marks are missing.
    """
    begin, end = f'<!-- {mark}: begin -->\n', f'<!-- {mark}: end -->'
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ConfigurationError(f'the text has no {begin.strip()} ... {end}; put these marks '
                                 'where the table belongs')
    return f'{before}{begin}{content}{end}{after}'


def measured_table(results: Path) -> str:
    """Return the table of README.md; figures that were never measured are left out."""
    rows = [(aim.short, measured.text, f'`{aim.command}`') for aim in AIMS
            if (measured := aim.measure(results)) is not None]
    return markdown_table(('what', 'result', 'command'), rows)


@dataclass(frozen=True)
class Measured:
    """A figure of an aim: its text, and whether the least that was asked for is reached."""

    text: str
    is_reached: bool


@dataclass(frozen=True)
class Aim:
    """What was asked of the first milestone.

    Attributes:
        what: In full.
        short: For the README.
        least: What was asked for at least.
        aim: What was hoped for.
        command: What measures it.
        measure: Returns the figure from the folder of results, None if there is none.
    """

    what: str
    short: str
    least: str
    aim: str
    command: str
    measure: Callable[[Path], Measured | None]


def _found(domain: str, least: float) -> Callable[[Path], Measured | None]:
    def measure(results: Path) -> Measured | None:
        table = read_table(results, _FOUND.format(domain=domain))
        if table is None:
            return None
        share, count = table.value('all', 'found, %'), table.value('all', 'objects')
        return Measured(f'{share:.0f} % of {count:.0f}', share >= least)
    return measure


def _medians(domain: str, degrees: float, centimetres: float
             ) -> Callable[[Path], Measured | None]:
    def measure(results: Path) -> Measured | None:
        table = read_table(results, _FOUND.format(domain=domain))
        if table is None:
            return None
        rotation = table.value('all', 'median rotation of found, °')
        translation = table.value('all', 'median translation of found, cm')
        return Measured(f'{rotation:.1f}°, {translation:.2f} cm',
                        rotation <= degrees and translation <= centimetres)
    return measure


def _under_errors(domain: str, tight: float, wide: float) -> Callable[[Path], Measured | None]:
    def measure(results: Path) -> Measured | None:
        table = read_table(results, _ERRORS.format(domain=domain))
        if table is None:
            return None
        shares = [table.value('mean', f'recall {limit}, %') for limit in ('5°2cm', '10°5cm')]
        return Measured(f'{shares[0]:.0f} % / {shares[1]:.0f} %',
                        shares[0] >= tight and shares[1] >= wide)
    return measure


def _rate(results: Path) -> Measured | None:
    table = read_table(results, _SPEED)
    if table is None:
        return None
    rate = float(str(table.facts['frames per second']))
    return Measured(f'{rate:.1f} frames/s', rate >= 3.0)


def _real(results: Path) -> Measured | None:
    table = read_table(results, _REAL)
    if table is None:
        return None
    texts, reached = [], True
    for row in table.rows:
        if row['shown'] not in ('mug', 'bowl'):
            continue
        if row['found'] == '-':
            texts.append(f'{row["shown"]} not found')
            reached = False
            continue
        angle, offset = float(row['up axis off, °']), float(row['centre off centroid, cm'])
        texts.append(f'{row["shown"]} {angle:.1f}°, {offset:.1f} cm')
        reached &= row['found'] == row['shown'] and angle <= 8.0 and offset <= 3.0
    return Measured('; '.join(texts), reached) if texts else None


AIMS: tuple[Aim, ...] = (
    Aim('visible objects (over 40 %) of simulated test scenes found with the right category',
        'visible objects of unseen simulated scenes found with the right category',
        '80 %', '95 %', f'{_EVALUATE.format(domain="primary")} --out runs/whole',
        _found('primary', 80.0)),
    Aim('of those: median rotation, translation error through the whole path',
        'of those: median rotation, translation error', '6°, 1.2 cm', '3°, 0.5 cm',
        f'{_EVALUATE.format(domain="primary")} --out runs/whole', _medians('primary', 6.0, 1.2)),
    Aim('found in the second, differently made domain', 'found in the second domain', '–', '–',
        f'{_EVALUATE.format(domain="second")} --out runs/second', _found('second', 0.0)),
    Aim("SPD lite, true masks with a detector's errors, 5°2cm / 10°5cm",
        "SPD lite under true masks with a detector's errors: 5°2cm / 10°5cm",
        '70 % / 88 %', '90 % / 97 %',
        f'{_EVALUATE.format(domain="primary")} --masks errors --out runs/errors',
        _under_errors('primary', 70.0, 88.0)),
    Aim('the same in the second domain', 'the same in the second domain', '55 % / 80 %',
        '80 % / 93 %', f'{_EVALUATE.format(domain="second")} --masks errors --out runs/errors2',
        _under_errors('second', 55.0, 80.0)),
    Aim('rate with 6 objects, 640x480, pipeline without ROS',
        'frames per second, 640x480, 6 objects, without ROS', '3 frames/s', '10 frames/s',
        'pose-estimation benchmark frame_rate -- --objects 6', _rate),
    Aim("real frames, mug and bowl: +y off the table's normal, centre off the cloud's centroid",
        "recorded frames: +y off the table's normal, centre off the cloud's centroid",
        '8°, 3 cm', '4°, 1.5 cm', 'pose-estimation benchmark real_frames', _real),
)


def _aims_table(results: Path) -> str:
    rows = []
    for aim in AIMS:
        measured = aim.measure(results)
        text = 'not measured' if measured is None else (
            measured.text if measured.is_reached else f'**{measured.text}**, missed')
        rows.append((aim.what, aim.least, aim.aim, text, f'`{aim.command}`'))
    return markdown_table(('what', 'least', 'aim', 'measured', 'command'), rows).rstrip('\n')


def _table(results: Path, name: str, dropped: str) -> str:
    table = read_table(results, name)
    if table is None:
        return f'Not measured: there is no results/{name}.json.'
    columns = [column for column in (table.rows[0] if table.rows else ())
               if not dropped or not column.startswith(dropped)]
    rows = [[float('nan') if row[column] is None else row[column] for column in columns]
            for row in table.rows]
    facts = '; '.join(f'{key}: {format_value(value)}' for key, value in table.facts.items())
    folder = Path('results') / Path(name).parent
    pictures = ''.join(f'\n\n![{Path(picture).stem}]({folder.as_posix()}/{picture})'
                       for picture in table.pictures)
    return f'{markdown_table(columns, rows)}\n{facts}{pictures}'
