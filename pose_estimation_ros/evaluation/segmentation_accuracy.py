"""How well a detector finds the objects of labelled frames.

    python -m pose_estimation_ros.evaluation.segmentation_accuracy --data <shards> --model <name>

Prints Markdown tables; the same numbers go to a JSON file with --json.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.runtime.model_store import ModelStore
from pose_estimation_ros.segmentation.mask_rcnn import MaskRCNNSegmenter, SegmentationSettings
from pose_estimation_ros.segmentation.mask_refinement import MaskRefinement

if TYPE_CHECKING:
    from pose_estimation_ros.synthetic.synthetic_frame import SyntheticFrame

MATCH_IOU = 0.5
LEAST_VISIBILITY = 0.4
# Objects that are hardly to be seen are neither missed nor wrongly found.
IGNORED_VISIBILITY = 0.15
# Upper bounds of the side: the square root of the visible pixels in a picture 640 pixels wide.
SIZES = (('small', 40.0), ('medium', 80.0), ('large', float('inf')))


@dataclass(frozen=True)
class ObjectRecord:
    """What became of one true object.

    Attributes:
        category: Its category.
        visibility: Share of it that nothing hides, times the share inside the image.
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
        seconds: Duration of the detection.
    """

    objects: tuple[ObjectRecord, ...]
    false_detections: tuple[str, ...]
    seconds: float


def compare(truth: SyntheticFrame, detections: Sequence[Detection],
            seconds: float = 0.0) -> FrameRecord:
    """Match detections with true objects one to one, by mask IoU, best first."""
    instances = truth.instances
    counts = np.bincount(truth.instance_map.ravel(),
                         minlength=max((i.id for i in instances), default=0) + 1)
    overlaps = _overlaps(truth, detections, counts)
    matched = _match(overlaps)
    records = []
    for column, instance in enumerate(instances):
        row = matched.get(column)
        detection = None if row is None else detections[row]
        records.append(ObjectRecord(
            instance.category, instance.visibility * instance.in_image,
            float(np.sqrt(counts[instance.id])) * 640 / truth.instance_map.shape[1],
            '' if detection is None else detection.label,
            0.0 if detection is None else detection.score,
            0.0 if row is None else float(overlaps[row, column])))
    right = {row for column, row in matched.items()
             if detections[row].label == instances[column].category
             or records[column].visibility < IGNORED_VISIBILITY}
    faint = {column for column, record in enumerate(records)
             if record.visibility < IGNORED_VISIBILITY}
    false = tuple(detection.label for row, detection in enumerate(detections)
                  if row not in right and not any(overlaps[row, c] > 0.1 for c in faint))
    return FrameRecord(tuple(records), false, seconds)


def _overlaps(truth: SyntheticFrame, detections: Sequence[Detection],
              counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the (detections, instances) mask IoUs."""
    overlaps = np.zeros((len(detections), len(truth.instances)))
    for row, detection in enumerate(detections):
        rows, columns = detection.pixels()
        common = np.bincount(truth.instance_map[rows, columns], minlength=len(counts))
        for column, instance in enumerate(truth.instances):
            union = rows.size + counts[instance.id] - common[instance.id]
            overlaps[row, column] = common[instance.id] / max(union, 1)
    return overlaps


def _match(overlaps: NDArray[np.float64]) -> dict[int, int]:
    """Return the detection of each found instance."""
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


def summarize(records: Iterable[FrameRecord]) -> dict[str, Any]:
    """Return recall, precision and mask quality: overall, by category and by size."""
    frames = list(records)
    visible = [o for frame in frames for o in frame.objects if o.visibility > LEAST_VISIBILITY]
    false = [label for frame in frames for label in frame.false_detections]
    everything = [o for frame in frames for o in frame.objects]
    lower = 0.0
    by_size = {}
    for name, upper in SIZES:
        chosen = [o for o in visible if lower <= o.side < upper]
        by_size[name] = _recall(chosen)
        lower = upper
    return {
        'frames': len(frames),
        'overall': _recall(visible) | _precision(everything, false),
        'by_category': {
            name: _recall([o for o in visible if o.category == name]) | _precision(
                [o for o in everything if o.found_as == name],
                [label for label in false if label == name])
            for name in CATEGORY_NAMES},
        'by_size': by_size,
        'confusion': _confusion(visible),
        'milliseconds': float(np.median([f.seconds for f in frames]) * 1e3) if frames else 0.0,
    }


def _recall(objects: Sequence[ObjectRecord]) -> dict[str, float]:
    right = [o for o in objects if o.found_as == o.category]
    count = max(len(objects), 1)
    return {'objects': len(objects), 'found': len(right) / count,
            'found_any_label': sum(o.found_as != '' for o in objects) / count,
            'mask_iou': float(np.mean([o.iou for o in right])) if right else 0.0}


def _precision(objects: Sequence[ObjectRecord], false: Sequence[str]) -> dict[str, float]:
    right = sum(o.found_as == o.category for o in objects)
    return {'precision': right / max(right + len(false), 1), 'false': len(false)}


def _confusion(objects: Sequence[ObjectRecord]) -> dict[str, dict[str, int]]:
    """Return how often each category was found as what; 'missed' is one of the answers."""
    table: dict[str, dict[str, int]] = {}
    for o in objects:
        row = table.setdefault(o.category, {})
        row[o.found_as or 'missed'] = row.get(o.found_as or 'missed', 0) + 1
    return table


def markdown(summary: dict[str, Any]) -> str:
    """Return the summary as Markdown tables."""
    rows = [('all', summary['overall'])]
    rows += list(summary['by_category'].items()) + list(summary['by_size'].items())
    conditions = (f'{summary["frames"]} frames; objects of visibility over '
                  f'{LEAST_VISIBILITY:.0%}; found = right category at mask IoU {MATCH_IOU}; '
                  f'{summary["milliseconds"]:.0f} ms a frame')
    lines = [conditions, '',
             '| objects | count | found | found, any label | mask IoU | precision | false |',
             '|---|---|---|---|---|---|---|']
    for name, row in rows:
        precision = f'{row["precision"]:.1%} | {row["false"]}' if 'precision' in row else '|'
        lines.append(f'| {name} | {row["objects"]} | {row["found"]:.1%} | '
                     f'{row["found_any_label"]:.1%} | {row["mask_iou"]:.3f} | {precision} |')
    answers = (*CATEGORY_NAMES, 'missed')
    lines += ['', '| is \\ found as | ' + ' | '.join(answers) + ' |', '|---' * 8 + '|']
    for name in CATEGORY_NAMES:
        row = summary['confusion'].get(name, {})
        lines.append(f'| {name} | ' + ' | '.join(str(row.get(a, 0)) for a in answers) + ' |')
    return '\n'.join(lines)


def evaluate(segmenter: MaskRCNNSegmenter, frames: Iterable[SyntheticFrame]
             ) -> Iterable[FrameRecord]:
    """Yield what becomes of each frame."""
    for truth in frames:
        start = time.perf_counter()
        detections = segmenter.detect(truth.frame)
        yield compare(truth, detections, time.perf_counter() - start)


def main() -> None:
    """Evaluate as the command line says."""
    from pose_estimation_ros.synthetic.frame_cache import list_shards, read_frames

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', type=Path, required=True, help='folder of frame shards')
    parser.add_argument('--model', default='maskrcnn_lite', help='name or folder of the model')
    parser.add_argument('--frames', type=int, default=400, help='most frames')
    parser.add_argument('--score', type=float, help="least score; the model's own by default")
    parser.add_argument('--refinement', choices=('depth', 'none'), default='depth')
    parser.add_argument('--device', default='auto')
    parser.add_argument('--threads', type=int, default=0)
    parser.add_argument('--json', type=Path, help='also write the numbers there')
    arguments = parser.parse_args()
    settings = SegmentationSettings(
        score_threshold=arguments.score,
        refinement=MaskRefinement() if arguments.refinement == 'depth' else None)
    segmenter = MaskRCNNSegmenter.from_model(
        ModelStore().find(arguments.model, task='segmentation'), settings, arguments.device,
        arguments.threads)
    shards = list_shards(arguments.data)
    frames = (frame for shard in shards for frame in read_frames(shard))
    summary = summarize(evaluate(segmenter, islice(frames, arguments.frames)))
    summary['model'] = arguments.model
    sys.stdout.write(f'{markdown(summary)}\n')
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(summary, indent=1) + '\n')


if __name__ == '__main__':
    main()
