"""One activation of the node: what it leaves behind, when it asks TF, which frames are stale."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from ros_harness import Frame
from std_msgs.msg import Header

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.symmetry import Symmetry
from pose_estimation_ros.nodes import session
from pose_estimation_ros.nodes.conversions import ns_to_stamp
from pose_estimation_ros.nodes.diagnostics import ERROR, Monitor
from pose_estimation_ros.nodes.frame_input import RawFrame
from pose_estimation_ros.nodes.parameters import ESTIMATOR_PARAMETERS
from pose_estimation_ros.nodes.settings import EstimatorSettings
from pose_estimation_ros.pipeline import PipelineResult, SegmentedFrame


def test_a_failed_activation_leaves_no_publishers_and_no_threads(client, monkeypatch):
    def fail(*arguments):
        raise RuntimeError('no subscription')

    monkeypatch.setattr(session, 'FrameInput', fail)
    settings = EstimatorSettings.from_values(
        {spec.name: spec.default for spec in ESTIMATOR_PARAMETERS})
    backend = SimpleNamespace(needs=frozenset({'depth'}), categories=('mug',))
    pipeline = SimpleNamespace(reset_tracks=lambda: (), backend=backend, depth_use='needed')
    publishers, threads = len(list(client.node.publishers)), threading.active_count()
    with pytest.raises(RuntimeError, match='no subscription'):
        session.EstimationSession(client.node, settings, pipeline, None, Monitor(), print)
    assert len(list(client.node.publishers)) == publishers
    assert threading.active_count() == threads


SECOND = 1_000_000_000
PATIENCE = 30


class Transforms:
    """Knows each transform from the second question on, and remembers who asked."""

    def __init__(self, *, late):
        self.late = late
        self.asked = []

    def arrived(self, stamp_ns):
        pass

    def lookup(self, target, source, stamp_ns, timeout=0.0):
        known = not self.late or any(stamp == stamp_ns for stamp, _, _ in self.asked)
        self.asked.append((stamp_ns, timeout, threading.current_thread().name))
        if not known:
            raise InvalidInputError('not yet')
        return np.eye(4)


class Stages:
    """A pipeline that stops at a gate and finds nothing."""

    depth_use = 'needed'
    backend = SimpleNamespace(needs=frozenset({'depth'}), categories=('mug',))

    def __init__(self):
        self.gate = threading.Semaphore(0)
        self.at_gate = threading.Semaphore(0)

    def reset_tracks(self):
        return ()

    def segment(self, frame):
        self.at_gate.release()
        assert self.gate.acquire(timeout=PATIENCE)
        raise InvalidInputError('enough')


class FindsDrill(Stages):
    """A pipeline that finds an object which it did not know at the start."""

    def segment(self, frame):
        return SegmentedFrame(frame, (), (), {})

    def estimate(self, segmented, T_fixed_camera=None):
        pose = ObjectPose('drill', 0.9, np.eye(4), np.full(3, 0.1), Symmetry(), 'drills')
        return PipelineResult(segmented.frame, (), (pose,), (), (), {})

    def plan_grasps(self, result, surroundings):
        return result


@pytest.fixture
def begin(client):
    """Return a way to begin a session with other parameters than the default ones."""
    begun = []

    def start(stages, transforms=None, **changes):
        values = {spec.name: spec.default for spec in ESTIMATOR_PARAMETERS}
        settings = EstimatorSettings.from_values(values | {
            name.replace('__', '.'): value for name, value in changes.items()})
        begun.append((stages, session.EstimationSession(
            client.node, settings, stages, transforms, Monitor(), print)))
        return begun[-1][1]

    yield start
    for stages, running in begun:
        for _ in range(10):
            stages.gate.release()
        running.stop_input()
        assert running.finish(PATIENCE)
        if not running._is_closed:
            running.close()


def raw(stamp_ns):
    frame = Frame()
    header = Header(stamp=ns_to_stamp(stamp_ns), frame_id=frame.frame_id)
    return RawFrame(frame.color_message(header), frame.depth_message(header),
                    frame.info_message(header), None)


def test_tf_is_asked_when_a_frame_arrives_not_when_its_turn_comes(begin):
    stages, transforms = Stages(), Transforms(late=False)
    running = begin(stages, transforms, output_frame='base', max_age=0.0)
    running._on_frame(raw(SECOND))
    assert stages.at_gate.acquire(timeout=PATIENCE)
    running._on_frame(raw(2 * SECOND))
    here = threading.current_thread().name
    assert transforms.asked == [(SECOND, 0.0, here), (2 * SECOND, 0.0, here)]


def test_tf_that_comes_late_is_waited_for_outside_the_executor(begin):
    stages, transforms = Stages(), Transforms(late=True)
    running = begin(stages, transforms, output_frame='base', max_age=0.0, tf__timeout=5.0)
    running._on_frame(raw(SECOND))
    assert stages.at_gate.acquire(timeout=PATIENCE)
    (_, at_once, here), (stamp_ns, wait, thread) = transforms.asked
    assert (at_once, here) == (0.0, threading.current_thread().name)
    assert (stamp_ns, thread) == (SECOND, 'segment')
    assert 0.0 < wait <= 5.0


def test_topics_of_an_object_that_was_added_are_made_in_the_executors_thread(
        begin, client, monkeypatch):
    makers = []
    create = client.node.create_publisher

    def noted(*arguments, **options):
        makers.append(threading.current_thread().name)
        return create(*arguments, **options)

    monkeypatch.setattr(client.node, 'create_publisher', noted)
    running = begin(FindsDrill(), max_age=0.0, publish_per_label=True)
    topics = [f'{kind}_poses/drill' for kind in ('object', 'grasp')]
    assert not any(map(client.node.count_publishers, topics))
    running._on_frame(raw(SECOND))
    client.wait_for(lambda: all(map(client.node.count_publishers, topics)), 'topics of the drill')
    assert set(makers) == {threading.current_thread().name}
    assert running._monitor.present_fault() is None


@pytest.mark.fault('stale frames')
@pytest.mark.parametrize(('age', 'told'), [(3600, '3.6e+03 s behind'), (-50, '50 s ahead of')])
def test_a_frame_whose_stamp_is_far_from_the_clock_is_told_and_not_processed(
        begin, client, age, told):
    running = begin(Stages(), max_age=2.0)
    running._on_frame(raw(client.now() - age * SECOND))
    level, sentence = running._monitor.processing()
    assert level == ERROR
    assert sentence.startswith(f"the stamps of the images are {told} the node's clock when they")
    assert running._monitor.values(client.now())['frames.dropped.stale'] == '1'
    assert running.at_work() == {}


@pytest.mark.fault('a network hangs')
def test_a_frame_that_outlives_its_session_gives_no_result_and_no_second_answer(begin, client):
    stages = Stages()
    running = begin(stages, max_age=0.0)
    future = running.request()
    running._on_frame(raw(SECOND))
    assert stages.at_gate.acquire(timeout=PATIENCE)
    assert not running.finish(timeout=0.0)
    running.close()
    answer = future.result()
    assert answer == session.Answer(success=False, message='the node was deactivated')
    stages.gate.release()
    assert running.finish(PATIENCE)
    assert running._monitor.present_fault() is None
    assert future.result() is answer
