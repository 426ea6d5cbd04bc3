"""Average precision of boxes and masks as COCO defines it, computed by pycocotools.

AP is the mean over the overlaps 0.50, 0.55, ... 0.95 and over the categories that have objects;
small, medium and large objects have areas up to 32², up to 96² and beyond, pixels. Objects of
which hardly anything can be seen are ignored like COCO's crowds: they are neither missed nor
wrongly found. Published figures are of all detections, however low their score: a detector that
keeps back what it is unsure of has a lower AP.

Source: https://cocodataset.org/#detection-eval; pycocotools.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame
from pose_estimation_ros.evaluation.plots import MEAN, Panel
from pose_estimation_ros.evaluation.report import Report

FloatArray = NDArray[np.float64]

IGNORED_VISIBILITY = 0.15
# COCO's names of what is compared, by ours.
_KINDS = {'box': 'bbox', 'mask': 'segm'}
_MOST_DETECTIONS = 100
COLUMNS: tuple[str, ...] = ('compared', 'category', 'objects', 'AP, %', 'AP50, %', 'AP75, %',
                            'AP small, %', 'AP medium, %', 'AP large, %')


@dataclass(frozen=True, eq=False)
class Outline:
    """Where an object is, true or detected.

    Attributes:
        label: What it is.
        runs: Its mask in COCO's compressed run lengths.
        box: (4,) x, y, width, height, pixels.
        area: Pixels of the mask.
        score: Confidence; 1 for true objects.
        is_ignored: Whether a true object may be found or not.
    """

    label: str
    runs: Mapping[str, Any]
    box: FloatArray
    area: float
    score: float = 1.0
    is_ignored: bool = False


@dataclass(frozen=True, eq=False)
class FrameOutlines:
    """The true and the detected objects of a frame; it is small and can be sent around.

    Attributes:
        name: The frame's name.
        size: (height, width) pixels.
        truths: Objects of which at least a pixel can be seen.
        detections: Detections that have at least a pixel.
    """

    name: str
    size: tuple[int, int]
    truths: tuple[Outline, ...]
    detections: tuple[Outline, ...]


@dataclass(frozen=True, eq=False)
class DetectionPrecision:
    """The average precision of a detector.

    Attributes:
        kind: 'box' or 'mask'.
        categories: Their names.
        objects: How many of each count.
        precision: (10, 101, C, 4) precision by overlap, recall (0, 0.01, ... 1), category and
            size (all, small, medium, large), 0 to 1; NaN where there are no objects.
    """

    kind: str
    categories: tuple[str, ...]
    objects: tuple[int, ...]
    precision: FloatArray

    def rows(self) -> list[tuple[object, ...]]:
        """Return the figures in percent in the order of `COLUMNS`: the mean, then categories."""
        own = [(self.kind, name, count, *self._figures(index)) for index, (name, count)
               in enumerate(zip(self.categories, self.objects, strict=True))]
        figures = np.array([row[3:] for row in own], dtype=np.float64).reshape(len(own), 6)
        mean = [_mean(column) for column in figures.T]
        return [(self.kind, MEAN, sum(self.objects), *mean), *own]

    def panel(self) -> Panel:
        """Return the curves of precision over recall at an overlap of 0.5, per category."""
        curves = {name: 100 * self.precision[0, :, index, 0]
                  for index, (name, count) in enumerate(zip(self.categories, self.objects,
                                                            strict=True)) if count}
        if curves:
            curves[MEAN] = np.mean(list(curves.values()), axis=0)
        return Panel(f'{self.kind}, IoU 0.5', 'recall, %', 'precision, %', np.arange(101.0),
                     curves)

    def _figures(self, category: int) -> tuple[float, ...]:
        own = 100 * self.precision[:, :, category]
        return tuple(_mean(part) for part in (own[..., 0], own[0, :, 0], own[5, :, 0],
                                              own[..., 1], own[..., 2], own[..., 3]))


def frame_outlines(frame: AnnotatedFrame, detections: Sequence[Detection],
                   ignored_visibility: float = IGNORED_VISIBILITY) -> FrameOutlines:
    """Reduce a frame and its detections to what the metric needs.

    Args:
        frame: With masks.
        detections: Of the frame.
        ignored_visibility: Objects less visible than this may be found or not.

    Raises:
        InvalidInputError: If the data set has no masks.
        ConfigurationError: If pycocotools is not installed.
    """
    height, width = frame.frame.rgb.shape[:2]
    truths = []
    for annotation in frame.objects:
        mask = frame.mask(annotation)
        if mask.any():
            runs, area, box = _encoded(mask)
            truths.append(Outline(annotation.label, runs, box, area,
                                  is_ignored=annotation.visibility < ignored_visibility))
    found = []
    for detection in detections:
        mask = detection.full_mask(height, width)
        if mask.any():
            runs, area, _ = _encoded(mask)
            x, y, right, bottom = detection.box
            found.append(Outline(detection.label, runs, np.array([x, y, right - x, bottom - y]),
                                 area, detection.score))
    return FrameOutlines(frame.name, (height, width), tuple(truths), tuple(found))


def detection_precision(frames: Iterable[FrameOutlines]) -> tuple[DetectionPrecision, ...]:
    """Return the average precision of boxes and of masks.

    Raises:
        ConfigurationError: If pycocotools is not installed.
    """
    kept = list(frames)
    labels = {outline.label for frame in kept for outline in (*frame.truths, *frame.detections)}
    categories = tuple(sorted(labels))
    counts = tuple(sum(outline.label == name and not outline.is_ignored
                       for frame in kept for outline in frame.truths) for name in categories)
    return tuple(DetectionPrecision(kind, categories, counts, _precision(kept, categories, kind))
                 for kind in _KINDS)


def precision_table(figures: Sequence[DetectionPrecision], name: str,
                    settings: Mapping[str, object]) -> Report:
    """Return one table of boxes and masks."""
    return Report(name, COLUMNS, [row for entry in figures for row in entry.rows()], settings)


def _encoded(mask: NDArray[np.bool_]) -> tuple[Mapping[str, Any], float, FloatArray]:
    """Return a mask's run lengths, area and box (x, y, width, height)."""
    masks = _pycocotools().mask
    runs = masks.encode(np.asfortranarray(mask, dtype=np.uint8))
    return runs, float(masks.area(runs)), np.asarray(masks.toBbox(runs), dtype=np.float64)


def _precision(frames: Sequence[FrameOutlines], categories: Sequence[str], kind: str
               ) -> FloatArray:
    if not categories:
        return np.zeros((10, 101, 0, 4))
    tools = _pycocotools()
    # The library reports its progress on standard output.
    with redirect_stdout(io.StringIO()):
        truths = _as_coco(frames, [frame.truths for frame in frames], categories)
        found = _as_coco(frames, [[_with_area(outline, kind) for outline in frame.detections]
                                  for frame in frames], categories)
        evaluation = tools.cocoeval.COCOeval(truths, found, _KINDS[kind])
        evaluation.params.maxDets = [_MOST_DETECTIONS]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = np.asarray(evaluation.eval['precision'], dtype=np.float64)[..., 0]
    return np.where(precision < 0, np.nan, precision)


def _with_area(detection: Outline, kind: str) -> Outline:
    """Return a detection with the area that decides whether it is small, medium or large.

    COCO measures detected boxes by the box, but true objects by their mask in either case.
    """
    if kind == 'mask':
        return detection
    return replace(detection, area=float(detection.box[2] * detection.box[3]))


def _as_coco(frames: Sequence[FrameOutlines], outlines: Sequence[Sequence[Outline]],
             categories: Sequence[str]) -> Any:
    """Return the outlines in each of the frames as pycocotools' data set."""
    numbers = {name: number for number, name in enumerate(categories, start=1)}
    entries = [(image, outline) for image, own in enumerate(outlines) for outline in own]
    data = _pycocotools().coco.COCO()
    data.dataset = {
        'images': [{'id': image, 'height': frame.size[0], 'width': frame.size[1]}
                   for image, frame in enumerate(frames)],
        'categories': [{'id': number, 'name': name} for name, number in numbers.items()],
        'annotations': [{
            'id': number, 'image_id': image, 'category_id': numbers[outline.label],
            'segmentation': outline.runs, 'bbox': outline.box.tolist(), 'area': outline.area,
            'score': outline.score, 'iscrowd': int(outline.is_ignored)}
            for number, (image, outline) in enumerate(entries, start=1)]}
    data.createIndex()
    return data


def _pycocotools() -> Any:
    try:
        import pycocotools.coco
        import pycocotools.cocoeval
        import pycocotools.mask
    except ModuleNotFoundError as error:
        raise ConfigurationError('average precision of detections needs pycocotools, which is '
                                 'not installed; run pip install pycocotools') from error
    return pycocotools


def _mean(values: FloatArray) -> float:
    """Return the mean of all numbers but NaN; NaN if there are none."""
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else float('nan')
