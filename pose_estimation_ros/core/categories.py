"""Object categories: the six of NOCS, and what is known of any.

Canonical frame: origin at the centre of the object's tight box, +y up, mug handle towards +x,
camera lens towards +x, a laptop's hinge towards -x (screen at the -x side, the user sits at +x).
NOCS coordinates are object coordinates divided by the box's diagonal, so they lie in
[-0.5, 0.5].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Y_AXIS_SYMMETRY, Symmetry


@dataclass(frozen=True)
class Category:
    """One object category.

    Attributes:
        name: Its name, as in labels and topics.
        symmetry: Its rotational symmetry.
        color: RGB, 0 to 255, from the colour-blind-safe palette of Okabe and Ito; grey for
            categories beyond the six.
        mirrors: Whether the mirror image of its objects in their x-y plane is one of them, too.
    """

    name: str
    symmetry: Symmetry
    color: tuple[int, int, int] = (150, 150, 150)
    mirrors: bool = False

    def as_plain(self) -> dict[str, Any]:
        """Return what defines the category, for YAML and JSON; see `from_plain`."""
        return {'name': self.name, 'symmetry': self.symmetry.as_plain(), 'mirrors': self.mirrors}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Category:
        """Return the category of a mapping as `as_plain` makes it.

        One of the six keeps its colour.

        Raises:
            InvalidInputError: If its symmetry is none.
        """
        known = category_named(str(plain['name']))
        color = known.color if known else cls.color
        return cls(str(plain['name']), Symmetry.from_plain(plain['symmetry']), color,
                   bool(plain['mirrors']))


# The order is that of the NOCS data set; class id = index + 1 there. The mirror image of a camera
# has its grip on the wrong side.
CATEGORIES: tuple[Category, ...] = (
    Category('bottle', Y_AXIS_SYMMETRY, (0, 114, 178), mirrors=True),
    Category('bowl', Y_AXIS_SYMMETRY, (230, 159, 0), mirrors=True),
    Category('camera', NO_SYMMETRY, (204, 121, 167)),
    Category('can', Y_AXIS_SYMMETRY, (213, 94, 0), mirrors=True),
    Category('laptop', NO_SYMMETRY, (86, 180, 233), mirrors=True),
    Category('mug', NO_SYMMETRY, (0, 158, 115), mirrors=True),
)
CATEGORY_NAMES: tuple[str, ...] = tuple(category.name for category in CATEGORIES)


def category_named(name: str) -> Category | None:
    """Return the category of that name, or None if `name` is not one of the six."""
    return next((category for category in CATEGORIES if category.name == name), None)
