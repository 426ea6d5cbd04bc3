"""A camera that shows procedural scenes, and publishes what is true about them.

Ray casting is slower than the frame rate, so all frames are rendered first and then shown again
and again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
from geometry_msgs.msg import PoseWithCovariance, Vector3
from rclpy.node import Node
from std_msgs.msg import Header
from vision_msgs.msg import (
    BoundingBox3D,
    Detection3D,
    Detection3DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
)

from pose_estimation_ros.core.errors import PoseEstimationError
from pose_estimation_ros.core.rotation import matrix_to_quaternion
from pose_estimation_ros.nodes.camera_publisher import CameraMessages, CameraPublisher
from pose_estimation_ros.nodes.conversions import pose_message
from pose_estimation_ros.nodes.parameters import SIMULATED_CAMERA_PARAMETERS, declare, values_of
from pose_estimation_ros.nodes.spinning import run_node
from pose_estimation_ros.synthetic.scene import Scene, SceneGenerator
from pose_estimation_ros.synthetic.scene_renderer import render_frame
from pose_estimation_ros.synthetic.synthetic_frame import Instance, SyntheticFrame

# The camera turns about the vertical axis through the middle of the table, radians per view.
_ORBIT_STEP = np.radians(3.0)


class SimulatedCamera(Node):
    """Publishes colour, aligned depth, camera infos and `ground_truth_poses`."""

    def __init__(self) -> None:
        """Declare parameters; nothing is rendered yet."""
        super().__init__('simulated_camera')
        declare(self, SIMULATED_CAMERA_PARAMETERS)
        self._values = values_of(self, SIMULATED_CAMERA_PARAMETERS)
        self._publisher = CameraPublisher(self)
        self._truth = self.create_publisher(Detection3DArray, 'ground_truth_poses', 10)
        self._shown: list[tuple[CameraMessages, Detection3DArray]] = []
        self._to_show: list[int] = []
        self._order = np.random.default_rng(self._values['seed'])
        self._stopping = threading.Event()
        self._rendered = threading.Event()
        self._fault: Exception | None = None
        self._renderer = threading.Thread(target=self._render, name='render', daemon=True)
        self._timer = self.create_timer(1.0 / self._values['rate'], self._publish_next)

    def start(self) -> None:
        """Begin to render."""
        self._renderer.start()

    def close(self) -> None:
        """Stop rendering and publishing."""
        self._stopping.set()
        self._timer.cancel()
        if self._renderer.is_alive():
            self._renderer.join()

    def _render(self) -> None:
        """Render, and keep an error for the executor's thread, which can end the node."""
        try:
            self._render_all()
        except Exception as error:
            self._fault = error

    def _render_all(self) -> None:
        count = self._values['scenes'] * self._values['views_per_scene']
        for name, scene in self._views():
            if self._stopping.is_set():
                return
            frame = render_frame(scene, exposure=len(self._shown))
            messages = CameraMessages(frame.frame, self._values['frame_id'])
            self._shown.append((messages, truth_message(frame, name, self._values['frame_id'])))
            self.get_logger().info(f'rendered frame {len(self._shown)} of {count}')
        self._rendered.set()

    def _views(self) -> Iterator[tuple[str, Scene]]:
        """Yield each scene as often as it has views, with its name."""
        generator = SceneGenerator(self._values['domain'], self._values['split'])
        for seed in range(self._values['seed'], self._values['seed'] + self._values['scenes']):
            scene = generator.scene(seed)
            for view in range(self._values['views_per_scene']):
                yield f'scene{seed}', scene.seen_from(scene.view.orbited(view * _ORBIT_STEP))

    def _next_round(self) -> list[int]:
        """Return the frames in the order of one round: scenes shuffled, views in a row.

        In a fixed order an estimator that takes every second frame would never see the others.
        """
        views = self._values['views_per_scene']
        scenes = self._order.permutation(self._values['scenes'])
        return [int(scene) * views + view for scene in scenes for view in range(views)]

    def _publish_next(self) -> None:
        if self._fault is not None:
            reason = (str(self._fault) if isinstance(self._fault, PoseEstimationError)
                      else repr(self._fault))
            raise PoseEstimationError(f'scenes cannot be rendered: {reason}') from self._fault
        if not self._rendered.is_set():
            return
        if not self._to_show:
            self._to_show = self._next_round()
        messages, truth = self._shown[self._to_show.pop(0)]
        stamp = self.get_clock().now().to_msg()
        messages.stamp(stamp)
        truth.header.stamp = stamp
        for detection in truth.detections:
            detection.header.stamp = stamp
        self._truth.publish(truth)
        self._publisher.publish(messages)


def truth_message(frame: SyntheticFrame, scene_name: str, frame_id: str) -> Detection3DArray:
    """Return the true poses of a frame.

    For each object `id` is its identity in all views of its scene, and the score of the first
    hypothesis is the visible share of the whole object. Further hypotheses are its parts, such as
    'mug/handle', with their visible shares.
    """
    header = Header(frame_id=frame_id)
    return Detection3DArray(header=header, detections=[
        _truth(instance, f'{scene_name}/{instance.id}', header) for instance in frame.instances])


def _truth(instance: Instance, identity: str, header: Header) -> Detection3D:
    quaternion = matrix_to_quaternion(instance.T_camera_object[:3, :3])
    pose = pose_message(instance.T_camera_object, quaternion)
    shares = {instance.category: instance.visibility * instance.in_image}
    shares |= {f'{instance.category}/{part}': share
               for part, share in instance.part_visibility.items()}
    results = [ObjectHypothesisWithPose(
        hypothesis=ObjectHypothesis(class_id=name, score=float(share)),
        pose=PoseWithCovariance(pose=pose)) for name, share in shares.items()]
    width, height, depth = instance.size.tolist()
    box = BoundingBox3D(center=pose, size=Vector3(x=width, y=height, z=depth))
    return Detection3D(header=header, results=results, bbox=box, id=identity)


def main() -> None:
    """Run the node until SIGINT or SIGTERM."""
    run_node(SimulatedCamera)


if __name__ == '__main__':
    main()
