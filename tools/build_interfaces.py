"""Build tf2_msgs and vision_msgs, which PyPI lacks, into an environment of ROS wheels.

On a machine with ROS both come from apt and nobody runs this. Elsewhere the set-up runs it with
the environment's own Python: it generates, compiles and installs the message packages into that
environment, and compares their type hashes with those of the released packages, so that our
messages are understood by every ROS 2 machine.

Usage:
    .venv/bin/python tools/build_interfaces.py
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PREFIX = Path(sys.prefix)

# Type hashes of the released packages (geometry2, vision_msgs 4.2).
RELEASED_HASHES = {
    'tf2_msgs/msg/TFMessage':
        r'RIHS01_e369d0f0[0-9a-f]{52}f087',
    'vision_msgs/msg/Detection3DArray':
        'RIHS01_793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018',
    'vision_msgs/msg/Detection2DArray':
        'RIHS01_214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968',
    'vision_msgs/msg/LabelInfo':
        'RIHS01_3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783',
}

CMAKE_LISTS = """\
cmake_minimum_required(VERSION 3.20)
project({name})
find_package(ament_cmake REQUIRED)
find_package(rosidl_default_generators REQUIRED)
{finds}
rosidl_generate_interfaces(${{PROJECT_NAME}}
  {files}
  DEPENDENCIES {dependencies})
ament_export_dependencies(rosidl_default_runtime)
ament_package()
"""

PACKAGE_XML = """\
<?xml version="1.0"?>
<package format="3">
  <name>{name}</name>
  <version>{version}</version>
  <description>Messages of {name}, built from their public definitions.</description>
  <maintainer email="maintainers@pose-estimation-ros.invalid">pose_estimation_ros</maintainer>
  <license>Apache-2.0</license>
  <buildtool_depend>ament_cmake</buildtool_depend>
  <buildtool_depend>rosidl_default_generators</buildtool_depend>
  {depends}
  <exec_depend>rosidl_default_runtime</exec_depend>
  <member_of_group>rosidl_interface_packages</member_of_group>
  <export><build_type>ament_cmake</build_type></export>
</package>
"""


@dataclass(frozen=True)
class InterfacePackage:
    """A message package to be built.

    Attributes:
        name: Package name.
        version: Version of the released package with the same definitions.
        dependencies: Message packages that its fields come from.
        definitions: Text of each .msg file by message name.
    """

    name: str
    version: str
    dependencies: tuple[str, ...]
    definitions: dict[str, str]


def tf2_msgs() -> InterfacePackage:
    """Take the messages on /tf from the definitions that rosbags carries."""
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_KILTED)
    definitions = {}
    for message in ('TFMessage', 'TF2Error'):
        text, _ = store.generate_msgdef(f'tf2_msgs/msg/{message}', ros_version=2)
        own, *_of_dependencies = text.split('=' * 80)
        definitions[message] = own
    return InterfacePackage(
        'tf2_msgs', '0.41.0', ('builtin_interfaces', 'geometry_msgs'), definitions)


def vision_msgs() -> InterfacePackage:
    """Take vision_msgs from the .msg files in interfaces/."""
    folder = ROOT / 'interfaces' / 'vision_msgs' / 'msg'
    definitions = {path.stem: path.read_text() for path in sorted(folder.glob('*.msg'))}
    return InterfacePackage('vision_msgs', '4.2.0', ('std_msgs', 'geometry_msgs'), definitions)


def write_sources(package: InterfacePackage, folder: Path) -> None:
    """Write the package as a ROS source package."""
    (folder / 'msg').mkdir(parents=True)
    for name, text in package.definitions.items():
        (folder / 'msg' / f'{name}.msg').write_text(text)
    (folder / 'CMakeLists.txt').write_text(CMAKE_LISTS.format(
        name=package.name,
        finds='\n'.join(f'find_package({name} REQUIRED)' for name in package.dependencies),
        files='\n  '.join(f'"msg/{name}.msg"' for name in package.definitions),
        dependencies=' '.join(package.dependencies)))
    (folder / 'package.xml').write_text(PACKAGE_XML.format(
        name=package.name, version=package.version,
        depends='\n  '.join(f'<depend>{name}</depend>' for name in package.dependencies)))


def correct_exported_paths() -> None:
    """Replace the wheel builder's include paths in CMake exports by this interpreter's."""
    import numpy as np

    replacements = (
        (re.compile(r'/opt/python/[\w.-]+/lib/python3\.\d+t?/site-packages/numpy/_core/include'),
         np.get_include()),
        (re.compile(r'/opt/python/[\w.-]+/include/python3\.\d+t?'),
         sysconfig.get_paths()['include']),
    )
    for path in (PREFIX / 'share').glob('*/cmake/*.cmake'):
        text = original = path.read_text()
        for pattern, replacement in replacements:
            text = pattern.sub(lambda _match, new=replacement: new, text)
        if text != original:
            path.write_text(text)


def build_environment() -> dict[str, str]:
    """Make the variables with which CMake and the generators find the wheels."""
    environment = dict(os.environ)
    environment['PATH'] = f'{PREFIX / "bin"}{os.pathsep}{environment.get("PATH", "")}'
    environment['AMENT_PREFIX_PATH'] = environment['CMAKE_PREFIX_PATH'] = str(PREFIX)
    environment.pop('PYTHONPATH', None)
    return environment


def build(package: InterfacePackage, workspace: Path) -> None:
    """Generate, compile and install one package into this environment.

    Raises:
        subprocess.CalledProcessError: A step failed; its output is in the exception.
    """
    source, binary = workspace / package.name, workspace / f'{package.name}.build'
    write_sources(package, source)
    steps = (
        ['cmake', '-G', 'Ninja', '-S', source, '-B', binary,
         '-DCMAKE_BUILD_TYPE=Release', '-DCMAKE_CXX_FLAGS_RELEASE=-O1',
         '-DCMAKE_C_FLAGS_RELEASE=-O1',
         f'-DCMAKE_INSTALL_PREFIX={PREFIX}', f'-DCMAKE_PREFIX_PATH={PREFIX}',
         f'-DPython3_EXECUTABLE={sys.executable}', f'-DPython_EXECUTABLE={sys.executable}',
         '-DPython3_FIND_VIRTUALENV=ONLY', '-DBUILD_TESTING=OFF', '-Wno-dev'],
        ['cmake', '--build', binary],
        ['cmake', '--install', binary],
    )
    for step in steps:
        subprocess.run([str(word) for word in step], env=build_environment(), check=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wrong_hashes() -> list[str]:
    """Compare the installed type hashes with those of the released packages."""
    faults = []
    for type_name, released in RELEASED_HASHES.items():
        description = json.loads((PREFIX / 'share' / f'{type_name}.json').read_text())
        hashes = {entry['type_name']: entry['hash_string']
                  for entry in description['type_hashes']}
        if not re.fullmatch(released, hashes[type_name]):
            faults.append(f'{type_name} has type hash {hashes[type_name]}, not {released}')
    return faults


def main() -> int:
    """Build both packages, side by side, and check them."""
    missing = [tool for tool in ('cmake', 'ninja', 'g++') if shutil.which(tool) is None]
    if missing:
        print(f'Building messages needs {", ".join(missing)}: '
              'install cmake, ninja-build and g++.', file=sys.stderr)
        return 1
    correct_exported_paths()
    packages = (tf2_msgs(), vision_msgs())
    with tempfile.TemporaryDirectory(prefix='ros_interfaces_') as folder:
        with ThreadPoolExecutor(len(packages)) as pool:
            futures = [pool.submit(build, package, Path(folder)) for package in packages]
        for package, future in zip(packages, futures, strict=True):
            fault = future.exception()
            if isinstance(fault, subprocess.CalledProcessError):
                print(f'{fault.output}\nBuilding {package.name} failed at: '
                      f'{" ".join(fault.cmd)}', file=sys.stderr)
                return 1
            future.result()
    faults = wrong_hashes()
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
