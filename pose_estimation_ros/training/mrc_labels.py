"""What MRC-Net's classifier should say: soft labels of rotation bins, cells and depth bins.

Every rotation bin gets exp(-d / (scale * diameter)), where d is the mean distance of the model's
vertices under the bin's rotation and under the true one, turned by whichever symmetry brings it
closest to that bin. Instead of over all vertices the mean is taken over some that are spread
along a space-filling curve: with 128 of them the labels of the LM-O models differ by at most
0.011 from those of 4096, and a batch costs milliseconds, so that nothing is precomputed. The
symmetry is chosen by the second moments V = mean v v^T of all vertices: the closest in the mean
square maximises the trace of V R_k^T R S, which is the published rule.

Source: MRC-Net (CVPR 2024), section 3.3; constants and rules in spec section 1.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.symmetry import Symmetry
from pose_estimation_ros.training.mrc_objects import CadObject

LabelKind = Literal['soft', 'hard']

# How far labels reach, as share of the diameter; published for a grid of nside 4.
LABEL_SCALE = 0.03
POINTS = 128
# ceil(pi / 0.01): BOP's number of steps about a continuous axis. The published labels leave out
# the step 0, which changes them by less than the next step's.
_TURNS = 315
# The width of the labels of cells and depth bins: exp(-4 (distance / cell)^2) for both.
_SHARPNESS = 4.0
_MORTON_BITS = 10


class ObjectTables(nn.Module):
    """The geometry of all objects as tensors that move with the network.

    Attributes:
        points: (N, P, 3) metres, some vertices of each object.
        moments: (N, 3, 3) mean of v v^T over all vertices of each object, square metres.
        diameters: (N,) metres.
        symmetries: Per object (S, 3, 3) rotations that leave it unchanged, the identity first.
    """

    points: Tensor
    moments: Tensor
    diameters: Tensor

    def __init__(self, objects: Sequence[CadObject], points: int = POINTS) -> None:
        """Take the objects, in the order of their indices.

        Args:
            objects: The objects.
            points: How many vertices of each are looked at.
        """
        super().__init__()
        vertices = [np.asarray(item.mesh.vertices, dtype=np.float64) for item in objects]
        chosen = np.stack([spread_vertices(item, points) for item in vertices])
        moments = np.stack([item.T @ item / len(item) for item in vertices])
        diameters = np.array([diameter(item) for item in vertices])
        for name, value in (('points', chosen), ('moments', moments), ('diameters', diameters)):
            self.register_buffer(name, torch.from_numpy(value.astype(np.float32)),
                                 persistent=False)
        for number, item in enumerate(objects):
            self.register_buffer(f'_symmetries_{number}', torch.from_numpy(
                symmetry_rotations(item.symmetry).astype(np.float32)), persistent=False)

    def symmetries(self, number: int) -> Tensor:
        """Return the (S, 3, 3) symmetry rotations of an object."""
        found: Tensor = getattr(self, f'_symmetries_{number}')
        return found

    def closest(self, true: Tensor, near: Tensor, index: Tensor) -> Tensor:
        """Return the equivalents of true rotations that are closest to others.

        Args:
            true: (B, 3, 3) rotations to choose equivalents of.
            near: (B, 3, 3) rotations to be close to, in the mean square over the vertices.
            index: (B,) int64 objects.
        """
        chosen = true.clone()
        for number, rows in _rows_by_object(index):
            best = self.alignments(near[rows].mT @ true[rows], number).argmax(dim=1)
            chosen[rows] = true[rows] @ self.symmetries(number)[best]
        return chosen

    def alignments(self, relative: Tensor, number: int) -> Tensor:
        """Return (..., S): how little R M S moves an object's vertices against R; more is less.

        Args:
            relative: (..., 3, 3) rotations M from one pose R to another.
            number: Of the object, whose symmetries are S.
        """
        # trace(V M S) for each S, as one product of matrices.
        factors = (self.symmetries(number) @ self.moments[number]).mT
        return relative.flatten(-2) @ factors.flatten(1).T


class RotationLabels(nn.Module):
    """Labels of the rotation bins; see the module's docstring."""

    grid: Tensor

    def __init__(self, tables: ObjectTables, grid: NDArray[np.floating],
                 scale: float = LABEL_SCALE, kind: LabelKind = 'soft') -> None:
        """Take objects and bins.

        Args:
            tables: The objects.
            grid: (K, 3, 3) rotations of the bins.
            scale: How far labels reach, as share of the diameter.
            kind: 'soft', or 'hard': 1 for the bin closest to the truth and to each of its
                equivalents, 0 for all others.
        """
        super().__init__()
        self._tables, self._scale, self._kind = tables, scale, kind
        self.register_buffer('grid', torch.from_numpy(np.asarray(grid, dtype=np.float32)),
                             persistent=False)

    def forward(self, true: Tensor, index: Tensor) -> Tensor:
        """Return the (B, K) labels of (B, 3, 3) true rotations of the objects (B,) `index`."""
        labels = true.new_zeros((len(true), len(self.grid)))
        for number, rows in _rows_by_object(index):
            make = self._soft if self._kind == 'soft' else self._hard
            labels[rows] = make(true[rows], number)
        return labels

    def _soft(self, true: Tensor, number: int) -> Tensor:
        # Relative rotations of the truth seen from each bin: R_k^T R S.
        relative = _relative(self.grid, true)
        symmetries = self._tables.symmetries(number)
        if len(symmetries) > 1:
            best = self._tables.alignments(relative, number).argmax(dim=2)
            relative = relative @ symmetries[best]
        distance = _mean_distance(relative, self._tables.points[number])
        return torch.exp(-distance / (self._scale * self._tables.diameters[number]))

    def _hard(self, true: Tensor, number: int) -> Tensor:
        closest = self._tables.alignments(_relative(self.grid, true), number).argmax(dim=1)
        return true.new_zeros((len(true), len(self.grid))).scatter_(1, closest, 1.0)


def cell_labels(tau: Tensor, centers: Tensor, kind: LabelKind = 'soft') -> Tensor:
    """Return the (B, cells^2) labels of the cells in which the objects' centres appear.

    Args:
        tau: (B, 2) where they appear, parts of the crop.
        centers: (cells^2, 2) middles of the cells, row by row.
        kind: Of the labels; 'hard' is 1 for the closest cell alone.
    """
    squares = (tau[:, None] - centers).square().sum(dim=2) * len(centers)
    return _labels(squares, kind)


def depth_labels(tau: Tensor, centers: Tensor, kind: LabelKind = 'soft') -> Tensor:
    """Return the (B, bins) labels of the depth bins.

    Args:
        tau: (B,) metres per pixel of the crop.
        centers: (bins,) middles of the bins, equally spaced.
        kind: Of the labels; 'hard' is 1 for the closest bin alone.
    """
    squares = ((tau[:, None] - centers) / (centers[1] - centers[0])).square()
    return _labels(squares, kind)


def symmetry_rotations(symmetry: Symmetry) -> NDArray[np.float64]:
    """Return the (S, 3, 3) rotations of a symmetry, the identity first, axes in small steps."""
    rotations = symmetry.rotations
    if symmetry.axis is None:
        return rotations
    turns = axis_rotation(symmetry.axis, np.arange(_TURNS) * (2 * np.pi / _TURNS))
    return np.asarray((rotations[:, None] @ turns).reshape(-1, 3, 3))


def spread_vertices(vertices: NDArray[np.floating], count: int) -> NDArray[np.floating]:
    """Return (count, 3) of (V, 3) vertices, as dense as these are everywhere.

    They are equally spaced along the Morton curve through all vertices; if there are too few,
    some come twice.
    """
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    cells = (vertices - low) / max(float((high - low).max()), 1e-12) * (2 ** _MORTON_BITS - 1)
    bits = (cells.astype(np.int64)[:, :, None] >> np.arange(_MORTON_BITS)) & 1
    code = (bits << (3 * np.arange(_MORTON_BITS) + np.arange(3)[:, None])).sum(axis=(1, 2))
    order = np.argsort(code, kind='stable')
    places = (np.arange(count) + 0.5) * len(vertices) / count
    return np.asarray(vertices[order[places.astype(np.int64)]])


def diameter(vertices: NDArray[np.float64]) -> float:
    """Return the largest distance between two of (V, 3) points."""
    from scipy.spatial import ConvexHull, QhullError
    from scipy.spatial.distance import pdist

    # A flat model has no hull; all its vertices are compared.
    with suppress(QhullError):
        vertices = vertices[ConvexHull(vertices).vertices]
    return float(pdist(vertices).max())


def _labels(squares: Tensor, kind: LabelKind) -> Tensor:
    """Return (B, N) labels that fall with (B, N) squared distances in units of a cell."""
    if kind == 'soft':
        return (-_SHARPNESS * squares).softmax(dim=1)
    return torch.zeros_like(squares).scatter_(1, squares.argmin(dim=1, keepdim=True), 1.0)


def _relative(grid: Tensor, true: Tensor) -> Tensor:
    """Return (b, K, 3, 3): the transposed (K, 3, 3) rotations times (b, 3, 3) others."""
    # One large product instead of many small ones, which are slow.
    columns = true.movedim(0, 1).flatten(1)
    return (grid.mT.reshape(-1, 3) @ columns).reshape(len(grid), 3, len(true), 3).movedim(2, 0)


def _mean_distance(relative: Tensor, points: Tensor) -> Tensor:
    """Return (b, K): the mean of |M v - v| over (P, 3) points v, for (b, K, 3, 3) rotations M."""
    # |M v - v|^2 = 2 v^T (1 - M) v: a quadratic form, one matrix product for all bins and points.
    x, y, z = points.T
    monomials = torch.stack([x * x, x * y, x * z, x * y, y * y, y * z, x * z, y * z, z * z])
    form = 2.0 * (torch.eye(3, device=points.device) - relative)
    return (form.flatten(-2) @ monomials).clamp_min_(0.0).sqrt_().mean(dim=-1)


def _rows_by_object(index: Tensor) -> list[tuple[int, Tensor]]:
    return [(number, torch.nonzero(index == number).squeeze(1))
            for number in sorted(set(index.tolist()))]
