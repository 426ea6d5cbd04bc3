"""The frames and tables of the published NOCS evaluation (test/data/spd/nocs_map*)."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from pose_estimation_ros.datasets.nocs_results import NocsResult, NocsTruth
from pose_estimation_ros.evaluation.predictions import FramePredictions, FrameTruth
from pose_estimation_ros.evaluation.published_results import from_published

_FOLDER = Path(__file__).parents[1] / 'data/spd'


def published_tables() -> dict[str, np.ndarray]:
    """Return what the published evaluations computed of the frames."""
    with np.load(_FOLDER / 'nocs_map.npz') as tables:
        return dict(tables)


def published_results() -> list[NocsResult]:
    """Return the frames as the published evaluations take them."""
    with (_FOLDER / 'nocs_map_inputs.pkl').open('rb') as file:
        frames = pickle.load(file)
    return [NocsResult(
        NocsTruth(frame['gt_RTs'], frame['gt_class_ids'], frame['gt_bboxes'], frame['gt_scales'],
                  frame['gt_handle_visibility'] > 0),
        frame['pred_class_ids'], frame['pred_bboxes'], frame['pred_scores'], frame['pred_RTs'],
        frame['pred_scales']) for frame in frames]


def fixture_frames() -> list[tuple[FrameTruth, FramePredictions]]:
    """Return the frames as our metrics take them."""
    return [from_published(f'{number:04d}', result)
            for number, result in enumerate(published_results())]
