"""Topics and services of the nodes with their meaning: the page docs/topics.md comes from here.

A test starts the nodes and finds these names and types in the graph, and no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Direction(str, Enum):
    """Who sends."""

    IN = 'in'
    OUT = 'out'
    SERVICE = 'service'


@dataclass(frozen=True)
class TopicSpec:
    """A topic or a service.

    Attributes:
        direction: Whether the node reads it, writes it or serves it.
        name: As in the code: relative names are below the node's namespace, ~ is the node itself.
        type: Such as 'sensor_msgs/msg/Image'.
        meaning: What it carries, for people.
        only_if: Parameter and value with which alone it is there, such as 'mode: on_demand';
            empty = always.
    """

    direction: Direction
    name: str
    type: str
    meaning: str
    only_if: str = ''


_IN, _OUT, _SERVICE = Direction.IN, Direction.OUT, Direction.SERVICE

ESTIMATOR_TOPICS: tuple[TopicSpec, ...] = (
    TopicSpec(_IN, 'color/image_raw', 'sensor_msgs/msg/Image',
              'The colour image: rgb8, bgr8, rgba8, bgra8 or mono8.'),
    TopicSpec(_IN, 'color/image_raw/compressed', 'sensor_msgs/msg/CompressedImage',
              'The colour image as JPEG or PNG, instead of the raw one.',
              'color.transport: compressed'),
    TopicSpec(_IN, 'color/camera_info', 'sensor_msgs/msg/CameraInfo',
              'Calibration of the colour camera.'),
    TopicSpec(_IN, 'depth/image_raw', 'sensor_msgs/msg/Image',
              'Depth: 16UC1 millimetres with 0 = unknown, or 32FC1 metres with NaN = unknown. Not '
              'subscribed where neither detector nor method needs depth.'),
    TopicSpec(_IN, 'depth/image_raw/compressedDepth', 'sensor_msgs/msg/CompressedImage',
              'Depth as PNG, instead of the raw one.', 'depth.transport: compressedDepth'),
    TopicSpec(_IN, 'depth/camera_info', 'sensor_msgs/msg/CameraInfo',
              'Calibration of the depth image. Optional; if it is there, it is compared with that '
              'of colour.'),
    TopicSpec(_OUT, 'object_detections', 'vision_msgs/msg/Detection3DArray',
              'Every object of a frame: class, score, pose with covariance, size, identity. The '
              'primary output.'),
    TopicSpec(_OUT, 'object_poses', 'geometry_msgs/msg/PoseStamped',
              'One message per object and frame: same stamp, order and count as in '
              '`object_detections`.'),
    TopicSpec(_OUT, 'object_poses/<label>', 'geometry_msgs/msg/PoseStamped',
              'The same of one label.', 'publish_per_label: true'),
    TopicSpec(_OUT, 'segmentation/detections', 'vision_msgs/msg/Detection2DArray',
              'What the segmenter found, in pixels of the undistorted image.'),
    TopicSpec(_OUT, 'object_markers', 'visualization_msgs/msg/MarkerArray',
              'Boxes, axes, labels, points of the shapes and grasps for RViz; of known objects '
              'their meshes.'),
    TopicSpec(_OUT, 'object_points', 'sensor_msgs/msg/PointCloud2', 'Reconstructed shapes.'),
    TopicSpec(_OUT, 'grasp_poses', 'geometry_msgs/msg/PoseArray',
              'Grasps: one message per object and frame, the best grasp first; order and count as '
              'in `object_detections`. Planned while somebody listens.'),
    TopicSpec(_OUT, 'grasp_poses/<label>', 'geometry_msgs/msg/PoseArray',
              'The same of one label.', 'publish_per_label: true'),
    TopicSpec(_OUT, 'grasp_candidates', 'vision_msgs/msg/Detection3DArray',
              'All grasps of a frame with kind, score, opening, pre-grasp and retreat; `id` is '
              'that of the object and a number: `mug_3/0`.'),
    TopicSpec(_OUT, 'overlay/image', 'sensor_msgs/msg/Image',
              'The colour image, undistorted, with masks, boxes and axes. Best effort.'),
    TopicSpec(_OUT, '/tf', 'tf2_msgs/msg/TFMessage',
              'A frame `<tf.prefix><label>_<id>` for each object, below the frame of the image or '
              '`output_frame`.', 'tf.publish: true'),
    TopicSpec(_OUT, '/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray',
              'Why there is no output, rates, latencies, drops, model and provider.'),
    TopicSpec(_SERVICE, '~/estimate', 'std_srvs/srv/Trigger',
              'With `mode: on_demand`: process the next frame once.'),
    TopicSpec(_SERVICE, '~/reload_objects', 'std_srvs/srv/Trigger',
              'With `backend: disp6d`: look at once for known objects that were added or removed, '
              'and tell which there are.'),
)

_CAMERA_TOPICS: tuple[TopicSpec, ...] = (
    TopicSpec(_OUT, 'color/image_raw', 'sensor_msgs/msg/Image', 'The colour image.'),
    TopicSpec(_OUT, 'color/camera_info', 'sensor_msgs/msg/CameraInfo', 'Its camera.'),
    TopicSpec(_OUT, 'depth/image_raw', 'sensor_msgs/msg/Image', 'Depth, aligned to colour.'),
    TopicSpec(_OUT, 'depth/camera_info', 'sensor_msgs/msg/CameraInfo', 'The same camera.'),
)

SIMULATED_CAMERA_TOPICS = (
    *_CAMERA_TOPICS,
    TopicSpec(_OUT, 'ground_truth_poses', 'vision_msgs/msg/Detection3DArray',
              'The true poses, with the stamp of the image: `id` names the object within its '
              'scene, the score of the first hypothesis is the visible share of the object, '
              'further hypotheses such as `mug/handle` are the visible shares of its parts.'),
)

REPLAY_CAMERA_TOPICS = (
    *_CAMERA_TOPICS,
    TopicSpec(_OUT, '/clock', 'rosgraph_msgs/msg/Clock', 'The recorded time of a bag.',
              only_if='clock: true'),
    TopicSpec(_IN, 'object_detections', 'vision_msgs/msg/Detection3DArray',
              'When they come for a frame of a bag, the next one is shown.',
              only_if='pace: results'),
)

RECORDER_TOPICS: tuple[TopicSpec, ...] = (
    TopicSpec(_IN, 'all topics of the estimator', 'of each topic',
              'Found in the graph under their real names; what is made only for '
              'those who listen, only with `lazy_outputs`.'),
    TopicSpec(_OUT, '/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray',
              'Where the recording is, messages and megabytes, what was dropped and why.'),
)

PLANNING_SCENE_TOPICS: tuple[TopicSpec, ...] = (
    TopicSpec(_IN, 'object_detections', 'vision_msgs/msg/Detection3DArray',
              'Objects of the estimator.'),
    TopicSpec(_IN, 'object_points', 'sensor_msgs/msg/PointCloud2', 'Their shapes.',
              'shape: hull'),
    TopicSpec(_OUT, 'collision_object', 'moveit_msgs/msg/CollisionObject',
              'Objects that came, moved or went, for MoveIt.'),
)

NODE_TOPICS: Mapping[str, tuple[TopicSpec, ...]] = {
    'pose_estimator': ESTIMATOR_TOPICS,
    'simulated_camera': SIMULATED_CAMERA_TOPICS,
    'replay_camera': REPLAY_CAMERA_TOPICS,
    'recorder': RECORDER_TOPICS,
    'planning_scene_bridge': PLANNING_SCENE_TOPICS,
}
