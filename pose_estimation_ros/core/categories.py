"""The six NOCS categories and what is known of each.

Canonical frame: origin at the centre of the object's tight box, +y up, mug handle towards +x,
camera lens towards +x, a laptop's hinge towards -x (screen at the -x side, the user sits at +x).
NOCS coordinates are object coordinates divided by the box's diagonal, so they lie in
[-0.5, 0.5].
"""

from __future__ import annotations

from dataclasses import dataclass

from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Y_AXIS_SYMMETRY, Symmetry


@dataclass(frozen=True)
class Category:
    """One object category.

    Attributes:
        name: Its name, as in labels and topics.
        symmetry: Its rotational symmetry.
        color: RGB, 0 to 255, from the colour-blind-safe palette of Okabe and Ito.
    """

    name: str
    symmetry: Symmetry
    color: tuple[int, int, int]


# The order is that of the NOCS data set; class id = index + 1 there.
CATEGORIES: tuple[Category, ...] = (
    Category('bottle', Y_AXIS_SYMMETRY, (0, 114, 178)),
    Category('bowl', Y_AXIS_SYMMETRY, (230, 159, 0)),
    Category('camera', NO_SYMMETRY, (204, 121, 167)),
    Category('can', Y_AXIS_SYMMETRY, (213, 94, 0)),
    Category('laptop', NO_SYMMETRY, (86, 180, 233)),
    Category('mug', NO_SYMMETRY, (0, 158, 115)),
)
CATEGORY_NAMES: tuple[str, ...] = tuple(category.name for category in CATEGORIES)


def category_named(name: str) -> Category | None:
    """Return the category of that name, or None if `name` is not one of the six."""
    return next((category for category in CATEGORIES if category.name == name), None)
