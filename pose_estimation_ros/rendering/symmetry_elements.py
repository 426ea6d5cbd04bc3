"""Lines of symmetry of a mesh, and what is proposed of them, in values and in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_estimation_ros.core.symmetry import Symmetry

ANY_ANGLE = 0

_ORDER_NAMES = {ANY_ANGLE: 'turns by any angle', 2: 'half turn', 3: 'third of a turn',
                4: 'quarter turn'}


@dataclass(frozen=True)
class SymmetryElement:
    """A line about which a surface can be turned onto itself.

    Attributes:
        direction: Unit vector along it, mesh frame.
        point: The point of the line nearest to the origin, metres, mesh frame.
        order: Turns of 2 pi / order; 0 = any angle.
        deviation: Share of the diameter within which 95 % of the turned surface is of itself.
        largest: The same for all of it.
        reason: Why it is left out of a proposal; '' = it is not.
    """

    direction: tuple[float, float, float]
    point: tuple[float, float, float]
    order: int
    deviation: float
    largest: float
    reason: str = ''

    @property
    def offset(self) -> float:
        """Distance of the line from the origin, metres."""
        return float(np.linalg.norm(self.point))

    def describe(self) -> str:
        """Return the element in words, such as 'half turn about (0, 0, 1)'."""
        turn = _ORDER_NAMES.get(self.order, f'1/{self.order} of a turn')
        axis = ', '.join(f'{value:.3g}' for value in np.round(self.direction, 3) + 0.0)
        why = f'; left out: {self.reason}' if self.reason else ''
        return (f'{turn} about ({axis}), off by {100 * self.deviation:.1f} % of the diameter, at '
                f'most {100 * self.largest:.1f} %{why}')


@dataclass(frozen=True)
class SymmetryProposal:
    """What is symmetric about a mesh.

    Attributes:
        symmetry: The rotations about the origin of the mesh frame.
        used: The lines that it is made of.
        left_out: Lines that `core.symmetry` cannot express, each with its reason.
        diameter: Of the surface, to about 1 %, metres; the unit of deviations.
    """

    symmetry: Symmetry
    used: tuple[SymmetryElement, ...]
    left_out: tuple[SymmetryElement, ...]
    diameter: float

    def describe(self) -> str:
        """Return one line per symmetry in words."""
        lines = [element.describe() for element in (*self.used, *self.left_out)]
        return '\n'.join(lines) or 'no symmetry'
