"""The protocols of `pose-estimation evaluate`: from truth and predictions to tables and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.annotated_frame import AnnotatedDataset
from pose_estimation_ros.datasets.bop_dataset import BopDataset
from pose_estimation_ros.datasets.pascal3d import Pascal3dDataset
from pose_estimation_ros.datasets.pascal3d_occluded import OccludedPascal3dDataset
from pose_estimation_ros.distribution import map_shards
from pose_estimation_ros.evaluation import (
    bop_evaluation,
    pascal3d_metric,
    segmentation_accuracy,
)
from pose_estimation_ros.evaluation.bop_average_recall import AverageRecallSettings
from pose_estimation_ros.evaluation.bop_evaluation import BopSettings, BopSplit
from pose_estimation_ros.evaluation.bop_model import object_numbers
from pose_estimation_ros.evaluation.bop_vsd import VsdSettings
from pose_estimation_ros.evaluation.confidence_accuracy import confidence_reports
from pose_estimation_ros.evaluation.data_folders import Data
from pose_estimation_ros.evaluation.detection_files import FrameDetections
from pose_estimation_ros.evaluation.found_objects import found_report
from pose_estimation_ros.evaluation.judged_objects import EVERY_OBJECT, Judged, leave_out
from pose_estimation_ros.evaluation.nocs_tables import nocs_tables
from pose_estimation_ros.evaluation.plots import Panel, plot_bars, plot_curves
from pose_estimation_ros.evaluation.pose_recall import RECALL_COLUMNS
from pose_estimation_ros.evaluation.predictions import FramePredictions, FrameTruth
from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.evaluation.runner import SHARD_SIZE, Workers
from pose_estimation_ros.evaluation.tless import TlessSettings

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
                judged: Judged, settings: Settings) -> Tables:
    """Return the honest figures of category-level poses: what is missed or false counts.

    Args:
        truth: Of all frames.
        predictions: Of the frames; one that is missing counts as a frame with none.
        judged: Objects that do not count are left out, and the estimates that belong to them.
        settings: What the predictions were made with.

    Raises:
        InvalidInputError: If the predictions belong to other frames.
    """
    found = found_report(truth, predictions, judged, settings)
    settings = {**settings, **judged.settings()}
    counted = leave_out(truth, predictions, judged)
    tables = nocs_tables(*counted, settings)
    wanted = ('pose-recall', 'pose-recall-by-visibility', 'oriented-box')
    reports = {report.name: report for report in tables.reports}
    return Tables((found, *(reports[name] for name in wanted),
                   *confidence_reports(*counted, settings)),
                  {'oriented-box': tables.panels['oriented-box']}, _RECALL_BARS)


def published_tables(truth: Sequence[FrameTruth], predictions: Sequence[FramePredictions],
                     settings: Settings, judged: Judged = EVERY_OBJECT) -> Tables:
    """Return the NOCS protocol as published, and the honest figures beside it.

    Arguments are those of `pose_tables`; published figures are of all objects.
    """
    tables = nocs_tables(*leave_out(truth, predictions, judged),
                         {**settings, **judged.settings()})
    return Tables(tables.reports, tables.panels, _RECALL_BARS)


def pascal3d_tables(data: Data, truth: Sequence[FrameTruth],
                    predictions: Sequence[FramePredictions], settings: Settings) -> Tables:
    """Return accuracy at pi/6 and pi/18, median errors, ADD and AP of PASCAL3D+ data.

    Raises:
        InvalidInputError: If the data are of another layout, or a CAD model is missing.
    """
    dataset = as_pascal3d(data)
    points = pascal3d_metric.model_points(dataset.cad_models, truth)
    level = data.split if isinstance(dataset, OccludedPascal3dDataset) else ''
    errors = pascal3d_metric.category_errors(truth, predictions, points)
    tables = pascal3d_metric.pascal3d_tables({level: errors}, settings)
    return Tables(tables.reports, tables.panels)


def bop_tables(data: Data, predictions: Sequence[FramePredictions], settings: Settings,
               workers: Workers) -> Tables:
    """Return BOP's average recall, ADD(-S) and, where there is depth, the recall at e_VSD < 0.3.

    Args:
        data: A BOP data set; its targets are what is to be found, without them every object of
            which a tenth can be seen. VSD is left out where there is no depth; its delta is
            BOP's for data whose folder is named 'itodd', else that for all others.
        predictions: Of the frames.
        settings: What the predictions were made with.
        workers: Who renders the models.

    Raises:
        InvalidInputError: If the data are of another layout, a model is missing, or predictions
            belong to other frames or name objects without a model.
    """
    vsd = VsdSettings.of_data_set(data.folder.name)
    data = data.resolved()
    dataset = as_bop(data)
    if dataset[0].frame.depth is None:
        wanted = BopSettings(AverageRecallSettings(parts=('MSSD', 'MSPD')))
    else:
        wanted = BopSettings(AverageRecallSettings(vsd=vsd), TlessSettings())
        settings = {**settings, "delta of the average recall's VSD, mm": 1e3 * vsd.delta}
    figures = bop_evaluation.bop_figures(
        BopSplit(data.folder, dataset.split, data.targets, data.frames), predictions, wanted,
        workers.cluster, workers.processes)
    tables = bop_evaluation.bop_tables(figures, {
        **settings,
        'to be found': data.targets or 'objects of which a tenth or more can be seen'})
    columns = tuple(column for column in tables.reports[0].columns if column.startswith('AR'))
    return Tables(tables.reports, tables.panels,
                  {'bop-objects': (tables.reports[0].name, columns)})


def detection_tables(data: Data, detections: Sequence[FrameDetections], settings: Settings,
                     workers: Workers) -> Tables:
    """Return what a detector finds, misses and confuses, and COCO's average precision.

    Args:
        data: With masks.
        detections: One entry per frame, in order.
        settings: What the detections were made with.
        workers: Who compares the masks.

    Raises:
        InvalidInputError: If the data have no masks, or detections belong to other frames or
            not to all.
    """
    data = data.resolved()
    if len(detections) != data.frames:
        raise InvalidInputError(f'there are detections of {len(detections)} frames for '
                                f'{data.frames} frames of {data.folder}; give those of all frames '
                                'that are evaluated (--frames), without detections too')
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


@lru_cache(maxsize=1)
def _opened(data: Data) -> AnnotatedDataset:
    return data.open()


def as_bop(data: Data) -> BopDataset:
    """Open a data set of BOP's layout, of known objects.

    Raises:
        InvalidInputError: If it has another layout, or several objects share a label.
    """
    dataset = data.open()
    if not isinstance(dataset, BopDataset):
        raise InvalidInputError(f'{data.folder} is no BOP data set, whose CAD models this '
                                'protocol needs; use --protocol poses for categories')
    object_numbers(dataset)
    return dataset


def as_pascal3d(data: Data) -> Pascal3dDataset | OccludedPascal3dDataset:
    """Open data of the layout of PASCAL3D+, ObjectNet3D or OccludedPASCAL3D+.

    Raises:
        InvalidInputError: If they have another layout.
    """
    dataset = data.open()
    if not isinstance(dataset, (Pascal3dDataset, OccludedPascal3dDataset)):
        raise InvalidInputError(f'{data.folder} is no PASCAL3D+ data, whose CAD models this '
                                'protocol needs; use --protocol poses')
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
