"""The set-up behind `make demo`: what it does again, what it refuses, and what it says."""

import fcntl
import os
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """The set-up, working on a folder of its own and with every installation replaced."""
    spec = spec_from_file_location('setup_environment', ROOT / 'tools' / 'setup_environment.py')
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, 'VENV', tmp_path / '.venv')
    monkeypatch.setattr(module, 'STATE', tmp_path / '.venv' / '.setup')
    monkeypatch.setattr(module, 'PYTHON', tmp_path / '.venv' / 'bin' / 'python')
    module.done = []

    def create_environment():
        module.done.append('venv')
        module.PYTHON.parent.mkdir(parents=True, exist_ok=True)
        module.PYTHON.unlink(missing_ok=True)
        module.PYTHON.symlink_to(sys.executable)

    monkeypatch.setattr(module, 'create_environment', create_environment)
    monkeypatch.setattr(module, 'install_libraries',
                        lambda runtime: module.done.append(f'libraries {runtime}'))
    monkeypatch.setattr(module, 'build_messages', lambda: module.done.append('messages'))
    monkeypatch.setattr(module, 'link_package', lambda: module.done.append('link'))
    monkeypatch.setattr(module, 'pip_install', lambda *names: module.done.append(names[-1]))
    monkeypatch.setattr(module, 'missing_debian_packages', list)
    return module


def test_the_demo_installs_no_test_tools(tool):
    tool.set_up('demo', 'cpu')
    assert tool.done == ['venv', 'libraries cpu', 'messages', 'link']


def test_a_second_call_does_nothing_and_says_nothing(tool, capsys):
    tool.set_up('demo', 'cpu')
    tool.done.clear()
    capsys.readouterr()
    tool.set_up('demo', 'cpu')
    assert tool.done == []
    assert capsys.readouterr().out == ''


def test_the_tests_add_their_tools_to_a_demo_environment(tool):
    tool.set_up('demo', 'cpu')
    tool.done.clear()
    tool.set_up('test', 'cpu')
    assert tool.done == ['test']


def test_the_documentation_needs_its_own_tools_only(tool):
    tool.set_up('docs', 'cpu')
    assert tool.done == ['venv', 'libraries cpu', 'messages', 'link', 'docs']


def test_another_onnx_runtime_installs_the_libraries_again(tool):
    tool.set_up('demo', 'cpu')
    tool.done.clear()
    tool.set_up('demo', 'gpu')
    assert tool.done == ['libraries gpu']


def test_a_failed_step_is_repeated_and_the_steps_before_it_are_kept(tool, monkeypatch):
    def fail():
        raise tool.SetupError('no compiler')

    with monkeypatch.context() as broken:
        broken.setattr(tool, 'build_messages', fail)
        with pytest.raises(tool.SetupError, match='no compiler'):
            tool.set_up('demo', 'cpu')
    tool.done.clear()
    tool.set_up('demo', 'cpu')
    assert tool.done == ['messages', 'link']


def test_a_killed_step_makes_the_next_call_start_anew(tool, monkeypatch, capsys):
    def killed():
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(tool, 'build_messages', killed)
        with pytest.raises(KeyboardInterrupt):
            tool.set_up('demo', 'cpu')
    tool.done.clear()
    tool.set_up('demo', 'cpu')
    assert tool.done == ['venv', 'libraries cpu', 'messages', 'link']
    assert 'making it anew' in capsys.readouterr().out


def test_an_environment_whose_python_is_gone_is_made_anew(tool, tmp_path):
    tool.set_up('demo', 'cpu')
    tool.PYTHON.unlink()
    tool.PYTHON.symlink_to(tmp_path / 'removed')
    tool.done.clear()
    tool.set_up('demo', 'cpu')
    assert tool.done == ['venv', 'libraries cpu', 'messages', 'link']


def test_changed_requirements_are_installed(tool, monkeypatch, tmp_path):
    tool.set_up('demo', 'cpu')
    tool.done.clear()
    changed = tmp_path / 'requirements'
    changed.mkdir()
    for path in (ROOT / 'tools' / 'requirements').iterdir():
        (changed / path.name).write_text(path.read_text() + '# changed\n')
    monkeypatch.setattr(tool, 'REQUIREMENTS', changed)
    tool.set_up('demo', 'cpu')
    assert tool.done == ['libraries cpu', 'messages']


def test_missing_system_packages_without_root_are_named_in_one_line(tool, monkeypatch):
    monkeypatch.setattr(tool, 'missing_debian_packages', lambda: ['cmake', 'libgl1'])
    monkeypatch.setattr(tool, 'privileged_prefix', lambda: None)
    with pytest.raises(tool.SetupError, match='sudo apt-get install cmake libgl1'):
        tool.set_up('demo', 'cpu')


def test_an_unsupported_machine_is_told_to_use_ros_from_apt(tool, monkeypatch):
    monkeypatch.setattr(tool.platform, 'machine', lambda: 'aarch64')
    with pytest.raises(tool.SetupError, match=r'aarch64.*from apt'):
        tool.check_machine('demo')


def test_a_full_disk_is_refused_before_anything_is_installed(tool, monkeypatch):
    monkeypatch.setattr(tool.shutil, 'disk_usage',
                        lambda _: SimpleNamespace(free=2**30))
    with pytest.raises(tool.SetupError, match=r'needs about 3 GiB.*1\.0 GiB left'):
        tool.check_machine('demo')


def test_a_failing_command_shows_the_end_of_its_output_and_the_cure(tool):
    command = [sys.executable, '-c', 'print("cause of it all"); raise SystemExit(3)']
    with pytest.raises(tool.SetupError, match=r'(?s)cause of it all.*Free some space'):
        tool.run_logged(command, 'example', 'Free some space.')


def test_two_set_ups_exclude_each_other(tool, monkeypatch, tmp_path):
    monkeypatch.setattr(tool, 'ROOT', tmp_path)
    code = ('import fcntl, os, sys\n'
            f'folder = os.open({str(tmp_path)!r}, os.O_RDONLY)\n'
            'try: fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)\n'
            'except BlockingIOError: print("waits")\n'
            'else: print("works")')

    def other():
        return subprocess.run([sys.executable, '-S', '-c', code], capture_output=True, text=True,
                              check=True).stdout.strip()

    with tool.exclusive():
        assert other() == 'waits'
    assert other() == 'works'


def test_an_orphan_of_a_killed_set_up_keeps_the_others_waiting(tool, monkeypatch, tmp_path):
    monkeypatch.setattr(tool, 'ROOT', tmp_path)
    with tool.exclusive():
        orphan = subprocess.Popen([sys.executable, '-S', '-c', 'input()'], close_fds=False,
                                  stdin=subprocess.PIPE)
    folder = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(BlockingIOError):
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    orphan.communicate(b'\n')
    fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(folder)
