"""Bags shown as a camera, and recorded poses found again."""

import subprocess
import sys
import time

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from ros_bags import camera_messages, contents, write_bag
from ros_harness import (
    GREEN,
    RED,
    ROOT,
    STAND_IN,
    Client,
    Frame,
    NodeProcess,
    environment,
)
from rosbags.rosbag2 import StoragePlugin
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.datasets.bag import Bag, open_bag
from pose_estimation_ros.datasets.bag_camera import CameraTopics, choose_camera
from pose_estimation_ros.nodes import bag_writer
from pose_estimation_ros.nodes.bag_frames import frames_of
from pose_estimation_ros.nodes.bag_player import BagPlayer, PlayOptions
from pose_estimation_ros.nodes.conversions import (
    color_image,
    depth_image,
    ns_to_stamp,
    stamp_to_ns,
)
from pose_estimation_ros.nodes.graph_listener import Arrival

START_NS = 1_700_000_000_000_000_000
CAN, BOWL = (20, 30, 50, 60), (90, 50, 130, 90)


def film(count):
    """Return frames of a can that moves to the right."""
    return [Frame(((tuple(np.add(CAN, (3 * i, 0, 3 * i, 0))), RED), (BOWL, GREEN)),
                  depth=0.5 + 0.01 * i) for i in range(count)]


@pytest.fixture
def process(client: Client, tmp_path):
    started = []

    def start(node, **parameters):
        parameters = {name.replace('__', '.'): value for name, value in parameters.items()}
        log = tmp_path / f'{node}_{len(started)}.log'
        started.append(NodeProcess(node, log, parameters))
        return started[-1]

    yield start
    for node in started:
        node.stop()
    client.wait_for(lambda: client.node.count_publishers('/diagnostics') == 0, 'the end of it')
    client.forget()


def listen(client, *topics):
    for topic, kind in topics:
        client.listen(kind, topic)


@pytest.mark.parametrize('plugin', list(StoragePlugin))
def test_a_bag_of_rosbag2_is_shown_as_it_was_recorded(client: Client, process, tmp_path, plugin):
    frames = film(3)
    write_bag(tmp_path / 'bag', camera_messages(frames), plugin)
    listen(client, ('color/image_raw', Image), ('depth/image_raw', Image),
           ('color/camera_info', CameraInfo), ('depth/camera_info', CameraInfo),
           ('/clock', Clock))
    process('replay_camera', source=tmp_path / 'bag', stamps='recorded', clock=True)
    client.wait_for(lambda: len(client.received['depth/image_raw']) > 6
                    and len(client.received['/clock']) > 6, 'the bag twice')
    shown = {stamp_to_ns(m.header.stamp): m for m in client.received['color/image_raw']}
    assert set(shown) == {START_NS + i * 100_000_000 for i in range(3)}
    for number, frame in enumerate(frames):
        message = shown[START_NS + number * 100_000_000]
        np.testing.assert_array_equal(color_image(message), frame.rgb)
        assert message.header.frame_id == frame.frame_id
    depth = client.received['depth/image_raw'][0]
    number = round((stamp_to_ns(depth.header.stamp) - START_NS) / 1e8)
    np.testing.assert_array_equal(depth_image(depth), frames[number].depth.astype(np.float32)
                                  * np.float32(0.001))
    info = client.received['color/camera_info'][0]
    assert info == frames[0].info_message(info.header)
    clocks = [stamp_to_ns(m.clock) for m in client.received['/clock']]
    assert min(clocks) >= START_NS
    assert max(clocks) < START_NS + 400_000_000


def test_compressed_images_of_an_mcap_file_are_shown_at_a_rate_with_new_stamps(
        client: Client, process, tmp_path):
    frames = film(2)
    write_bag(tmp_path / 'bag', camera_messages(frames, compressed=True))
    listen(client, ('color/image_raw/compressed', CompressedImage),
           ('depth/image_raw/compressedDepth', CompressedImage))
    before = client.now()
    process('replay_camera', source=tmp_path / 'bag' / 'bag.mcap', pace='rate', rate=20.0)
    client.wait_for(lambda: len(client.received['depth/image_raw/compressedDepth']) > 4,
                    'five frames')
    colors = client.received['color/image_raw/compressed']
    assert all(stamp_to_ns(m.header.stamp) > before for m in colors)
    assert {color_image(m).tobytes() for m in colors[:4]} == {f.rgb.tobytes() for f in frames}
    depth = client.received['depth/image_raw/compressedDepth'][-1]
    assert round(float(depth_image(depth)[0, 0]), 6) in {0.5, 0.51}


def test_a_frame_that_was_recorded_twice_is_shown_once(tmp_path):
    messages = camera_messages(film(2))
    write_bag(tmp_path / 'bag', [*messages[:4], *messages])
    bag = open_bag(tmp_path / 'bag')
    stamps = [frame.color.stamp_ns for frame in
              frames_of(bag, choose_camera(bag, CameraTopics()), 10_000_000)]
    assert stamps == [START_NS, START_NS + 100_000_000]


def test_needed_images_without_depth_come_in_their_order(tmp_path):
    messages = camera_messages(film(5))
    # Depth is missing of the second and of the last image.
    silent = {START_NS + 100_000_000, START_NS + 400_000_000}
    write_bag(tmp_path / 'bag', [
        entry for entry in messages
        if 'depth' not in entry[0] or stamp_to_ns(entry[3].header.stamp) not in silent])
    bag = open_bag(tmp_path / 'bag')
    topics = choose_camera(bag, CameraTopics())
    every = [START_NS + number * 100_000_000 for number in range(5)]
    for needed, expected in ((every, every), ((), [every[0], *every[2:4]]),
                             (every[:1], [every[0], *every[2:4]])):
        found = list(frames_of(bag, topics, 10_000_000, needed))
        assert [frame.color.stamp_ns for frame in found] == expected
        assert {frame.color.stamp_ns for frame in found if frame.depth is None} == (
            silent & set(needed))


def test_calibration_that_was_sent_once_does_not_change_the_order_of_images(tmp_path):
    messages, told = [], set()
    silent = {START_NS + 100_000_000, START_NS + 400_000_000}
    for entry in camera_messages(film(6)):
        if 'depth' in entry[0] and stamp_to_ns(entry[3].header.stamp) in silent:
            continue
        if entry[1].endswith('CameraInfo'):
            if entry[0] in told:
                continue
            told.add(entry[0])
        messages.append(entry)
    write_bag(tmp_path / 'bag', messages)
    bag = open_bag(tmp_path / 'bag')
    every = [START_NS + number * 100_000_000 for number in range(6)]
    found = frames_of(bag, choose_camera(bag, CameraTopics()), 10_000_000, every)
    assert [frame.color.stamp_ns for frame in found] == every


def test_images_do_not_wait_for_depth_that_fell_silent(tmp_path, monkeypatch):
    messages = [entry for number, entry in enumerate(camera_messages(film(60)))
                if number < 4 or 'depth' not in entry[0]]
    write_bag(tmp_path / 'bag', messages)
    bag = open_bag(tmp_path / 'bag')
    topics = choose_camera(bag, CameraTopics())
    read = []
    every = Bag.messages
    monkeypatch.setattr(Bag, 'messages', lambda self, topics: (
        read.append(message) or message for message in every(self, topics)))
    frames = frames_of(bag, topics, 10_000_000,
                       {START_NS + number * 100_000_000 for number in range(60)})
    waiting = []
    for number, _ in enumerate(frames):
        colors = sum(message.topic == topics.color for message in read)
        waiting.append(colors - number)
    assert len(waiting) == 60
    assert max(waiting) < 25


def test_a_bag_that_opens_slowly_is_not_shown_with_stamps_of_the_future(client: Client,
                                                                       tmp_path, monkeypatch):
    write_bag(tmp_path / 'bag', camera_messages(film(6)))
    bag = open_bag(tmp_path / 'bag')
    topics = choose_camera(bag, CameraTopics())
    messages = Bag.messages

    def slowly(self, topics):
        time.sleep(1.0)
        return messages(self, topics)

    monkeypatch.setattr(Bag, 'messages', slowly)
    arrivals = []
    listener = client.node.create_subscription(
        Image, 'color/image_raw',
        lambda message: arrivals.append(client.now() - stamp_to_ns(message.header.stamp)), 10)
    player = BagPlayer(client.node, bag, topics, PlayOptions(
        'recorded', 10.0, 1.0, loop=True, keep_stamps=False, clock=False, slop_ns=10_000_000))
    player.start()
    try:
        client.wait_for(lambda: len(arrivals) >= 5, 'five images')
    finally:
        player.close()
        client.node.destroy_subscription(listener)
    assert player.fault is None
    assert min(arrivals) > -0.3e9


def test_depth_as_a_plain_png_is_depth(tmp_path):
    messages = []
    for topic, name, time_ns, message in camera_messages(film(2), compressed=True):
        if topic.endswith('/compressedDepth'):
            topic = topic.replace('compressedDepth', 'compressed')
            message.format, message.data = '16UC1; png compressed ', message.data[12:]
        messages.append((topic, name, time_ns, message))
    write_bag(tmp_path / 'bag', messages)
    topics = choose_camera(open_bag(tmp_path / 'bag'), CameraTopics())
    assert topics.color == '/camera/color/image_raw/compressed'
    assert topics.depth == '/camera/aligned_depth_to_color/image_raw/compressed'


def test_who_comes_late_learns_the_time_at_once(client: Client, process, tmp_path):
    """While the player waits for listeners, the clock stands still but is told all the time."""
    write_bag(tmp_path / 'bag', camera_messages(film(2)))
    process('replay_camera', source=tmp_path / 'bag', pace='results', stamps='recorded',
            clock=True)
    client.wait_for(lambda: client.node.count_publishers('/clock'), 'a clock')
    listen(client, ('/clock', Clock))
    client.wait_for(lambda: len(client.received['/clock']) > 6, 'the time')
    times = {stamp_to_ns(message.clock) for message in client.received['/clock']}
    assert times == {START_NS + 5_000_000}


def test_what_is_replayed_gives_the_poses_that_were_recorded(client: Client, process, tmp_path):
    write_bag(tmp_path / 'camera', camera_messages(film(5)))
    topics = ('color/image_raw', 'color/camera_info', 'depth/image_raw', 'depth/camera_info',
              'object_detections')

    def listeners():
        return {topic: client.node.count_subscribers(topic) for topic in topics}

    # The estimator and the recorder beside the client itself, and of the results the recorder.
    wanted = {topic: count + (1 if topic == 'object_detections' else 2)
              for topic, count in listeners().items()}
    for source, output in (('camera', 'first'), ('first', 'second')):
        recorder = process('recorder', output=tmp_path / output, min_free=0)
        estimator = process('pose_estimator', **STAND_IN | {'use_sim_time': True})
        client.wait_for(lambda: listeners() == wanted, 'a recorder')
        # The graph shows who subscribes, not whether recorder and estimator found each other.
        time.sleep(1.0)
        # Of a camera's bag every image is shown; the second run sees what the first has seen.
        camera = process('replay_camera', source=tmp_path / source, pace='results', loop=False,
                         frames='all' if source == 'camera' else 'answered',
                         stamps='recorded', clock=True)
        client.wait_for(lambda log=camera: 'all 5 frames were shown' in log.log, 'the end')
        assert [node.stop() for node in (camera, estimator, recorder)] == [0, 0, 0]
    first, second = (poses(tmp_path / name) for name in ('first', 'second'))
    assert len(first) == 5
    assert [len(detections) for detections in first.values()] == [2] * 5
    assert second == first
    answer = replay(tmp_path / 'first')
    assert '5 frames and 10 objects are in both\nlargest differences: 0 mm' in answer.stdout
    assert answer.returncode == 0, answer.stderr
    assert replay(tmp_path / 'first', '--with', tmp_path / 'second').returncode == 0
    answer = replay(tmp_path / 'first', '--set', 'labels=can')
    assert answer.returncode == 1
    assert 'bowl_2: is missing in the other run' in answer.stdout


def replay(*arguments):
    return subprocess.run(
        [sys.executable, '-m', 'pose_estimation_ros.cli.main', 'replay', *map(str, arguments)],
        env=environment(), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def poses(bag):
    """Return the recorded objects by stamp: identities and poses."""
    arrays = [deserialize_message(data, Detection3DArray) for topic, _, _, data in contents(bag)
              if topic == '/object_detections']
    return {stamp_to_ns(m.header.stamp): [(d.id, d.bbox) for d in m.detections] for m in arrays}


def test_only_answered_images_are_shown_where_that_is_wanted(client: Client, process, tmp_path):
    answered = [START_NS + 100_000_000, START_NS + 300_000_000]
    messages = [(topic, time_ns, message) for topic, _, time_ns, message
                in camera_messages(film(4))]
    messages += [('/object_detections', stamp_ns + 50_000_000,
                  Detection3DArray(header=Header(stamp=ns_to_stamp(stamp_ns))))
                 for stamp_ns in answered]
    bag_writer.write_bag(
        tmp_path / 'bag', {topic: type(message) for topic, _, message in messages},
        [Arrival(topic, time_ns, serialize_message(message), message)
         for topic, time_ns, message in messages])
    listen(client, ('color/image_raw', Image))
    process('replay_camera', source=tmp_path / 'bag', pace='rate', rate=20.0, frames='answered',
            stamps='recorded')
    client.wait_for(lambda: len(client.received['color/image_raw']) > 4, 'the bag twice')
    assert {stamp_to_ns(m.header.stamp)
            for m in client.received['color/image_raw']} == set(answered)


@pytest.mark.parametrize(('parameters', 'told'), [
    ({'pace': 'results'}, 'has no object_detections, so no image is answered'),
    ({}, 'frames is answered, but pace recorded shows message by message')])
def test_answered_images_that_cannot_be_shown_are_told(process, tmp_path, parameters, told):
    write_bag(tmp_path / 'bag', camera_messages(film(1)))
    node = process('replay_camera', source=tmp_path / 'bag', frames='answered', **parameters)
    assert node.process.wait(timeout=60) == 2
    assert told in node.log
    assert 'Traceback' not in node.log


def test_a_bag_without_colour_says_what_it_has(process, tmp_path):
    messages = [m for m in camera_messages(film(1)) if 'depth' in m[0]]
    write_bag(tmp_path / 'bag', messages)
    camera = process('replay_camera', source=tmp_path / 'bag')
    assert camera.process.wait(timeout=60) == 2
    assert 'has no colour images; it has /camera/aligned_depth_to_color/camera_info' in camera.log
    assert '(sensor_msgs/msg/Image, 1)' in camera.log
    assert 'Traceback' not in camera.log


def test_a_clock_that_contradicts_the_stamps_is_refused(process, tmp_path):
    write_bag(tmp_path / 'bag', camera_messages(film(1)))
    camera = process('replay_camera', source=tmp_path / 'bag', clock=True)
    assert camera.process.wait(timeout=60) == 2
    assert 'set stamps:=recorded' in camera.log


def test_a_bag_is_not_read_without_rosbags(tmp_path, monkeypatch):
    write_bag(tmp_path / 'bag', camera_messages(film(1)))
    monkeypatch.setitem(sys.modules, 'rosbags.rosbag2', None)
    with pytest.raises(ConfigurationError, match='run pip install rosbags'):
        open_bag(tmp_path / 'bag')
