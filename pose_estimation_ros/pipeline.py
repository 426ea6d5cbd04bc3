"""The one place where the stages are joined: frame -> detections -> poses -> identities."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.base import (
    BackendOptions,
    KnownObjects,
    PoseBackend,
    TakesObjects,
    TunableBackend,
)
from pose_estimation_ros.backends.disp6d_options import DISP6DOptions
from pose_estimation_ros.backends.mrc_options import MRCOptions
from pose_estimation_ros.backends.neural_mesh_options import NeuralMeshOptions
from pose_estimation_ros.backends.registry import backend_names, create_backend
from pose_estimation_ros.core.depth_check import check_depth, has_depth, with_usable_depth
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose, Rejection
from pose_estimation_ros.core.selection import Selection, select, split_answers
from pose_estimation_ros.core.surface_agreement import AgreementCheck
from pose_estimation_ros.grasping import (
    Grasp,
    GraspLimits,
    GraspPlan,
    GraspPlanner,
    GraspPlannerOptions,
    Gripper,
    Surroundings,
)
from pose_estimation_ros.pipeline_checks import (
    check_finds_by_colour,
    check_known,
    check_labels,
)
from pose_estimation_ros.pipeline_values import (
    DepthUse,
    FallbackOptions,
    PipelineOptions,
    PipelineResult,
    SegmentedFrame,
)
from pose_estimation_ros.runtime.undistortion import Undistorter
from pose_estimation_ros.segmentation.registry import (
    DEFAULT_SEGMENTATION_MODEL,
    MASK_RCNN,
    NamesBestCandidate,
    Segmenter,
    SegmenterOptions,
    TunableSegmenter,
    create_segmenter,
    segmenter_names,
)
from pose_estimation_ros.tracking.identity import (
    IdentityTracker,
    TrackerOptions,
    TrackKey,
    TrackStatus,
)

__all__ = ['BackendOptions', 'DISP6DOptions', 'DepthUse', 'FallbackOptions', 'Grasp',
           'GraspLimits', 'GraspPlan', 'GraspPlannerOptions', 'Gripper', 'KnownObjects',
           'MRCOptions', 'NeuralMeshOptions', 'Pipeline', 'PipelineOptions', 'PipelineResult',
           'SegmentedFrame', 'Segmenter', 'SegmenterOptions', 'Selection', 'Surroundings',
           'TrackStatus', 'TrackerOptions', 'backend_names', 'check_depth', 'create_pipeline',
           'segmenter_names']


class Pipeline:
    """Segmentation, pose estimation and tracking in a row.

    `segment` and `estimate` may run in two threads, one frame in each, as long as each of them is
    called by one thread only and in the order of the frames.
    """

    def __init__(self, segmenter: Segmenter | None, backend: PoseBackend,
                 tracker: IdentityTracker | None, selection: Selection | None = None,
                 grasp_planner: GraspPlanner | None = None,
                 fallback: Pipeline | None = None) -> None:
        """Join the stages.

        Args:
            segmenter: Finds the objects; None if the backend needs no detections.
            backend: Estimates their poses.
            tracker: Gives identities; without one every `track_id` stays -1.
            selection: Which results are wanted.
            grasp_planner: Finds grasps when they are asked for.
            fallback: Finds and estimates the objects of frames without depth; may share the
                segmenter. Its tracker is not used.
        """
        self.segmenter = segmenter
        self.backend = backend
        self._tracker = tracker
        self._selection = selection or Selection()
        self._grasp_planner = grasp_planner or GraspPlanner()
        self._fallback = fallback
        self._ended: tuple[TrackKey, ...] = ()
        self._undistorter = Undistorter()
        self._check = AgreementCheck()

    @property
    def depth_use(self) -> DepthUse:
        """Whether depth is looked at, by the backend or to find the objects."""
        if self._depth_users():
            return 'needed' if self._fallback is None else 'preferred'
        return 'if_any' if 'depth_if_any' in self.backend.needs else 'none'

    def process(self, frame: RGBDFrame) -> PipelineResult:
        """Process one frame from beginning to end.

        Raises:
            InvalidInputError: If the frame cannot be used as it is.
        """
        return self.estimate(self.segment(frame))

    def segment(self, frame: RGBDFrame) -> SegmentedFrame:
        """Check and undistort a frame and find its objects.

        Raises:
            InvalidInputError: If depth is needed and the frame has none that is usable.
        """
        users = self._depth_users()
        if users and self._fallback is not None and not has_depth(frame):
            return replace(self._fallback.segment(replace(frame, depth=None)),
                           fallback=_what_is_lost(frame, self._fallback.backend.name))
        if users or (frame.depth is not None and self.depth_use == 'if_any'):
            frame = with_usable_depth(frame, users)
        started = time.perf_counter()
        if isinstance(self.backend, TakesObjects):
            self.backend.look_for_objects()
        frame = self._undistorter.undistort(frame)
        undistorted = time.perf_counter()
        found = [] if self.segmenter is None else self.segmenter.detect(frame)
        detections, dropped = select(found, self._labels(), self._selection.max_objects)
        if not found and isinstance(self.segmenter, NamesBestCandidate):
            dropped += tuple(filter(None, [self.segmenter.best_candidate()]))
        timings = {'undistort': undistorted - started,
                   'segmentation': time.perf_counter() - undistorted}
        return SegmentedFrame(frame, detections, dropped, timings)

    def estimate(self, segmented: SegmentedFrame,
                 T_fixed_camera: NDArray[np.float64] | None = None) -> PipelineResult:
        """Estimate the poses of the objects found, and their identities.

        Args:
            segmented: The frame and what was found in it.
            T_fixed_camera: (4, 4) from the camera's frame into one in which objects move less,
                if one is known: identities are kept there. All poses are in the camera's frame.
        """
        started = time.perf_counter()
        stages = self if self._fallback is None or not segmented.fallback else self._fallback
        answers = stages.backend.estimate(segmented.frame, segmented.detections)
        answers = [self._checked(segmented.frame, answer) for answer in answers]
        poses, dropped = split_answers(answers, self._selection)
        detections = segmented.detections
        if 'detections' not in stages.backend.needs:
            poses, surplus = select(poses, stages._labels(), self._selection.max_objects)
            dropped += surplus
            detections = tuple(pose.detection for pose in poses if pose.detection is not None)
        estimated = time.perf_counter()
        lost, self._ended = self._ended, ()
        tracker = self._tracker  # Another thread may exchange it meanwhile.
        tracks: tuple[TrackStatus, ...] = ()
        if tracker is not None:
            tracked = tracker.update(segmented.frame.stamp_ns, poses, segmented.frame.rgb,
                                     T_fixed_camera)
            poses, lost, tracks = tracked.poses, lost + tracked.lost, tracked.statuses
            dropped += tracked.withheld
        timings = {**segmented.timings, 'pose': estimated - started,
                   'tracking': time.perf_counter() - estimated}
        return PipelineResult(segmented.frame, detections, poses, lost,
                              segmented.dropped + dropped, timings, tracks,
                              fallback=segmented.fallback)

    def plan_grasps(self, result: PipelineResult,
                    surroundings: Surroundings) -> PipelineResult:
        """Return the result with the grasps of its objects.

        Args:
            result: Of `estimate`.
            surroundings: Where up and the robot are, in the camera's frame.
        """
        started = time.perf_counter()
        plans = self._grasp_planner.plan(result.poses, surroundings)
        return replace(result, grasps=plans,
                       timings={**result.timings, 'grasp': time.perf_counter() - started})

    def describe(self) -> dict[str, str]:
        """Return facts about the models of all stages, for `/diagnostics`."""
        facts = {'backend': self.backend.name}
        facts |= {f'pose.{key}': value for key, value in self.backend.describe().items()}
        if self.segmenter is not None:
            facts['segmentation.providers'] = ', '.join(self.segmenter.providers)
        if self._fallback is not None:
            facts |= {f'fallback.{key}': value
                      for key, value in self._fallback.describe().items()}
        return facts | self.label_gaps()

    def label_gaps(self) -> dict[str, str]:
        """Return which labels are found and get no pose, and which are known and never found."""
        if self.segmenter is None:
            return {}
        found, known = self.segmenter.categories, self.backend.categories
        gaps = {'found without a pose': [label for label in found if label not in known],
                'never found': [label for label in known if label not in found]}
        return {name: ', '.join(labels) for name, labels in gaps.items() if labels}

    def reload_objects(self) -> KnownObjects:
        """Let the backend look for objects that were added or removed.

        Any thread that may wait for files may ask.

        Raises:
            ConfigurationError: If its objects are those of its model, and nothing can be added.
        """
        if not isinstance(self.backend, TakesObjects):
            raise ConfigurationError(f'the backend {self.backend.name} takes no objects while it '
                                     "runs; 'disp6d' does")
        return self.backend.reload_objects()

    def retune(self, before: PipelineOptions, after: PipelineOptions) -> None:
        """Change thresholds, wanted labels and the tracker; the next frame follows them.

        Any thread may ask. Either everything changes or nothing.

        Args:
            before: What it was created with, or told last.
            after: Of the same models: equal in `of_models()`.

        Raises:
            ConfigurationError: If a label is unknown, a file of grasps is wrong, or a stage cannot
                change while it runs.
        """
        check_known(after.selection.labels, self.backend)
        planner = (self._grasp_planner if before.grasps == after.grasps
                   else GraspPlanner(after.grasps))
        parts = [part for part in (self, self._fallback) if part is not None]
        for part in parts:
            part._check_tunable(before, after)
        for part in parts:
            part._retune_stages(before, after)
        self._grasp_planner = planner
        if self._tracker is not None and after.tracker is not None:
            self._tracker.retune(after.tracker)
        elif self._tracker is not None:
            self._ended += self._tracker.reset()
            self._tracker = None
        elif after.tracker is not None:
            self._tracker = IdentityTracker(after.tracker)

    def _check_tunable(self, before: PipelineOptions, after: PipelineOptions) -> None:
        """Check that segmenter and backend can follow other options while they are loaded.

        Raises:
            ConfigurationError: If one cannot.
        """
        if (self.segmenter is not None and before.segmenter_options != after.segmenter_options
                and not isinstance(self.segmenter, TunableSegmenter)):
            raise ConfigurationError(f'the segmenter {after.segmenter} cannot change its limits '
                                     'while it is loaded')
        # One that is given detections gets the wanted ones only.
        if (before.selection.labels != after.selection.labels
                and 'detections' not in self.backend.needs
                and not isinstance(self.backend, TunableBackend)):
            raise ConfigurationError(f'the backend {self.backend.name} cannot look for other '
                                     'labels while it is loaded')

    def _retune_stages(self, before: PipelineOptions, after: PipelineOptions) -> None:
        """Tell segmenter and backend what changes for them."""
        limits = after.segmenter_options
        if isinstance(self.segmenter, TunableSegmenter) and before.segmenter_options != limits:
            self.segmenter.retune(limits.min_score, limits.max_objects)
        options = [replace(each.backend_options, labels=each.selection.labels)
                   for each in (before, after)]
        if isinstance(self.backend, TunableBackend) and options[0] != options[1]:
            self.backend.retune(options[1])
        self._selection = after.selection

    def reset_tracks(self) -> tuple[TrackKey, ...]:
        """End all tracks, as after a jump in time, and return their names."""
        return self._tracker.reset() if self._tracker is not None else ()

    def close(self) -> None:
        """Free the models of all stages."""
        if self._fallback is not None:
            if self._fallback.segmenter is self.segmenter:
                self._fallback.segmenter = None
            self._fallback.close()
        self.backend.close()
        if self.segmenter is not None:
            self.segmenter.close()

    def _checked(self, frame: RGBDFrame, answer: ObjectPose | Rejection) -> ObjectPose | Rejection:
        if frame.depth is None or isinstance(answer, Rejection):
            return answer
        return replace(answer, agreement=self._check.agreement(frame, answer))

    def _depth_users(self) -> list[str]:
        users = [f'the backend {self.backend.name}'] if 'depth' in self.backend.needs else []
        if self.segmenter is not None and self.segmenter.needs_depth:
            users.append('the segmentation model')
        return users

    def _labels(self) -> tuple[str, ...]:
        wanted = self._selection.labels
        return tuple(label for label in self.backend.categories if not wanted or label in wanted)


def create_pipeline(options: PipelineOptions) -> Pipeline:
    """Create the stages and join them.

    Raises:
        ConfigurationError: If a backend, segmenter or label of that name does not exist, or the
            segmenter finds nothing that the backend knows.
        ModelError: If a model is missing, damaged or of another kind.
    """
    backend = create_backend(options.backend, replace(options.backend_options,
                                                      labels=options.selection.labels))
    segmenter, fallback = None, None
    try:
        check_known(options.selection.labels, backend)
        grasp_planner = GraspPlanner(options.grasps)
        if 'detections' in backend.needs:
            segmenter = create_segmenter(options.segmenter, options.segmenter_options)
            check_labels(segmenter, backend, 'segmentation.model, --segmentation-model')
        if options.fallback is not None:
            fallback = _create_fallback(options, options.fallback, segmenter)
    except Exception:
        backend.close()
        if segmenter is not None:
            segmenter.close()
        raise
    tracker = None if options.tracker is None else IdentityTracker(options.tracker)
    return Pipeline(segmenter, backend, tracker, options.selection, grasp_planner, fallback)


def _create_fallback(options: PipelineOptions, wanted: FallbackOptions,
                     shared: Segmenter | None) -> Pipeline:
    """Create the stages for frames without depth.

    Raises:
        ConfigurationError: If they need depth, or find nothing that they know.
        ModelError: If a model is missing, damaged or of another kind.
    """
    choices = options.backend_options
    # There is no depth to fit known objects to.
    backend = create_backend(wanted.backend, replace(
        choices, model=wanted.model, labels=(), mrc=replace(choices.mrc, refinement='none'),
        disp6d=replace(choices.disp6d, refinement='none')))
    segmenter = None if shared is None or shared.needs_depth or wanted.segmenter_model else shared
    try:
        if 'depth' in backend.needs:
            raise ConfigurationError(f'fallback.backend {wanted.backend} needs depth itself; '
                                     'choose one that looks at colour alone: mrc, neural_mesh, '
                                     'or disp6d with a model of known objects')
        if 'detections' not in backend.needs:
            return Pipeline(None, backend, None, options.selection)
        if segmenter is None:
            segmenter = create_segmenter(MASK_RCNN, replace(options.segmenter_options,
                                                            model=wanted.segmenter_model))
        check_finds_by_colour(segmenter, wanted.segmenter_model or DEFAULT_SEGMENTATION_MODEL)
        check_labels(segmenter, backend, 'fallback.segmentation_model')
    except Exception:
        backend.close()
        if segmenter is not None and segmenter is not shared:
            segmenter.close()
        raise
    return Pipeline(segmenter, backend, None, options.selection)


def _what_is_lost(frame: RGBDFrame, fallback: str) -> str:
    """Return why a frame is for the fallback backend."""
    why = ('no depth image arrives' if frame.depth is None else
           'the depth image is all zero or NaN')
    return f'{why}: poses come from colour alone, by fallback.backend {fallback}'
