"""A node whose depth is lost goes on from colour alone, says so, and comes back."""

import numpy as np
import pytest
from ros_harness import RED, Client, Frame, center, position

PATCH = (60, 40, 100, 80)


@pytest.fixture
def falling_back(node, client: Client):
    started = node(fallback__backend='stand_in_color')
    client.wait_until_active()
    return started


def without_depth():
    frame = Frame([(PATCH, RED)])
    frame.with_depth = False
    return frame


def place(detections):
    return position(detections.detections[0].bbox.center)


@pytest.mark.fault('depth lost')
def test_poses_come_from_colour_alone_while_depth_is_lost_and_say_so(
        client: Client, falling_back):
    good, lost = Frame([(PATCH, RED)], 0.5), without_depth()
    _, detections = client.result_of(good)
    np.testing.assert_allclose(place(detections), center(PATCH, 0.5), atol=1e-3)
    client.wait_for_sentence('processing', '1 objects in the last frame',
                             lambda: client.send(good))
    told = client.wait_for_sentence('processing', 'poses come from colour alone',
                                    lambda: client.send(lost))
    assert told == ('1 objects in the last frame; no depth image arrives: poses come from colour '
                    'alone, by fallback.backend stand_in_color')
    client.wait_for_sentence('input', 'no more depth', lambda: client.send(lost))
    _, detections = client.result_of(lost)
    # The stand-in that looks at colour alone sees everything a metre away.
    assert place(detections)[2] > 0.6
    client.wait_for(lambda: any(marker.text.endswith('(stand_in_color, no depth)') for array in
                                client.received['object_markers'] for marker in array.markers),
                    'the remark in the label', meanwhile=lambda: client.send(lost))
    client.wait_for_sentence('input', 'all inputs arrive', lambda: client.send(good))
    client.wait_for(lambda: client.sentences()['processing'] == '1 objects in the last frame',
                    'depth in use again', meanwhile=lambda: client.send(good))
    client.wait_for(lambda: 'depth is back' in falling_back.log, 'the return in the log')
    assert 'poses come from colour alone' in falling_back.log


def test_a_dead_depth_sensor_is_lost_depth(client: Client, falling_back):
    dead = Frame([(PATCH, RED)])
    dead.depth = np.zeros_like(dead.depth)
    told = client.wait_for_sentence('processing', 'poses come from colour alone',
                                    lambda: client.send(dead))
    assert 'the depth image is all zero or NaN' in told
    assert client.facts('processing')['fallback'].endswith('stand_in_color')


def test_a_fallback_that_needs_depth_is_refused_with_the_choice(client: Client, node):
    started = node(fallback__backend='stand_in')
    client.wait_for(lambda: 'fallback.backend stand_in needs depth itself' in started.log,
                    'the reason in the log')
