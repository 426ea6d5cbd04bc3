"""Which images are kept until their results come."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

pytest.importorskip('rclpy', reason='images are messages of ROS')

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from pose_estimation_ros.nodes.conversions import ns_to_stamp, stamp_to_ns
from pose_estimation_ros.viewing.waiting_images import WaitingImages

MILLISECOND = 1_000_000
PERIOD = 33 * MILLISECOND
SIZE = 100


def image(stamp_ns: int) -> Image:
    return Image(header=Header(stamp=ns_to_stamp(stamp_ns)), data=bytes(SIZE))


def filled(count: int, most_images: int, depth_delay_ns: int = 0) -> WaitingImages:
    images = WaitingImages(most_images * SIZE, 20 * MILLISECOND)
    for number in range(count):
        images.add_color(image(number * PERIOD))
        images.add_depth(image(number * PERIOD + depth_delay_ns))
    return images


def found(images: WaitingImages, numbers: Sequence[int]) -> list[int]:
    """Return those of the frames whose colour and depth are both there."""
    return [number for number in numbers
            if None not in images.pair(number * PERIOD)]


def test_nothing_is_dropped_while_there_is_room() -> None:
    assert found(filled(400, 800), range(400)) == list(range(400))


def test_depth_is_the_nearest_within_the_slop() -> None:
    images = filled(3, 10, depth_delay_ns=5 * MILLISECOND)
    _, depth = images.pair(PERIOD)
    assert stamp_to_ns(depth.header.stamp) == PERIOD + 5 * MILLISECOND
    assert filled(1, 10, depth_delay_ns=21 * MILLISECOND).pair(0)[1] is None


@settings(max_examples=40)
@given(count=st.integers(1, 200), most=st.integers(4, 50),
       delay=st.integers(-15, 15).map(lambda value: value * MILLISECOND))
def test_without_results_memory_is_bounded_and_frames_of_every_age_stay(
        count: int, most: int, delay: int) -> None:
    start = 1000
    images = WaitingImages(most * SIZE, 20 * MILLISECOND)
    for number in range(start, start + count):
        images.add_color(image(number * PERIOD))
        images.add_depth(image(number * PERIOD + delay))
    colors = [images.pair(number * PERIOD)[0] for number in range(start, start + count)]
    assert sum(color is not None for color in colors) <= most
    whole = found(images, range(start, start + count))
    # A third of the room at least is used, evenly.
    assert np.diff([start, *whole, start + count]).max() <= 12 * count / most + 6


def test_every_image_is_kept_again_once_results_are_fast() -> None:
    images = filled(100, 20)
    for number in range(100, 200):
        images.add_color(image(number * PERIOD))
        images.add_depth(image(number * PERIOD))
        images.forget_before(number * PERIOD)
    assert images.pair(199 * PERIOD)[0] is not None
    images.add_color(image(200 * PERIOD))
    assert found(images, [199]) == [199]
    assert images.pair(200 * PERIOD)[0] is not None


def test_depth_without_colour_does_not_fill_the_memory() -> None:
    images = WaitingImages(10 * SIZE, 20 * MILLISECOND)
    images.add_color(image(0))
    for number in range(1000):
        images.add_depth(image(number * PERIOD))
    # Only what may still get its colour.
    assert images.pair(500 * PERIOD)[1] is None


def test_what_is_older_than_a_result_is_dropped() -> None:
    images = filled(10, 100)
    images.forget_before(4 * PERIOD)
    assert found(images, range(10)) == [4, 5, 6, 7, 8, 9]


def test_a_recording_in_a_loop_starts_anew() -> None:
    images = filled(100, 1000)
    images.add_color(image(PERIOD))
    assert images.pair(50 * PERIOD)[0] is None
    assert images.newest_color_ns == PERIOD
