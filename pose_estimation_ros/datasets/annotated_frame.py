"""The one sample type of every data set: a frame and what is true about its objects.

Readers make it, writers and metrics take it, and nobody needs to know which layout it came from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Symmetry


@dataclass(frozen=True, eq=False)
class ObjectAnnotation:
    """The truth about one object in a frame.

    Attributes:
        instance_id: Its value in the frame's instance map, 1 or more.
        label: Its category, or the name of a known CAD object.
        model: Name of its 3D model within the data set, '' if unknown.
        T_camera_object: (4, 4) float64 rigid pose, metres, camera optical frame.
        size: (3,) float64 extent of its box along the object's axes, metres.
        symmetry: Rotations that cannot be told apart. A mug whose handle is hidden keeps that of
            mugs; the NOCS protocol looks at `handle_visible`.
        visibility: Share of its pixels that nothing covers, 0 to 1; NaN = unknown.
        handle_visible: False if what breaks its symmetry (a mug's handle) cannot be seen.
        stands: Whether its +y is vertical; None = unknown.
    """

    instance_id: int
    label: str
    model: str
    T_camera_object: NDArray[np.float64]
    size: NDArray[np.float64]
    symmetry: Symmetry = NO_SYMMETRY
    visibility: float = float('nan')
    handle_visible: bool = True
    stands: bool | None = None

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InvalidInputError: If an array has another shape or holds NaN or infinity, or the
                size is not positive.
        """
        for name, shape in (('T_camera_object', (4, 4)), ('size', (3,))):
            value = getattr(self, name)
            if np.shape(value) != shape or not np.isfinite(value).all():
                raise InvalidInputError(
                    f'{name} of {self.label!r} (instance {self.instance_id}) must be {shape} '
                    f'finite numbers, it is {np.asarray(value).tolist()}; correct the annotation '
                    'or leave the object out')
        if not (np.asarray(self.size) > 0).all():
            raise InvalidInputError(
                f'size of {self.label!r} (instance {self.instance_id}) must be positive metres, '
                f'it is {np.asarray(self.size).tolist()}')

    @property
    def diagonal(self) -> float:
        """Length of the box's diagonal, the unit of NOCS coordinates, metres."""
        return float(np.linalg.norm(self.size))


@dataclass(frozen=True, eq=False)
class AnnotatedFrame:
    """A frame and its objects.

    Attributes:
        name: Unique within the data set and the same on every machine, such as 'val/00012/0003'
            or '000001/000017'.
        frame: Colour, depth (None for colour-only data sets) and intrinsics.
        objects: What is annotated.
        instance_map: (H, W) int32, 0 = background, else an `instance_id`; None = no masks. Values
            without an annotation (distractors) are allowed.
        nocs_map: (H, W, 3) float32 NOCS coordinates, -0.5 to 0.5, NaN off the objects; None =
            not known.
    """

    name: str
    frame: RGBDFrame
    objects: tuple[ObjectAnnotation, ...]
    instance_map: NDArray[np.int32] | None = field(default=None, repr=False)
    nocs_map: NDArray[np.float32] | None = field(default=None, repr=False)

    def mask(self, annotation: ObjectAnnotation) -> NDArray[np.bool_]:
        """Return the (H, W) pixels of an object.

        Raises:
            InvalidInputError: If the data set has no masks.
        """
        if self.instance_map is None:
            raise InvalidInputError(f'{self.name} has no masks; use a data set that brings them')
        return self.instance_map == annotation.instance_id


class AnnotatedDataset(Protocol):
    """A data set on disk; frames are read when they are asked for."""

    @property
    def name(self) -> str:
        """Name for tables, such as 'REAL275-test'."""

    def __len__(self) -> int:
        """Return the number of frames."""

    def __getitem__(self, index: int) -> AnnotatedFrame:
        """Read a frame.

        Raises:
            InvalidInputError: If a file of it is missing or wrong; names path and cure.
            IndexError: Past the end.
        """

    def __iter__(self) -> Iterator[AnnotatedFrame]:
        """Read all frames in order."""
