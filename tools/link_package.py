"""Make the environment an ament prefix that serves the package from this working tree.

What `colcon build --symlink-install` does for a workspace, this does for .venv: the import path,
the nodes under lib/, the command line under bin/, and share/ as links, so that `ros2 launch` and
the tests see every edit at once.

Usage:
    .venv/bin/python tools/link_package.py
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
from distutils.core import run_setup  # of setuptools, which carries it in every Python
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PREFIX = Path(sys.prefix)
PACKAGE = 'pose_estimation_ros'

SCRIPT = """\
#!{python}
import sys

from {module} import {function}

sys.exit({function}())
"""


def write_script(path: Path, entry_point: str) -> None:
    """Write an executable that calls an entry point such as 'package.module:main'."""
    module, function = entry_point.split(':')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SCRIPT.format(python=sys.executable, module=module, function=function))
    path.chmod(0o755)


def link_data_files(data_files: list[tuple[str, list[str]]]) -> None:
    """Link every file that an installation would copy; files, as ros2 follows no linked folder."""
    shutil.rmtree(PREFIX / 'share' / PACKAGE, ignore_errors=True)
    for folder, files in data_files:
        (PREFIX / folder).mkdir(parents=True, exist_ok=True)
        for file in files:
            link = PREFIX / folder / Path(file).name
            link.unlink(missing_ok=True)
            link.symlink_to(ROOT / file)


def main() -> None:
    """Link the package into this environment."""
    site_packages = Path(sysconfig.get_paths()['purelib'])
    (site_packages / f'{PACKAGE}.pth').write_text(f'{ROOT}\n')
    distribution = run_setup(str(ROOT / 'setup.py'), stop_after='init')
    link_data_files(distribution.data_files)
    for line in distribution.entry_points['console_scripts']:
        name, entry_point = (word.strip() for word in line.split('='))
        write_script(PREFIX / 'lib' / PACKAGE / name, entry_point)
        write_script(PREFIX / 'bin' / name, entry_point)


if __name__ == '__main__':
    main()
