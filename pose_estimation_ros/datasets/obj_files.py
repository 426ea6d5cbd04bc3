"""Wavefront OBJ files: positions and faces, polygons split into triangles.

Open3D reads OBJ files of triangles only, and finds a file with one larger face empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError

FloatArray = NDArray[np.float64]

_FEWEST_CORNERS = 3


def read_obj(path: Path) -> tuple[FloatArray, NDArray[np.int32]]:
    """Return the (V, 3) vertices, in the file's unit, and the (F, 3) triangles of an OBJ file.

    Normals, textures, materials, lines and points are passed over.

    Raises:
        InvalidInputError: If a line is damaged or a face names a vertex that is not there.
    """
    positions: list[list[float]] = []
    polygons: list[list[int]] = []
    text = path.read_text(encoding='utf-8', errors='replace').replace('\\\n', ' ')
    for number, line in enumerate(text.splitlines(), 1):
        kind, *values = line.split() or ('',)
        try:
            if kind == 'v':
                x, y, z = map(float, values[:3])
                positions.append([x, y, z])
            elif kind == 'f' and len(values) >= _FEWEST_CORNERS:
                polygons.append([_index(value, len(positions)) for value in values])
        except ValueError as error:
            raise InvalidInputError(f'{path}, line {number}: {line.strip()!r} is damaged '
                                    f'({error}); export the mesh again') from error
    corners = [corner for polygon in polygons for corner in polygon]
    if corners and not 0 <= min(corners) <= max(corners) < len(positions):
        raise InvalidInputError(f'{path} has faces of vertices {min(corners) + 1} to '
                                f'{max(corners) + 1}, but {len(positions)} vertices; export the '
                                'mesh again')
    vertices = np.array(positions, dtype=np.float64).reshape(-1, 3)
    if len(corners) > _FEWEST_CORNERS * len(polygons):
        return vertices, _split(vertices, polygons)
    return vertices, np.array(polygons, dtype=np.int32).reshape(-1, 3)


def _index(corner: str, vertices: int) -> int:
    """Return the vertex of 'position/texture/normal'; negative ones count from the last."""
    index = int(corner.partition('/')[0])
    return vertices + index if index < 0 else index - 1


def _split(vertices: FloatArray, polygons: Sequence[Sequence[int]]) -> NDArray[np.int32]:
    """Split polygons, which need not be convex, into (F, 3) triangles."""
    by_length: dict[int, list[Sequence[int]]] = {}
    for polygon in polygons:
        by_length.setdefault(len(polygon), []).append(polygon)
    triangles = []
    for length, members in by_length.items():
        index = np.array(members, dtype=np.int32)
        corners = vertices[index]
        edges = corners[:, 1:] - corners[:, :1]
        normals = np.cross(edges[:, :-1], edges[:, 1:])
        # All triangles of a fan around the first corner look where the polygon looks.
        is_fan = (np.einsum('pti,pi->pt', normals, normals.sum(axis=1)) >= 0).all(axis=1)
        fans = np.array([(0, step, step + 1) for step in range(1, length - 1)])
        triangles.append(index[is_fan][:, fans].reshape(-1, 3))
        triangles += [polygon[clip_ears(polygon_corners)] for polygon, polygon_corners
                      in zip(index[~is_fan], corners[~is_fan], strict=True)]
    return np.concatenate(triangles)


def clip_ears(corners: FloatArray) -> NDArray[np.intp]:
    """Return the (N - 2, 3) triangles of a flat polygon with (N, 3) corners.

    A corner is cut off when it points outwards and no other corner lies in its triangle; where
    a damaged polygon has none like this, any is.
    """
    edges = corners - corners[0]
    normal = np.cross(edges, np.roll(edges, -1, axis=0)).sum(axis=0)
    across = int(np.abs(normal).argmax())
    flat = corners[:, [(across + 1) % 3, (across + 2) % 3]] * (1.0, np.sign(normal[across]))
    ring = list(range(len(corners)))
    triangles = []
    while len(ring) > _FEWEST_CORNERS:
        ears = ((ring[at - 1], ring[at], ring[(at + 1) % len(ring)]) for at in range(len(ring)))
        ear = next((ear for ear in ears if _is_ear(flat, ring, ear)), tuple(ring[:3]))
        triangles.append(ear)
        ring.remove(ear[1])
    return np.array([*triangles, tuple(ring)])


def _is_ear(flat: FloatArray, ring: Sequence[int], ear: tuple[int, ...]) -> bool:
    """Return whether (N, 2) `flat` turns left at the ear, and the rest of the ring is outside."""
    starts = flat[list(ear)]
    sides = np.roll(starts, -1, axis=0) - starts
    if sides[0, 0] * sides[1, 1] - sides[0, 1] * sides[1, 0] <= 0:
        return False
    others = flat[[corner for corner in ring if corner not in ear]]
    # A slit to a hole passes some places twice.
    others = others[~(others[:, None] == starts).all(axis=2).any(axis=1)]
    offsets = others[:, None] - starts
    return not bool((sides[:, 0] * offsets[..., 1] >= sides[:, 1] * offsets[..., 0])
                    .all(axis=1).any())
