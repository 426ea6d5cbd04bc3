"""Faults of the start: the node lives, says why, and works once the cause is gone."""

import pytest
from ros_harness import Client, Frame


@pytest.mark.fault('unknown backend')
def test_an_unknown_backend_is_answered_with_the_known_ones(client: Client, node):
    process = node(backend='bogus')
    told = client.wait_for_sentence('model', "unknown backend 'bogus'")
    assert told == ("unknown backend 'bogus'; known are "
                    'acr, crnet, disp6d, mrc, neural_mesh, spd, stand_in, '
                    'stand_in_color')
    assert told in process.log
    assert client.state() == 'unconfigured'
    assert client.set_parameter('backend', 'stand_in').successful
    assert client.transition('configure')
    assert client.transition('activate')
    client.wait_until_active()
    _, detections = client.result_of(Frame())
    assert len(detections.detections) == 1


@pytest.mark.fault('no camera_info')
def test_images_without_camera_info_are_told(client: Client, node):
    node()
    client.wait_until_active()
    blind = Frame()
    blind.with_info = False
    told = client.wait_for_sentence('processing', 'no camera_info', lambda: client.send(blind))
    assert '/color/camera_info' in told
    client.wait_for_sentence('input', 'no camera_info: 1 publisher(s)',
                             lambda: client.send(blind))
    client.result_of(Frame())
    client.wait_for_sentence('processing', '1 objects in the last frame')


@pytest.mark.fault('camera_info of the first image lost, the image sent again')
def test_an_image_that_came_before_any_calibration_may_come_again(client: Client, node):
    node()
    client.wait_until_active()
    frame, stamp_ns = Frame(), client.now()
    frame.with_info = False
    client.send(frame, stamp_ns)
    client.wait_for_sentence('processing', 'no camera_info', lambda: client.send(frame, stamp_ns))
    frame.with_info = True
    assert client.result_of(frame, stamp_ns)[0] == stamp_ns
