"""Which topics of a bag are the camera: by parameter, else by type, encoding, size and name."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.datasets.bag import Bag, BagTopic

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
INFO = 'sensor_msgs/msg/CameraInfo'
_COLOR_ENCODINGS = frozenset({'rgb8', 'bgr8', 'rgba8', 'bgra8'})
_DEPTH_ENCODINGS = frozenset({'16UC1', 'mono16', '32FC1'})
# Names of depth that is in the pixels of colour.
_ALIGNED = ('aligned', 'to_color', 'to_rgb', 'registered')
_DRAWN = ('overlay', 'debug', 'annotated')


@dataclass(frozen=True)
class CameraTopics:
    """The topics of one RGB-D camera in a bag.

    Attributes:
        color: Of the colour images.
        color_info: Of their calibration.
        depth: Of the depth images; '' = none.
        depth_info: Of their calibration; '' = none.
    """

    color: str = ''
    color_info: str = ''
    depth: str = ''
    depth_info: str = ''

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are there."""
        return tuple(name for name in (self.color, self.color_info, self.depth, self.depth_info)
                     if name)


@dataclass(frozen=True)
class _Images:
    """What the first message of a topic of images shows."""

    topic: BagTopic
    encoding: str
    size: tuple[int, int]

    @property
    def is_depth(self) -> bool:
        return self.encoding in _DEPTH_ENCODINGS

    @property
    def is_compressed(self) -> bool:
        return self.topic.message_type == COMPRESSED


def choose_camera(bag: Bag, wanted: CameraTopics) -> CameraTopics:
    """Find the camera in a bag.

    Args:
        bag: The bag.
        wanted: Topics that are known; '' = found by type, encoding, size and name.

    Returns:
        Colour with its calibration, and depth where the bag has it.

    Raises:
        ConfigurationError: If a wanted topic is not there, or several would do.
        InvalidInputError: If there is no colour or no calibration.
    """
    for name in wanted.names:
        if name not in bag.topics:
            raise ConfigurationError(f'{bag.path} has no topic {name}; it has {bag.listing()}')
    images = [_look(bag, topic) for topic in bag.topics.values()
              if topic.message_type in (IMAGE, COMPRESSED)]
    color = _best(bag, 'colour', wanted.color,
                  [entry for entry in images if not entry.is_depth], _color_rank)
    if color is None:
        raise InvalidInputError(f'{bag.path} has no colour images; it has {bag.listing()}. Record '
                                'the colour topic of the camera too')
    depth = _best(bag, 'depth', wanted.depth, [entry for entry in images if entry.is_depth],
                  lambda entry: _depth_rank(entry, color))
    color_info = wanted.color_info or _info_of(bag, color.topic.name)
    if not color_info:
        raise InvalidInputError(f'{bag.path} has no camera_info of {color.topic.name}; it has '
                                f'{bag.listing()}. Record the camera_info too, or name its topic')
    depth_info = wanted.depth_info
    if depth is not None and not depth_info:
        depth_info = _info_of(bag, depth.topic.name)
    return CameraTopics(color.topic.name, color_info, '' if depth is None else depth.topic.name,
                        depth_info if depth_info != color_info else '')


def _best(bag: Bag, what: str, wanted: str, found: Sequence[_Images], rank: Any) -> _Images | None:
    """Return the wanted images, else those of the highest rank."""
    if wanted:
        return next((entry for entry in found if entry.topic.name == wanted), None) or _look(
            bag, bag.topics[wanted])
    if not found:
        return None
    ranked = sorted(found, key=rank, reverse=True)
    tied = [entry.topic.name for entry in ranked if rank(entry) == rank(ranked[0])]
    if len(tied) > 1:
        parameter = 'color_topic' if what == 'colour' else 'depth_topic'
        raise ConfigurationError(f'{bag.path} has several topics of {what} images; choose with '
                                 f'{parameter} one of {", ".join(tied)}')
    return ranked[0]


def _color_rank(entry: _Images) -> tuple[bool, ...]:
    name = entry.topic.name
    return (not any(word in name for word in _DRAWN), entry.encoding in _COLOR_ENCODINGS,
            'infra' not in name and '/ir/' not in name, 'color' in name or 'rgb' in name,
            not entry.is_compressed)


def _depth_rank(entry: _Images, color: _Images) -> tuple[bool, ...]:
    name = entry.topic.name
    return (any(word in name for word in _ALIGNED),
            entry.is_compressed or color.is_compressed or entry.size == color.size,
            not entry.is_compressed)


def _look(bag: Bag, topic: BagTopic) -> _Images:
    """Return what the first message that can be read shows; compressed images tell no size."""
    if topic.message_type not in (IMAGE, COMPRESSED):
        raise ConfigurationError(f'topic {topic.name} of {bag.path} has {topic.message_type}, not '
                                 f'images; it has {bag.listing()}')
    message = _first_image(bag, topic)
    if topic.message_type == IMAGE:
        return _Images(topic, message.encoding, (message.width, message.height))
    # '16UC1; compressedDepth png' or '16UC1; png compressed ' of depth, 'rgb8; jpeg compressed
    # bgr8' or 'jpeg' of colour.
    encoding = message.format.partition(';')[0].strip()
    return _Images(topic, encoding if encoding in _DEPTH_ENCODINGS else 'rgb8', (0, 0))


def _first_image(bag: Bag, topic: BagTopic) -> Any:
    for message in bag.messages([topic.name]):
        # Damage shows as errors of many kinds.
        with suppress(Exception):
            return _types().deserialize_cdr(message.data, topic.message_type)
    raise InvalidInputError(f'no message of {topic.name} in {bag.path} can be read as '
                            f'{topic.message_type}; the bag is damaged')


def _info_of(bag: Bag, image_topic: str) -> str:
    """Return the calibration beside a topic of images, or the only one; '' = none."""
    infos = [topic.name for topic in bag.topics.values() if topic.message_type == INFO]
    name = image_topic
    while '/' in name:
        name = name.rpartition('/')[0]
        if f'{name}/camera_info' in infos:
            return f'{name}/camera_info'
    return infos[0] if len(infos) == 1 else ''


@cache
def _types() -> Any:
    """Return the definitions of sensor_msgs, which are the same in every distribution."""
    from rosbags.typesys import Stores, get_typestore

    return get_typestore(Stores.ROS2_KILTED)
