"""Every sentence that docs/troubleshooting.md quotes is one that the node says."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.nodes.conversions import misalignment
from pose_estimation_ros.nodes.depth_registrar import refuse
from pose_estimation_ros.nodes.diagnostics import FrameOutcome, Monitor
from pose_estimation_ros.nodes.frame_input import CURES_OF_SILENCE
from pose_estimation_ros.nodes.input_health import InputFacts, InputRecord, problems
from pose_estimation_ros.nodes.ros_compat import share_file
from pose_estimation_ros.runtime.session import not_started
from pose_estimation_ros.segmentation.mask_rcnn import Miss

ROOT = Path(__file__).resolve().parents[2]
QUOTES = re.findall(r'^> (.+)$', (ROOT / 'docs' / 'troubleshooting.md').read_text(), re.MULTILINE)
SECOND = 1_000_000_000
# A pattern of less text says nothing; its parts are joined from elsewhere.
RUNNING = ('', 'nodes/', 'core/', 'runtime/', 'segmentation/')
LEAST_TEXT, LEAST_SHARE = 20, 0.35


def sentence_of(name, publishers, record, wrong_type='', now_ns=10 * SECOND):
    topic = {'colour': '/color/image_raw', 'depth': '/depth/image_raw'}[name]
    fact = InputFacts(name, topic, publishers, CURES_OF_SILENCE[name], wrong_type=wrong_type)
    (problem,) = problems([fact], {name: record}, now_ns, SECOND)
    # The page cannot know where the package is installed.
    return problem.sentence.replace(str(share_file('config/fastdds.xml').parent), '<share>/config')


def heard(lost=0):
    record = InputRecord()
    for _ in range(20):
        record.note(10 * SECOND)
        record.note_loss(lost)
    return record


def camera(f):
    return CameraIntrinsics(640, 480, np.array([[f, 0, 320], [0, f, 240], [0, 0, 1.0]]))


def emptiness():
    monitor = Monitor()
    for _ in range(10):
        monitor.finished(0, FrameOutcome(0, (str(Miss('mug', 0.31, 0.5)),)), {})
    return monitor.lasting_emptiness()


@pytest.fixture(scope='module')
def spoken():
    """What is joined of parts, from the functions that tell it."""
    return {
        not_started('cuda', ['CPUExecutionProvider']),
        sentence_of('colour', 0, InputRecord()), sentence_of('depth', 0, InputRecord()),
        sentence_of('colour', 1, InputRecord(), 'sensor_msgs/msg/CompressedImage'),
        sentence_of('colour', 1, InputRecord(incompatible='reliability')),
        sentence_of('colour', 1, InputRecord()), sentence_of('colour', 1, heard(lost=1)),
        sentence_of('colour', 2, heard()), emptiness(),
        str(refuse(misalignment(camera(610.0), camera(380.0))))}


@pytest.fixture(scope='module')
def patterns():
    """One pattern for each sentence in the sources; values match anything."""
    found = []
    package = ROOT / 'pose_estimation_ros'
    for path in (path for folder in RUNNING for path in sorted(package.glob(f'{folder}*.py'))):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            if not all(isinstance(part, ast.FormattedValue) or (
                    isinstance(part, ast.Constant) and isinstance(part.value, str))
                    for part in parts):
                continue
            text = ''.join(part.value for part in parts if isinstance(part, ast.Constant))
            if len(text) >= LEAST_TEXT:
                found.append((len(text), re.compile(''.join(
                    re.sub(r'%[sdr]', '.+', re.escape(part.value))
                    if isinstance(part, ast.Constant) else '.+' for part in parts))))
    return found


def test_it_quotes_much():
    assert len(QUOTES) > 25


@pytest.mark.parametrize('quote', QUOTES)
def test_a_quoted_sentence_is_one_that_the_node_says(quote, spoken, patterns):
    assert quote in spoken or any(
        pattern.fullmatch(quote) and length >= LEAST_SHARE * len(quote)
        for length, pattern in patterns)


def test_what_can_be_wrong_with_an_input_is_all_in_the_page(spoken):
    assert not spoken - set(QUOTES)
