"""Runs detectors and pose backends over a data set, shard by shard, and keeps what they say.

A run lies in a folder: `run.json` says what was run, `shards/` holds what is finished, and the
shards joined are `predictions.jsonl` (or `detections.jsonl`); `refused.json` has a sentence for
each detection that got no pose. The same call again makes what is missing. Nothing of a run is
ever half-written.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.backends.registry import create_backend
from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError, ModelError
from pose_estimation_ros.datasets.annotated_frame import AnnotatedDataset, AnnotatedFrame
from pose_estimation_ros.distribution import Report, map_shards, no_report
from pose_estimation_ros.evaluation.data_folders import Data
from pose_estimation_ros.evaluation.detection_files import (
    FrameDetections,
    read_detections,
    write_detections,
)
from pose_estimation_ros.evaluation.detection_sources import (
    ERRORS,
    MODEL,
    TRUTH,
    DetectionSource,
    open_source,
)
from pose_estimation_ros.evaluation.predictions import (
    FramePredictions,
    FrameTruth,
    Prediction,
    read_predictions,
    write_predictions,
)
from pose_estimation_ros.evaluation.report import circumstances, model_identity, write_text
from pose_estimation_ros.pipeline import (
    DEFAULT_SEGMENTATION_MODEL,
    MASK_RCNN,
    Pipeline,
    PipelineOptions,
    SegmenterOptions,
    create_pipeline,
)
from pose_estimation_ros.runtime import ModelStore
from pose_estimation_ros.runtime.manifest import file_sha256

Task = Literal['poses', 'detections']

SHARD_SIZE = 16
# Methods that a process keeps loaded: a worker of a cluster may have as many threads.
_MOST_LOADED = 8
_RUN, _SHARDS = 'run.json', 'shards'
_PREDICTIONS, _DETECTIONS = 'predictions.jsonl', 'detections.jsonl'
_REFUSED = '.json'


@dataclass(frozen=True)
class Method:
    """What is run on every frame.

    Attributes:
        backend: Name of the pose backend.
        model: Name or folder of its model; '' = the backend's default.
        masks: 'model' = a detector finds the objects; 'truth' = true masks; 'errors' = true masks
            with a detector's errors; else a file of detections or a folder of NOCS' pickles.
        segmenter: Name of the detector; used with masks 'model'.
        segmentation_model: Name or folder of its model; '' = the default.
        min_score: Least score of a detection; None = the model's own.
        device: 'auto', 'cpu', 'cuda' or 'tensorrt'.
        threads: Of each network; 0 lets ONNX Runtime choose.
        seed: Of the robust fit and of mask errors.
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


@dataclass(frozen=True)
class Workers:
    """Who does the work.

    Attributes:
        cluster: Address of a Dask scheduler; '' = this machine.
        processes: How many on this machine.
    """

    cluster: str = ''
    processes: int = 1


@dataclass(frozen=True, eq=False)
class FrameAnswer:
    """What a method says of a frame.

    Attributes:
        predictions: Its poses.
        refused: A sentence for each detection that got none.
    """

    predictions: FramePredictions
    refused: tuple[str, ...]


class FrameEstimator:
    """A method, loaded: from a frame with its truth to detections and poses."""

    def __init__(self, method: Method) -> None:
        """Load detector and backend.

        Raises:
            ConfigurationError: If there is no such backend or detector.
            ModelError: If a model is missing, damaged or of another kind.
            InvalidInputError: If `masks` names no source.
        """
        self._source: DetectionSource | None = None
        options = BackendOptions(method.model, method.device, method.threads, method.seed)
        if method.masks == MODEL:
            self.pipeline = create_pipeline(PipelineOptions(
                backend=method.backend, backend_options=options, segmenter=method.segmenter,
                segmenter_options=SegmenterOptions(method.segmentation_model, method.device,
                                                   method.threads, method.min_score),
                tracker=None))
        else:
            self._source = open_source(method.masks, method.seed)
            self.pipeline = Pipeline(None, create_backend(method.backend, options), None)

    def detect(self, frame: AnnotatedFrame) -> FrameDetections:
        """Return what is detected in a frame, whether or not the backend knows the label."""
        started = time.perf_counter()
        if self._source is not None:
            _refuse_distortion(frame)
            found = self._source(frame)
        elif self.pipeline.segmenter is not None:
            _refuse_distortion(frame)
            found = tuple(self.pipeline.segmenter.detect(frame.frame))
        else:
            raise ConfigurationError(f'the backend {self.pipeline.backend.name} works without '
                                     'detections; choose another one to evaluate a detector')
        return FrameDetections(frame.name, found, time.perf_counter() - started)

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


def run_poses(data: Data, method: Method, out: Path, workers: Workers | None = None,
              report: Report = no_report) -> list[FramePredictions]:
    """Estimate the poses of all frames; what `out` holds already is not made again.

    Args:
        data: Frames.
        method: What is run.
        out: Folder of the run.
        workers: Who does the work; None = this process.
        report: Called with the finished and the total number of shards.

    Returns:
        One entry per frame, in order.

    Raises:
        ConfigurationError: If `out` holds another run.
        InvalidInputError: If the data cannot be used; the message names the frame.
        ModelError: If a model is missing or damaged.
    """
    shards = _run('poses', data, method, out, workers, report)
    frames = [frame for shard in shards for frame in read_predictions(shard)]
    write_predictions(out / _PREDICTIONS, frames)
    refused = {name: reasons for shard in shards for name, reasons in
               json.loads(shard.with_suffix(_REFUSED).read_text(encoding='utf-8')).items()
               if reasons}
    write_text(out / f'refused{_REFUSED}', json.dumps(refused, indent=1) + '\n')
    return frames


def run_detections(data: Data, method: Method, out: Path, workers: Workers | None = None,
                   report: Report = no_report) -> list[FrameDetections]:
    """Detect the objects of all frames; otherwise as `run_poses`."""
    shards = _run('detections', data, method, out, workers, report)
    frames = [frame for shard in shards for frame in read_detections(shard)]
    write_detections(out / _DETECTIONS, frames)
    return frames


def read_truth(data: Data, workers: Workers | None = None) -> list[FrameTruth]:
    """Return what is true about the frames.

    Raises:
        InvalidInputError: If nothing is annotated in any of them.
    """
    workers = workers or Workers()
    data = data.resolved()
    shards = map_shards(partial(_truth_shard, data), range(_shard_count(data.frames)),
                        workers.cluster, workers.processes)
    truth = [frame for shard in shards for frame in shard]
    if not any(frame.objects for frame in truth):
        raise InvalidInputError(f'none of the {data.frames} frames of {data.folder} has an '
                                'annotated object; an evaluation needs data with truth, such as '
                                'a test split with its labels')
    return truth


def check_labels(truth: Sequence[FrameTruth], known: Sequence[str], model: str) -> dict[str, int]:
    """Return how many true objects have a label that the model does not know, by label.

    Raises:
        InvalidInputError: If it knows none of the labels.
    """
    counts: dict[str, int] = {}
    for frame in truth:
        for annotation in frame.objects:
            counts[annotation.label] = counts.get(annotation.label, 0) + 1
    if known and not counts.keys() & set(known):
        raise InvalidInputError(
            f'model {model} knows {", ".join(known)}, but the data hold only '
            f'{", ".join(sorted(counts))}; give a model that was trained on these')
    return {label: count for label, count in sorted(counts.items()) if label not in known}


def models_of(method: Method, task: Task) -> dict[str, str]:
    """Return name and beginning of the hash of the models that are run."""
    found: dict[str, str] = {}
    if method.masks == MODEL and method.segmenter == MASK_RCNN:
        found |= model_identity(ModelStore().find(
            method.segmentation_model or DEFAULT_SEGMENTATION_MODEL, 'segmentation'))
    if task == 'poses':
        described = _estimator(method).pipeline.backend.describe().get('model', method.backend)
        try:
            found |= model_identity(ModelStore().find(method.model or described))
        except ModelError:
            # A backend of another package may keep its models elsewhere.
            found[described] = 'unknown'
    return found


def labels_of(method: Method) -> tuple[str, ...]:
    """Return the labels that the method's backend knows."""
    return _estimator(method).pipeline.backend.categories


def _estimator(method: Method) -> FrameEstimator:
    """Return the loaded method; each thread of a worker keeps its own from shard to shard."""
    return _estimator_of(method, threading.get_ident())


@lru_cache(maxsize=_MOST_LOADED)
def _estimator_of(method: Method, _thread: int) -> FrameEstimator:
    return FrameEstimator(method)


@lru_cache(maxsize=1)
def _opened(data: Data) -> AnnotatedDataset:
    return data.open()


def _run(task: Task, data: Data, method: Method, out: Path, workers: Workers | None,
         report: Report) -> list[Path]:
    """Make the shards that are not there yet; return the paths of all."""
    workers = workers or Workers()
    data, method = data.resolved(), _absolute(method)
    settings = {key: value for key, value in asdict(method).items()
                if key not in {'device', 'threads'}}
    source = Path(method.masks)
    stored = {'masks sha256': file_sha256(source)} if source.is_file() else {}
    _claim(out, {'task': task, **asdict(data), 'method': settings,
                 'models': models_of(method, task), **stored})
    folder = (out / _SHARDS).resolve()
    count = _shard_count(data.frames)
    paths = [folder / f'{task}_{number:05d}.jsonl' for number in range(count)]
    missing = [number for number, path in enumerate(paths) if not path.exists()]
    done = count - len(missing)
    report(done, count)
    map_shards(partial(_make_shard, task, data, method, folder), missing, workers.cluster,
               workers.processes, lambda now, _: report(done + now, count))
    return paths


def _absolute(method: Method) -> Method:
    """Return the method with its paths as workers in other folders can open them."""
    masks = Path(method.masks).expanduser()
    is_stored = method.masks not in (MODEL, TRUTH, ERRORS) and masks.exists()
    return replace(method, model=_absolute_model(method.model),
                   masks=str(masks.resolve()) if is_stored else method.masks,
                   segmentation_model=_absolute_model(method.segmentation_model))


def _absolute_model(name: str) -> str:
    path = Path(name).expanduser()
    # A bare name is that of a model, whatever lies in this folder.
    return str(path.resolve()) if path.name != name and path.exists() else name


def _make_shard(task: Task, data: Data, method: Method, folder: Path, number: int) -> None:
    """Write the file of one shard; runs in a worker."""
    path = folder / f'{task}_{number:05d}.jsonl'
    estimator = _estimator(method)
    if task == 'poses':
        answers = [estimator.estimate(frame) for frame in _shard(data, number)]
        refused = {answer.predictions.name: list(answer.refused) for answer in answers}
        # Before the predictions, whose file says that the shard is finished.
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path.with_suffix(_REFUSED), json.dumps(refused))
        write_predictions(path, (answer.predictions for answer in answers))
    else:
        write_detections(path, (estimator.detect(frame) for frame in _shard(data, number)))


def _truth_shard(data: Data, number: int) -> list[FrameTruth]:
    return [FrameTruth.of(frame) for frame in _shard(data, number)]


def _shard(data: Data, number: int) -> Iterator[AnnotatedFrame]:
    dataset = _opened(data)
    first = number * SHARD_SIZE
    return (dataset[index] for index in range(first, min(first + SHARD_SIZE, data.frames)))


def _shard_count(frames: int) -> int:
    return -(-frames // SHARD_SIZE)


def refused_by(out: Path) -> int:
    """Return how many detections of a finished run got no pose; `refused.json` says why."""
    content = json.loads((out / f'refused{_REFUSED}').read_text(encoding='utf-8'))
    return sum(len(reasons) for reasons in content.values())


def commit_of(out: Path) -> str:
    """Return the commit that began a run."""
    return str(json.loads((out / _RUN).read_text(encoding='utf-8'))['commit'])


def _claim(out: Path, description: Mapping[str, object]) -> None:
    """Write what is run beside the shards, or check that it is what is there."""
    path = out / _RUN
    wanted = json.loads(json.dumps(description, default=str))
    if path.exists():
        found = json.loads(path.read_text(encoding='utf-8'))
        if different := sorted(key for key in wanted if found.get(key) != wanted[key]):
            raise ConfigurationError(
                f'{out} holds another run: {different[0]} was {found.get(different[0])} and is '
                f'now {wanted[different[0]]}; choose another folder or delete this one')
        return
    out.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps({**wanted, **circumstances()}, indent=1) + '\n')
