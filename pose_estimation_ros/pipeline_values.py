"""What goes into a pipeline and what comes out of it: options, and the values of a frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.selection import Selection
from pose_estimation_ros.grasping import GraspPlan, GraspPlannerOptions
from pose_estimation_ros.segmentation.registry import MASK_RCNN, SegmenterOptions
from pose_estimation_ros.tracking.identity import TrackerOptions, TrackKey, TrackStatus

# Whether a pipeline looks at depth: never, where a frame brings it, whenever it can be had (colour
# alone is for the fallback), or always.
DepthUse = Literal['none', 'if_any', 'preferred', 'needed']


@dataclass(frozen=True)
class SegmentedFrame:
    """What the first half of the pipeline hands to the second.

    Attributes:
        frame: The undistorted frame.
        detections: Wanted detections, highest score first; none yet if the backend finds the
            objects by itself.
        dropped: One sentence for each detection that was dropped; where nothing was detected, for
            the best candidate.
        timings: Seconds by stage.
        fallback: Why the frame is for the fallback backend; empty = it is not.
    """

    frame: RGBDFrame
    detections: tuple[Detection, ...]
    dropped: tuple[str, ...]
    timings: Mapping[str, float]
    fallback: str = ''


@dataclass(frozen=True)
class PipelineResult:
    """Everything known about one frame.

    Attributes:
        frame: The undistorted frame that all results refer to.
        detections: Wanted detections, highest score first. Of a backend that finds objects by
            itself those of its poses.
        poses: One pose per detection that got one, in the detections' order; smoothed if the
            tracker smooths.
        lost: Tracks whose outputs end with this frame.
        dropped: One sentence for each detection or pose that was dropped.
        timings: Seconds by stage: undistort, segmentation, pose, tracking, and grasp if planned.
        tracks: How all known tracks stand, those that are not seen in this frame too.
        grasps: Of each pose, in their order; empty if none were planned.
        fallback: Why the poses are the fallback backend's, a sentence; empty = they are not.
    """

    frame: RGBDFrame
    detections: tuple[Detection, ...]
    poses: tuple[ObjectPose, ...]
    lost: tuple[TrackKey, ...]
    dropped: tuple[str, ...]
    timings: Mapping[str, float]
    tracks: tuple[TrackStatus, ...] = ()
    grasps: tuple[GraspPlan, ...] = ()
    fallback: str = ''


@dataclass(frozen=True)
class FallbackOptions:
    """What goes on when a frame has no depth: a backend that looks at colour alone.

    Attributes:
        backend: One of `backend_names()`.
        model: Name or folder of its model; empty = its default.
        segmenter_model: Name or folder of the model that finds its objects; empty = the main
            segmenter finds them, if that looks at colour alone, else the default model.
    """

    backend: str
    model: str = ''
    segmenter_model: str = ''


@dataclass(frozen=True)
class PipelineOptions:
    """Which stages are joined, and how each is set.

    Attributes:
        backend: One of `backend_names()`.
        backend_options: Of the backend.
        segmenter: One of `segmenter_names()`.
        segmenter_options: Of the segmenter.
        tracker: Of the tracker, None = no identities over time.
        selection: Which results are wanted.
        grasps: How grasps are planned, when they are.
        fallback: For frames without depth; None = they give no poses.
    """

    backend: str = 'spd'
    backend_options: BackendOptions = field(default_factory=BackendOptions)
    segmenter: str = MASK_RCNN
    segmenter_options: SegmenterOptions = field(default_factory=SegmenterOptions)
    tracker: TrackerOptions | None = field(default_factory=TrackerOptions)
    selection: Selection = field(default_factory=Selection)
    grasps: GraspPlannerOptions = field(default_factory=GraspPlannerOptions)
    fallback: FallbackOptions | None = None

    def of_models(self) -> PipelineOptions:
        """Return what the models depend on: these options without what can change at any time.

        Pipelines whose options are equal in this have the same models.
        """
        default = SegmenterOptions()
        backend = replace(self.backend_options, labels=(), neural_mesh=replace(
            self.backend_options.neural_mesh, min_probability=None))
        segmenter = replace(self.segmenter_options, min_score=default.min_score,
                            max_objects=default.max_objects)
        return PipelineOptions(self.backend, backend, self.segmenter, segmenter, tracker=None,
                               fallback=self.fallback)
