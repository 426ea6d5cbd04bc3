"""Make everything that `make demo`, `make docs` and `make test` need, once, in .venv.

Runs with the system's python3 and the standard library alone. Every step leaves a stamp with a
hash of what it was made from; a step whose stamp is right is skipped, so the next call takes no
time. Calls exclude each other, and an interrupted installation is started anew.

Usage:
    python3 tools/setup_environment.py [--set demo|docs|test] [--ort auto|cpu|gpu]
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / '.venv'
STATE = VENV / '.setup'
REQUIREMENTS = ROOT / 'tools' / 'requirements'
PYTHON = VENV / 'bin' / 'python'

SUPPORTED_PYTHONS = ((3, 10), (3, 11), (3, 12), (3, 13))
DISK_GIB = {'demo': 3, 'docs': 3, 'test': 10}


class SetupError(Exception):
    """A step cannot be done; the message says what to do."""


# --- The parts that the machine itself must have -------------------------------------------------

def has_library(name: str) -> bool:
    """Tell whether the loader finds a shared library."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def missing_debian_packages() -> list[str]:
    """List the Debian packages whose contents are not on this machine."""
    header = Path(sysconfig.get_paths()['include']) / 'Python.h'
    own = 'python3' if sys.executable == '/usr/bin/python3' else (
        f'python{sys.version_info.major}.{sys.version_info.minor}')
    present = {
        f'{own}-venv': importlib.util.find_spec('ensurepip') is not None,
        f'{own}-dev': header.exists(),
        'g++': shutil.which('g++') is not None,
        'cmake': shutil.which('cmake') is not None,
        'ninja-build': shutil.which('ninja') is not None,
        'libusb-1.0-0': has_library('libusb-1.0.so.0'),
        'libgl1': has_library('libGL.so.1'),
        'libegl1': has_library('libEGL.so.1'),
        'libx11-6': has_library('libX11.so.6'),
        'libgomp1': has_library('libgomp.so.1'),
    }
    return [package for package, there in present.items() if not there]


def privileged_prefix() -> list[str] | None:
    """Find how to run a command as root: no prefix, sudo, or None for no way."""
    if os.geteuid() == 0:
        return []
    if shutil.which('sudo') is None:
        return None
    if subprocess.run(['sudo', '-n', 'true'], capture_output=True, check=False).returncode == 0:
        return ['sudo', '-n']
    return ['sudo'] if sys.stdin.isatty() else None


def install_system_packages() -> None:
    """Install what the machine lacks through apt; do nothing when nothing is missing."""
    missing = missing_debian_packages()
    if not missing:
        return
    names = ' '.join(missing)
    prefix = privileged_prefix()
    if shutil.which('apt-get') is None or prefix is None:
        raise SetupError(f'This machine lacks system packages, and they cannot be installed from '
                         f'here. Run: sudo apt-get install {names}')
    print(f'System packages: {names}', flush=True)
    apt = [*prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-qq']
    run_logged([*apt, 'update'], 'apt',
               'Check the network and /etc/apt/sources.list, then try again.')
    run_logged([*apt, 'install', '-y', '--no-install-recommends', *missing], 'apt',
               f'Run it by hand to see why: sudo apt-get install {names}')
    importlib.invalidate_caches()
    still_missing = missing_debian_packages()
    if still_missing:
        raise SetupError(f'apt installed {names}, but {" ".join(still_missing)} cannot be found '
                         f'for {sys.executable}. Try with PYTHON=/usr/bin/python3.')


def check_machine(chosen_set: str) -> None:
    """Refuse machines for which no wheels exist, and full disks, before anything is done."""
    if sys.platform != 'linux' or platform.machine() != 'x86_64':
        raise SetupError(
            f'The ROS 2 wheels exist for x86-64 Linux, not for {sys.platform} on '
            f'{platform.machine()}. Use ROS 2 from apt there: see "On a robot" in README.md.')
    if not PYTHON.exists():
        free = shutil.disk_usage(ROOT).free / 2**30
        if free < DISK_GIB[chosen_set]:
            raise SetupError(f'The environment needs about {DISK_GIB[chosen_set]} GiB; '
                             f'{ROOT} has {free:.1f} GiB left. Free some space and try again.')


def use_supported_python() -> None:
    """Continue under a Python that the wheels support, when this one is not."""
    if sys.version_info[:2] in SUPPORTED_PYTHONS:
        return
    for major, minor in reversed(SUPPORTED_PYTHONS):
        other = shutil.which(f'python{major}.{minor}')
        if other and subprocess.run([other, '-c', ''], capture_output=True,
                                    check=False).returncode == 0:
            os.execv(other, [other, *sys.argv])
    raise SetupError(f'Python {platform.python_version()} is not supported: install one of '
                     f'3.10 to 3.13 and name it with PYTHON=python3.12.')


# --- Running commands ----------------------------------------------------------------------------

def run_logged(command: list[str], log_name: str, cure: str) -> None:
    """Run a command with its output in a log, and with its milestones on the terminal.

    Args:
        command: Program and arguments.
        log_name: Log file in the state folder; on failure its end is shown.
        cure: What the user can do about a failure.

    Raises:
        SetupError: The command failed.
    """
    STATE.mkdir(parents=True, exist_ok=True)
    log = STATE / f'{log_name}.log'
    with log.open('w') as file, subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors='replace', cwd=ROOT,
            close_fds=False) as process:
        assert process.stdout is not None
        for line in process.stdout:
            file.write(line)
            file.flush()
            show_milestone(line.strip())
    if process.returncode != 0:
        tail = log.read_text(errors='replace').splitlines()[-25:]
        raise SetupError('\n'.join([
            *(f'    | {line}' for line in tail),
            f'Failed: {" ".join(command[:4])} ... (whole output: {log})', cure]))


def show_milestone(line: str) -> None:
    """Print the lines of pip that tell a waiting user what takes time."""
    if line.startswith('Installing collected packages'):
        print(f'      installing {line.count(",") + 1} packages', flush=True)
    elif line.startswith('Downloading') and re.search(r'\(\d\d+(\.\d+)? [MG]B\)', line):
        print(f'      downloading {line.removeprefix("Downloading").strip()}', flush=True)


def pip_install(*requirement_files: str) -> None:
    """Install requirement files into the environment with one resolution."""
    arguments = [word for name in requirement_files
                 for word in ('-r', str(REQUIREMENTS / f'{name}.txt'))]
    # Compiling thousands of files that nobody imports would take a third of the time.
    run_logged([str(PYTHON), '-m', 'pip', 'install', '--no-compile', '--progress-bar', 'off',
                '--disable-pip-version-check', *arguments], 'pip',
               'Check the network and the free disk space, then try again: '
               'what was downloaded is kept.')


# --- The steps -----------------------------------------------------------------------------------

def create_environment() -> None:
    """Create .venv, or mend what an interrupted creation left."""
    run_logged([sys.executable, '-m', 'venv', str(VENV)], 'venv',
               f'Remove {VENV} and try again.')


def install_libraries(runtime: str) -> None:
    """Install ROS wheels, libraries and exactly one ONNX Runtime."""
    other = {'cpu': 'onnxruntime-gpu', 'gpu': 'onnxruntime'}[runtime]
    names = installed_distributions()
    if other in names:
        # The two packages share their files: removing one breaks the other, so remove both.
        run_logged([str(PYTHON), '-m', 'pip', 'uninstall', '-y', 'onnxruntime',
                    'onnxruntime-gpu'], 'pip', f'Remove {VENV} and try again.')
    pip_install('ros', 'run', f'onnxruntime-{runtime}')


def installed_distributions() -> set[str]:
    """List the environment's installed distributions by normalised name."""
    code = ('import importlib.metadata as m, re\n'
            'for d in m.distributions(): print(re.sub("[-_.]+", "-", d.name or "").lower())')
    listing = subprocess.run([PYTHON, '-c', code], check=True, capture_output=True, text=True)
    return set(listing.stdout.split())


def build_messages() -> None:
    """Build tf2_msgs and vision_msgs into the environment."""
    run_logged([str(PYTHON), 'tools/build_interfaces.py'], 'messages',
               'A compiler error above names the cause; please report it with that log.')


def link_package() -> None:
    """Make the environment an ament prefix that serves this working tree."""
    run_logged([str(PYTHON), 'tools/link_package.py'], 'link',
               'setup.py could not be read: the log names the line.')


def nvidia_driver_present() -> bool:
    """Tell whether an NVIDIA driver is loaded."""
    under_windows = Path('/dev/dxg').exists() and shutil.which('nvidia-smi') is not None
    return under_windows or Path('/proc/driver/nvidia/version').exists()


def digest(*parts: object) -> str:
    """Hash names, and the contents of files and of folders."""
    total = hashlib.sha256(f'{sys.version_info[:2]} {VENV}'.encode())
    for part in parts:
        paths = [part] if isinstance(part, Path) else []
        if isinstance(part, Path) and part.is_dir():
            paths = sorted(path for path in part.rglob('*') if path.is_file())
        total.update(str(part).encode())
        for path in paths:
            total.update(path.read_bytes())
    return total.hexdigest()


def installed_names() -> list[str]:
    """List the files that setup.py installs beside the code."""
    return sorted(str(path.relative_to(ROOT)) for folder in ('launch', 'config', 'models')
                  for path in (ROOT / folder).rglob('*'))


@contextmanager
def exclusive():
    """Let one set-up at a time work on this checkout.

    Child processes inherit the lock: when a set-up is killed, the next waits for its orphans.
    """
    folder = os.open(ROOT, os.O_RDONLY)
    os.set_inheritable(folder, True)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print('Another set-up works on this checkout: waiting for it.', flush=True)
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


@contextmanager
def unfinished_while_open():
    """Mark the environment as unfinished for as long as a step changes it.

    A step that fails leaves a consistent environment behind: pip undoes its own changes. A step
    that is killed does not, and its mark stays for the next call to see.
    """
    STATE.mkdir(parents=True, exist_ok=True)
    mark = STATE / 'unfinished'
    mark.touch()
    try:
        yield
    except SetupError:
        mark.unlink()
        raise
    mark.unlink()


def why_unusable() -> str | None:
    """Say why an existing environment cannot be built upon, None if it can or there is none."""
    if (STATE / 'unfinished').exists():
        return 'was left unfinished'
    if not (PYTHON.is_symlink() or PYTHON.exists()):
        return None
    if not PYTHON.exists():
        return 'has lost its Python'
    code = f'import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})'
    same = subprocess.run([PYTHON, '-S', '-c', code], capture_output=True, check=False)
    return 'is of another Python' if same.returncode else None


def discard_unusable_environment() -> None:
    """Remove an environment that cannot be built upon."""
    reason = why_unusable()
    if reason:
        print(f'The environment in .venv {reason}: making it anew.', flush=True)
        shutil.rmtree(VENV)


def set_up(chosen_set: str, runtime: str) -> None:
    """Run every step whose stamp is missing or outdated."""
    libraries = [REQUIREMENTS / f'{name}.txt' for name in ('ros', 'run', f'onnxruntime-{runtime}')]
    steps = [
        ('Python environment', 'venv', create_environment, digest()),
        (f'ROS 2 and libraries, ONNX Runtime for {runtime.upper()}', 'libraries',
         lambda: install_libraries(runtime), digest(runtime, *libraries)),
        ('tf2_msgs and vision_msgs', 'messages', build_messages,
         digest(libraries[0], ROOT / 'interfaces', ROOT / 'tools' / 'build_interfaces.py')),
        ('package', 'link', link_package,
         digest(ROOT / 'setup.py', ROOT / 'tools' / 'link_package.py', *installed_names())),
    ]
    if chosen_set == 'test':
        steps.insert(2, (
            'PyTorch and test tools (several GB the first time)', 'tests',
            lambda: pip_install('ros', 'run', f'onnxruntime-{runtime}', 'docs', 'test'),
            digest(runtime, *libraries, REQUIREMENTS / 'docs.txt', REQUIREMENTS / 'test.txt')))
    if chosen_set == 'docs':
        steps.append(('documentation tools', 'docs', lambda: pip_install('docs'),
                      digest(REQUIREMENTS / 'docs.txt')))
    begun = time.monotonic()
    install_system_packages()
    discard_unusable_environment()
    done = 0
    for number, (title, name, make, wanted) in enumerate(steps, start=1):
        stamp = STATE / f'{name}.stamp'
        if stamp.exists() and stamp.read_text() == wanted:
            continue
        print(f'[{number}/{len(steps)}] {title}', flush=True)
        step_begun = time.monotonic()
        with unfinished_while_open():
            stamp.unlink(missing_ok=True)
            make()
            stamp.write_text(wanted)
        done += 1
        print(f'      done in {time.monotonic() - step_begun:.0f} s', flush=True)
    if done:
        print(f'Set-up finished in {time.monotonic() - begun:.0f} s: .venv', flush=True)


def main() -> int:
    """Read the arguments and set up."""
    parser = argparse.ArgumentParser(description='Make what a command of make needs, in .venv.')
    parser.add_argument('--set', choices=tuple(DISK_GIB), default='demo', dest='chosen_set',
                        help='demo: what a running estimator needs; docs: MkDocs too; test: '
                        'that, PyTorch and test tools too')
    parser.add_argument('--ort', choices=('auto', 'cpu', 'gpu'), default='auto',
                        help='which ONNX Runtime; auto takes gpu where an NVIDIA driver is loaded')
    arguments = parser.parse_args()
    runtime = arguments.ort
    if runtime == 'auto':
        runtime = 'gpu' if nvidia_driver_present() else 'cpu'
    try:
        use_supported_python()
        check_machine(arguments.chosen_set)
        with exclusive():
            set_up(arguments.chosen_set, runtime)
    except SetupError as fault:
        print(f'\nSet-up failed.\n{fault}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\nSet-up interrupted: call it again.', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
