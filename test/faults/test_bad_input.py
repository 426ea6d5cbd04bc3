"""Bad input: one clear sentence in diagnostics and log, the node lives, the next frame works."""

import re

import numpy as np
import pytest
from ros_harness import Client, Frame, NodeProcess
from sensor_msgs.msg import Image

from pose_estimation_ros.nodes.conversions import image_message


def uncalibrated(frame):
    good = frame.info_message

    def info_message(header):
        info = good(header)
        info.k[0] = 0.0
        return info

    frame.info_message = info_message


def info_of_another_size(frame):
    good = frame.info_message

    def info_message(header):
        info = good(header)
        info.width, info.height = 320, 240
        return info

    frame.info_message = info_message


def depth_of_another_size(frame):
    frame.depth = frame.depth[:60, :80]


def unknown_color_encoding(frame):
    frame.color_message = lambda header: image_message(frame.rgb, 'yuv422', header)


def unknown_depth_encoding(frame):
    frame.depth_message = lambda header: image_message(frame.depth, '8UC2', header)


def truncated_color(frame):
    good = frame.color_message

    def color_message(header):
        message = good(header)
        message.data = message.data[:-1000]
        return message

    frame.color_message = color_message


def truncated_depth(frame):
    good = frame.depth_message

    def depth_message(header):
        message = good(header)
        message.data = message.data[:-1000]
        return message

    frame.depth_message = depth_message


def empty_depth(frame):
    frame.depth_message = lambda header: Image(header=header, encoding='16UC1')


def zero_depth(frame):
    frame.depth = np.zeros_like(frame.depth)


def nan_depth(frame):
    depth = np.full(frame.depth.shape, np.nan, np.float32)
    frame.depth_message = lambda header: image_message(depth, '32FC1', header)


def millimetres_in_a_float_image(frame):
    depth = np.full(frame.depth.shape, 500.0, np.float32)
    frame.depth_message = lambda header: image_message(depth, '32FC1', header)


def metres_in_a_millimetre_image(frame):
    frame.depth = np.full_like(frame.depth, 1)


def depth_that_comes_late(frame):
    frame.depth_delay_ns = 30_000_000_000


FAULTS = [
    (uncalibrated, 'K of camera_info is zero',
     'camera is not calibrated: K has fx=0', 'calibrate the camera'),
    (info_of_another_size, 'sizes of image and camera_info differ',
     'colour image is 160x120 but camera_info says 320x240', '; '),
    (depth_of_another_size, 'sizes of depth and colour differ',
     'depth is 80x60 but colour is 160x120', '; '),
    (unknown_color_encoding, 'unknown encoding of colour',
     "colour image has unknown encoding 'yuv422'", 'publish one of rgb8'),
    (unknown_depth_encoding, 'unknown encoding of depth',
     "depth image has unknown encoding '8UC2'", 'publish one of 16UC1'),
    (truncated_color, 'colour data cut short',
     'colour image is truncated: 56600 of 57600 bytes', 'fix the driver'),
    (truncated_depth, 'depth data cut short',
     'depth image is truncated: 37400 of 38400 bytes', 'fix the driver'),
    (empty_depth, 'empty depth message',
     'depth image says 0x0', 'fix the driver'),
    (zero_depth, 'depth all zero',
     'depth image is all zero or NaN', 'check that the depth sensor is on'),
    (nan_depth, 'depth all NaN',
     'depth image is all zero or NaN', 'check that the depth sensor is on'),
    (millimetres_in_a_float_image, 'millimetres sent as metres',
     'median depth is 500 m', '32FC1 metres'),
    (metres_in_a_millimetre_image, 'metres sent as millimetres',
     'median depth is 0.001 m', '16UC1 must hold millimetres'),
    (depth_that_comes_late, 'stamps of depth and colour too far apart',
     'colour and depth stamps are', 'enable_sync:=true'),
]


@pytest.mark.parametrize(('spoil', 'sentence', 'cure'), [
    pytest.param(spoil, sentence, cure, id=spoil.__name__, marks=pytest.mark.fault(kind))
    for spoil, kind, sentence, cure in FAULTS])
def test_a_bad_frame_is_explained_and_the_next_good_one_works(
        client: Client, estimator: NodeProcess, spoil, sentence, cure):
    bad = Frame()
    bad.is_usable = False
    spoil(bad)
    told = client.wait_for_sentence('processing', sentence, lambda: client.send(bad))
    assert cure in told
    # The log leaves out a fault that differs from the last one in its numbers only.
    client.wait_for(lambda: without_numbers(sentence) in without_numbers(estimator.log),
                    'the sentence in the log')
    client.forget()
    _, detections = client.result_of(Frame())
    assert len(detections.detections) == 1
    client.wait_for_sentence('processing', '1 objects in the last frame')


def without_numbers(text):
    return re.sub(r'\d+(\.\d+)?', '#', text)


@pytest.mark.fault('no detection')
def test_nothing_in_the_image_is_an_empty_list_not_a_fault(client: Client, estimator):
    _, detections = client.result_of(Frame(()))
    assert detections.detections == []
    told = client.wait_for_sentence('processing', 'no object in the last',
                                    lambda: client.send(Frame(())))
    assert 'the segmenter found nothing' in told
    client.wait_for(lambda: 'the segmenter found nothing' in estimator.log, 'the same in the log')


@pytest.mark.fault('an object without depth')
def test_an_object_without_depth_is_dropped_with_the_reason(client: Client, estimator):
    frame = Frame()
    frame.depth[40:80, 60:100] = 0
    frame.is_usable = False
    _, detections = client.result_of(frame)
    assert detections.detections == []
    client.wait_for_sentence('processing', 'can: only 0 points have depth',
                             lambda: client.send(frame))


@pytest.mark.fault('inputs fall silent')
def test_silence_is_explained_by_what_the_graph_shows(client: Client, estimator):
    client.wait_for_sentence('input', 'no more colour: 1 publisher(s) on /color/image_raw but '
                             'nothing arrives')
    client.wait_for_sentence('input', 'all inputs arrive', lambda: client.send(Frame()))


@pytest.mark.fault('depth not aligned to colour')
def test_depth_of_another_camera_is_refused_with_the_launch_argument(client: Client, estimator):
    frame = Frame()
    frame.is_usable = False

    def send():
        info = frame.info_message(client_header(client, frame))
        info.k[0] = 200.0
        client.depth_info.publish(info)
        client.send(frame)

    told = client.wait_for_sentence('processing', 'depth is not aligned', send)
    assert 'align_depth.enable:=true' in told
    client.depth_info.publish(frame.info_message(client_header(client, frame)))
    client.wait_for_sentence('processing', '1 objects', lambda: client.send(Frame()))


def client_header(client, frame):
    from std_msgs.msg import Header

    from pose_estimation_ros.nodes.conversions import ns_to_stamp
    return Header(stamp=ns_to_stamp(client.now()), frame_id=frame.frame_id)
