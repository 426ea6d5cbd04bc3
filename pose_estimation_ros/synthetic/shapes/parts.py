"""Parts of an object: named, closed surfaces, and the lofts that make them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

PART_NAMES: tuple[str, ...] = (
    'body', 'inside', 'handle', 'rim', 'cap', 'label', 'lid', 'base', 'screen', 'keyboard',
    'lens', 'grip', 'flash', 'glass', 'metal',
)  # fmt: skip
PART_INDEX = {name: index for index, name in enumerate(PART_NAMES)}


@dataclass(frozen=True)
class Part:
    """A closed surface, faces counter-clockwise seen from outside.

    Attributes:
        vertices: (V, 3) metres, object frame.
        faces: (F, 3) indices into `vertices`.
        labels: (F,) index into PART_NAMES for each face.
    """

    vertices: FloatArray
    faces: IntArray
    labels: IntArray

    def moved(self, offset: npt.ArrayLike) -> Part:
        """Return the part shifted by `offset` (3,), metres."""
        return replace(self, vertices=self.vertices + np.asarray(offset, dtype=np.float64))

    def rotated(self, rotation: npt.ArrayLike) -> Part:
        """Return the part turned by `rotation` (3, 3) about the origin."""
        return replace(self, vertices=self.vertices @ np.asarray(rotation, dtype=np.float64).T)

    def painted(self, chosen: npt.NDArray[np.bool_], name: str) -> Part:
        """Return the part with its faces where `chosen` (F,) holds renamed to `name`."""
        return replace(self, labels=np.where(chosen, PART_INDEX[name], self.labels))

    def face_centres(self) -> FloatArray:
        """Return the (F, 3) centres of the faces' boxes.

        The two halves of a quadrilateral of a loft share a diagonal and so, on regular grids,
        this centre: what is painted by it gets straight borders.
        """
        corners = self.vertices[self.faces]
        centres: FloatArray = 0.5 * (corners.min(axis=1) + corners.max(axis=1))
        return centres


def join(parts: Sequence[Part]) -> Part:
    """Return the parts as one, vertices and faces in the given order."""
    offsets = np.cumsum([0, *(len(part.vertices) for part in parts[:-1])])
    return Part(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.faces + start for part, start in zip(parts, offsets, strict=True)]),
        np.concatenate([part.labels for part in parts]),
    )


def signed_volume(vertices: FloatArray, faces: IntArray) -> float:
    """Return the volume in cubic metres; positive when the faces look outward."""
    corners = vertices[faces] - vertices.mean(axis=0)
    return float(
        np.einsum('ij,ij->i', corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6.0
    )


def loft(
    rings: FloatArray,
    names: str | Sequence[str],
    start: npt.ArrayLike | None = None,
    end: npt.ArrayLike | None = None,
    end_names: tuple[str, str] | None = None,
) -> Part:
    """Return the closed surface through successive rings, its two ends closed by fans.

    Args:
        rings: (R, M, 3) metres: R rings of M points each, corresponding points aligned.
        names: Part name of all faces, or of each of the R - 1 bands between rings.
        start: (3,) centre of the fan that closes the first ring; its centroid if None.
        end: (3,) the same for the last ring.
        end_names: Part names of the first and the last fan; those of the nearest bands if None.

    Returns:
        The part, oriented outward whatever the sense of the rings.
    """
    row_count, column_count, _ = rings.shape
    row = np.arange(row_count - 1)[:, None] * column_count
    column = np.arange(column_count)
    following = np.roll(column, -1)
    a, b = row + column, row + column_count + column
    c, d = row + column_count + following, row + following
    last = (row_count - 1) * column_count
    apex = row_count * column_count
    constant = np.zeros_like(column)
    faces = np.concatenate(
        [
            np.stack([a, b, c], axis=-1).reshape(-1, 3),
            np.stack([a, c, d], axis=-1).reshape(-1, 3),
            np.stack([constant + apex, column, following], axis=-1),
            np.stack([constant + apex + 1, last + following, last + column], axis=-1),
        ]
    )
    centres = [
        rings[0].mean(axis=0) if start is None else np.asarray(start, dtype=np.float64),
        rings[-1].mean(axis=0) if end is None else np.asarray(end, dtype=np.float64),
    ]
    vertices = np.concatenate([rings.reshape(-1, 3), np.stack(centres)])
    bands = [names] * (row_count - 1) if isinstance(names, str) else names
    sides = np.repeat([PART_INDEX[name] for name in bands], column_count)
    first, final = (bands[0], bands[-1]) if end_names is None else end_names
    labels = np.concatenate(
        [
            sides,
            sides,
            constant + PART_INDEX[first],
            constant + PART_INDEX[final],
        ]
    )
    if signed_volume(vertices, faces) < 0:
        faces = faces[:, ::-1]
    return Part(vertices, np.ascontiguousarray(faces), labels)


def torus(rings: FloatArray, name: str) -> Part:
    """Return the closed surface through rings (R, M, 3) whose last joins the first again."""
    row_count, column_count, _ = rings.shape
    index = np.arange(row_count * column_count).reshape(row_count, column_count)
    a, b = index, np.roll(index, -1, axis=0)
    c, d = np.roll(b, -1, axis=1), np.roll(a, -1, axis=1)
    faces = np.concatenate(
        [np.stack([a, b, c], axis=-1).reshape(-1, 3), np.stack([a, c, d], axis=-1).reshape(-1, 3)]
    )
    vertices = rings.reshape(-1, 3)
    if signed_volume(vertices, faces) < 0:
        faces = faces[:, ::-1]
    return Part(vertices, np.ascontiguousarray(faces), np.full(len(faces), PART_INDEX[name]))
