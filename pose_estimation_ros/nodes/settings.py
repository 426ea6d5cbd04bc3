"""The estimator's parameters as typed values for the parts that use them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pose_estimation_ros.nodes.frame_input import InputOptions
from pose_estimation_ros.nodes.publishers import OutputOptions
from pose_estimation_ros.pipeline import (
    BackendOptions,
    DISP6DOptions,
    FallbackOptions,
    GraspLimits,
    GraspPlannerOptions,
    Gripper,
    MRCOptions,
    NeuralMeshOptions,
    PipelineOptions,
    SegmenterOptions,
    Selection,
    TrackerOptions,
)


@dataclass(frozen=True)
class EstimatorSettings:
    """All settings that hold from one activation to the next.

    Attributes:
        pipeline: Which stages, and how each is set.
        input: How topics are read.
        output: What is published.
        publish_per_label: Publish `object_poses/<label>` too.
        output_frame: Frame of all outputs; empty = the image's.
        tf_timeout: Longest wait for the transform to it, seconds.
        on_demand: Process frames only when asked.
        silence: Of an input that is worth an error, seconds.
        max_age: Largest difference of a frame's stamp and the clock, seconds; 0 = any.
        grasps_up: Where up is for grasps: 'auto' or 'ground'.
    """

    pipeline: PipelineOptions
    input: InputOptions
    output: OutputOptions
    publish_per_label: bool
    output_frame: str
    tf_timeout: float
    on_demand: bool
    silence: float
    max_age: float
    grasps_up: str

    @property
    def needs_transforms(self) -> bool:
        """Whether anything is looked up in TF."""
        return bool(self.output_frame) or self.input.register

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> EstimatorSettings:
        """Return the settings of parameter values, by the names of `ESTIMATOR_PARAMETERS`."""
        tracker = None
        if values['tracking.enabled']:
            tracker = _tracker_options(values)
        labels = tuple(label.strip() for label in values['labels'].split(',') if label.strip())
        gripper = _gripper(values)
        return cls(
            pipeline=PipelineOptions(
                backend=values['backend'],
                backend_options=_backend_options(values),
                segmenter=values['segmentation.method'],
                segmenter_options=SegmenterOptions(
                    values['segmentation.model'], values['device'], values['threads'],
                    values['segmentation.min_score'] or None, values['max_objects']),
                tracker=tracker, fallback=_fallback_options(values),
                selection=Selection(labels, values['min_score'], values['max_objects'],
                                    values['check.min_agreement']),
                grasps=GraspPlannerOptions(gripper, _grasp_limits(values),
                                           values['grasping.file'])),
            input=InputOptions(
                color_transport=values['color.transport'],
                depth_transport=values['depth.transport'],
                reliable=values['input_reliability'] == 'reliable',
                rectified=values['color.rectified'],
                quarters=values['color.rotation'] // 90, register=values['depth.register'],
                slop_ns=round(values['sync.slop'] * 1e9), depth='needed',
                patience_ns=round(values['sync.timeout'] * 1e9)),
            output=OutputOptions(
                per_label=(), publish_tf=values['tf.publish'], tf_prefix=values['tf.prefix'],
                mask_opacity=values['overlay.mask_opacity'],
                marker_lifetime=values['markers.lifetime'],
                gripper=gripper, plan_grasps=values['grasping.enabled']),
            publish_per_label=values['publish_per_label'],
            output_frame=values['output_frame'], tf_timeout=values['tf.timeout'],
            on_demand=values['mode'] == 'on_demand',
            silence=values['sync.timeout'], max_age=values['max_age'],
            grasps_up=values['grasping.up'])


def _fallback_options(values: Mapping[str, Any]) -> FallbackOptions | None:
    if not values['fallback.backend']:
        return None
    return FallbackOptions(values['fallback.backend'], values['fallback.model'],
                           values['fallback.segmentation_model'])


def _tracker_options(values: Mapping[str, Any]) -> TrackerOptions:
    return TrackerOptions(
        max_distance=values['tracking.max_distance'],
        max_size_ratio=values['tracking.max_size_ratio'],
        use_appearance=values['tracking.use_appearance'],
        max_missed_seconds=values['tracking.max_missed_seconds'],
        remember_seconds=values['tracking.remember_seconds'],
        return_distance=values['tracking.return_distance'],
        min_sightings=values['tracking.min_sightings'],
        predict=values['tracking.predict'],
        smoothing_seconds=values['tracking.smoothing_seconds'],
        max_rotation=values['tracking.max_rotation'],
        change_seconds=values['tracking.change_seconds'])


def _gripper(values: Mapping[str, Any]) -> Gripper:
    return Gripper(
        opening=values['grasping.opening'],
        finger_depth=values['grasping.finger_depth'],
        finger_thickness=values['grasping.finger_thickness'],
        finger_width=values['grasping.finger_width'],
        palm_width=values['grasping.palm_width'],
        palm_thickness=values['grasping.palm_thickness'],
        palm_height=values['grasping.palm_height'])


def _grasp_limits(values: Mapping[str, Any]) -> GraspLimits:
    return GraspLimits(
        friction=values['grasping.friction'],
        clearance=values['grasping.clearance'],
        max_tilt=values['grasping.max_tilt'],
        max_turn=values['grasping.max_turn'],
        pregrasp_distance=values['grasping.pregrasp_distance'],
        retreat_distance=values['grasping.retreat_distance'],
        max_grasps=values['grasping.max_per_object'])


def _backend_options(values: Mapping[str, Any]) -> BackendOptions:
    return BackendOptions(
        values['model'], values['device'], values['threads'], values['seed'],
        mrc=MRCOptions(values['mrc.rotated_copies'], values['mrc.copy_choice'],
                       values['mrc.auxiliary'], values['mrc.hypotheses'],
                       values['mrc.refinement']),
        neural_mesh=NeuralMeshOptions(
            values['neural_mesh.proposals'], values['neural_mesh.scale'],
            values['neural_mesh.initial_poses'], values['neural_mesh.competition'],
            values['neural_mesh.min_probability'] or None),
        disp6d=DISP6DOptions(values['disp6d.objects'], values['disp6d.alignment'],
                             values['disp6d.object_model'], values['disp6d.refinement'],
                             values['disp6d.stance']),
        upright_tolerance=values['upright_tolerance'])
