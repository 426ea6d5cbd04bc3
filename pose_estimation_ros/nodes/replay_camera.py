"""A camera that shows recorded RGB-D frames."""

from __future__ import annotations

from pathlib import Path

from rclpy.node import Node

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.datasets import open_frames
from pose_estimation_ros.nodes.camera_publisher import CameraMessages, CameraPublisher
from pose_estimation_ros.nodes.parameters import REPLAY_CAMERA_PARAMETERS, declare, values_of
from pose_estimation_ros.nodes.spinning import run_node


class ReplayCamera(Node):
    """Publishes the frames of a folder one after the other, stamped with the present time."""

    def __init__(self) -> None:
        """Find the frames.

        Raises:
            ConfigurationError: If the parameter source is empty.
            InvalidInputError: If it names no folder with frames.
        """
        super().__init__('replay_camera')
        declare(self, REPLAY_CAMERA_PARAMETERS)
        self._values = values_of(self, REPLAY_CAMERA_PARAMETERS)
        if not self._values['source']:
            raise ConfigurationError('parameter source is empty; give the folder of recorded '
                                     'frames: --ros-args -p source:=<folder>')
        self._frames = open_frames(Path(self._values['source']).expanduser())
        self._publisher = CameraPublisher(self)
        self._index = 0
        self._damaged: set[int] = set()
        self._timer = self.create_timer(1.0 / self._values['rate'], self._publish_next)

    def start(self) -> None:
        """Say what is shown; frames are read when their turn comes."""
        self.get_logger().info(f'{len(self._frames)} frames of {self._values["source"]}')

    def close(self) -> None:
        """Stop the timer."""
        self._timer.cancel()

    def _publish_next(self) -> None:
        self._publish(self._index)
        self._index += 1
        if self._index < len(self._frames):
            return
        self._index = 0
        if not self._values['loop']:
            self._timer.cancel()
            self.get_logger().info('all frames were shown')

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
            self.get_logger().error(f'frame {self._frames.name(index)} is left out: {error}')
            return
        messages = CameraMessages(frame, self._values['frame_id'])
        messages.stamp(self.get_clock().now().to_msg())
        self._publisher.publish(messages)


def main() -> None:
    """Run the node until SIGINT or SIGTERM."""
    run_node(ReplayCamera)


if __name__ == '__main__':
    main()
