"""How well each cell of a feature map fits each vertex of a neural mesh, and the clutter.

All that search and refinement need of the features are these products: one product of matrices
for each category, whatever the number of poses.

Source: Ma et al., Robust category-level 6D pose estimation with coarse-to-fine rendering of
neural features (ECCV 2022), equations 2 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]
IndexArray = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class FeatureScores:
    """Products of unit features: those of cells with those of vertices and of clutter.

    Attributes:
        shape: (height, width) of the feature map.
        vertices: (n + 1, V) float32 of n cells; the last row is zero.
        clutter: (h w,) float32 of all cells: what an object must exceed to be seen in one.
        row: (h w,) which row of `vertices` is a cell's; n where it was not asked for.
    """

    shape: tuple[int, int]
    vertices: Float32Array
    clutter: Float32Array
    row: IndexArray

    def at(self, cells: IndexArray, corners: IndexArray) -> Float32Array:
        """Return the (m, 3) scores of m cells with three vertices each."""
        return self.vertices[self.row[cells][:, None], corners]


def feature_scores(features: Float32Array, vertices: Float32Array, clutter: Float32Array,
                   background: float = -1.0, cells: IndexArray | None = None) -> FeatureScores:
    """Compare a feature map with a neural mesh.

    Args:
        features: (D, h, w) float32, of length one along D.
        vertices: (V, D) float32 features of the vertices.
        clutter: (M, D) float32 features of what is not the object.
        background: What a cell of the clutter scores at least, whatever its feature: as much as
            vertices score by chance with what was never seen in training.
        cells: (n,) v * w + u of the cells that will be asked for; None = all. The others score
            zero with all vertices.
    """
    shape = features.shape[1], features.shape[2]
    flat = features.reshape(len(features), -1)
    count = flat.shape[1] if cells is None else cells.size
    row = np.full(flat.shape[1], count)
    row[slice(None) if cells is None else cells] = np.arange(count)
    scores = np.zeros((count + 1, len(vertices)), dtype=np.float32)
    np.matmul(flat.T if cells is None else flat[:, cells].T, vertices.T, out=scores[:count])
    return FeatureScores(shape, scores, clutter_scores(flat, clutter, background), row)


def clutter_scores(features: Float32Array, clutter: Float32Array,
                   background: float) -> Float32Array:
    """Return the (n,) best products of (D, n) features with the clutter, `background` at least."""
    return np.asarray(np.maximum((clutter @ features).max(axis=0), np.float32(background)))
