"""Whether two runs over the same frames say the same: object by object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.categories import category_named
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.se3 import translation_error
from pose_estimation_ros.core.symmetry import NO_SYMMETRY
from pose_estimation_ros.evaluation.bag_results import FrameResult
from pose_estimation_ros.evaluation.demo_report import EstimatedObject, matches

_MILLIMETRES = 1000.0


@dataclass(frozen=True)
class Tolerance:
    """How far two poses may be apart to count as the same.

    Attributes:
        translation: Millimetres, of position and size.
        rotation: Degrees, least over the symmetries of the category.
    """

    translation: float
    rotation: float


@dataclass(frozen=True)
class Difference:
    """One object that is not the same in both runs.

    Attributes:
        stamp_ns: Of its frame, nanoseconds.
        identity: In the run where it is, the first if in both.
        what: What differs, for people.
    """

    stamp_ns: int
    identity: str
    what: str


@dataclass(frozen=True)
class Agreement:
    """How far two runs agree.

    Attributes:
        frames: Number of frames that both have.
        missing_frames: Number of frames that only the first has.
        objects: Number of objects that both have.
        translation: Largest difference of their positions, millimetres.
        rotation: Largest difference of their rotations, degrees.
        size: Largest difference of their sizes, millimetres.
        differences: Objects beyond the tolerance, and those that one run lacks.
    """

    frames: int
    missing_frames: int
    objects: int
    translation: float
    rotation: float
    size: float
    differences: tuple[Difference, ...]

    @property
    def is_same(self) -> bool:
        """Whether there were frames to compare and nothing differs."""
        return self.frames > 0 and self.missing_frames == 0 and not self.differences

    def text(self) -> str:
        """Return the figures for people."""
        largest = f'{self.translation:.4g} mm, {self.rotation:.4g}°, {self.size:.4g} mm of size'
        lines = [f'{self.frames} frames and {self.objects} objects are in both',
                 f'largest differences: {largest}']
        if self.missing_frames:
            lines.append(f'{self.missing_frames} recorded frames have no counterpart')
        lines += [f'  {entry.stamp_ns / 1e9:.3f} s  {entry.identity}: {entry.what}'
                  for entry in self.differences]
        return '\n'.join(lines)


def results_by_stamp(results: Sequence[FrameResult], bag: Path | None,
                     tolerance: Tolerance) -> dict[int, FrameResult]:
    """Return the results of a run by the stamps of their frames, nanoseconds.

    Args:
        results: In their order; a frame that was shown again may have several that agree.
        bag: Where they are, for people; None = they were made now.
        tolerance: How far such results may be apart.

    Raises:
        InvalidInputError: If two results of a frame differ: they are of two estimators.
    """
    found: dict[int, FrameResult] = {}
    for result in results:
        before = found.setdefault(result.stamp_ns, result)
        if before is not result and not agreement([before], {before.stamp_ns: result},
                                                  tolerance).is_same:
            raise InvalidInputError(
                f'{bag or "the run"} has two different results for the image of '
                f'{result.stamp_ns / 1e9:.3f} s, so one may be that of the bag which was played; '
                'play without the recorded results (ros2 bag play BAG --clock --topics, with the '
                'topics of the camera, /tf and /tf_static) and record again')
    return found


def agreement(first: Sequence[FrameResult], second: Mapping[int, FrameResult],
              tolerance: Tolerance) -> Agreement:
    """Compare two runs.

    Args:
        first: Results of the one run.
        second: Results of the other by stamp, nanoseconds.
        tolerance: How far equal poses may be apart.
    """
    differences: list[Difference] = []
    largest = np.zeros(3)
    pairs = missing_frames = 0
    names: dict[str, str] = {}
    for result in first:
        other = second.get(result.stamp_ns)
        if other is None:
            missing_frames += 1
            continue
        matched = matches(result.objects, other.objects)
        pairs += len(matched)
        for index, one in enumerate(result.objects):
            if index not in matched:
                differences.append(Difference(result.stamp_ns, one.identity,
                                              'is missing in the other run'))
                continue
            two = other.objects[matched[index]]
            apart = _apart(one, two)
            largest = np.maximum(largest, apart)
            # Counting may begin elsewhere, but whoever is the same stays the same.
            name = names.setdefault(one.identity, two.identity)
            if name != two.identity:
                differences.append(Difference(result.stamp_ns, one.identity,
                                              f'was {name} and is now {two.identity}'))
            if (apart > (tolerance.translation, tolerance.rotation, tolerance.translation)).any():
                differences.append(Difference(
                    result.stamp_ns, one.identity,
                    f'{apart[0]:.4g} mm, {apart[1]:.4g}°, size {apart[2]:.4g} mm apart'))
        differences += [Difference(result.stamp_ns, two.identity, 'is new in the other run')
                        for index, two in enumerate(other.objects)
                        if index not in matched.values()]
    translation, rotation, size = largest.tolist()
    return Agreement(len(first) - missing_frames, missing_frames, pairs, translation, rotation,
                     size, tuple(differences))


def _apart(one: EstimatedObject, two: EstimatedObject) -> NDArray[np.float64]:
    """Return millimetres, degrees and millimetres of size between two poses."""
    category = category_named(one.category)
    symmetry = NO_SYMMETRY if category is None else category.symmetry
    turn = symmetry.rotation_error(one.T_camera_object[:3, :3], two.T_camera_object[:3, :3])
    return np.array([
        _MILLIMETRES * translation_error(one.T_camera_object, two.T_camera_object),
        np.degrees(turn), _MILLIMETRES * np.abs(one.box - two.box).max()])
