"""The protocols of `pose-estimation evaluate`: from truth and predictions to tables and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.annotated_frame import AnnotatedDataset
from pose_estimation_ros.datasets.bop_dataset import BopDataset
from pose_estimation_ros.datasets.pascal3d import Pascal3dDataset
from pose_estimation_ros.datasets.pascal3d_occluded import OccludedPascal3dDataset
from pose_estimation_ros.distribution import map_shards
from pose_estimation_ros.evaluation import add_auc, pascal3d_metric, segmentation_accuracy, tless
from pose_estimation_ros.evaluation.bop_average_recall import (
    AverageRecallSettings,
    ObjectErrors,
    average_recall,
    frame_errors,
)
from pose_estimation_ros.evaluation.bop_matching import listed_targets, visible_targets
from pose_estimation_ros.evaluation.bop_model import CadModel, cad_models
from pose_estimation_ros.evaluation.data_folders import Data
from pose_estimation_ros.evaluation.detection_files import FrameDetections
from pose_estimation_ros.evaluation.found_objects import found_report, without_hidden
from pose_estimation_ros.evaluation.nocs_tables import nocs_tables
from pose_estimation_ros.evaluation.plots import Panel, plot_bars, plot_curves
from pose_estimation_ros.evaluation.pose_recall import RECALL_COLUMNS
from pose_estimation_ros.evaluation.predictions import FramePredictions, FrameTruth, paired
from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.evaluation.runner import SHARD_SIZE, Workers

Settings = Mapping[str, object]

_PERCENT = ', %'
_RECALL_BARS = {'recall-by-category': ('pose-recall', tuple(
    column for column in RECALL_COLUMNS if column.startswith('recall')))}
# Bars of more objects or figures than this cannot be told apart.
_MOST_BARS = 24


@dataclass(frozen=True, eq=False)
class Tables:
    """What an evaluation comes to.

    Attributes:
        reports: One per table, the one to look at first.
        curves: Panels of one picture each, by the picture's name.
        bars: Name of the table and of its columns that are drawn as bars, by the picture's name.
    """

    reports: tuple[Report, ...]
    curves: Mapping[str, Sequence[Panel]] = field(default_factory=dict)
    bars: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)

    def of_models(self, models: Mapping[str, str]) -> Tables:
        """Return the same with the names and hashes of the models that were run."""
        return replace(self, reports=tuple(replace(report, models=models)
                                           for report in self.reports))

    def write(self, folder: Path) -> list[Report]:
        """Write tables and pictures; return the reports with the names of their pictures."""
        pictures: dict[str, list[str]] = {}
        for name, panels in self.curves.items():
            plot_curves(folder / f'{name}.png', panels)
            owner = name if any(report.name == name for report in self.reports) else (
                self.reports[0].name)
            pictures.setdefault(owner, []).append(f'{name}.png')
        for name, (table, columns) in self.bars.items():
            report = next(report for report in self.reports if report.name == table)
            if _draw_bars(folder / f'{name}.png', report, columns):
                pictures.setdefault(table, []).append(f'{name}.png')
        written = [replace(report, pictures=pictures.get(report.name, ()))
                   for report in self.reports]
        for report in written:
            report.write(folder)
        return written


def pose_tables(truth: Sequence[FrameTruth], predictions: Sequence[FramePredictions],
                least_visibility: float, settings: Settings) -> Tables:
    """Return the honest figures of category-level poses: what is missed or false counts.

    Args:
        truth: Of all frames.
        predictions: Of the frames; one that is missing counts as a frame with none.
        least_visibility: Objects of which less can be seen are left out, and the estimates that
            belong to them; 0 = every object counts.
        settings: What the predictions were made with.

    Raises:
        InvalidInputError: If the predictions belong to other frames.
    """
    found = found_report(truth, predictions, least_visibility, settings)
    settings = {**settings, 'least visibility': least_visibility}
    tables = nocs_tables(*without_hidden(truth, predictions, least_visibility), settings)
    wanted = ('pose-recall', 'pose-recall-by-visibility', 'oriented-box')
    reports = {report.name: report for report in tables.reports}
    return Tables((found, *(reports[name] for name in wanted)),
                  {'oriented-box': tables.panels['oriented-box']}, _RECALL_BARS)


def published_tables(truth: Sequence[FrameTruth], predictions: Sequence[FramePredictions],
                     settings: Settings) -> Tables:
    """Return the NOCS protocol as published, and the honest figures beside it."""
    tables = nocs_tables(truth, predictions, settings)
    return Tables(tables.reports, tables.panels, _RECALL_BARS)


def pascal3d_tables(data: Data, truth: Sequence[FrameTruth],
                    predictions: Sequence[FramePredictions], settings: Settings) -> Tables:
    """Return accuracy at pi/6 and pi/18, median errors, ADD and AP of PASCAL3D+ data.

    Raises:
        InvalidInputError: If the data are of another layout, or a CAD model is missing.
    """
    dataset = data.open()
    if not isinstance(dataset, (Pascal3dDataset, OccludedPascal3dDataset)):
        raise InvalidInputError(f'{data.folder} is no PASCAL3D+ data, whose CAD models this '
                                'protocol needs; use --protocol poses')
    models = {entry.model for frame in truth for entry in frame.objects}
    points = {}
    for model in sorted(models):
        category, _, number = model.partition('/')
        points[model] = dataset.cad_models.read(category, int(number)).vertices.astype(np.float64)
    level = data.split if isinstance(dataset, OccludedPascal3dDataset) else ''
    errors = pascal3d_metric.category_errors(truth, predictions, points)
    report = pascal3d_metric.accuracy_table({level: errors}, 'pascal3d', settings)
    return Tables((report,), {'pascal3d': (pascal3d_metric.accuracy_panel(errors),)})


def bop_tables(data: Data, predictions: Sequence[FramePredictions], settings: Settings,
               workers: Workers) -> Tables:
    """Return BOP's average recall, ADD(-S) and, on T-LESS, the recall at e_VSD < 0.3.

    Args:
        data: A BOP data set; its targets are what is to be found, without them every object of
            which a tenth can be seen.
        predictions: Of the frames.
        settings: What the predictions were made with.
        workers: Who renders the models.

    Raises:
        InvalidInputError: If the data are of another layout, a model is missing, or predictions
            belong to other frames or name objects without a model.
    """
    data = data.resolved()
    dataset = _bop_dataset(data)
    names = [dataset.frame_name(index) for index in range(data.frames)]
    pairs = paired([FrameTruth(name, ()) for name in names], predictions)
    shards = [(first, [own for _, own in pairs[first:first + SHARD_SIZE]])
              for first in range(0, data.frames, SHARD_SIZE)]
    measured = map_shards(partial(_bop_shard, data), shards, workers.cluster, workers.processes)
    errors = [entry for shard in measured for entry in shard.errors]
    distances = [entry for shard in measured for entry in shard.distances]
    if not any(entry.targets for entry in errors):
        raise InvalidInputError(f'nothing is to be found in the {data.frames} frames of '
                                f'{data.folder}; give a split with its labels')
    recall = average_recall(errors)
    settings = {**settings, 'frames': data.frames,
                'to be found': data.targets or 'objects of which a tenth or more can be seen'}
    reports = [recall.report('bop', settings),
               add_auc.distance_table(distances, 'add', settings)]
    if data.folder.name.startswith('tless') and 'VSD' in recall.correct:
        found = [entry for shard in measured for entry in shard.found]
        reports.append(tless.recall_table(found, 'tless', settings))
    parts = ('AR', *(f'AR_{part}' for part in recall.correct))
    return Tables(tuple(reports), {'bop': recall.panels(),
                                   'add': (add_auc.accuracy_panel(distances),)},
                  {'bop-objects': ('bop', tuple(f'{part}{_PERCENT}' for part in parts))})


def detection_tables(data: Data, detections: Sequence[FrameDetections], settings: Settings,
                     workers: Workers) -> Tables:
    """Return what a detector finds, misses and confuses, and COCO's average precision.

    Args:
        data: With masks.
        detections: One entry per frame, in order.
        settings: What the detections were made with.
        workers: Who compares the masks.

    Raises:
        InvalidInputError: If the data have no masks, or detections belong to other frames.
    """
    data = data.resolved()
    shards = [(first, list(detections[first:first + SHARD_SIZE]))
              for first in range(0, data.frames, SHARD_SIZE)]
    measured = map_shards(partial(_record_shard, data), shards, workers.cluster,
                          workers.processes)
    tables = segmentation_accuracy.detection_tables(
        [record for shard in measured for record in shard], settings)
    return Tables(tables.reports, tables.panels)


def _record_shard(data: Data, shard: tuple[int, list[FrameDetections]]
                  ) -> list[segmentation_accuracy.FrameRecord]:
    """Compare the frames from a first one on; runs in a worker."""
    dataset = _opened(data)
    first, detections = shard
    records = []
    for index, own in enumerate(detections, start=first):
        frame = dataset[index]
        if own.name != frame.name:
            raise InvalidInputError(f'frame {index} of {data.folder} is {frame.name!r}, its '
                                    f'detections are of {own.name!r}; evaluate on the data set '
                                    'that they were made on')
        records.append(segmentation_accuracy.frame_record(frame, own))
    return records


@dataclass(frozen=True, eq=False)
class _BopShard:
    """What is measured of the frames of a shard."""

    errors: list[ObjectErrors]
    distances: list[add_auc.DistanceErrors]
    found: list[tless.Found]


def _bop_shard(data: Data, shard: tuple[int, list[FramePredictions]]) -> _BopShard:
    """Measure the frames from a first one on; runs in a worker."""
    dataset, models = _bop_dataset(data), _bop_models(data)
    listed = listed_targets(dataset)
    first, predictions = shard
    result = _BopShard([], [], [])
    for index, own in enumerate(predictions, start=first):
        frame = dataset[index]
        truth = FrameTruth.of(frame)
        targets = listed.get(frame.name) or visible_targets(truth)
        has_depth = frame.frame.depth is not None
        wanted = AverageRecallSettings() if has_depth else AverageRecallSettings(
            parts=('MSSD', 'MSPD'))
        result.errors.extend(frame_errors(frame, own, targets, models, wanted))
        result.distances.extend(add_auc.distance_errors(truth, own, targets, models))
        if has_depth and data.folder.name.startswith('tless'):
            result.found.extend(tless.found_objects(frame, own, models))
    return result


@lru_cache(maxsize=1)
def _opened(data: Data) -> AnnotatedDataset:
    return data.open()


def _bop_dataset(data: Data) -> BopDataset:
    return as_bop(_opened(data), data)


@lru_cache(maxsize=1)
def _bop_models(data: Data) -> dict[str, CadModel]:
    """Return the models that errors are measured with."""
    dataset = _bop_dataset(data)
    folder = 'models_eval'
    if (dataset.root / folder).is_dir():
        dataset = BopDataset(dataset.root, dataset.split, data.targets, folder)
    return cad_models(dataset)


def as_bop(dataset: AnnotatedDataset, data: Data) -> BopDataset:
    """Return the data set if it is in BOP's layout.

    Raises:
        InvalidInputError: If it is not.
    """
    if not isinstance(dataset, BopDataset):
        raise InvalidInputError(f'{data.folder} is no BOP data set, whose CAD models this '
                                'protocol needs; use --protocol poses for categories')
    return dataset


def _draw_bars(path: Path, report: Report, columns: Sequence[str]) -> bool:
    """Draw a group per column and a bar per row; return whether they could be told apart."""
    names = [str(row[0]) for row in report.rows]
    if not names or len(names) > _MOST_BARS:
        return False
    places = [list(report.columns).index(column) for column in columns]
    bars = {report.columns[place].removesuffix(_PERCENT).removeprefix('recall '): {
        name: float(str(row[place])) for name, row in zip(names, report.rows, strict=True)}
        for place in places}
    plot_bars(path, report.name, 'percent', bars)
    return True
