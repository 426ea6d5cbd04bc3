import pytest
import typer
from typer.testing import CliRunner

from pose_estimation_ros.cli import benchmark as module
from pose_estimation_ros.core.errors import ConfigurationError

SCRIPT = '''"""Count to a number.

More about it.
"""
import sys


def main():
    import pose_estimation_ros
    print('counted', sys.argv[1:], pose_estimation_ros.__name__)
    sys.exit(3)


if __name__ == '__main__':
    main()
'''


@pytest.fixture
def tree(tmp_path, monkeypatch):
    (tmp_path / 'benchmarks').mkdir()
    (tmp_path / 'benchmarks' / 'counting.py').write_text(SCRIPT)
    (tmp_path / 'benchmarks' / 'shared.py').write_text('"""What the scripts share."""\n')
    (tmp_path / 'pose_estimation_ros').mkdir()
    (tmp_path / 'pose_estimation_ros' / '__init__.py').touch()
    monkeypatch.setattr(module, '_ROOT', tmp_path)
    return tmp_path


def run(*arguments):
    app = typer.Typer()
    app.command()(module.benchmark)
    return CliRunner().invoke(app, list(arguments))


def test_benchmarks_are_listed_with_what_they_measure(tree):
    lines = run().stdout.splitlines()
    assert lines[0].split(maxsplit=1) == ['counting', 'Count to a number.']
    assert 'shared' not in ''.join(lines)


def test_a_benchmark_gets_its_arguments_and_its_exit_code_is_ours(tree, capfd):
    answer = run('counting', '--', '--to', '6')
    assert answer.exit_code == 3
    assert capfd.readouterr().out == "counted ['--to', '6'] pose_estimation_ros\n"


def test_an_unknown_benchmark_is_refused_with_the_known_ones(tree):
    error = run('speed').exception
    assert isinstance(error, ConfigurationError)
    assert "no benchmark 'speed'; there are counting" in str(error)


def test_outside_a_source_tree_the_cure_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(module, '_ROOT', tmp_path)
    error = run().exception
    assert isinstance(error, ConfigurationError)
    assert 'clone the repository' in str(error)


def test_our_own_benchmarks_are_found():
    found = module.find_benchmarks(module._ROOT / 'benchmarks')
    assert {'frame_rate', 'lite_speed', 'realism', 'real_frames'} <= {path.stem for path in found}
    assert all(found.values())
