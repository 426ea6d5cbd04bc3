"""Writes docs/occlusion.md, its pictures, and its figures as JSON.

The words around the tables come from docs/occlusion_template.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.datasets.atomic_files import write_atomically
from pose_estimation_ros.drawing import draw_overlay
from pose_estimation_ros.drawing.shapes import draw_box
from pose_estimation_ros.evaluation.ablation_order import filled
from pose_estimation_ros.evaluation.data_folders import Data
from pose_estimation_ros.evaluation.methods import estimator_of
from pose_estimation_ros.evaluation.occlusion import (
    CONTESTANTS,
    PUBLISHED,
    VARIANTS,
    Graded,
    OcclusionBenchmark,
)
from pose_estimation_ros.evaluation.occlusion_metric import COLUMNS, figures, level_counts
from pose_estimation_ros.evaluation.report import Report, write_text
from pose_estimation_ros.synthetic.occlusion import LEVELS

_WHITE = (255, 255, 255)
# Of the overlay pictures, so that they load fast.
_JPEG_QUALITY = 88


def write_occlusion(benchmark: OcclusionBenchmark, docs: Path,
                    tell: Callable[[str], None]) -> None:
    """Measure what is missing; write occlusion.md, results/occlusion*.json and the pictures.

    Args:
        benchmark: What is measured.
        docs: Folder with `occlusion_template.md`.
        tell: Is told what happens.

    Raises:
        PoseEstimationError: If something cannot be measured, or the template cannot be used.
    """
    settings = benchmark.settings
    graded = benchmark.measured(CONTESTANTS, settings.frames)
    tell(f'{len(CONTESTANTS)} methods are measured on {settings.frames} frames')
    variants = benchmark.measured(VARIANTS, settings.ablation_frames)
    tell(f'{len(VARIANTS)} variants are measured on {settings.ablation_frames} frames')
    methods = level_report('occlusion', graded, benchmark)
    ablation = level_report('occlusion_ablation', variants, benchmark)
    categories = category_report(graded[0], benchmark)
    reports = {'methods': methods, 'ablation': ablation, 'categories': categories}
    for report in reports.values():
        report.write(docs / 'results')
    write_pictures(benchmark, docs / 'pictures')
    write_text(docs / 'occlusion.md', filled(docs / 'occlusion_template.md', {
        'counts': counts_text(benchmark),
        **{name: f'{report.table()}\n{report.facts()}' for name, report in reports.items()}}))


def level_report(name: str, graded: Sequence[Graded], benchmark: OcclusionBenchmark) -> Report:
    """Return one row per level and contestant."""
    rows = [(level, entry.contestant.title, *figures(entry.errors.of(level)))
            for level in LEVELS for entry in graded]
    models = {model: digest for entry in graded for model, digest in entry.models.items()}
    return Report(name, ('level', 'method', *COLUMNS), rows,
                  _facts(benchmark), models)


def category_report(graded: Graded, benchmark: OcclusionBenchmark) -> Report:
    """Return one row per level and category of one contestant."""
    rows = [(level, category, *figures(graded.errors.of(level, category)))
            for level in LEVELS for category in CATEGORY_NAMES]
    return Report('occlusion_categories', ('level', 'category', *COLUMNS), rows,
                  {'method': graded.contestant.name, **_facts(benchmark)}, graded.models)


def counts_text(benchmark: OcclusionBenchmark) -> str:
    """Return in words how many objects are judged."""
    counts = level_counts(benchmark.objects)
    levels = ', '.join(f'{count} at {level}' for level, count in counts.items())
    return (f'{len(benchmark.objects)} objects in {benchmark.settings.frames} frames are judged: '
            f'{levels}; at most {benchmark.settings.most} of each category and level.')


def write_pictures(benchmark: OcclusionBenchmark, folder: Path) -> None:
    """Draw what a node with neural_mesh publishes of the first frame of each level.

    The files are `occlusion_<level>.jpg`; white boxes are the true ones of the objects that are
    judged at that level.
    """
    data = Data(benchmark.settings.data).open()
    estimator = estimator_of(benchmark.method(PUBLISHED))
    for level in LEVELS:
        first = next((entry for entry in benchmark.objects if entry.level == level), None)
        if first is None:
            continue
        frame = data[int(first.frame)]
        result = estimator.pipeline.process(frame.frame)
        image = draw_overlay(result.frame.rgb, result.frame.intrinsics, result.poses,
                             result.detections)
        judged = {entry.instance_id for entry in benchmark.objects
                  if entry.frame == first.frame and entry.level == level}
        for truth in frame.objects:
            if truth.instance_id in judged:
                draw_box(image, result.frame.intrinsics, truth.T_camera_object, truth.size,
                         _WHITE, 1)
        _write_jpeg(folder / f'occlusion_{level}.jpg', image)


def _facts(benchmark: OcclusionBenchmark) -> dict[str, object]:
    return {'data': Data(benchmark.settings.data).open().name,
            'threads': benchmark.settings.threads}


def _write_jpeg(path: Path, image: NDArray[np.uint8]) -> None:
    _, encoded = cv2.imencode('.jpg', cv2.cvtColor(image, cv2.COLOR_RGB2BGR),
                              [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    write_atomically(path, encoded.tobytes())
