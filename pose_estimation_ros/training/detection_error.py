"""One figure for how well a detector does, quick enough to be looked at while it trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torchvision.ops import box_iou

_LEAST_SCORE = 0.4
_LEAST_OVERLAP = 0.5


def detection_error(found: Sequence[Mapping[str, Tensor]],
                    true: Sequence[Mapping[str, Tensor]]) -> float:
    """Return one minus the F-score: 0 where exactly the true objects are found.

    A detection is right if its box overlaps that of an object of its label by half (IoU), and no
    better scored detection took the object. Detections within ignored regions do not count.

    Args:
        found: Per picture boxes (N, 4), labels (N,), scores (N,).
        true: Per picture boxes (M, 4), labels (M,), ignored_boxes (K, 4).
    """
    right = wrong = objects = 0
    for detections, target in zip(found, true, strict=True):
        kept = detections['scores'] >= _LEAST_SCORE
        order = detections['scores'][kept].argsort(descending=True)
        boxes, labels = detections['boxes'][kept][order], detections['labels'][kept][order]
        overlap = box_iou(boxes, target['boxes'])
        overlap[labels[:, None] != target['labels'][None]] = 0.0
        ignored = _ignored(boxes, target['ignored_boxes'])
        objects += len(target['boxes'])
        for row, excused in zip(overlap, ignored.tolist(), strict=True):
            if len(row) and float(row.max()) >= _LEAST_OVERLAP:
                right += 1
                overlap[:, int(row.argmax())] = 0.0
            elif not excused:
                wrong += 1
    return 1.0 - 2.0 * right / max(right + wrong + objects, 1)


def _ignored(boxes: Tensor, regions: Tensor) -> Tensor:
    if len(regions) == 0:
        return torch.zeros(len(boxes), dtype=torch.bool)
    return (box_iou(boxes, regions) >= _LEAST_OVERLAP).any(dim=1)
