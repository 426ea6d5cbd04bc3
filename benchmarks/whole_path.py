"""The whole path of a frame through the node in one process, for the tables and traces of it.

Messages of a camera go in, messages of results come out; between them is what the node does. What
happens between processes is measured by `running_node.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType

import numpy as np
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from spans import Stage

from pose_estimation_ros.backends import correspondences, lite, mrc
from pose_estimation_ros.backends.lite import LiteBackend
from pose_estimation_ros.backends.neural_mesh_solver import NeuralMeshSolver
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.nodes.camera_publisher import CameraMessages
from pose_estimation_ros.nodes.frame_input import RawFrame
from pose_estimation_ros.nodes.parameters import ESTIMATOR_PARAMETERS
from pose_estimation_ros.nodes.publishers import ResultPublisher
from pose_estimation_ros.nodes.settings import EstimatorSettings
from pose_estimation_ros.pipeline import Pipeline, PipelineResult, SegmentedFrame
from pose_estimation_ros.runtime.session import InferenceSession
from pose_estimation_ros.segmentation import mask_rcnn
from pose_estimation_ros.segmentation.point_classifier import PointClassifier
from pose_estimation_ros.tracking.identity import IdentityTracker

SEGMENT, POSE, NETWORK = 'segment', 'pose', 'network'
_FRAME_ID = 'camera_color_optical_frame'


def stages(pipeline: Pipeline) -> tuple[Stage, ...]:
    """Return the stages of a frame's way; the first five one after another, others inside."""
    return (Stage('decode', RawFrame, 'read'), Stage(SEGMENT, Pipeline, 'segment'),
            Stage(POSE, type(pipeline.backend), 'estimate'),
            Stage('track', IdentityTracker, 'update'),
            Stage('message', ResultPublisher, 'publish'),
            Stage(NETWORK, InferenceSession, 'run'),
            Stage('masks', mask_rcnn, 'paste_mask'), Stage('masks', mask_rcnn, 'refine_mask'),
            Stage('classify', PointClassifier, 'probabilities'),
            Stage('crop', LiteBackend, 'take'), Stage('alignment', lite, 'align_members'),
            Stage('alignment', lite, 'aligned_poses'),
            Stage('RANSAC', correspondences, 'align_robustly'),
            Stage('confidence', LiteBackend, '_judge'),
            Stage('crop', mrc, 'crop_pixels'), Stage('search', NeuralMeshSolver, 'solve'))


@dataclass(frozen=True, eq=False)
class WholePath:
    """A pipeline, and what is before and after it in a node."""

    pipeline: Pipeline
    raw: RawFrame
    publisher: ResultPublisher
    node: Node
    context: Context

    @classmethod
    def of(cls, pipeline: Pipeline, frame: RGBDFrame) -> WholePath:
        """Start ROS for a publisher that nobody listens to."""
        context = Context()
        rclpy.init(context=context)
        node = Node('whole_path', context=context)
        values = {spec.name: spec.default for spec in ESTIMATOR_PARAMETERS}
        publisher = ResultPublisher(node, EstimatorSettings.from_values(values).output)
        messages = CameraMessages(frame, _FRAME_ID)
        raw = RawFrame(messages.color, messages.depth, messages.info, messages.info)
        return cls(pipeline, raw, publisher, node, context)

    def segment(self) -> SegmentedFrame:
        """Do what the first of the node's threads does with a frame."""
        return self.pipeline.segment(self.raw.read(rectified=False))

    def finish(self, segmented: SegmentedFrame) -> PipelineResult:
        """Do what the second one does."""
        result = self.pipeline.estimate(segmented)
        self.publisher.publish(result, _FRAME_ID, np.eye(4))
        return result

    def __enter__(self) -> WholePath:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.publisher.destroy()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self.context)
        self.pipeline.close()
