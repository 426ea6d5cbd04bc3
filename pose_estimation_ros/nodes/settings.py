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
    """

    pipeline: PipelineOptions
    input: InputOptions
    output: OutputOptions
    publish_per_label: bool
    output_frame: str
    tf_timeout: float
    on_demand: bool
    silence: float

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> EstimatorSettings:
        """Return the settings of parameter values, by the names of `ESTIMATOR_PARAMETERS`."""
        tracker = None
        if values['tracking.enabled']:
            tracker = TrackerOptions(
                max_distance=values['tracking.max_distance'],
                max_missed_seconds=values['tracking.max_missed_seconds'])
        labels = tuple(label.strip() for label in values['labels'].split(',') if label.strip())
        return cls(
            pipeline=PipelineOptions(
                backend=values['backend'],
                backend_options=_backend_options(values),
                segmenter=values['segmentation.method'],
                segmenter_options=SegmenterOptions(
                    values['segmentation.model'], values['device'], values['threads'],
                    values['segmentation.min_score'] or None, values['max_objects']),
                tracker=tracker,
                selection=Selection(labels, values['min_score'], values['max_objects'])),
            input=InputOptions(
                color_transport=values['color.transport'],
                depth_transport=values['depth.transport'],
                reliable=values['input_reliability'] == 'reliable',
                rectified=values['color.rectified'],
                slop_ns=round(values['sync.slop'] * 1e9), depth='needed',
                patience_ns=round(values['sync.timeout'] * 1e9)),
            output=OutputOptions(
                max_objects=values['max_objects'], per_label=(),
                publish_tf=values['tf.publish'], tf_prefix=values['tf.prefix'],
                mask_opacity=values['overlay.mask_opacity'],
                marker_lifetime=values['markers.lifetime']),
            publish_per_label=values['publish_per_label'],
            output_frame=values['output_frame'], tf_timeout=values['tf.timeout'],
            on_demand=values['mode'] == 'on_demand',
            silence=values['sync.timeout'])


def _backend_options(values: Mapping[str, Any]) -> BackendOptions:
    return BackendOptions(
        values['model'], values['device'], values['threads'], values['seed'],
        mrc=MRCOptions(values['mrc.rotated_copies'], values['mrc.copy_choice'],
                       values['mrc.auxiliary']),
        neural_mesh=NeuralMeshOptions(
            values['neural_mesh.proposals'], values['neural_mesh.scale'],
            values['neural_mesh.initial_poses'], values['neural_mesh.competition']),
        disp6d=DISP6DOptions(values['disp6d.objects'], values['disp6d.alignment'],
                             values['disp6d.object_model']))
