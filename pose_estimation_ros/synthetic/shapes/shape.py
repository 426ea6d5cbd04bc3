"""What a shape family returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pose_estimation_ros.synthetic.shapes.parts import Part

UP = (0.0, 1.0, 0.0)
BACK = (-1.0, 0.0, 0.0)
FRONT = (1.0, 0.0, 0.0)
LEFT = (0.0, 0.0, -1.0)
RIGHT = (0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Shape:
    """The parts of an object before it is centred, +y up.

    Attributes:
        kind: The family within the category, such as 'wine' for a bottle.
        parts: Its closed surfaces, metres.
        rests_on: Sides, as directions in the object frame, on which it may rest besides
            standing upright.
    """

    kind: str
    parts: Sequence[Part]
    rests_on: Sequence[tuple[float, float, float]] = ()
