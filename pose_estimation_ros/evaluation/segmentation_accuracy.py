"""How well a detector finds the objects of annotated frames: found, missed, confused, and AP.

    python -m pose_estimation_ros.evaluation.segmentation_accuracy --data <folder> --model <name>

Prints the tables; --out writes them with their curves.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame
from pose_estimation_ros.evaluation.data_folders import open_evaluation_data
from pose_estimation_ros.evaluation.detection_ap import (
    IGNORED_VISIBILITY,
    FrameOutlines,
    detection_precision,
    frame_outlines,
    precision_table,
)
from pose_estimation_ros.evaluation.detection_files import FrameDetections
from pose_estimation_ros.evaluation.nocs_tables import EvaluationTables
from pose_estimation_ros.evaluation.plots import plot_curves
from pose_estimation_ros.evaluation.report import Report, model_identity
from pose_estimation_ros.runtime.model_store import ModelStore
from pose_estimation_ros.segmentation.mask_rcnn import MaskRCNNSegmenter, SegmentationSettings
from pose_estimation_ros.segmentation.mask_refinement import MaskRefinement

MATCH_IOU = 0.5
LEAST_VISIBILITY = 0.4
# Upper bounds of the side: the square root of the visible pixels in a picture 640 pixels wide.
SIZES = (('small', 40.0), ('medium', 80.0), ('large', float('inf')))
ALL, MISSED = 'all', 'missed'
_FOUND_COLUMNS = ('objects', 'count', 'found, %', 'found as anything, %', 'mean mask IoU of found',
                  'precision, %', 'false')


@dataclass(frozen=True)
class ObjectRecord:
    """What became of one true object.

    Attributes:
        category: Its category.
        visibility: Share of it that can be seen; unknown counts as 1.
        side: Square root of its visible pixels, as if the picture were 640 pixels wide.
        found_as: Label of the detection that covers it, '' if there is none.
        score: Score of that detection, 0 if there is none.
        iou: Mask IoU with it, 0 if there is none.
    """

    category: str
    visibility: float
    side: float
    found_as: str
    score: float
    iou: float


@dataclass(frozen=True)
class FrameRecord:
    """What became of one frame.

    Attributes:
        objects: Its true objects.
        false_detections: Labels of detections that cover no object of their category.
        seconds: Duration of the detection; NaN = unknown.
        outlines: Truth and detections for the average precision; None = not wanted.
    """

    objects: tuple[ObjectRecord, ...]
    false_detections: tuple[str, ...]
    seconds: float = float('nan')
    outlines: FrameOutlines | None = None


def compare(truth: AnnotatedFrame, detections: Sequence[Detection]) -> FrameRecord:
    """Match detections with true objects one to one, by mask IoU, best first.

    Raises:
        InvalidInputError: If the data set has no masks.
    """
    areas = np.array([truth.mask(entry).sum() for entry in truth.objects], dtype=np.int64)
    overlaps = _overlaps(truth, detections, areas)
    matched = _match(overlaps)
    records = []
    for column, annotation in enumerate(truth.objects):
        row = matched.get(column)
        detection = None if row is None else detections[row]
        records.append(ObjectRecord(
            annotation.label, float(np.nan_to_num(annotation.visibility, nan=1.0)),
            float(np.sqrt(areas[column])) * 640 / truth.frame.rgb.shape[1],
            '' if detection is None else detection.label,
            0.0 if detection is None else detection.score,
            0.0 if row is None else float(overlaps[row, column])))
    right = {row for column, row in matched.items()
             if detections[row].label == records[column].category
             or records[column].visibility < IGNORED_VISIBILITY}
    faint = {column for column, record in enumerate(records)
             if record.visibility < IGNORED_VISIBILITY}
    false = tuple(detection.label for row, detection in enumerate(detections)
                  if row not in right and not any(overlaps[row, c] > 0.1 for c in faint))
    return FrameRecord(tuple(records), false)


def frame_record(truth: AnnotatedFrame, found: FrameDetections) -> FrameRecord:
    """Return all that the tables need of a frame; it is small and can be sent around.

    Raises:
        InvalidInputError: If the data set has no masks.
        ConfigurationError: If pycocotools is not installed.
    """
    compared = compare(truth, found.detections)
    return FrameRecord(compared.objects, compared.false_detections, found.seconds,
                       frame_outlines(truth, found.detections))


def detection_tables(records: Sequence[FrameRecord], settings: Mapping[str, object]
                     ) -> EvaluationTables:
    """Return the tables of what is found.

    Args:
        records: Of all frames, made by `frame_record`.
        settings: What the detections were made with.

    Returns:
        Tables 'detection-recall', 'detection-confusion' and 'detection-precision' (COCO's AP of
        boxes and masks); curves 'detection-precision'.
    """
    seconds = np.array([record.seconds for record in records])
    timed = seconds[~np.isnan(seconds)]
    facts = {**settings, 'frames': len(records),
             'median ms a frame': float(1e3 * np.median(timed)) if timed.size else float('nan')}
    rule = {'objects': f'of visibility over {LEAST_VISIBILITY:.0%}',
            'found': f'right category at mask IoU {MATCH_IOU}', **facts}
    precision = detection_precision([r.outlines for r in records if r.outlines is not None])
    answers = (*_categories(records), MISSED)
    return EvaluationTables(
        (Report('detection-recall', _FOUND_COLUMNS, _found_rows(records), rule),
         Report('detection-confusion', ('is \\ found as', *answers),
                _confusion_rows(records, answers), rule),
         precision_table(precision, 'detection-precision', {
             'figures': 'average precision of COCO', **facts})),
        {'detection-precision': tuple(entry.panel() for entry in precision)})


def _overlaps(truth: AnnotatedFrame, detections: Sequence[Detection],
              areas: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the (detections, objects) mask IoUs."""
    overlaps = np.zeros((len(detections), len(truth.objects)))
    if truth.instance_map is None or overlaps.size == 0:
        return overlaps
    ids = np.array([entry.instance_id for entry in truth.objects])
    for row, detection in enumerate(detections):
        rows, columns = detection.pixels()
        counts = np.bincount(truth.instance_map[rows, columns], minlength=int(ids.max()) + 1)
        common = counts[ids]
        overlaps[row] = common / np.maximum(rows.size + areas - common, 1)
    return overlaps


def _match(overlaps: NDArray[np.float64]) -> dict[int, int]:
    """Return the detection of each found object."""
    matched: dict[int, int] = {}
    used: set[int] = set()
    for flat in np.argsort(-overlaps, axis=None):
        row, column = divmod(int(flat), max(overlaps.shape[1], 1))
        if overlaps[row, column] < MATCH_IOU:
            break
        if row not in used and column not in matched:
            matched[column] = row
            used.add(row)
    return matched


def _visible(records: Iterable[FrameRecord]) -> list[ObjectRecord]:
    return [o for record in records for o in record.objects if o.visibility > LEAST_VISIBILITY]


def _categories(records: Sequence[FrameRecord]) -> tuple[str, ...]:
    """Return the six categories if no other occurs, else all that occur, sorted."""
    names = {o.category for record in records for o in record.objects}
    names |= {o.found_as for record in records for o in record.objects} - {''}
    names |= {label for record in records for label in record.false_detections}
    return CATEGORY_NAMES if names <= set(CATEGORY_NAMES) else tuple(sorted(names))


def _found_rows(records: Sequence[FrameRecord]) -> list[tuple[object, ...]]:
    visible = _visible(records)
    everything = [o for record in records for o in record.objects]
    false = Counter(label for record in records for label in record.false_detections)
    right = Counter(o.category for o in everything if o.found_as == o.category)
    rows = [(ALL, *_recall(visible), *_precision(right.total(), false.total()))]
    rows += [(name, *_recall([o for o in visible if o.category == name]),
              *_precision(right[name], false[name])) for name in _categories(records)]
    lower = 0.0
    for name, upper in SIZES:
        # A detection that covers nothing has no true size, so sizes have no precision.
        rows.append((name, *_recall([o for o in visible if lower <= o.side < upper]),
                     float('nan'), float('nan')))
        lower = upper
    return rows


def _recall(objects: Sequence[ObjectRecord]) -> tuple[int, float, float, float]:
    right = [o.iou for o in objects if o.found_as == o.category]
    return (len(objects), _percent(len(right), len(objects)),
            _percent(sum(o.found_as != '' for o in objects), len(objects)),
            float(np.mean(right)) if right else float('nan'))


def _precision(right: int, false: int) -> tuple[float, int]:
    return _percent(right, right + false), false


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else float('nan')


def _confusion_rows(records: Sequence[FrameRecord], answers: Sequence[str]
                    ) -> list[tuple[object, ...]]:
    """Return how often each category was found as what."""
    counts = Counter((o.category, o.found_as or MISSED) for o in _visible(records))
    return [(name, *(counts[name, answer] for answer in answers))
            for name in answers if name != MISSED]


def _records(segmenter: MaskRCNNSegmenter, frames: Iterable[AnnotatedFrame]
             ) -> Iterator[FrameRecord]:
    for truth in frames:
        start = time.perf_counter()
        found = tuple(segmenter.detect(truth.frame))
        yield frame_record(truth, FrameDetections(truth.name, found, time.perf_counter() - start))


def main() -> None:
    """Evaluate as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', type=Path, required=True,
                        help='folder of frame shards or root of a data set')
    parser.add_argument('--split', default='', help='of a data set')
    parser.add_argument('--model', default='maskrcnn_lite', help='name or folder of the model')
    parser.add_argument('--frames', type=int, default=400, help='most frames')
    parser.add_argument('--score', type=float, help="least score; the model's own by default")
    parser.add_argument('--refinement', choices=('depth', 'none'), default='depth')
    parser.add_argument('--device', default='auto')
    parser.add_argument('--threads', type=int, default=0)
    parser.add_argument('--out', type=Path, help='also write tables and curves there')
    arguments = parser.parse_args()
    model = ModelStore().find(arguments.model, task='segmentation')
    settings = SegmentationSettings(
        score_threshold=arguments.score,
        refinement=MaskRefinement() if arguments.refinement == 'depth' else None)
    segmenter = MaskRCNNSegmenter.from_model(model, settings, arguments.device, arguments.threads)
    data = open_evaluation_data(arguments.data, arguments.split)
    tables = detection_tables(list(_records(segmenter, islice(data, arguments.frames))), {
        'data': data.name, 'score': arguments.score, 'refinement': arguments.refinement,
        **model_identity(model)})
    for report in tables.reports:
        sys.stdout.write(f'# {report.name}\n\n{report.markdown()}\n')
        if arguments.out is not None:
            report.write(arguments.out)
    for name, panels in tables.panels.items():
        if arguments.out is not None:
            plot_curves(arguments.out / f'{name}.png', panels)


if __name__ == '__main__':
    main()
