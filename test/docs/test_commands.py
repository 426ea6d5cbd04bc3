"""Every command of the documents: some are run, the others are parsed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from documented_commands import (
    DOCUMENTS,
    ROOT,
    TAGS,
    blocks_of,
    commands_in,
    fault_of,
    inline_commands_of,
)

BLOCKS = [block for path in DOCUMENTS for block in blocks_of(path)]
RUN = {path.name: [block.text for block in BLOCKS if block.path == path and block.tag == 'ci']
       for path in DOCUMENTS}


def test_every_block_says_what_it_needs():
    untagged = [str(block) for block in BLOCKS if block.tag not in TAGS]
    assert not untagged, 'put <!-- ci -->, <!-- long --> or <!-- hardware --> before the block'


@pytest.mark.parametrize('path', DOCUMENTS, ids=lambda path: path.name)
def test_commands_name_what_exists(path):
    faults = [f'line {block.line}: {" ".join(words)}: {fault}' for block in blocks_of(path)
              for words in commands_in(block.text) if (fault := fault_of(words))]
    faults += [f'{text}: {fault}' for text in inline_commands_of(path)
               for words in commands_in(text) if (fault := fault_of(words, is_whole=False))]
    assert not faults


@pytest.mark.parametrize('path', DOCUMENTS, ids=lambda path: path.name)
def test_benchmarks_are_called_as_everything_else(path):
    """`python` is whatever the shell has; `pose-estimation` is where this package is."""
    assert 'python benchmarks/' not in path.read_text('utf-8')


@pytest.mark.parametrize(('command', 'fault'), [
    ('pose-estimation estimat --color a', 'there is no command estimat'),
    ('pose-estimation estimate --colour a', 'estimate has no option --colour'),
    ('pose-estimation estimate --depth a', 'estimate needs --color'),
    ('pose-estimation estimate --color a --backend sdp', '--backend is sdp'),
    ('pose-estimation demo --frames many', '--frames is many; it is a number'),
    ('pose-estimation train spd-light --data a --out b', 'spd-light is no network'),
    ('pose-estimation benchmark frame_rate -- --objekts 6', 'frame_rate.py has no option'),
    ('make demos', 'the Makefile has no target demos'),
    ('make demo SAUCE=folder', 'the Makefile has no variable SAUCE'),
    ('ros2 launch pose_estimation_ros realsens.launch.py', 'there is no launch file'),
    ('ros2 launch pose_estimation_ros rgbd.launch.py kamera:=/a', 'has no argument kamera:=/a'),
    ('ros2 launch pose_estimation_ros rgbd.launch.py rviz:=yes', 'rviz is yes; it is one of'),
    ('ros2 run pose_estimation_ros recordr', 'there is no executable recordr'),
    ('ros2 run pose_estimation_ros recorder --ros-args -p bufer:=1', 'has no parameter bufer'),
    ('ros2 param set /pose_estimator min_score 2.0', 'it must lie in 0 to 1'),
    ('ros2 param set /pose_estimator min_score high', 'it is a float'),
    ('ros2 topic echo /object_pose', 'no node of ours has a topic /object_pose'),
    ('ros2 service call /pose_estimator/estimate std_srvs/srv/Empty', 'is of std_srvs/srv/Trig'),
    ('ros2 lifecycle set /pose_estimator start', 'start is no transition'),
    ('python benchmarks/frame_rat.py', 'there is no'),
    ('colcn build', 'no program that these pages know'),
])
def test_a_wrong_command_is_found(command, fault):
    (words,) = commands_in(command)
    assert fault in fault_of(words)


@pytest.mark.parametrize('command', [
    'X=1 pose-estimation evaluate <folder> --out runs/a && make test',
    'ros2 topic echo /left/object_poses/mug',
    'ros2 launch pose_estimation_ros replay.launch.py source:=$PWD/a rviz:=true',
    'ros2 run pose_estimation_ros pose-estimation models list | head',
])
def test_a_right_command_is_left_alone(command):
    assert [fault_of(words) for words in commands_in(command)] == [None] * len(
        commands_in(command))


@pytest.fixture(scope='module')
def frame(tmp_path_factory):
    """Return a folder with one simulated frame: rgb.png, depth.png, camera.json."""
    pytest.importorskip('open3d', reason='the frame is drawn with Open3D, which is optional')
    from pose_estimation_ros.synthetic.scene import SceneGenerator
    from pose_estimation_ros.synthetic.scene_renderer import render_frame
    frame = render_frame(SceneGenerator('primary', 'test').scene(12)).frame
    folder = tmp_path_factory.mktemp('frame')
    cv2.imwrite(str(folder / 'rgb.png'), frame.rgb[..., ::-1])
    cv2.imwrite(str(folder / 'depth.png'), np.nan_to_num(1000 * frame.depth).astype(np.uint16))
    (folder / 'camera.json').write_text(json.dumps({'K': frame.intrinsics.K.tolist()}))
    return folder


@pytest.mark.parametrize('page', [name for name, texts in RUN.items() if texts])
def test_the_commands_of_a_page_run(page, frame, tmp_path):
    for path in frame.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    programs = tmp_path / 'bin'
    programs.mkdir()
    for name, arguments in (('pose-estimation', '-m pose_estimation_ros.cli.main'),
                            ('python3', '')):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        program.chmod(0o755)
    answer = subprocess.run(
        ['bash', '-euo', 'pipefail', '-c', '\n'.join(RUN[page])], cwd=tmp_path,
        capture_output=True, text=True, check=False,
        env={**os.environ, 'HOME': str(tmp_path), 'XDG_DATA_HOME': str(tmp_path / 'share'),
             'PATH': f'{programs}{os.pathsep}{os.environ["PATH"]}',
             'PYTHONPATH': os.pathsep.join(filter(None, (
                 str(ROOT), os.environ.get('PYTHONPATH'))))})
    assert answer.returncode == 0, f'{answer.stdout}\n{answer.stderr}'
