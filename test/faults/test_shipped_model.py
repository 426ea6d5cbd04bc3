"""A shipped network in the node: disturbed streams give the true poses of a frame, or none."""

import shutil
import sys

import numpy as np
import pytest
from ros_film import Take, play
from ros_harness import GREEN, PLUGIN, RED, ROOT, Client, Frame
from std_msgs.msg import Header

from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.backends.registry import create_backend
from pose_estimation_ros.nodes.conversions import stamp_to_ns
from pose_estimation_ros.nodes.frame_input import RawFrame
from pose_estimation_ros.pipeline import Pipeline, SegmenterOptions

sys.path.insert(0, str(PLUGIN))

from stand_in import ColorSegmenter

COUNT, RATE = 12, 10
MODEL = 'crnet_lite'


class TrueFrame(Frame):
    """A moving scene whose truth is what the pipeline makes of it alone, with the same seed."""

    def __init__(self, pipeline, step):
        left = 10 + 9 * (step % 8)
        boxes = (left, 30, left + 40, 80), (left + 50, 40, left + 80, 90)
        super().__init__(tuple(zip(boxes, (RED, GREEN), strict=True)),
                         depth=0.5 + 0.02 * (step % 10))
        self.focal_length = 140.0 if step % 6 < 3 else 170.0
        header = Header(frame_id=self.frame_id)
        self._poses = pipeline.process(RawFrame(
            self.color_message(header), self.depth_message(header), self.info_message(header),
            None).read(rectified=False)).poses

    def truth(self):
        return [(pose.label, pose.T_camera_object[:3, 3]) for pose in self._poses]


@pytest.fixture(scope='module')
def pipeline():
    pipeline = Pipeline(ColorSegmenter(SegmenterOptions()),
                        create_backend('crnet', BackendOptions(threads=1)), None)
    yield pipeline
    pipeline.close()


@pytest.fixture(scope='module')
def frames(pipeline):
    return [TrueFrame(pipeline, step) for step in range(COUNT)]


def takes_of(client, frames, start):
    return [Take(client, frame, start + step * 1_000_000_000 // RATE)
            for step, frame in enumerate(frames)]


@pytest.mark.fault('shipped network: late, lost and repeated messages while zooming')
@pytest.mark.fault('model deleted while the node runs')
def test_disturbed_streams_give_the_networks_poses_of_each_frame_or_none(
        client: Client, node, frames, tmp_path):
    folder = tmp_path / MODEL
    shutil.copytree(ROOT / 'models' / MODEL, folder)
    process = node(backend='crnet', model=folder, threads=1)
    client.wait_until_active()
    client.result_of(frames[0])
    dice = np.random.default_rng(3)

    start = client.now()
    takes = takes_of(client, frames, start)
    play(client, [[takes[i].info, takes[i].color, takes[i - 1].depth] for i in range(1, COUNT)],
         RATE)
    # So much later that nothing of it belongs to the colour whose depth never came.
    takes = takes_of(client, frames, start + 3_000_000_000)
    play(client, [[message for message in take.messages() * 2 if dice.uniform() > 0.3]
                  for take in takes], RATE)
    disturbed = {take.stamp_ns for take in takes}
    client.wait_for(lambda: disturbed & {stamp_to_ns(m.header.stamp)
                                         for m in client.witness.seen if m.detections}, 'poses')

    hidden = folder.rename(tmp_path / 'hidden')
    client.forget()
    client.result_of(frames[2])
    assert client.transition('deactivate')
    assert not client.transition('activate')
    client.wait_for_sentence('model', str(folder))
    hidden.rename(folder)
    assert client.transition('activate')
    client.wait_until_active()
    client.forget()
    client.result_of(frames[3])
    assert 'Traceback' not in process.log
