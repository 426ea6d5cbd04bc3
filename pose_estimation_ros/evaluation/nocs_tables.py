"""All tables and curves of category-level poses: the published protocol and honest figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pose_estimation_ros.evaluation import nocs_metric, pose_recall
from pose_estimation_ros.evaluation.category_pool import categories_of, pool
from pose_estimation_ros.evaluation.plots import Panel
from pose_estimation_ros.evaluation.precision_curves import columns
from pose_estimation_ros.evaluation.predictions import FramePredictions, FrameTruth, paired
from pose_estimation_ros.evaluation.report import Report

_MEAN = 'unweighted, of the categories that have objects'
_PUBLISHED = {
    'protocol': nocs_metric.NAME,
    'overlap': '"IoU" as published: per-corner intervals, not a volume; depends on the distance '
               'to the camera',
    'poses': f'only of objects and predictions matched at "IoU" > {nocs_metric.POSE_GATE}: misses '
             'and false objects left out, as published',
    'scores and failures': 'predictions of `evaluate` are ordered by the score of the pose and '
                           "leave failed estimates out; published ones by the detector's score "
                           'alone, with an identity pose for a failed estimate',
    'mean': _MEAN}
_HONEST = {
    'protocol': pose_recall.NAME,
    'overlap': 'true volume overlap of oriented boxes, of the symmetric pose that is nearest',
    'poses': 'all objects and predictions count', 'mean': _MEAN}


@dataclass(frozen=True, eq=False)
class EvaluationTables:
    """Tables and curves of an evaluation.

    Attributes:
        reports: One per table.
        panels: Curves that belong on one picture, by the picture's name.
    """

    reports: tuple[Report, ...]
    panels: Mapping[str, tuple[Panel, ...]]


def nocs_tables(truth: Sequence[FrameTruth], predictions: Sequence[FramePredictions],
                settings: Mapping[str, object] | None = None,
                models: Mapping[str, str] | None = None) -> EvaluationTables:
    """Evaluate category-level poses.

    Args:
        truth: Of all frames.
        predictions: Of the frames; one that is missing counts as a frame with none.
        settings: What the predictions were made with, for the reports.
        models: Hashes of the models that made them, by name, for the reports.

    Returns:
        Tables 'nocs-compat' and 'nocs-compat-accuracy' (the published protocol, for comparison
        with published figures), 'oriented-box' (average precision with the true overlap and with
        all misses), 'pose-recall' and 'pose-recall-by-visibility'; curves 'nocs-compat' and
        'oriented-box'.

    Raises:
        InvalidInputError: If the predictions belong to other frames.
    """
    pairs = paired(truth, predictions)
    pools = [pool(pairs, category) for category in categories_of(pairs)]
    errors = [pose_recall.true_errors(pooled) for pooled in pools]
    published = nocs_metric.nocs_curves(pools)
    honest = pose_recall.oriented_box_curves(pools, errors)
    answers = [pose_recall.answers(*entry) for entry in zip(pools, errors, strict=True)]
    named = {frame.name for frame in predictions}
    facts = {**(settings or {}), 'frames': len(pairs),
             'frames without predictions': sum(frame.name not in named for frame in truth)}

    def report(name: str, heads: Sequence[str], rows: Sequence[Sequence[object]],
               protocol: Mapping[str, object], figures: str) -> Report:
        return Report(name, heads, rows, {'figures': figures, **protocol, **facts},
                      models or {})

    of_nocs = columns(nocs_metric.OVERLAP_NAME)
    return EvaluationTables(
        (report('nocs-compat', of_nocs, published.precision_rows(), _PUBLISHED,
                'average precision'),
         report('nocs-compat-accuracy', of_nocs, published.accuracy_rows(), _PUBLISHED,
                "share of the predictions that match (ACR-Pose's overall accuracy)"),
         report('oriented-box', columns(pose_recall.OVERLAP_NAME), honest.precision_rows(),
                _HONEST, 'average precision'),
         report('pose-recall', pose_recall.RECALL_COLUMNS, pose_recall.recall_rows(answers),
                _HONEST, 'share of all objects (recall) and of all predictions (precision) within '
                'a threshold; medians over all objects, a miss is infinite'),
         report('pose-recall-by-visibility', pose_recall.VISIBILITY_COLUMNS,
                pose_recall.visibility_rows(answers), _HONEST,
                'share of all objects within a threshold')),
        {nocs_metric.NAME: published.panels(nocs_metric.OVERLAP_NAME),
         pose_recall.NAME: honest.panels(pose_recall.OVERLAP_NAME)})
