"""The commands as data are those that the command line has."""

import re

import pytest
from typer.testing import CliRunner

from pose_estimation_ros.cli.command_reference import commands_of
from pose_estimation_ros.cli.main import app

COMMANDS = list(commands_of(app))


@pytest.mark.parametrize('entry', COMMANDS, ids=lambda entry: ' '.join(entry.path))
def test_the_options_are_those_that_help_prints(entry):
    answer = CliRunner().invoke(app, [*entry.path, '--help'],
                                env={'COLUMNS': '400', 'TERMINAL_WIDTH': '400', 'NO_COLOR': '1'})
    assert answer.exit_code == 0, answer.output
    words = answer.output.replace(',', ' ').replace('/', ' ').split()
    known = {name for item in entry.parameters for name in item.names if name.startswith('-')}
    assert not [name for name in known if name not in words]
    begins = [line.strip('│| *') for line in answer.output.splitlines()]
    printed = {re.split('[ ,/]', line)[0] for line in begins if line.startswith('--')}
    assert printed <= known | {'--help'}
    assert entry.help.split()[0] in words


def test_a_choice_a_switch_and_what_must_be_given_are_told_apart():
    estimate = next(entry for entry in COMMANDS if entry.path == ('estimate',))
    assert estimate.option('--color').required
    assert not estimate.option('--depth').required
    layout = next(e for e in COMMANDS if e.path == ('parameters',)).option('--layout')
    assert (layout.kind, layout.default) == ('table, yaml', 'table')
    assert estimate.option('--colour') is None
