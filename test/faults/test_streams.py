"""Disturbed streams: what comes out is late or missing at worst, never wrong, and recovers."""

import numpy as np
import pytest
from ros_film import film, moving_frame, play
from ros_harness import GREEN, RED, Client, Frame

from pose_estimation_ros.nodes.conversions import stamp_to_ns

COUNT = 30

pytestmark = pytest.mark.usefixtures('estimator')


def played(client, groups):
    """Play and return the stamps of what came of it, in order, once it is known to go on."""
    client.forget()
    play(client, groups)
    client.result_of(Frame())
    client.wait_for_sentence('processing', '1 objects in the last frame',
                             lambda: client.send(Frame()))
    return [stamp_to_ns(m.header.stamp) for m in client.received['object_detections']]


def dropped(client, reason):
    return int(client.facts('processing').get(f'frames.dropped.{reason}', 0))


@pytest.mark.fault('frames out of order')
def test_frames_out_of_order_are_left_out_and_counted(client: Client):
    takes = film(client, COUNT)
    before = dropped(client, 'out_of_order')
    order = np.argsort(np.arange(COUNT) + np.random.default_rng(0).uniform(0, 4, COUNT))
    stamps = played(client, [takes[index].messages() for index in order])
    assert stamps == sorted(stamps)
    client.wait_for(lambda: dropped(client, 'out_of_order') > before, 'the count')


@pytest.mark.fault('frames twice')
def test_frames_that_come_twice_are_answered_once(client: Client):
    takes = film(client, COUNT)
    before = dropped(client, 'same_stamp')
    stamps = played(client, [take.messages() for take in takes for _ in range(2)])
    assert len(set(stamps)) == len(stamps)
    client.wait_for(lambda: dropped(client, 'same_stamp') > before, 'the count')


@pytest.mark.fault('the same stamp on every image')
def test_a_camera_that_does_not_stamp_anew_is_told(client: Client):
    frame, stamp = Frame(), client.now()
    told = client.wait_for_sentence('processing', 'the same stamp',
                                    lambda: client.send(frame, stamp))
    assert 'stamp each image with its own time' in told
    client.result_of(Frame())


@pytest.mark.fault('depth delayed by five frames')
def test_depth_that_arrives_late_meets_the_colour_of_its_stamp(client: Client):
    takes, late = film(client, COUNT), 5
    groups = [[*takes[i].messages()[:2], *([takes[i - late].depth] if i >= late else ())]
              for i in range(COUNT)]
    assert {take.stamp_ns for take in takes} & set(played(client, groups))


@pytest.mark.fault('depth one frame late')
def test_depth_one_frame_late_meets_the_colour_of_its_stamp(client: Client):
    takes = film(client, COUNT)
    groups = [[*takes[i].messages()[:2], takes[i - 1].depth] for i in range(1, COUNT)]
    assert {take.stamp_ns for take in takes} & set(played(client, groups))


@pytest.mark.fault('depth before colour')
def test_depth_that_comes_before_colour_meets_the_colour_of_its_stamp(client: Client):
    takes = film(client, COUNT)
    groups = [[takes[i + 1].depth, *takes[i].messages()[:2]] for i in range(COUNT - 1)]
    assert {take.stamp_ns for take in takes} & set(played(client, groups))


@pytest.mark.fault('frames delayed and jittered')
def test_messages_may_wait_on_their_way(client: Client):
    takes, random = film(client, COUNT), np.random.default_rng(1)
    messages = [message for take in takes for message in take.messages()]
    arrival = np.repeat(np.arange(COUNT), 3) + random.uniform(0, 3, 3 * COUNT)
    in_order = [messages[index] for index in np.argsort(arrival)]
    stamps = played(client, [in_order[i:i + 3] for i in range(0, len(in_order), 3)])
    assert stamps == sorted(stamps)


@pytest.mark.fault('30 % of all messages dropped')
def test_a_third_of_the_messages_may_get_lost(client: Client):
    takes, random = film(client, COUNT), np.random.default_rng(2)
    played(client, [[message for message in take.messages() if random.uniform() > 0.3]
                    for take in takes])


@pytest.mark.fault('camera_info changing in mid-stream')
def test_each_frame_is_read_with_its_own_camera(client: Client):
    def zooming(step):
        frame = moving_frame(step)
        frame.focal_length = 140.0 + 20.0 * (step // 3 % 4)
        return frame

    takes = film(client, COUNT, make=zooming)
    assert {take.stamp_ns for take in takes} & set(
        played(client, [take.messages() for take in takes]))
    played(client, [[take.color, take.depth, take.info]
                    for take in film(client, COUNT, make=zooming)])


@pytest.mark.fault('stamps jumping back an hour')
def test_a_jump_back_of_the_stamps_begins_anew(client: Client):
    play(client, [take.messages() for take in film(client, 10)])
    hour_ago = client.now() - 3_600_000_000_000
    takes = film(client, COUNT, start_ns=hour_ago)
    client.forget()
    play(client, [take.messages() for take in takes])
    client.wait_for(lambda: {take.stamp_ns for take in takes} & {
        stamp_to_ns(m.header.stamp) for m in client.received['object_detections']}, 'a result')
    client.result_of(Frame())


@pytest.mark.fault('60 frames/s at 3 processed')
def test_a_slow_method_gets_the_newest_frame_and_the_rest_is_counted(client: Client):
    def slow(step):
        frame = moving_frame(step)
        frame.rgb[0, 0] = (0, 33, 0)
        return frame

    before = dropped(client, 'newer_frame_came')
    takes = film(client, 90, make=slow)
    client.forget()
    play(client, [take.messages() for take in takes])
    last = takes[-1].stamp_ns
    client.wait_for(lambda: last in {stamp_to_ns(m.header.stamp)
                                     for m in client.received['object_detections']},
                    'the newest frame')
    stamps = [stamp_to_ns(m.header.stamp) for m in client.received['object_detections']]
    assert stamps == sorted(stamps)
    assert len(stamps) < len(takes) / 2
    client.wait_for(lambda: dropped(client, 'newer_frame_came') > before, 'the count')


@pytest.mark.fault('objects leaving and coming back')
def test_objects_may_leave_and_come_back(client: Client):
    def visiting(step):
        return moving_frame(step) if step % 10 < 5 else Frame(())

    stamps = played(client, [take.messages() for take in film(client, COUNT, make=visiting)])
    counts = [len(m.detections) for m in client.received['object_detections']]
    assert {0, 1} <= set(counts)
    assert len(stamps) == len(counts)


@pytest.mark.fault('no object at all')
def test_no_object_is_an_empty_list(client: Client):
    _, found = client.result_of(Frame(()))
    assert found.detections == []
    client.wait_for_sentence('processing', 'no object', lambda: client.send(Frame(())))


@pytest.mark.fault('30 objects')
def test_thirty_objects_all_get_poses(client: Client):
    frame = crowd(30)
    stamp, found = client.result_of(frame)
    assert len(found.detections) == 30
    assert len(client.with_stamp('object_poses', stamp, 30)) == 30


@pytest.mark.fault('more objects than max_objects')
def test_objects_beyond_the_limit_are_named(client: Client):
    _, found = client.result_of(crowd(40))
    assert len(found.detections) == 32


@pytest.mark.parametrize(('width', 'height'), [
    pytest.param(64, 48, marks=pytest.mark.fault('image of 64x48')),
    pytest.param(3840, 2160, marks=pytest.mark.fault('image of 3840x2160'))])
def test_small_and_large_images_are_taken_in_mid_stream(client: Client, width, height):
    frame = Frame((((width // 4, height // 4, width // 2, height // 2), GREEN),),
                  size=(width, height))
    frame.focal_length = 0.9 * width
    client.forget()
    _, found = client.result_of(frame)
    (detection,) = found.detections
    assert detection.results[0].hypothesis.class_id == 'bowl'
    client.forget()
    client.result_of(Frame())


def crowd(count):
    boxes = [(x, y, x + 12, y + 12) for y in range(4, 110, 20) for x in range(4, 150, 18)]
    return Frame([(box, RED) for box in boxes[:count]])
