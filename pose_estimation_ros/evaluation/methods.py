"""The methods that an evaluation runs: detectors and pose backends, loaded by their settings."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pose_estimation_ros.backends.base import UPRIGHT_TOLERANCE, BackendOptions, ObjectFrame
from pose_estimation_ros.backends.disp6d_options import DISP6DOptions
from pose_estimation_ros.backends.mrc_options import MRCOptions
from pose_estimation_ros.backends.neural_mesh_options import NeuralMeshOptions
from pose_estimation_ros.backends.registry import create_backend
from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError, ModelError
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame
from pose_estimation_ros.evaluation.detection_files import FrameDetections
from pose_estimation_ros.evaluation.detection_sources import (
    MODEL,
    NAMED,
    DetectionSource,
    open_source,
)
from pose_estimation_ros.evaluation.predictions import FramePredictions, Prediction
from pose_estimation_ros.evaluation.report import model_identity
from pose_estimation_ros.pipeline import Pipeline, PipelineOptions, create_pipeline
from pose_estimation_ros.runtime import ModelStore
from pose_estimation_ros.segmentation.registry import (
    DEFAULT_SEGMENTATION_MODEL,
    MASK_RCNN,
    SegmenterOptions,
    create_segmenter,
)

Task = Literal['poses', 'detections']

# Methods that a process keeps loaded: a worker of a cluster may have as many threads.
_MOST_LOADED = 8
# What a backend says of itself that tells where it runs, not what it answers.
_ABOUT_MACHINE = frozenset({'provider', 'renderer', 'objects folder'})


@dataclass(frozen=True)
class Method:
    """What is run on every frame.

    Attributes:
        backend: Name of the pose backend.
        model: Name or folder of its model; '' = the backend's default.
        masks: 'model' = a detector finds the objects; 'truth' = true masks; 'boxes' = true boxes;
            'errors' = true masks with a detector's errors; else a file of detections or a folder
            of NOCS' pickles.
        segmenter: Name of the detector; used with masks 'model'.
        segmentation_model: Name or folder of its model; '' = the default.
        min_score: Least score of a detection; None = the model's own.
        device: 'auto', 'cpu', 'cuda' or 'tensorrt'.
        threads: Of each network; 0 lets ONNX Runtime choose.
        seed: Of the robust fit and of mask errors.
        mrc: Choices of the backend 'mrc'.
        neural_mesh: Choices of the backend 'neural_mesh'.
        disp6d: Choices of the backend 'disp6d'.
        upright_tolerance: See `BackendOptions`.
        object_frame: See `BackendOptions`; must be the convention of the truth.
    """

    backend: str = 'spd'
    model: str = ''
    masks: str = MODEL
    segmenter: str = 'mask_rcnn'
    segmentation_model: str = ''
    min_score: float | None = None
    device: str = 'auto'
    threads: int = 0
    seed: int = 0
    mrc: MRCOptions = field(default_factory=MRCOptions)
    neural_mesh: NeuralMeshOptions = field(default_factory=NeuralMeshOptions)
    disp6d: DISP6DOptions = field(default_factory=DISP6DOptions)
    upright_tolerance: float = UPRIGHT_TOLERANCE
    object_frame: ObjectFrame = 'nocs'

    def segmenter_options(self) -> SegmenterOptions:
        """Return how the detector is set."""
        return SegmenterOptions(self.segmentation_model, self.device, self.threads,
                                self.min_score)

    def backend_options(self) -> BackendOptions:
        """Return how the backend is set."""
        return BackendOptions(self.model, self.device, self.threads, self.seed, self.mrc,
                              self.neural_mesh, disp6d=self.disp6d,
                              upright_tolerance=self.upright_tolerance,
                              object_frame=self.object_frame)

    def settings(self) -> dict[str, object]:
        """Return what makes a difference to the answers, by name."""
        without = {'device', 'threads'} | ({'mrc', 'neural_mesh', 'disp6d'} - {self.backend})
        if self.backend in ('mrc', 'neural_mesh'):
            without.add('upright_tolerance')
        return {name: value for name, value in asdict(self).items() if name not in without}


@dataclass(frozen=True, eq=False)
class FrameAnswer:
    """What a method says of a frame.

    Attributes:
        predictions: Its poses.
        refused: A sentence for each detection that got none.
    """

    predictions: FramePredictions
    refused: tuple[str, ...]


class FrameDetector:
    """A detector, loaded, or what is used in its place."""

    def __init__(self, method: Method) -> None:
        """Load the detector.

        Raises:
            ConfigurationError: If there is no such detector.
            ModelError: If its model is missing, damaged or of another kind.
            InvalidInputError: If `masks` names no source.
        """
        if method.masks == MODEL:
            segmenter = create_segmenter(method.segmenter, method.segmenter_options())
            self._source: DetectionSource = lambda frame: tuple(segmenter.detect(frame.frame))
        else:
            self._source = open_source(method.masks, method.seed)

    def detect(self, frame: AnnotatedFrame) -> FrameDetections:
        """Return what is detected in a frame."""
        _refuse_distortion(frame)
        started = time.perf_counter()
        found = self._source(frame)
        return FrameDetections(frame.name, found, time.perf_counter() - started)


class FrameEstimator:
    """A method, loaded: from a frame with its truth to poses."""

    def __init__(self, method: Method) -> None:
        """Load detector and backend.

        Raises:
            ConfigurationError: If there is no such backend or detector, or masks are given to a
                backend that finds the objects by itself.
            ModelError: If a model is missing, damaged or of another kind.
            InvalidInputError: If `masks` names no source.
        """
        self._source: DetectionSource | None = None
        options = method.backend_options()
        if method.masks == MODEL:
            self.pipeline = create_pipeline(PipelineOptions(
                backend=method.backend, backend_options=options, segmenter=method.segmenter,
                segmenter_options=method.segmenter_options(), tracker=None))
        else:
            self._source = open_source(method.masks, method.seed)
            backend = create_backend(method.backend, options)
            if 'detections' not in backend.needs:
                backend.close()
                raise ConfigurationError(
                    f'masks {method.masks!r} are for backends that are told where objects are, '
                    f'and {method.backend} finds them by itself; leave --masks out')
            self.pipeline = Pipeline(None, backend, None)

    def estimate(self, frame: AnnotatedFrame) -> FrameAnswer:
        """Return the poses of a frame, and why detections got none.

        Raises:
            InvalidInputError: If the frame cannot be used; names it.
        """
        try:
            segmented = self.pipeline.segment(frame.frame)
            if self._source is not None:
                _refuse_distortion(frame)
                segmented = replace(segmented, detections=self._source(frame))
            result = self.pipeline.estimate(segmented)
        except InvalidInputError as error:
            raise InvalidInputError(f'frame {frame.name}: {error}') from error
        poses = tuple(Prediction.of(pose) for pose in result.poses)
        return FrameAnswer(
            FramePredictions(frame.name, poses, sum(result.timings.values())), result.dropped)


def _refuse_distortion(frame: AnnotatedFrame) -> None:
    if frame.frame.intrinsics.is_distorted:
        raise InvalidInputError(f'the camera of frame {frame.name} has lens distortion, so that '
                                'masks would not fit the undistorted image; undistort the data')


def models_of(method: Method, task: Task) -> dict[str, str]:
    """Return name and beginning of the hash of the models that are run."""
    found: dict[str, str] = {}
    detects = task == 'detections' or estimator_of(method).pipeline.segmenter is not None
    if detects and method.masks == MODEL and method.segmenter == MASK_RCNN:
        found |= model_identity(ModelStore().find(
            method.segmentation_model or DEFAULT_SEGMENTATION_MODEL, 'segmentation'))
    if task == 'poses':
        described = estimator_of(method).pipeline.backend.describe().get('model', method.backend)
        try:
            found |= model_identity(ModelStore().find(method.model or described))
        except ModelError:
            # A backend of another package may keep its models elsewhere.
            found[described] = 'unknown'
    return found


def described_by(method: Method) -> dict[str, str]:
    """Return what the method's backend says of itself, but for where it runs.

    Among it is what depends on the machine: optional libraries, and the objects that are known.
    """
    described = estimator_of(method).pipeline.backend.describe()
    return {name: value for name, value in described.items() if name not in _ABOUT_MACHINE}


def labels_of(method: Method) -> tuple[str, ...]:
    """Return the labels that the method's backend knows."""
    return estimator_of(method).pipeline.backend.categories


def label_gaps_of(method: Method) -> dict[str, str]:
    """Return the labels on which the method's detector and backend differ."""
    return estimator_of(method).pipeline.label_gaps()


def estimator_of(method: Method) -> FrameEstimator:
    """Return the loaded method; each thread of a worker keeps its own from shard to shard."""
    return _estimator(method, threading.get_ident())


@lru_cache(maxsize=_MOST_LOADED)
def _estimator(method: Method, _thread: int) -> FrameEstimator:
    return FrameEstimator(method)


def detector_of(method: Method) -> FrameDetector:
    """Return the loaded detector, in the same way."""
    return _detector(method, threading.get_ident())


@lru_cache(maxsize=_MOST_LOADED)
def _detector(method: Method, _thread: int) -> FrameDetector:
    return FrameDetector(method)


def absolute(method: Method) -> Method:
    """Return the method with its paths as workers in other folders can open them."""
    masks = Path(method.masks).expanduser()
    is_stored = method.masks not in NAMED and masks.exists()
    return replace(method, model=_absolute_model(method.model),
                   masks=str(masks.resolve()) if is_stored else method.masks,
                   segmentation_model=_absolute_model(method.segmentation_model),
                   disp6d=_absolute_objects(method.disp6d))


def _absolute_objects(options: DISP6DOptions) -> DISP6DOptions:
    folder = options.objects and str(Path(options.objects).expanduser().resolve())
    return replace(options, objects=folder, object_model=_absolute_model(options.object_model))


def _absolute_model(name: str) -> str:
    path = Path(name).expanduser()
    # A bare name is that of a model, whatever lies in this folder.
    return str(path.resolve()) if path.name != name and path.exists() else name
