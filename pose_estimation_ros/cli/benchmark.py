"""`pose-estimation benchmark`: the scripts behind the figures that the documents state."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import typer

from pose_estimation_ros.core.errors import ConfigurationError

_ROOT = Path(__file__).resolve().parents[2]


def benchmark(
        name: str = typer.Argument('', help='Which one; none = list them.'),
        arguments: list[str] = typer.Argument(None, help='Its own arguments, after "--": '
                                              'benchmark frame_rate -- --objects 6'),
) -> None:
    """List the benchmarks, or run one; they are part of the source tree only."""
    scripts = find_benchmarks(_ROOT / 'benchmarks')
    if not name:
        for script, title in scripts.items():
            print(f'{script.stem:<18} {title}')
        print('\nOptions of one: pose-estimation benchmark <name> -- --help')
        return
    chosen = {script.stem: script for script in scripts}.get(name)
    if chosen is None:
        known = ', '.join(script.stem for script in scripts)
        raise ConfigurationError(f'there is no benchmark {name!r}; there are {known}')
    # The script's own package is this one, whatever else is installed.
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get('PYTHONPATH', ''))))
    answer = subprocess.run([sys.executable, str(chosen), *(arguments or [])], check=False,
                            env={**os.environ, 'PYTHONPATH': path})
    raise typer.Exit(answer.returncode)


def find_benchmarks(folder: Path) -> dict[Path, str]:
    """Return the first sentence of each script that can be run, by its path.

    Raises:
        ConfigurationError: If there is no such folder: the package runs outside its source tree.
    """
    if not folder.is_dir():
        raise ConfigurationError(
            f'there is no folder {folder}: benchmarks are part of the source tree, not of an '
            'installed package; clone the repository and call this command there')
    found = {}
    for path in sorted(folder.glob('*.py')):
        tree = ast.parse(path.read_text(encoding='utf-8'))
        if any(isinstance(node, ast.FunctionDef) and node.name == 'main' for node in tree.body):
            found[path] = (ast.get_docstring(tree) or '').partition('\n\n')[0].replace('\n', ' ')
    return found
