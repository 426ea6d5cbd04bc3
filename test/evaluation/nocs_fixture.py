"""The frames and tables of the published NOCS evaluation (test/data/spd/nocs_map*).

The frames are shared/specs/fixtures/spd/nocs_map_inputs.pkl without the pickle, which only NumPy 2
could read.
"""

from __future__ import annotations

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
    with np.load(_FOLDER / 'nocs_map_inputs.npz') as file:
        arrays = dict(file)
    # All frames lie one after the other; the counts say where each ends.
    ends = {kind: np.cumsum(arrays.pop(f'{kind}_counts'))[:-1] for kind in ('gt', 'pred')}
    parts = {name: np.split(array, ends[name.split('_')[0]]) for name, array in arrays.items()}
    return [NocsResult(NocsTruth(sRT, classes, boxes, sizes, visible > 0), *predicted)
            for sRT, classes, boxes, sizes, visible, *predicted in zip(
                *(parts[f'gt_{name}'] for name in ('RTs', 'class_ids', 'bboxes', 'scales',
                                                   'handle_visibility')),
                *(parts[f'pred_{name}'] for name in ('class_ids', 'bboxes', 'scores', 'RTs',
                                                     'scales')), strict=True)]


def fixture_frames() -> list[tuple[FrameTruth, FramePredictions]]:
    """Return the frames as our metrics take them."""
    return [from_published(f'{number:04d}', result)
            for number, result in enumerate(published_results())]
