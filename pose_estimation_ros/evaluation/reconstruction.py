"""Chamfer distance of reconstructed objects, in two definitions that must never be mixed.

- 'squared': mean squared distance to the nearest point, both directions added: SPD's and CR-Net's
  definition (specs/spd_crnet_acr.md, section 4.3; SPD's table prints it times 1000).
- 'root': mean distance to the nearest point, both directions added: the common other definition.
  ACR-Pose prints neither code nor formula; its Table 6 gives 0.0235 for what SPD's own table gives
  as 3.44e-3, so its figures are not those of 'squared', and whether they are 'root' is not known.

Both are in NOCS units: lengths divided by the diagonal of the true object's box.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.evaluation.plots import MEAN
from pose_estimation_ros.evaluation.report import Report

Points = NDArray[np.floating]

_SQUARED = ('mean squared distance to the nearest point, both directions added, in squared NOCS '
            "units: SPD's and CR-Net's; not comparable with the root definition")
_ROOT = ('mean distance to the nearest point, both directions added, in NOCS units; not '
         "comparable with the squared definition nor, as far as is known, with ACR-Pose's table")


@dataclass(frozen=True)
class ChamferDistance:
    """How far two surfaces are apart.

    Attributes:
        category: Of the object.
        squared: Sum of the two mean squared distances, NOCS units squared.
        root: Sum of the two mean distances, NOCS units.
    """

    category: str
    squared: float
    root: float


def chamfer_distance(category: str, points: Points, true_points: Points,
                     diagonal: float) -> ChamferDistance:
    """Compare a reconstruction with the true surface.

    Args:
        category: Of the object.
        points: (N, 3) reconstructed surface, metres, object frame.
        true_points: (M, 3) samples of the true surface, metres, object frame.
        diagonal: Of the true object's box, metres.

    Returns:
        Both distances.

    Raises:
        InvalidInputError: If points are missing or not finite, or the diagonal is not positive.
    """
    for name, value in (('reconstructed', points), ('true', true_points)):
        if value.ndim != 2 or value.shape[1:] != (3,) or not len(value):
            raise InvalidInputError(f'{name} points of a {category!r} must be (N, 3) with N > 0, '
                                    f'they are {value.shape}; leave the object out')
        if not np.isfinite(value).all():
            raise InvalidInputError(f'{name} points of a {category!r} hold NaN or infinity; '
                                    'leave the object out')
    if not diagonal > 0:
        raise InvalidInputError(f'the diagonal of a {category!r} must be positive metres, '
                                f'it is {diagonal}')
    forth = cKDTree(true_points).query(points)[0] / diagonal
    back = cKDTree(points).query(true_points)[0] / diagonal
    return ChamferDistance(category, float((forth ** 2).mean() + (back ** 2).mean()),
                           float(forth.mean() + back.mean()))


def chamfer_reports(distances: Iterable[ChamferDistance],
                    settings: Mapping[str, object] | None = None) -> tuple[Report, Report]:
    """Return the tables of the two definitions: mean per category, then over categories.

    Args:
        distances: Of all objects that were reconstructed.
        settings: What the reconstructions were made with.

    Returns:
        Reports 'chamfer-squared' and 'chamfer-root'.
    """
    by_category: dict[str, list[ChamferDistance]] = {}
    for entry in distances:
        by_category.setdefault(entry.category, []).append(entry)
    chosen = sorted(by_category.items())

    def rows(figures: list[float]) -> list[tuple[object, ...]]:
        total = sum(len(entries) for _, entries in chosen)
        mean = float(np.mean(figures)) if figures else float('nan')
        return [*((name, len(entries), figure) for (name, entries), figure in
                  zip(chosen, figures, strict=True)), (MEAN, total, mean)]

    facts = {'mean': 'unweighted, of categories', **(settings or {})}
    return (
        Report('chamfer-squared', ('category', 'objects', 'squared Chamfer distance, 1e-3'),
               rows([1e3 * float(np.mean([e.squared for e in entries])) for _, entries in chosen]),
               {'definition': _SQUARED, **facts}),
        Report('chamfer-root', ('category', 'objects', 'root Chamfer distance'),
               rows([float(np.mean([e.root for e in entries])) for _, entries in chosen]),
               {'definition': _ROOT, **facts}))
