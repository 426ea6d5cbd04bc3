"""The models of a NOCS subset: surface points, box sizes and the frame of mugs.

NOCS centres every object in its box. The SPD family moves each mug so that the cup's axis passes
through the origin, in labels, models, shape priors and weights. `Recentring` leads from the first
frame to the second.

Source: data preparation of Tian et al., ECCV 2020 (spec section 4.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.nocs_layout import MUG, NocsLayout
from pose_estimation_ros.datasets.nocs_pickles import entry, read_pickle

FloatArray = NDArray[np.float64]
Convention = Literal['nocs', 'spd']

MODEL_POINTS = 1024
# This mesh is improper; its instances are left out of all labels.
UNUSABLE_MODEL = 'b9be7cfe653740eb7633a2dd89cec754'

# Mugs whose handle or shape misleads the rule of `mug_recentring`: shift along x and z.
_HAND_SET_SHIFTS = {
    '3a7439cfaa9af51faf1af397e14a566d': (0.115, 0.0),
    '5b0c679eb8a2156c4314179664d18101': (0.083, -0.044),
    '649a51c711dc7f3b32e150233fdd42e9': (0.0, -0.017),
    'bf2b5e941b43d030138af902bc222a59': (0.0534, 0.0),
    'ca198dc3f7dc0cacec6338171298c66b': (0.120, 0.0),
    'f42a9784d165ad2f5e723252788c3d6e': (0.117, -0.026),
}


@dataclass(frozen=True, eq=False)
class Recentring:
    """A change of the object frame, `p' = scale * (p + shift)`, NOCS coordinates.

    Attributes:
        shift: (3,) float64, NOCS units.
        scale: Factor, about 1.
    """

    shift: FloatArray
    scale: float

    def points(self, points: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return (..., 3) points in the new frame, dtype as given."""
        return np.asarray(self.scale * (points + self.shift), dtype=points.dtype)

    def similarity(self, scale: float, R: FloatArray, t: FloatArray) -> tuple[float, FloatArray]:
        """Return scale and translation of the similarity that puts the new frame in its place.

        Args:
            scale: Metres per NOCS unit of the old frame.
            R: (3, 3) rotation, the same for both frames.
            t: (3,) translation of the old frame, metres.
        """
        return scale / self.scale, t - scale * R @ self.shift

    @property
    def inverse(self) -> Recentring:
        """The way back."""
        return Recentring(-self.scale * self.shift, 1.0 / self.scale)


UNCHANGED = Recentring(np.zeros(3), 1.0)


def mug_recentring(model: str, points: FloatArray) -> Recentring:
    """Return the published change of a mug's frame.

    The cup is as wide as the mug is deep, so its axis lies half a depth from the side without
    handle. Afterwards the box that is symmetric about the origin has the diagonal 1.

    Args:
        model: Name of the model; six have hand-set shifts.
        points: (V, 3) surface points, NOCS coordinates, handle towards +x.
    """
    if model in _HAND_SET_SHIFTS:
        x, z = _HAND_SET_SHIFTS[model]
    else:
        low, high = points.min(axis=0), points.max(axis=0)
        x, z = float((low[2] - high[2]) / 2 - low[0]), 0.0
    shift = np.array([x, 0.0, z])
    return Recentring(shift, 1.0 / float(np.linalg.norm(centred_extent(points + shift))))


def centred_extent(points: NDArray[np.floating]) -> FloatArray:
    """Return the (3,) size of the least box about the origin that holds the (V, 3) points.

    This is the published size of an object, measured on 1024 surface points.
    """
    return np.asarray(2.0 * np.abs(points).max(axis=0), dtype=np.float64)


class ModelFrames(Protocol):
    """Models in the frame of the SPD family, and how they came there."""

    def recentring(self, model: str, category: str) -> Recentring:
        """Return how the SPD family changed the frame of a model."""

    def points(self, model: str) -> NDArray[np.float32]:
        """Return the (1024, 3) surface points of a model, in the frame of the SPD family."""


@dataclass(frozen=True)
class NocsModels:
    """The models of a subset; files are read when they are asked for.

    Attributes:
        layout: Where they lie.
    """

    layout: NocsLayout

    @cached_property
    def _points(self) -> dict[str, NDArray[np.float32]]:
        path = self.layout.points_file
        if not path.is_file():
            raise InvalidInputError(
                f'{path} is missing; make it from the meshes with: pose-estimation dataset '
                f'prepare {self.layout.root} --subset {self.layout.subset}')
        return read_model_points(path)

    @cached_property
    def _mugs(self) -> Mapping[str, Recentring]:
        return read_mug_recentrings(self.layout.mug_file)

    def recentring(self, model: str, category: str) -> Recentring:
        """Return how the SPD family changed the frame of a model.

        Raises:
            InvalidInputError: If a mug is not described.
        """
        if category != MUG:
            return UNCHANGED
        if model not in self._mugs:
            raise InvalidInputError(
                f'{self.layout.mug_file} does not say how the mug {model!r} was re-centred; '
                'make the file again from the models')
        return self._mugs[model]

    def points(self, model: str) -> NDArray[np.float32]:
        """Return the (1024, 3) surface points of a model, in the frame of the SPD family.

        Raises:
            InvalidInputError: If the model is missing.
        """
        if model not in self._points:
            raise InvalidInputError(
                f'{self.layout.points_file} lacks the model {model!r} ({len(self._points)} '
                'others are there); make the file again from the meshes')
        return self._points[model]

    def plain_size(self, model: str, category: str) -> FloatArray:
        """Return the (3,) extent of a model's box in NOCS units, its diagonal about 1.

        It is measured on the mesh where a file says it (`<model>.txt` or `bbox.txt`), else on
        the surface points.

        Raises:
            InvalidInputError: If no file tells it.
        """
        for path in (self.layout.models_folder / f'{model}.txt',
                     *self.layout.models_folder.glob(f'*/{model}/bbox.txt')):
            if path.is_file():
                extent = read_extent(path)
                if (extent > 0).all():
                    return extent / np.linalg.norm(extent)
        points = self.recentring(model, category).inverse.points(self.points(model))
        return np.asarray(points.max(axis=0) - points.min(axis=0), dtype=np.float64)


def read_model_points(path: Path) -> dict[str, NDArray[np.float32]]:
    """Read a pickle of surface points by model.

    Raises:
        InvalidInputError: If the file is missing or damaged, or a model is no list of points.
    """
    content = read_pickle(path)
    return {name: entry(content, name, (None, 3), path).astype(np.float32) for name in content}


def read_mug_recentrings(path: Path) -> dict[str, Recentring]:
    """Read a `mug_meta.pkl`.

    Raises:
        InvalidInputError: If the file is missing or damaged.
    """
    try:
        return {name: Recentring(np.asarray(shift, dtype=np.float64).reshape(3), float(scale))
                for name, (shift, scale) in read_pickle(path).items()}
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f'{path} must hold a shift of 3 numbers and a scale for each mug '
                                f'({error}); make it again from the models') from error


def read_extent(path: Path) -> FloatArray:
    """Read the (3,) extent of a mesh: three lengths, or two opposite corners (`bbox.txt`).

    Raises:
        InvalidInputError: If the file cannot be read or holds something else.
    """
    try:
        values = np.loadtxt(path)
    except (OSError, ValueError) as error:
        raise InvalidInputError(f'cannot read the size of a model from {path}: {error}') from error
    extent = np.abs(values[0] - values[1]) if values.shape == (2, 3) else values
    if extent.shape != (3,) or not np.isfinite(extent).all():
        raise InvalidInputError(f'{path} must hold three lengths or two corners, it holds '
                                f'{values.tolist()}')
    return np.asarray(extent, dtype=np.float64)
