"""What README.md says about the package is what the package declares."""

import re
from pathlib import Path

import pytest

from pose_estimation_ros.cli.main import app
from pose_estimation_ros.nodes.parameters import (
    ESTIMATOR_PARAMETERS,
    REPLAY_CAMERA_PARAMETERS,
    SIMULATED_CAMERA_PARAMETERS,
    markdown_table,
)

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / 'README.md').read_text()


@pytest.mark.parametrize(('mark', 'specs'), [
    ('parameters', ESTIMATOR_PARAMETERS), ('simulated_camera', SIMULATED_CAMERA_PARAMETERS),
    ('replay_camera', REPLAY_CAMERA_PARAMETERS)])
def test_the_parameter_tables_are_the_declarations(mark, specs):
    table = README.partition(f'<!-- {mark}: begin -->\n')[2].partition(f'<!-- {mark}: end -->')[0]
    assert table == markdown_table(specs), (
        'put the output of `pose-estimation parameters <node>` between the marks in README.md')


def test_every_command_is_in_the_readme():
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    groups = {group.name for group in app.registered_groups}
    section = README.partition('## Command line')[2].partition('\n## ')[0]
    assert not [name for name in commands | groups
                if f'`{name}`' not in section and f'`{name} ' not in section]


def test_links_to_files_lead_somewhere():
    links = re.findall(r'\]\((?!https?:)([^)#]+)', README)
    assert len(links) >= 5
    assert not [link for link in links if not (ROOT / link).exists()]


def test_every_folder_of_the_layout_exists():
    layout = README.partition('## Layout')[2].partition('```')[2].partition('```')[0]
    parts = re.findall(r'^  (\w+(?:/|\.py))', layout, re.MULTILINE)
    assert len(parts) >= 12
    assert not [part for part in parts if not (ROOT / 'pose_estimation_ros' / part).exists()]
    undescribed = {path.name for path in (ROOT / 'pose_estimation_ros').iterdir()
                   if path.is_dir() and (path / '__init__.py').exists()} - {
                       part.rstrip('/') for part in parts}
    assert not undescribed


def test_commands_named_with_make_exist():
    targets = set(re.findall(r'^([a-z-]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE))
    named = set(re.findall(r'make ([a-z-]+)', README))
    assert {'demo', 'test'} <= named <= targets
