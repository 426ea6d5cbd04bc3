"""How far and how large an object is: its decoded depth image against what the camera measured.

First the boxes of both point clouds are compared, without the points that have no partner, as in
the published code. Then the middle of the decoded surface is put as far away as that of the
observed one, without the edges, where a decoded image fades into the background. What the paper
calls ICP is there too: partners are chosen, scale and position fitted to them, again and again.
The rotation stays that of the code book.

Source: DISP6D (ECCV 2022), setting without CAD models; its published code; facts in spec 3.6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

FloatArray = NDArray[np.float64]

# Points whose k-th neighbour is farther than this are stray; also the least distance at which a
# point without partner is an outlier, metres.
_STRAY_DISTANCE = 0.05
_MOST_NEIGHBOURS = 100
_MOST_ROUNDS, _ENOUGH_INLIERS = 2, 0.99
# Of the fit: rounds, how many points it looks at, and pairs that are so many times farther apart
# than the middle one are not trusted: one of the two is hidden or no part of the object.
_FIT_ROUNDS, _MOST_FITTED, _UNTRUSTED = 20, 300, 2.0
_FIT_TOLERANCE = 1e-5
# Decoded depth that changes by more, per unit across, is an edge and no surface: 65 degrees.
_STEEPEST = 2.15
# The fit may correct the comparison of boxes by this factor either way.
_LARGEST_CORRECTION = 1.5


@dataclass(frozen=True)
class DecodedView:
    """How a decoded depth image shows an object.

    Attributes:
        focal: Focal length as a share of the image's side; the principal point is its middle.
        distance: From the camera to the object's origin, in the unit of decoded shapes.
        background: Values from here on are no object.
    """

    focal: float = 140.0 / 128.0
    distance: float = 1.0
    background: float = 0.8

    def points(self, depth: NDArray[np.float32]) -> FloatArray:
        """Return the (N, 3) points of an object about its origin, camera axes, decoded units.

        Args:
            depth: (S, S) values from 0 to 1; 0.5 = as far away as the origin.
        """
        side = len(depth)
        rows, columns = np.nonzero(depth < self.background)
        z = depth[rows, columns].astype(np.float64) - 0.5 + self.distance
        # Whole numbers are the middles of pixels, as in the published renderings.
        xy = (np.stack([columns, rows], axis=1) - 0.5 * side) / (self.focal * side)
        return np.column_stack([xy * z[:, None], z - self.distance])

    def is_surface(self, depth: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which of the (N,) `points` of a decoded image belong to no edge.

        Args:
            depth: (S, S) as of `points`.
        """
        down, across = np.gradient(depth.astype(np.float64) * self.focal * len(depth))
        return np.asarray(np.hypot(down, across)[depth < self.background] < _STEEPEST)


@dataclass(frozen=True, eq=False)
class Alignment:
    """A decoded shape put into the scene.

    Attributes:
        scale: Metres per unit of the decoded shape.
        t: (3,) position of its origin, metres, camera.
        points: (N, 3) those decoded points that have partners, about the origin, decoded units.
        residual: Root mean square distance of trusted pairs, metres; NaN if no pairs were fitted.
    """

    scale: float
    t: FloatArray
    points: FloatArray
    residual: float = float('nan')


def without_stray(points: FloatArray, every: int = 1) -> FloatArray:
    """Return those of (N, 3) points that have many others near them; all if that is none.

    Args:
        points: Of an object.
        every: They are each of so many that there were; fewer have to be near then.
    """
    neighbours = min(_MOST_NEIGHBOURS, len(points) * every // 10) // every
    if not neighbours:
        return points
    # One neighbour is the point itself.
    distance = cKDTree(points).query(points, k=[neighbours])[0][:, 0]
    kept = points[distance < _STRAY_DISTANCE]
    return kept if len(kept) else points


def compare_boxes(decoded: FloatArray, observed: FloatArray, middle: FloatArray) -> Alignment:
    """Return scale and position by the extents of two clouds across the line of sight.

    Args:
        decoded: (N, 3) of `DecodedView.points`, at least one.
        observed: (M, 3) points of the object without stray ones, metres, camera; at least one.
        middle: (2,) x/z and y/z of the middle of the object's box.
    """
    for _ in range(_MOST_ROUNDS):
        across = np.ptp(observed[:, :2], axis=0)
        scale = float(np.linalg.norm(across)
                      / np.linalg.norm(2.0 * np.abs(decoded[:, :2]).max(axis=0)))
        z = observed[:, 2].mean() - scale * decoded[:, 2].mean()
        t = z * np.append(middle, 1.0)
        placed = scale * decoded + t
        has_partner = _is_near(placed, observed)
        is_explained = _is_near(observed, placed)
        if not (has_partner.any() and is_explained.any()):
            break  # All are equally far: there is nothing to leave out.
        decoded, observed = decoded[has_partner], observed[is_explained]
        if min(has_partner.mean(), is_explained.mean()) >= _ENOUGH_INLIERS:
            break
    return Alignment(scale, t, decoded)


def at_distance(start: Alignment, surface: FloatArray, observed: FloatArray,
                middle: FloatArray) -> Alignment:
    """Return the same with the middle of a decoded surface as far away as the observed one's.

    Args:
        start: Of `compare_boxes`.
        surface: (N, 3) decoded points without edges, at least one.
        observed: (M, 3) points of the object without stray ones, metres, camera; at least one.
        middle: (2,) as of `compare_boxes`.
    """
    z = float(np.median(observed[:, 2]) - start.scale * np.median(surface[:, 2]))
    return Alignment(start.scale, z * np.append(middle, 1.0), start.points)


def fit_pairs(start: Alignment, observed: FloatArray, turn: FloatArray) -> Alignment:
    """Return scale and position that bring a decoded shape onto the points of an object.

    Pairs are nearest neighbours in both directions: in one direction alone, a shape that shrinks
    to a point would fit best.

    Args:
        start: Of `compare_boxes`.
        observed: (M, 3) points of the object without stray ones, metres, camera; at least one.
        turn: (3, 3) rotation from the optical axis to the line of sight of the object.
    """
    shape = start.points @ turn.T
    # Partners are looked for among all points: among few, none would be near.
    shape_tree, target_tree = cKDTree(shape), cKDTree(observed)
    some, target = thinned(shape, _MOST_FITTED), thinned(observed, _MOST_FITTED)
    scale, t, residual = start.scale, start.t, float('nan')
    for _ in range(_FIT_ROUNDS):
        to_target, partner = target_tree.query(scale * some + t)
        to_shape, origin = shape_tree.query((target - t) / scale)
        trusted = to_target <= _UNTRUSTED * np.median(to_target)
        explained = to_shape <= _UNTRUSTED * np.median(to_shape)
        source = np.concatenate([some[trusted], shape[origin[explained]]])
        wanted = np.concatenate([observed[partner[trusted]], target[explained]])
        before = scale, t
        scale, t = _scale_and_position(source, wanted, start.scale)
        residual = float(np.sqrt(np.mean(np.sum((scale * source + t - wanted) ** 2, axis=1))))
        if abs(scale - before[0]) + np.abs(t - before[1]).max() < _FIT_TOLERANCE:
            break
    return Alignment(scale, t, start.points, residual)


def box_about_origin(points: FloatArray, R: FloatArray) -> FloatArray:
    """Return the (3,) size of the least box about the origin that holds what is seen of a shape.

    Args:
        points: (N, 3) about the origin, camera axes.
        R: (3, 3) rotation from the object frame to the camera axes.
    """
    return np.asarray(2.0 * np.abs(points @ R).max(axis=0))


def _scale_and_position(source: FloatArray, wanted: FloatArray,
                        expected: float) -> tuple[float, FloatArray]:
    """Return the least squares solution of scale * source + t = wanted."""
    middle, wanted_middle = source.mean(axis=0), wanted.mean(axis=0)
    centered = source - middle
    spread = float(np.sum(centered ** 2))
    scale = expected
    if spread > 0:
        fitted = float(np.sum(centered * (wanted - wanted_middle))) / spread
        scale = float(np.clip(fitted, expected / _LARGEST_CORRECTION,
                              expected * _LARGEST_CORRECTION))
    return scale, wanted_middle - scale * middle


def _is_near(points: FloatArray, others: FloatArray) -> NDArray[np.bool_]:
    """Return which (N,) points have another near them, as far as most have."""
    distance = cKDTree(others).query(points)[0]
    return np.asarray(distance < max(_STRAY_DISTANCE, distance.mean() + distance.std()))


def thinned(points: FloatArray, most: int) -> FloatArray:
    """Return at most so many of (N, 3) points, evenly taken."""
    return points[::stride(len(points), most)]


def stride(count: int, most: int) -> int:
    """Return of how many things one is to be taken, so that at most so many are."""
    return max(-(-count // most), 1)
