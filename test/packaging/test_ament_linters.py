"""What `colcon test` of a ROS installation checks with ament's linters, where they are there.

ament_copyright is not among them: LICENSE and package.xml name the licence once for all files,
which it does not accept.
"""

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_flake8_finds_nothing(monkeypatch):
    linter = pytest.importorskip('ament_flake8.main')
    monkeypatch.chdir(ROOT)
    code, errors = linter.main_with_errors(
        argv=['--config', str(ROOT / '.flake8'), 'pose_estimation_ros', 'launch', 'setup.py'])
    assert code == 0, '\n'.join(errors)


def test_package_xml_is_valid(monkeypatch):
    linter = pytest.importorskip('ament_xmllint.main')
    if shutil.which('xmllint') is None:
        pytest.skip('xmllint is not installed')
    assert linter.main(argv=[str(ROOT / 'package.xml')]) == 0
