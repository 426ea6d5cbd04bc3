"""The one place where the stages are joined: frame -> detections -> poses -> identities."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.base import (
    BackendOptions,
    KnownObjects,
    PoseBackend,
    TakesObjects,
)
from pose_estimation_ros.backends.disp6d_options import DISP6DOptions
from pose_estimation_ros.backends.mrc_options import MRCOptions
from pose_estimation_ros.backends.neural_mesh_options import NeuralMeshOptions
from pose_estimation_ros.backends.registry import backend_names, create_backend
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.depth_check import check_depth, with_usable_depth
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import (
    ConfigurationError,
    PoseEstimationError,
)
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose, Rejection
from pose_estimation_ros.segmentation.registry import (
    MASK_RCNN,
    Segmenter,
    SegmenterOptions,
    create_segmenter,
    segmenter_names,
)
from pose_estimation_ros.tracking.identity import IdentityTracker, TrackerOptions, TrackKey

__all__ = ['BackendOptions', 'DISP6DOptions', 'DepthUse', 'KnownObjects', 'MRCOptions',
           'NeuralMeshOptions', 'Pipeline', 'PipelineOptions', 'PipelineResult', 'SegmentedFrame',
           'Segmenter', 'SegmenterOptions', 'Selection', 'TrackerOptions', 'backend_names',
           'check_depth', 'create_pipeline', 'segmenter_names']

# Whether a pipeline looks at depth: never, where a frame brings it, or always.
DepthUse = Literal['none', 'if_any', 'needed']
_Found = TypeVar('_Found', Detection, ObjectPose)


@dataclass(frozen=True)
class Selection:
    """Which of the results are wanted.

    Attributes:
        labels: Wanted labels; empty = all.
        min_pose_score: Poses below are dropped, 0 to 1.
        max_objects: Most objects of a frame, the best ones.
    """

    labels: tuple[str, ...] = ()
    min_pose_score: float = 0.0
    max_objects: int = 32


@dataclass(frozen=True)
class SegmentedFrame:
    """What the first half of the pipeline hands to the second.

    Attributes:
        frame: The undistorted frame.
        detections: Wanted detections, highest score first; none yet if the backend finds the
            objects by itself.
        dropped: One sentence for each detection that was dropped.
        timings: Seconds by stage.
    """

    frame: RGBDFrame
    detections: tuple[Detection, ...]
    dropped: tuple[str, ...]
    timings: Mapping[str, float]


@dataclass(frozen=True)
class PipelineResult:
    """Everything known about one frame.

    Attributes:
        frame: The undistorted frame that all results refer to.
        detections: Wanted detections, highest score first. Of a backend that finds objects by
            itself those of its poses.
        poses: One pose per detection that got one, in the detections' order.
        lost: Tracks that ended with this frame.
        dropped: One sentence for each detection or pose that was dropped.
        timings: Seconds by stage: undistort, segmentation, pose, tracking.
    """

    frame: RGBDFrame
    detections: tuple[Detection, ...]
    poses: tuple[ObjectPose, ...]
    lost: tuple[TrackKey, ...]
    dropped: tuple[str, ...]
    timings: Mapping[str, float]


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
    """

    backend: str = 'spd'
    backend_options: BackendOptions = field(default_factory=BackendOptions)
    segmenter: str = MASK_RCNN
    segmenter_options: SegmenterOptions = field(default_factory=SegmenterOptions)
    tracker: TrackerOptions | None = field(default_factory=TrackerOptions)
    selection: Selection = field(default_factory=Selection)


class Pipeline:
    """Segmentation, pose estimation and tracking in a row.

    `segment` and `estimate` may run in two threads, one frame in each, as long as each of them is
    called by one thread only and in the order of the frames.
    """

    def __init__(self, segmenter: Segmenter | None, backend: PoseBackend,
                 tracker: IdentityTracker | None, selection: Selection | None = None) -> None:
        """Join the stages.

        Args:
            segmenter: Finds the objects; None if the backend needs no detections.
            backend: Estimates their poses.
            tracker: Gives identities; without one every `track_id` stays -1.
            selection: Which results are wanted.
        """
        self.segmenter = segmenter
        self.backend = backend
        self._tracker = tracker
        self._selection = selection or Selection()
        self._undistorter = _Undistorter()

    @property
    def depth_use(self) -> DepthUse:
        """Whether depth is looked at, by the backend or to find the objects."""
        if self._depth_users():
            return 'needed'
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
        if users := self._depth_users():
            check_depth(frame.depth, users)
        elif frame.depth is not None and self.depth_use == 'if_any':
            frame = with_usable_depth(frame, frame.depth)
        started = time.perf_counter()
        frame = self._undistorter.undistort(frame)
        undistorted = time.perf_counter()
        found = [] if self.segmenter is None else self.segmenter.detect(frame)
        detections, dropped = _select(found, self._labels(), self._selection.max_objects)
        timings = {'undistort': undistorted - started,
                   'segmentation': time.perf_counter() - undistorted}
        return SegmentedFrame(frame, detections, dropped, timings)

    def estimate(self, segmented: SegmentedFrame) -> PipelineResult:
        """Estimate the poses of the objects found, and their identities."""
        started = time.perf_counter()
        answers = self.backend.estimate(segmented.frame, segmented.detections)
        poses, dropped = _split_answers(answers, self._selection.min_pose_score)
        detections = segmented.detections
        if 'detections' not in self.backend.needs:
            poses, surplus = _select(poses, self._labels(), self._selection.max_objects)
            dropped += surplus
            detections = tuple(pose.detection for pose in poses if pose.detection is not None)
        estimated = time.perf_counter()
        lost: tuple[TrackKey, ...] = ()
        if self._tracker is not None:
            tracked = self._tracker.update(segmented.frame.stamp_ns, poses)
            poses, lost = tracked.poses, tracked.lost
        timings = {**segmented.timings, 'pose': estimated - started,
                   'tracking': time.perf_counter() - estimated}
        return PipelineResult(segmented.frame, detections, poses, lost,
                              segmented.dropped + dropped, timings)

    def describe(self) -> dict[str, str]:
        """Return facts about the models of all stages, for `/diagnostics`."""
        facts = {'backend': self.backend.name}
        facts |= {f'pose.{key}': value for key, value in self.backend.describe().items()}
        if self.segmenter is not None:
            facts['segmentation.providers'] = ', '.join(self.segmenter.providers)
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
        """Let the backend look for objects that were added or removed; any thread may ask.

        Raises:
            ConfigurationError: If its objects are those of its model, and nothing can be added.
        """
        if not isinstance(self.backend, TakesObjects):
            raise ConfigurationError(f'the backend {self.backend.name} takes no objects while it '
                                     "runs; 'disp6d' does")
        return self.backend.reload_objects()

    def reset_tracks(self) -> tuple[TrackKey, ...]:
        """End all tracks, as after a jump in time, and return their names."""
        return self._tracker.reset() if self._tracker is not None else ()

    def close(self) -> None:
        """Free the models of all stages."""
        self.backend.close()
        if self.segmenter is not None:
            self.segmenter.close()

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
    unknown = [label for label in options.selection.labels if label not in backend.categories]
    if unknown:
        backend.close()
        raise ConfigurationError(f'unknown label {unknown[0]!r}; the backend {backend.name} knows '
                                 f'{", ".join(backend.categories)}')
    segmenter = None
    if 'detections' in backend.needs:
        try:
            segmenter = create_segmenter(options.segmenter, options.segmenter_options)
            _check_labels(segmenter, backend)
        except PoseEstimationError:
            backend.close()
            raise
    tracker = None if options.tracker is None else IdentityTracker(options.tracker)
    return Pipeline(segmenter, backend, tracker, options.selection)


def _check_labels(segmenter: Segmenter, backend: PoseBackend) -> None:
    """Check that something that is found can get a pose, now or once objects are added.

    Raises:
        ConfigurationError: If not; the segmenter is closed.
    """
    if isinstance(backend, TakesObjects) or set(segmenter.categories) & set(backend.categories):
        return
    segmenter.close()
    raise ConfigurationError(
        f'the segmentation model finds {", ".join(segmenter.categories) or "nothing"}, but the '
        f'backend {backend.name} knows {", ".join(backend.categories) or "nothing"}; choose a '
        'segmentation model of the same objects (segmentation.model, --segmentation-model)')


def _select(found: Sequence[_Found], labels: tuple[str, ...],
            max_objects: int) -> tuple[tuple[_Found, ...], tuple[str, ...]]:
    """Return the wanted ones, highest score first, and a sentence for each other."""
    best_first = sorted(found, key=lambda entry: -entry.score)
    dropped = [f'{entry.label}: not among the wanted labels '
               f'{", ".join(labels) or "(none so far)"}'
               for entry in best_first if entry.label not in labels]
    wanted = [entry for entry in best_first if entry.label in labels]
    dropped += [f'{entry.label}: {len(wanted)} objects are more than max_objects {max_objects}'
                for entry in wanted[max_objects:]]
    return tuple(wanted[:max_objects]), tuple(dropped)


def _split_answers(
        answers: Sequence[ObjectPose | Rejection],
        min_score: float) -> tuple[tuple[ObjectPose, ...], tuple[str, ...]]:
    poses: list[ObjectPose] = []
    dropped: list[str] = []
    for answer in answers:
        if isinstance(answer, Rejection):
            dropped.append(f'{answer.detection.label}: {answer.reason}')
        elif answer.score < min_score:
            dropped.append(f'{answer.label}: pose score {answer.score:.2f} is under '
                           f'{min_score:.2f}')
        else:
            poses.append(answer)
    return tuple(poses), tuple(dropped)


class _Undistorter:
    """Removes lens distortion; the maps are kept as long as the camera stays the same."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] | None = None
        self._maps: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
        self._intrinsics: CameraIntrinsics | None = None

    def undistort(self, frame: RGBDFrame) -> RGBDFrame:
        """Return the frame as a pinhole camera would have seen it.

        Colour is interpolated; depth is not, because a mean over an edge is a depth that nothing
        has. Pixels that the lens did not see become black and NaN.
        """
        camera = frame.intrinsics
        if not camera.is_distorted:
            return frame
        key = (camera.width, camera.height, camera.distortion_model, camera.K.tobytes(),
               camera.D.tobytes())
        if key != self._key or self._maps is None or self._intrinsics is None:
            self._maps = camera.undistortion_map()
            self._intrinsics = camera.undistort()
            self._key = key
        rgb = cv2.remap(frame.rgb, *self._maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT,
                        borderValue=(0, 0, 0))
        depth = frame.depth
        if depth is not None:
            depth = np.asarray(
                cv2.remap(depth, *self._maps, cv2.INTER_NEAREST,
                          borderMode=cv2.BORDER_CONSTANT, borderValue=(float('nan'),) * 4),
                np.float32)
        return replace(frame, rgb=np.asarray(rgb, np.uint8), depth=depth,
                       intrinsics=self._intrinsics)
