"""Estimated against true objects of a demo run: matching, errors, table and summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pose_estimation_ros.evaluation.pose_accuracy import effective_symmetry, pose_error

# An object counts as visible if more than this share of the whole of it can be seen.
VISIBLE_SHARE = 0.4
_FARTHEST_MATCH_DIAGONALS = 0.5
_TOO_FAR = 1e6


@dataclass(frozen=True)
class TrueObject:
    """An object as it really is.

    Attributes:
        identity: Its name in the scene.
        category: Name of its category.
        T_camera_object: (4, 4) pose, metres.
        size: (3,) metres.
        visible_share: Share of the whole object that can be seen, 0 to 1.
        handle_share: The same of its handle; NaN if it has none.
    """

    identity: str
    category: str
    T_camera_object: NDArray[np.float64]
    size: NDArray[np.float64]
    visible_share: float
    handle_share: float = float('nan')


@dataclass(frozen=True)
class EstimatedObject:
    """An object as it was estimated.

    Attributes:
        identity: Identity over time.
        category: Name of its category.
        T_camera_object: (4, 4) pose, metres.
        middle: (3,) of the box of what it fills, metres, object frame: that of a CAD model need
            not be its origin.
        box: (3,) size of that box, metres.
        score: 0 to 1.
    """

    identity: str
    category: str
    T_camera_object: NDArray[np.float64]
    middle: NDArray[np.float64]
    box: NDArray[np.float64]
    score: float

    @property
    def size(self) -> NDArray[np.float64]:
        """(3,) size of the box about the origin, as poses have it, metres."""
        return self.box + 2.0 * np.abs(self.middle)


@dataclass(frozen=True)
class Row:
    """One line of the table: a true object and what became of it, or an estimate without truth.

    Attributes:
        frame: Number of the picture.
        identity: Of the true object, or of the estimate if there is no truth.
        category: Of the same.
        visible_share: Of the true object; NaN without truth.
        score: Of the estimate; NaN if not found.
        rotation_error: Degrees, with symmetry; NaN if not found.
        translation_error: Centimetres; NaN if not found.
        size_iou: Intersection over union of the boxes; NaN if not found.
        latency: Milliseconds from the image's stamp to the arrival of the result.
    """

    frame: int
    identity: str
    category: str
    visible_share: float
    score: float
    rotation_error: float
    translation_error: float
    size_iou: float
    latency: float

    @property
    def is_found(self) -> bool:
        """Whether an estimate of the right category is there."""
        return not np.isnan(self.score)

    @property
    def is_visible(self) -> bool:
        """Whether enough of the object can be seen to expect it to be found."""
        return self.visible_share > VISIBLE_SHARE


@dataclass(frozen=True)
class Summary:
    """What a demo run comes to. Medians are over visible objects that were found.

    Attributes:
        frames: Number of different pictures.
        visible: Number of visible objects in them.
        found_share: Share of those found with the right category.
        rotation_error: Median, degrees.
        translation_error: Median, centimetres.
        size_iou: Median.
        within_5deg_2cm: Share of the found within both limits.
        within_10deg_5cm: Share of the found within both limits.
        false_objects: Estimates that belong to no true object.
        latency: Median, milliseconds.
        rate: Results per second.
    """

    frames: int
    visible: int
    found_share: float
    rotation_error: float
    translation_error: float
    size_iou: float
    within_5deg_2cm: float
    within_10deg_5cm: float
    false_objects: int
    latency: float
    rate: float


def compare(frame: int, truth: Sequence[TrueObject], estimates: Sequence[EstimatedObject],
            latency: float) -> tuple[list[Row], int]:
    """Compare one frame's estimates with the truth.

    An estimate belongs to the true object of its category whose centre is nearest, at most half a
    diagonal away; each object gets at most one.

    Args:
        frame: Number of the picture.
        truth: All true objects, visible or not.
        estimates: All estimates.
        latency: Milliseconds.

    Returns:
        One row per true object that is visible or was found, and the number of estimates that
        belong to none.
    """
    partner = matches(truth, estimates)
    rows = []
    for index, true in enumerate(truth):
        found = partner.get(index)
        if found is None:
            row = Row(frame, true.identity, true.category, true.visible_share,
                      *(float('nan'),) * 4, latency)
        else:
            row = _errors(frame, true, estimates[found], latency)
        if row.is_visible or row.is_found:
            rows.append(row)
    return rows, len(estimates) - len(partner)


def summarize(rows: Sequence[Row], frames: int, false_objects: int, rate: float) -> Summary:
    """Return the summary of all rows of a run."""
    visible = [row for row in rows if row.is_visible]
    found = [row for row in visible if row.is_found]
    close = [sum(row.rotation_error <= degrees and row.translation_error <= centimetres
                 for row in found) for degrees, centimetres in ((5, 2), (10, 5))]
    return Summary(
        frames, len(visible), _share(len(found), len(visible)),
        _median([row.rotation_error for row in found]),
        _median([row.translation_error for row in found]),
        _median([row.size_iou for row in found]), _share(close[0], len(found)),
        _share(close[1], len(found)), false_objects, _median([row.latency for row in rows]), rate)


def table(rows: Sequence[Row]) -> str:
    """Return the rows as text, one line each."""
    header = (f'{"frame":>5} {"object":<22} {"category":<8} {"seen":>5} {"found":>5} '
              f'{"score":>5} {"rotation":>9} {"position":>9} {"IoU":>5} {"latency":>8}')
    lines = [header]
    for row in rows:
        start = (f'{row.frame:>5} {row.identity:<22} {row.category:<8} {row.visible_share:>4.0%}  '
                 f'{"yes" if row.is_found else "no":>5}')
        if row.is_found:
            start += (f' {row.score:>5.2f} {row.rotation_error:>8.1f}° '
                      f'{row.translation_error:>6.2f} cm {row.size_iou:>5.2f}')
            start += f' {row.latency:>5.0f} ms'
        lines.append(start)
    return '\n'.join(lines)


def estimates_table(estimates: Mapping[str, tuple[Sequence[EstimatedObject], float]]) -> str:
    """Return estimates without truth as text, one line each.

    Args:
        estimates: Estimates and latency in milliseconds by the name of their frame.
    """
    header = (f'{"frame":<22} {"object":<12} {"score":>5} {"position in camera, cm":>24} '
              f'{"size, cm":>20} {"latency":>8}')
    lines = [header]
    for name, (objects, latency) in estimates.items():
        if not objects:
            lines.append(f'{name:<22} nothing found {latency:>61.0f} ms')
        for entry in objects:
            x, y, z = 100.0 * entry.T_camera_object[:3, 3]
            width, height, depth = 100.0 * entry.size
            lines.append(f'{name:<22} {entry.identity:<12} {entry.score:>5.2f} '
                         f'{x:>8.1f}{y:>8.1f}{z:>8.1f} {width:>6.1f}{height:>7.1f}{depth:>7.1f} '
                         f'{latency:>5.0f} ms')
    return '\n'.join(lines)


def summary_text(summary: Summary, rows: Sequence[Row]) -> str:
    """Return the summary as text, with one line per category."""
    visible = [row for row in rows if row.is_visible]
    title = (f'{summary.frames} frames with {summary.visible} objects of which more than '
             f'{VISIBLE_SHARE:.0%} can be seen:')
    lines = [
        title,
        f'  found with the right category   {summary.found_share:6.1%}',
        *_errors_of_found(summary),
        f'  estimates without a true object {summary.false_objects:6d}',
        f'  median latency                  {summary.latency:6.0f} ms',
        f'  results per second              {summary.rate:6.2f}']
    for category in sorted({row.category for row in visible}):
        mine = [row for row in visible if row.category == category]
        found = [row for row in mine if row.is_found]
        share = f'  {category:<8} {len(found):>3} of {len(mine):>3} found'
        lines.append(share if not found else
                     f'{share}, median {_median([row.rotation_error for row in found]):5.1f}° '
                     f'{_median([row.translation_error for row in found]):5.2f} cm, '
                     f'IoU {_median([row.size_iou for row in found]):.2f}')
    return '\n'.join(lines)


def _errors_of_found(summary: Summary) -> list[str]:
    """Return a line for each error; none where nothing was found."""
    if np.isnan(summary.rotation_error):
        return []
    return [f'  median rotation error           {summary.rotation_error:6.2f}°',
            f'  median position error           {summary.translation_error:6.2f} cm',
            f'  median box IoU                  {summary.size_iou:6.2f}',
            f'  within 5° and 2 cm              {summary.within_5deg_2cm:6.1%} of the found',
            f'  within 10° and 5 cm             {summary.within_10deg_5cm:6.1%} of the found']


def matches(truth: Sequence[TrueObject] | Sequence[EstimatedObject],
            estimates: Sequence[EstimatedObject]) -> dict[int, int]:
    """Return the estimate of each true object that has one, by index: the nearest of its kind."""
    if not truth or not estimates:
        return {}
    cost = np.full((len(truth), len(estimates)), _TOO_FAR)
    for i, true in enumerate(truth):
        for j, estimate in enumerate(estimates):
            distance = float(np.linalg.norm(
                true.T_camera_object[:3, 3] - estimate.T_camera_object[:3, 3]))
            reach = _FARTHEST_MATCH_DIAGONALS * float(np.linalg.norm(true.size))
            if true.category == estimate.category and distance <= reach:
                cost[i, j] = distance
    return {int(i): int(j) for i, j in zip(*linear_sum_assignment(cost), strict=True)
            if cost[i, j] < _TOO_FAR}


def _errors(frame: int, true: TrueObject, estimate: EstimatedObject, latency: float) -> Row:
    symmetry = effective_symmetry(true.category, true.handle_share)
    error = pose_error(true.category, symmetry, estimate.T_camera_object, estimate.size,
                       true.T_camera_object, true.size)
    return Row(frame, true.identity, true.category, true.visible_share, estimate.score,
               error.rotation, error.translation, error.iou, latency)


def _median(values: Sequence[float]) -> float:
    return float(median(values)) if values else float('nan')


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float('nan')
