"""Random and mutated messages: a valid frame or a refusal that names the fault, never else."""

import sys

import numpy as np
import pytest
from fuzzed_messages import Fuzzer
from ros_film import play
from ros_harness import PLUGIN, Client, Frame
from std_msgs.msg import Header

from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.nodes.conversions import ns_to_stamp
from pose_estimation_ros.nodes.frame_input import RawFrame
from pose_estimation_ros.pipeline import Pipeline, SegmenterOptions

sys.path.insert(0, str(PLUGIN))

from stand_in import CentroidBackend, ColorSegmenter

# Lenses and matrices without sense overflow on the way to their refusal.
pytestmark = [pytest.mark.filterwarnings('ignore:overflow encountered'),
              pytest.mark.filterwarnings('ignore:invalid value encountered')]

SETS, SEEDS = 1500, 4
SETS_OVER_DDS = 300
NAMED = ('colour', 'depth', 'camera', 'distortion')


@pytest.fixture(scope='module')
def pipeline():
    return Pipeline(ColorSegmenter(SegmenterOptions()), CentroidBackend(BackendOptions()), None)


def answer(pipeline, messages, rectified):
    """Return the poses of one set of messages, or the refusal."""
    try:
        return pipeline.process(RawFrame(*messages).read(rectified=rectified)).poses
    except InvalidInputError as error:
        return error


@pytest.mark.fault('fuzzed messages, conversions alone')
@pytest.mark.parametrize('seed', range(SEEDS))
def test_fuzzed_messages_are_valid_frames_or_named_faults(pipeline, record_property, seed):
    fuzzer = Fuzzer(seed)
    refused = 0
    for number in range(SETS):
        messages = fuzzer.compressed() if number % 5 == 0 else fuzzer.messages()
        found = answer(pipeline, messages, rectified=number % 7 == 0)
        if isinstance(found, InvalidInputError):
            assert any(name in str(found) for name in NAMED), found
            refused += 1
            continue
        for pose in found:
            assert np.isfinite(pose.T_camera_object).all()
            assert np.isfinite(pose.size).all() and (pose.size > 0).all()
    record_property('fuzzed messages', fuzzer.spoilt)
    assert 0.3 * SETS < refused < SETS
    assert fuzzer.spoilt > 10_000 / SEEDS


@pytest.mark.fault('fuzzed messages through the running node')
def test_fuzzed_messages_do_not_harm_the_node(client: Client, estimator, pipeline,
                                              record_property):
    fuzzer = Fuzzer(100)
    publishers = client.color, client.depth, client.color_info, client.depth_info
    faults = set()
    for _ in range(SETS_OVER_DDS):
        stamp_ns = client.now()
        messages = fuzzer.messages(Header(stamp=ns_to_stamp(stamp_ns), frame_id='camera'))
        found = answer(pipeline, messages, rectified=False)
        refused = isinstance(found, InvalidInputError)
        client.witness.allow([] if refused else [
            (pose.label, pose.T_camera_object[:3, 3]) for pose in found], stamp_ns)
        color, depth, info, depth_info = zip(publishers, messages, strict=True)
        play(client, [[info, depth_info, color, depth]])
        faults.add(client.sentences().get('processing'))
    record_property('fuzzed messages', fuzzer.spoilt)
    # The last fault that was found must be told, and be over with the first good frame.
    good = Frame()
    header = Header(stamp=ns_to_stamp(client.now()), frame_id=good.frame_id)
    client.depth_info.publish(good.info_message(header))
    client.result_of(good)
    client.wait_for_sentence('processing', '1 objects in the last frame',
                             lambda: client.send(good))
    assert sum(any(name in (told or '') for name in NAMED) for told in faults) > 3
    assert 'Traceback' not in estimator.log
    assert 'internal error' not in estimator.log
