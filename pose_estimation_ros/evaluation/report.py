"""Tables of measured figures with the circumstances they were measured in: JSON and Markdown."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Report:
    """One table of results.

    Attributes:
        name: Its name, and that of its files.
        columns: Heads of the columns.
        rows: One sequence of values per row, as many as columns.
        settings: What was run: seeds, sizes, options.
    """

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    settings: Mapping[str, object]

    def markdown(self) -> str:
        """Return the table and its circumstances as Markdown."""
        lines = [f'| {" | ".join(self.columns)} |', '|' + ' --- |' * len(self.columns)]
        lines += [f'| {" | ".join(_text(value) for value in row)} |' for row in self.rows]
        facts = {**self.settings, **circumstances()}
        lines += ['', '; '.join(f'{key}: {value}' for key, value in facts.items()), '']
        return '\n'.join(lines)

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write `<name>.json` and `<name>.md` into a folder; return their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        data = {'name': self.name, 'settings': dict(self.settings), **circumstances(),
                'rows': [dict(zip(self.columns, row, strict=True)) for row in self.rows]}
        as_json, as_markdown = folder / f'{self.name}.json', folder / f'{self.name}.md'
        as_json.write_text(json.dumps(data, indent=2) + '\n', encoding='utf-8')
        as_markdown.write_text(f'# {self.name}\n\n{self.markdown()}', encoding='utf-8')
        return as_json, as_markdown


def circumstances() -> dict[str, str]:
    """Return the machine and the commit that figures are measured on."""
    return {'machine': f'{_processor()}, {os.cpu_count()} cores',
            'python': platform.python_version(), 'commit': _commit()}


def _text(value: object) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)


def _processor() -> str:
    table = Path('/proc/cpuinfo')
    if table.is_file():
        for line in table.read_text(encoding='utf-8').splitlines():
            if line.startswith('model name'):
                return line.split(':', 1)[1].strip()
    return platform.machine()


def _commit() -> str:
    """Return the short commit of this checkout, or 'unknown' outside of one."""
    here = Path(__file__).resolve().parent
    answer = subprocess.run(['git', '-C', str(here), 'rev-parse', '--short', 'HEAD'], check=False,
                            capture_output=True, text=True)
    return answer.stdout.strip() or 'unknown'
