"""What stands on the tables of synthetic scenes, how many of each, and how."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pose_estimation_ros.core.rotation import axis_rotation, random_rotation
from pose_estimation_ros.synthetic.placement import Stance
from pose_estimation_ros.synthetic.solids import Solid

# Of a degree: real tables and objects are not perfectly plane.
_UNEVEN = 0.5
_HELD_UP, _HIGHEST = 0.3, 0.15


@dataclass(frozen=True)
class LayoutStyle:
    """What is put on a table; counts are inclusive ranges.

    Attributes:
        targets: Number of objects to be found in the group; of known ones at most one each.
        distractors: Number of other objects in the group.
        strangers: Number of objects of the six categories in the group that are not to be found.
        clutter: Number of simple solids in the group.
        scattered: Number of things of any kind elsewhere on the table.
        spacing: Range of how loosely the group stands, see `place_group`.
        lying: Share of objects that rest on another side than their upright one.
        tumbled: Share of objects in any orientation: leaning, held up, in the air.
        stacked: Share of objects that stand on another one.
        board: Share of groups that stand on a board.
        gathered: Share of groups with the objects to be found in the middle, not mixed.
    """

    targets: tuple[int, int]
    distractors: tuple[int, int]
    clutter: tuple[int, int]
    scattered: tuple[int, int]
    spacing: tuple[float, float]
    lying: float
    tumbled: float
    stacked: float
    strangers: tuple[int, int] = (0, 0)
    board: float = 0.0
    gathered: float = 0.0

    def with_lying(self, share: float) -> LayoutStyle:
        """Return the style with another share of objects that do not stand upright.

        As many of them as before are in any orientation.
        """
        factor = share / (self.lying + self.tumbled)
        return replace(self, lying=factor * self.lying, tumbled=factor * self.tumbled)


LAYOUT_STYLES = {
    'primary': LayoutStyle((1, 8), (0, 5), (0, 6), (0, 4), (0.3, 1.5), 0.15, 0.1, 0.06),
    'second': LayoutStyle((2, 7), (1, 6), (2, 7), (0, 4), (0.5, 1.3), 0.12, 0.06, 0.1),
}
# Known objects: as in the data sets of BOP, close together among many unknown things.
KNOWN_OBJECTS = LayoutStyle((5, 9), (2, 7), (1, 5), (2, 8), (0.3, 1.1), 0.15, 0.25, 0.08,
                            strangers=(0, 3), board=0.6, gathered=0.7)


def count(limits: tuple[int, int], generator: np.random.Generator) -> int:
    """Return a number of an inclusive range."""
    return int(generator.integers(limits[0], limits[1] + 1))


def sample_stance(solid: Solid, style: LayoutStyle, generator: np.random.Generator) -> Stance:
    """Return a random way for a solid to be on a table."""
    kind = generator.random()
    if kind < style.tumbled:
        hover = (generator.uniform(0.0, _HIGHEST) if generator.random() < _HELD_UP else 0.0)
        return Stance(solid, random_rotation(generator), hover)
    rests = solid.resting_rotations
    if kind < style.tumbled + style.lying and len(rests) > 1:
        return Stance(solid, rests[generator.integers(1, len(rests))])
    lean = axis_rotation(generator.standard_normal(3),
                         np.radians(abs(generator.normal(0, _UNEVEN))))
    return Stance(solid, lean @ rests[0])
