"""The text of docs/accuracy.md and of the table in README.md, from stored tables.

The template is Markdown. `{{aims NAME}}` becomes the table of the aims of that name, `{{table
PATH}}` the table docs/results/PATH.json with its circumstances and pictures, `{{table PATH
without WORD}}` the same less the columns whose heads begin with WORD. A table that is not there
is said to be so.
"""

from __future__ import annotations

import re
from pathlib import Path

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.evaluation.accuracy_aims import AIMS, Aim
from pose_estimation_ros.evaluation.report import format_value, markdown_table
from pose_estimation_ros.evaluation.stored_tables import read_table

# The aims of the method that a node takes when it is not told another.
DEFAULT_METHOD = 'first'


def fill_template(template: str, results: Path) -> str:
    """Return the template with its tables.

    Raises:
        ConfigurationError: If it holds a mark of another kind.
    """
    def filled(mark: re.Match[str]) -> str:
        words = mark[1].split()
        if words[:1] == ['aims'] and len(words) == 2 and words[1] in AIMS:
            return _aims_table(AIMS[words[1]], results)
        if words[:1] == ['table'] and len(words) in (2, 4) and words[2:3] in ([], ['without']):
            return _table(results, words[1], words[3] if len(words) == 4 else '')
        raise ConfigurationError(f'the template holds {mark[0]!r}; marks are '
                                 f'{{{{aims NAME}}}} with a name of {", ".join(AIMS)}, '
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
    """Return the table of README.md, of the default method alone.

    Figures that were never measured are left out.
    """
    rows = [(aim.short, measured.text, f'`{aim.command}`') for aim in AIMS[DEFAULT_METHOD]
            if (measured := aim.measure(results)) is not None]
    return markdown_table(('what', 'result', 'command'), rows)


def _aims_table(aims: tuple[Aim, ...], results: Path) -> str:
    rows = []
    for aim in aims:
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
