"""A camera that shows recorded RGB-D frames: folders of pictures, or bags."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.datasets import FrameSource, open_frames
from pose_estimation_ros.datasets.bag import is_bag, open_bag
from pose_estimation_ros.datasets.bag_camera import CameraTopics, choose_camera
from pose_estimation_ros.nodes.bag_player import BagPlayer, Pace, PlayOptions, answered_stamps
from pose_estimation_ros.nodes.camera_publisher import CameraMessages, CameraPublisher
from pose_estimation_ros.nodes.parameters import declare, values_of
from pose_estimation_ros.nodes.recording_parameters import REPLAY_CAMERA_PARAMETERS
from pose_estimation_ros.nodes.spinning import run_node

_LOOK_SECONDS = 0.1


class _Player(Protocol):
    """Shows recorded frames."""

    def start(self) -> None: ...

    def close(self) -> None: ...


class ReplayCamera(Node):
    """Publishes recorded frames as a camera driver does."""

    def __init__(self) -> None:
        """Find the frames.

        Raises:
            ConfigurationError: If a parameter does not fit the source.
            InvalidInputError: If the source holds no frames.
        """
        super().__init__('replay_camera')
        declare(self, REPLAY_CAMERA_PARAMETERS)
        values = values_of(self, REPLAY_CAMERA_PARAMETERS)
        if not values['source']:
            raise ConfigurationError('parameter source is empty; give the folder of recorded '
                                     'frames or the bag: --ros-args -p source:=<folder>')
        source = Path(values['source']).expanduser()
        self._player: _Player = (_bag_player(self, source, values) if is_bag(source)
                                 else _FolderPlayer(self, open_frames(source), values))

    def start(self) -> None:
        """Begin to show the frames; they are read when their turn comes."""
        self._player.start()

    def close(self) -> None:
        """Stop."""
        self._player.close()


class _FolderPlayer:
    """Shows the frames of a folder one after the other, stamped with the present time."""

    def __init__(self, node: Node, frames: FrameSource, values: dict[str, Any]) -> None:
        if (values['pace'] not in ('auto', 'rate') or values['stamps'] != 'now'
                or values['clock'] or values['frames'] != 'all'):
            raise ConfigurationError(
                f'{values["source"]} is a folder of pictures without recorded times and results; '
                'leave pace, stamps, clock and frames as they are, or give a bag')
        self._node = node
        self._frames = frames
        self._values = values
        self._publisher = CameraPublisher(node)
        self._index = 0
        self._damaged: set[int] = set()
        self._timer = node.create_timer(1.0 / values['rate'], self._publish_next)

    def start(self) -> None:
        self._node.get_logger().info(f'{len(self._frames)} frames of {self._values["source"]}')

    def close(self) -> None:
        self._timer.cancel()

    def _publish_next(self) -> None:
        self._publish(self._index)
        self._index += 1
        if self._index < len(self._frames):
            return
        self._index = 0
        if not self._values['loop']:
            self._timer.cancel()
            self._node.get_logger().info('all frames were shown')

    def _publish(self, index: int) -> None:
        """Publish one frame; a damaged one is told once and left out.

        Raises:
            InvalidInputError: If every frame is damaged.
        """
        if index in self._damaged:
            return
        try:
            frame = self._frames.load(index)
        except InvalidInputError as error:
            self._damaged.add(index)
            if len(self._damaged) == len(self._frames):
                raise
            self._node.get_logger().error(
                f'frame {self._frames.name(index)} is left out: {error}')
            return
        messages = CameraMessages(frame, self._values['frame_id'])
        messages.stamp(self._node.get_clock().now().to_msg())
        self._publisher.publish(messages)


class _WatchedBagPlayer:
    """Shows a bag; what goes wrong in its thread ends the node."""

    def __init__(self, node: Node, player: BagPlayer, title: str) -> None:
        self._node = node
        self._player = player
        self._title = title
        # A steady clock: the one of a bag may stand still.
        self._timer = node.create_timer(_LOOK_SECONDS, self._look,
                                        clock=Clock(clock_type=ClockType.STEADY_TIME))

    def start(self) -> None:
        self._node.get_logger().info(self._title)
        self._player.start()

    def close(self) -> None:
        self._timer.cancel()
        self._player.close()

    def _look(self) -> None:
        if self._player.fault is not None:
            raise self._player.fault


def _bag_player(node: Node, source: Path, values: dict[str, Any]) -> _Player:
    if values['clock'] and values['stamps'] != 'recorded':
        raise ConfigurationError('clock is true but stamps is now: /clock would tell another time '
                                 'than the images; set stamps:=recorded')
    bag = open_bag(source)
    topics = choose_camera(bag, CameraTopics(values['color_topic'], values['color_info_topic'],
                                             values['depth_topic'], values['depth_info_topic']))
    pace: Pace = 'recorded' if values['pace'] == 'auto' else values['pace']
    answered_only = values['frames'] == 'answered'
    if answered_only and pace == 'recorded':
        raise ConfigurationError('frames is answered, but pace recorded shows message by message; '
                                 'set pace to results or rate')
    player = BagPlayer(node, bag, topics, PlayOptions(
        pace, values['rate'], values['result_timeout'], values['loop'],
        keep_stamps=values['stamps'] == 'recorded', clock=values['clock'],
        slop_ns=round(values['sync.slop'] * 1e9),
        stamps=answered_stamps(bag) if answered_only else None))
    return _WatchedBagPlayer(
        node, player, f'{bag.topics[topics.color].count} colour images of {source}; topics '
        f'{", ".join(topics.names)}')


def main() -> None:
    """Run the node until SIGINT or SIGTERM."""
    run_node(ReplayCamera)


if __name__ == '__main__':
    main()
