"""All tables of known objects in one go: BOP's average recall, ADD(-S), and T-LESS' recall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame
from pose_estimation_ros.datasets.bop_dataset import BopDataset
from pose_estimation_ros.datasets.bop_models import MODELS_INFO
from pose_estimation_ros.distribution import Report as Progress
from pose_estimation_ros.distribution import map_shards, no_report
from pose_estimation_ros.evaluation.add_auc import (
    DistanceErrors,
    accuracy_panel,
    distance_errors,
    distance_table,
)
from pose_estimation_ros.evaluation.bop_average_recall import (
    AverageRecallSettings,
    ObjectErrors,
    average_recall,
    frame_errors,
)
from pose_estimation_ros.evaluation.bop_matching import listed_targets, visible_targets
from pose_estimation_ros.evaluation.bop_model import CadModel, cad_models
from pose_estimation_ros.evaluation.nocs_tables import EvaluationTables
from pose_estimation_ros.evaluation.predictions import FramePredictions, FrameTruth, paired
from pose_estimation_ros.evaluation.tless import Found, TlessSettings, found_objects, recall_table

_SHARD_SIZE = 16
# BOP's errors are defined on models that were resampled for it, where a data set has them.
_EVALUATION_MODELS, _MODELS = 'models_eval', 'models'


@dataclass(frozen=True)
class BopSplit:
    """A split of a BOP data set, as every worker opens it for itself.

    Attributes:
        root: Folder of the data set.
        split: Folder of the split in it, such as 'test_primesense'.
        targets: File in the root that lists what is to be found, such as
            'test_targets_bop19.json'; '' = all images, in each the objects of which a tenth or
            more can be seen.
        frames: Most frames, from the first.
    """

    root: Path
    split: str
    targets: str = ''
    frames: int = 10**9

    def open(self) -> BopDataset:
        """Open it with the models that the errors are defined on.

        Raises:
            InvalidInputError: If it cannot be read.
        """
        has_own = (self.root / _EVALUATION_MODELS / MODELS_INFO).is_file()
        return BopDataset(self.root, self.split, self.targets,
                          _EVALUATION_MODELS if has_own else _MODELS)


@dataclass(frozen=True)
class BopSettings:
    """What is measured.

    Attributes:
        average_recall: Parts of the average recall, and what VSD takes for visible.
        tless: How the recall at e_VSD < 0.3 is counted; None = it is left out.
    """

    average_recall: AverageRecallSettings = field(default_factory=AverageRecallSettings)
    tless: TlessSettings | None = None


@dataclass(frozen=True, eq=False)
class FrameFigures:
    """What is known of a frame when its images are freed.

    Attributes:
        errors: For the average recall.
        distances: For ADD and ADD-S.
        found: For the recall at e_VSD < 0.3; empty if it is left out.
    """

    errors: tuple[ObjectErrors, ...]
    distances: tuple[DistanceErrors, ...]
    found: tuple[Found, ...]


def frame_figures(frame: AnnotatedFrame, predictions: FramePredictions,
                  targets: Mapping[str, int], models: Mapping[str, CadModel],
                  settings: BopSettings) -> FrameFigures:
    """Return a frame's figures.

    Args:
        frame: With its truth, and depth where VSD is asked for.
        predictions: Estimates of its objects.
        targets: How many objects of each label are to be found.
        models: CAD model of each label.
        settings: What is measured.

    Raises:
        InvalidInputError: If there is no model of a label, the frame has fewer objects than
            targets, or no depth where VSD is asked for.
    """
    truth = FrameTruth.of(frame)
    return FrameFigures(
        tuple(frame_errors(frame, predictions, targets, models, settings.average_recall)),
        tuple(distance_errors(truth, predictions, targets, models)),
        () if settings.tless is None else
        tuple(found_objects(frame, predictions, models, settings.tless)))


def bop_figures(data: BopSplit, predictions: Sequence[FramePredictions],
                settings: BopSettings | None = None, cluster: str = '', processes: int = 1,
                progress: Progress = no_report) -> list[FrameFigures]:
    """Return the figures of all frames of a split.

    Args:
        data: The split.
        predictions: For its frames; a frame that is missing counts as one with none.
        settings: What is measured; None = the average recall and ADD(-S).
        cluster: Address of a Dask scheduler; '' = this machine.
        processes: How many on this machine.
        progress: Called with the finished and the total number of shards.

    Raises:
        InvalidInputError: If the predictions are for other frames, or as `frame_figures`.
    """
    dataset = _opened(data)
    names = [dataset.frame_name(index) for index in range(min(data.frames, len(dataset)))]
    found = [own for _, own in paired([FrameTruth(name, ()) for name in names], predictions)]
    shards = [(start, tuple(found[start:start + _SHARD_SIZE]))
              for start in range(0, len(found), _SHARD_SIZE)]
    function = partial(_shard_figures, data, settings or BopSettings())
    answers = map_shards(function, shards, cluster, processes, progress)
    return [figures for shard in answers for figures in shard]


def bop_tables(figures: Sequence[FrameFigures], settings: Mapping[str, object]
               ) -> EvaluationTables:
    """Return the tables and curves.

    Args:
        figures: Of all frames.
        settings: What the predictions were made with.

    Returns:
        Tables 'bop-average-recall', 'bop-average-distance' and, if it was measured,
        'tless-recall'; curves 'bop-average-recall' and 'bop-average-distance'.
    """
    facts = {**settings, 'frames': len(figures)}
    recall = average_recall(entry for frame in figures for entry in frame.errors)
    distances = [entry for frame in figures for entry in frame.distances]
    reports = [recall.report('bop-average-recall', facts),
               distance_table(distances, 'bop-average-distance', facts)]
    if found := [entry for frame in figures for entry in frame.found]:
        reports.append(recall_table(found, 'tless-recall', facts))
    return EvaluationTables(tuple(reports), {
        'bop-average-recall': tuple(recall.panels()),
        'bop-average-distance': (accuracy_panel(distances),)})


@lru_cache(maxsize=1)
def _opened(data: BopSplit) -> BopDataset:
    return data.open()


@lru_cache(maxsize=1)
def _models(data: BopSplit) -> dict[str, CadModel]:
    """Return the models of a split; a process keeps them from shard to shard."""
    return cad_models(_opened(data))


def _shard_figures(data: BopSplit, settings: BopSettings,
                   shard: tuple[int, tuple[FramePredictions, ...]]) -> list[FrameFigures]:
    """Return the figures of the frames from a first one on; runs in a worker."""
    dataset, (first, predictions) = _opened(data), shard
    listed = listed_targets(dataset)
    answers = []
    for index, own in enumerate(predictions, start=first):
        frame = dataset[index]
        targets = listed.get(frame.name) or visible_targets(FrameTruth.of(frame))
        answers.append(frame_figures(frame, own, targets, _models(data), settings))
    return answers
