"""The command line as a whole: it teaches, is quick to start, and says faults in one line."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from source_tree import ROOT
from typer.testing import CliRunner

from pose_estimation_ros import __version__
from pose_estimation_ros.backends.registry import BUILT_IN
from pose_estimation_ros.cli import main as command_line
from pose_estimation_ros.cli.backend_option import complete_backend
from pose_estimation_ros.cli.main import app
from pose_estimation_ros.core.errors import ModelError


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def commands(command, path=()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield every command and group below a group, with the words that call it."""
    for name, child in getattr(command, 'commands', {}).items():
        yield (*path, name), child
        yield from commands(child, (*path, name))


COMMANDS = dict(commands(typer.main.get_command(app)))
WORDS = [' '.join(path) for path in COMMANDS]


def run_program(*arguments, code=None):
    program = ['-c', code] if code else ['-m', 'pose_estimation_ros.cli.main']
    return subprocess.run([sys.executable, *program, *arguments], cwd=ROOT, capture_output=True,
                          text=True, check=False)


def test_the_version_is_printed():
    assert run('version').stdout.strip() == __version__


def test_the_commands_are_there():
    assert {'estimate', 'train', 'evaluate', 'export', 'import', 'dataset', 'models',
            'benchmark', 'demo', 'parameters', 'version', 'models list', 'models verify',
            'models info', 'models fetch', 'import spd', 'import spd-autoencoder',
            'import maskrcnn-coco'} <= set(WORDS)


@pytest.mark.parametrize(('path', 'command'), COMMANDS.items(), ids=WORDS)
def test_every_command_teaches_with_an_example_and_a_document(path, command):
    epilog = command.epilog or ''
    assert f'pose-estimation {path[0]}' in epilog
    document = epilog.rpartition('More in ')[2].rstrip('.')
    assert (ROOT / document).is_file()
    answer = run(*path, '--help')
    assert answer.exit_code == 0
    assert 'Example' in answer.stdout
    assert all(option.help for option in command.params
               if not option.name.endswith('completion'))


@pytest.mark.parametrize(('path', 'command'), COMMANDS.items(), ids=WORDS)
def test_the_examples_name_commands_and_options_that_exist(path, command):
    examples = [line for line in command.epilog.splitlines() if 'pose-estimation' in line]
    for example in examples:
        words = shlex.split(example.partition('pose-estimation ')[2])
        called = next(COMMANDS[tuple(words[:count])] for count in (2, 1)
                      if tuple(words[:count]) in COMMANDS)
        known = {name for option in called.params for name in option.opts} | {'--help', '--'}
        used = {word for word in words if word.startswith('--')}
        own = words[words.index('--'):] if '--' in words else []
        assert used - set(own) <= known


def test_help_loads_no_heavy_library():
    code = ('import sys\n'
            'from pose_estimation_ros.cli.main import app\n'
            'try:\n'
            '    app(["--help"])\n'
            'except SystemExit:\n'
            '    pass\n'
            'heavy = {"torch", "cv2", "onnxruntime", "open3d", "rclpy", "scipy", "matplotlib",\n'
            '         "dask", "pycocotools", "onnx", "h5py", "trimesh", "rosbags"}\n'
            'print("heavy:", sorted(heavy & {name.partition(".")[0] for name in sys.modules}))')
    answer = run_program(code=code)
    assert answer.stdout.splitlines()[-1] == 'heavy: []', answer.stderr


@pytest.mark.parametrize('command', ['demo', 'estimate', 'evaluate'])
def test_the_methods_that_can_be_chosen_are_listed(command):
    answer = run(command, '--help')
    assert ' '.join(answer.stdout.replace('│', ' ').split()).count(
        ', '.join(sorted(BUILT_IN))) == 1


def test_a_method_is_completed_by_its_first_letters():
    assert complete_backend('cr') == ['crnet']
    assert {'acr', 'crnet', 'spd'} <= set(complete_backend(''))


def test_shells_are_offered_completion(monkeypatch):
    # Otherwise the shell is looked for among the processes that run the tests; CI may have none.
    monkeypatch.setenv('_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION', '1')
    answer = run('--show-completion', 'bash')
    assert answer.exit_code == 0
    assert '--install-completion' in run('--help').stdout


@pytest.mark.parametrize('layout', ['table', 'yaml'])
@pytest.mark.parametrize('node', ['pose_estimator', 'simulated_camera', 'replay_camera',
                                  'recorder'])
def test_the_parameters_of_every_node_are_printed(node, layout):
    answer = run('parameters', node, '--layout', layout)
    assert answer.exit_code == 0
    assert {'pose_estimator': 'segmentation.min_score', 'simulated_camera': 'views_per_scene',
            'replay_camera': 'source', 'recorder': 'min_free'}[node] in answer.stdout


def test_a_fault_is_one_line_and_exit_code_2():
    result = run_program('models', 'info', 'no_such_model')
    assert result.returncode == 2
    assert result.stderr.startswith('pose-estimation: ')
    assert len(result.stderr.splitlines()) == 1
    assert 'no_such_model' in result.stderr


def test_what_nobody_foresaw_keeps_its_traceback(monkeypatch, capsys):
    def fail(error):
        def run_app(prog_name):
            raise error

        monkeypatch.setattr(command_line, 'app', run_app)

    fail(ModelError('no weights'))
    with pytest.raises(SystemExit, match='2'):
        command_line.main()
    assert capsys.readouterr().err == 'pose-estimation: no weights\n'
    fail(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        command_line.main()


def test_a_folder_that_cannot_be_written_is_named_with_a_cure(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    (tmp_path / 'file').touch()

    def fail(prog_name: str) -> None:
        (tmp_path / 'file' / 'run').mkdir(parents=True)

    monkeypatch.setattr(command_line, 'app', fail)
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        f'pose-estimation: {tmp_path}/file/run: Not a directory; choose a folder that you may '
        'write to, and give files that you may read\n')
    monkeypatch.setattr(command_line, 'app', lambda prog_name: (tmp_path / 'gone').read_text())
    with pytest.raises(FileNotFoundError):
        command_line.main()


@pytest.mark.parametrize(('module', 'sentence'), [
    ('tqdm.auto', 'this command needs tqdm, which is not installed; run pip install tqdm'),
    ('sensor_msgs.msg', 'this command needs sensor_msgs, which is not installed; source the'),
])
def test_a_missing_library_is_named_with_its_cure(
        module: str, sentence: str, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]):
    def fail(prog_name: str) -> None:
        raise ModuleNotFoundError(f'No module named {module!r}', name=module)

    monkeypatch.setattr(command_line, 'app', fail)
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f'pose-estimation: {sentence}')


def test_a_module_of_our_own_that_is_missing_is_no_fault_of_the_user(
        monkeypatch: pytest.MonkeyPatch):
    def fail(prog_name: str) -> None:
        raise ModuleNotFoundError('No module named here', name='pose_estimation_ros.gone')

    monkeypatch.setattr(command_line, 'app', fail)
    with pytest.raises(ModuleNotFoundError):
        command_line.main()
