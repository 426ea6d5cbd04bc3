"""Poses of MRC-Net in stored views, in true boxes, and their errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pose_estimation_ros.backends.mrc_crops import quarter_turn
from pose_estimation_ros.evaluation.view_pose_errors import PoseErrors, joined_errors
from pose_estimation_ros.training.mrc_batches import joined, plain_crop
from pose_estimation_ros.training.mrc_steps import Prediction, RenderedPoseNetwork
from pose_estimation_ros.training.mrc_validation import PoseErrorMeter
from pose_estimation_ros.training.mrc_views import ObjectView, ViewShards
from pose_estimation_ros.training.step_batches import on_device

_BATCH = 32


def view_errors(network: RenderedPoseNetwork, meter: PoseErrorMeter, views: ViewShards,
                rows: Sequence[int], copies: Sequence[int] = (1,)) -> list[PoseErrors]:
    """Return the errors of a network's poses.

    Of several copies of a view, turned by quarter turns, the one with the surest rotation counts,
    as in `backends.mrc`.

    Args:
        network: In evaluation mode.
        meter: Of the same objects.
        views: What is looked at.
        rows: Which of them.
        copies: From how many copies of each view, 1 to 4; several are answered in one pass.

    Returns:
        The errors for each number of copies.
    """
    parts: list[list[PoseErrors]] = [[] for _ in copies]
    crop = network.network.config.crop
    for start in range(0, len(rows), _BATCH):
        shown = [views[row] for row in rows[start:start + _BATCH]]
        truth = joined([plain_crop(view, crop) for view in shown])
        turned = [_poses(network, shown, turns) for turns in range(max(copies))]
        for count, part in zip(copies, parts, strict=True):
            best = _surest(turned[:count])
            part.append(meter.errors(best.R, best.t, truth))
    return [joined_errors(part) for part in parts]


def _poses(network: RenderedPoseNetwork, shown: Sequence[ObjectView], turns: int) -> Prediction:
    """Return poses in the camera that is not turned, from views that are."""
    device = network.cells.device
    batch = joined([plain_crop(view, network.network.config.crop, turns) for view in shown])
    with torch.no_grad():
        found = network.predict(on_device(batch, device))
    back = torch.from_numpy(quarter_turn(turns).T.astype(np.float32)).to(device)
    return Prediction(back @ found.R, found.t @ back.T, found.rotation_logit)


def _surest(turned: Sequence[Prediction]) -> Prediction:
    """Return of each object the pose of the copy with the surest rotation."""
    chosen = torch.stack([copy.rotation_logit for copy in turned]).argmax(dim=0)
    row = torch.arange(len(chosen), device=chosen.device)

    def pick(values: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(values))[chosen, row]

    return Prediction(*(pick(values) for values in zip(*turned, strict=True)))
