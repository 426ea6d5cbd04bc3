"""Tables of measured figures with the circumstances they were measured in: JSON and Markdown."""

from __future__ import annotations

import json
import math
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pose_estimation_ros.datasets.atomic_files import write_atomically
from pose_estimation_ros.runtime import Model

_HASH_DIGITS = 12


@dataclass(frozen=True)
class Report:
    """One table of results.

    Attributes:
        name: Its name, and that of its files.
        columns: Heads of the columns.
        rows: One sequence of values per row, as many as columns; NaN = nothing to measure.
        settings: What was run: seeds, sizes, options.
        models: What was measured: the beginning of the SHA-256 hash by the name of each model.
        pictures: Names of PNG files beside the table's, shown below it.
    """

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    settings: Mapping[str, object]
    models: Mapping[str, str] = field(default_factory=dict)
    pictures: Sequence[str] = ()

    def table(self) -> str:
        """Return the table alone as Markdown."""
        return markdown_table(self.columns, self.rows)

    def facts(self) -> str:
        """Return settings, models and circumstances as one line."""
        models = {'models': ', '.join(f'{name} (sha256 {digest})'
                                      for name, digest in self.models.items())}
        facts = {**self.settings, **(models if self.models else {}), **circumstances()}
        return '; '.join(f'{key}: {format_value(value)}' for key, value in facts.items())

    def markdown(self) -> str:
        """Return the table and its circumstances as Markdown."""
        pictures = ''.join(f'\n![{Path(name).stem}]({name})\n' for name in self.pictures)
        return f'{self.table()}\n{self.facts()}\n{pictures}'

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write `<name>.json` and `<name>.md` into a folder; return their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        data = {'name': self.name, 'settings': _plain(self.settings), 'models': dict(self.models),
                'pictures': list(self.pictures), **circumstances(),
                'rows': [_plain(dict(zip(self.columns, row, strict=True))) for row in self.rows]}
        as_json, as_markdown = folder / f'{self.name}.json', folder / f'{self.name}.md'
        text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
        write_text(as_json, text + '\n')
        write_text(as_markdown, f'# {self.name}\n\n{self.markdown()}')
        return as_json, as_markdown


def model_identity(model: Model) -> dict[str, str]:
    """Return {name: beginning of the SHA-256 hash} of a model, as `Report.models` wants it.

    The hash is that of the network's file, as the manifest states it and as it was checked when
    the file was opened.
    """
    files = model.manifest.files
    chosen = files.get('network') or next(iter(files.values()))
    return {model.manifest.name: chosen.sha256[:_HASH_DIGITS]}


def circumstances() -> dict[str, str]:
    """Return the machine and the commit that figures are measured on."""
    return {'machine': f'{_processor()}, {os.cpu_count()} cores',
            'python': platform.python_version(), 'commit': _commit()}


def write_text(path: Path, text: str) -> None:
    """Write a whole file or nothing, its folder too."""
    write_atomically(path, text.encode())


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table that ends with a newline."""
    lines = [f'| {" | ".join(columns)} |', '|' + ' --- |' * len(columns)]
    lines += [f'| {" | ".join(format_value(value) for value in row)} |' for row in rows]
    return '\n'.join(lines) + '\n'


def format_value(value: object) -> str:
    """Return a value as tables show it: numbers with four digits, NaN as a dash."""
    if isinstance(value, float):
        return '–' if math.isnan(value) else f'{value:.4g}'
    return str(value)


def _plain(values: Mapping[str, object]) -> dict[str, object]:
    """Return values that JSON knows: null for numbers that are not finite, text for the rest."""
    return {key: _plain_value(value) for key, value in values.items()}


def _plain_value(value: object) -> object:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain_value(item) for item in value]
    return str(value)


def _processor() -> str:
    table = Path('/proc/cpuinfo')
    if table.is_file():
        for line in table.read_text(encoding='utf-8').splitlines():
            if line.startswith('model name'):
                return line.split(':', 1)[1].strip()
    return platform.machine()


def _commit() -> str:
    """Return the short commit of this checkout, or 'unknown' outside of one.

    'with changes' follows if files of the package differ from that commit.
    """
    here = Path(__file__).resolve().parents[1]
    commit = _git(here, 'rev-parse', '--short', 'HEAD')
    if not commit:
        return 'unknown'
    return f'{commit} with changes' if _git(here, 'status', '--porcelain', '.') else commit


def _git(folder: Path, *arguments: str) -> str:
    if shutil.which('git') is None:
        return ''
    answer = subprocess.run(['git', '-C', str(folder), *arguments], check=False,
                            capture_output=True, text=True)
    return answer.stdout.strip() if answer.returncode == 0 else ''
