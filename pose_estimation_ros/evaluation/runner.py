"""Runs detectors and pose backends over a data set, shard by shard, and keeps what they say.

A run lies in a folder: `run.json` says what was run, `shards/` holds what is finished, and the
shards joined are `predictions.jsonl` (or `detections.jsonl`); `refused.json` has a sentence for
each detection that got no pose. The same call again makes what is missing. Nothing of a run is
ever half-written.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.datasets.annotated_frame import AnnotatedDataset, AnnotatedFrame
from pose_estimation_ros.distribution import Report, map_shards, no_report
from pose_estimation_ros.evaluation.data_folders import Data
from pose_estimation_ros.evaluation.detection_files import (
    FrameDetections,
    read_detections,
    write_detections,
)
from pose_estimation_ros.evaluation.methods import (
    Method,
    Task,
    absolute,
    described_by,
    detector_of,
    estimator_of,
    models_of,
)
from pose_estimation_ros.evaluation.predictions import (
    FramePredictions,
    FrameTruth,
    read_predictions,
    write_predictions,
)
from pose_estimation_ros.evaluation.report import circumstances, write_text
from pose_estimation_ros.runtime.manifest import file_sha256
from pose_estimation_ros.synthetic.shard_files import DESCRIPTION

SHARD_SIZE = 16
_RUN, _SHARDS = 'run.json', 'shards'
_PREDICTIONS, _DETECTIONS = 'predictions.jsonl', 'detections.jsonl'
_REFUSED = '.json'
_DATA = f'{DESCRIPTION} sha256'


@dataclass(frozen=True)
class Workers:
    """Who does the work.

    Attributes:
        cluster: Address of a Dask scheduler; '' = this machine.
        processes: How many on this machine.
    """

    cluster: str = ''
    processes: int = 1


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
        ConfigurationError: If `out` holds another run, or one on data that were made anew since.
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


@lru_cache(maxsize=1)
def _opened(data: Data) -> AnnotatedDataset:
    return data.open()


def _run(task: Task, data: Data, method: Method, out: Path, workers: Workers | None,
         report: Report) -> list[Path]:
    """Make the shards that are not there yet; return the paths of all."""
    workers = workers or Workers()
    data, method = data.resolved(), absolute(method)
    source = Path(method.masks)
    stored = {'masks sha256': file_sha256(source)} if source.is_file() else {}
    made_as = data.folder / DESCRIPTION
    if made_as.is_file():
        stored[_DATA] = file_sha256(made_as)
    described = described_by(method) if task == 'poses' else {}
    _claim(out, {'task': task, **asdict(data), 'method': method.settings(),
                 'models': models_of(method, task), 'described': described, **stored})
    folder = (out / _SHARDS).resolve()
    count = _shard_count(data.frames)
    paths = [folder / f'{task}_{number:05d}.jsonl' for number in range(count)]
    missing = [number for number, path in enumerate(paths) if not path.exists()]
    done = count - len(missing)
    report(done, count)
    map_shards(partial(_make_shard, task, data, method, described, folder), missing,
               workers.cluster, workers.processes, lambda now, _: report(done + now, count))
    return paths


def _make_shard(task: Task, data: Data, method: Method, described: Mapping[str, str], folder: Path,
                number: int) -> None:
    """Write the file of one shard; runs in a worker.

    Raises:
        ConfigurationError: If the method is not the same where this worker runs.
    """
    path = folder / f'{task}_{number:05d}.jsonl'
    if task == 'poses':
        if (own := described_by(method)) != described:
            raise ConfigurationError(f'{method.backend} is {own} on {platform.node()} and '
                                     f'{dict(described)} where the run began; install the same '
                                     'packages and models on all workers')
        estimator = estimator_of(method)
        answers = [estimator.estimate(frame) for frame in _shard(data, number)]
        refused = {answer.predictions.name: list(answer.refused) for answer in answers}
        # Before the predictions, whose file says that the shard is finished.
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path.with_suffix(_REFUSED), json.dumps(refused))
        write_predictions(path, (answer.predictions for answer in answers))
    else:
        detector = detector_of(method)
        write_detections(path, (detector.detect(frame) for frame in _shard(data, number)))


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
        # Older runs do not tell what their data were.
        found.setdefault(_DATA, wanted.get(_DATA))
        if different := sorted(key for key in wanted if found.get(key) != wanted[key]):
            raise ConfigurationError(
                f'{out} holds another run: {different[0]} was {found.get(different[0])} and is '
                f'now {wanted[different[0]]}; choose another folder or delete this one')
        return
    out.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps({**wanted, **circumstances()}, indent=1) + '\n')
