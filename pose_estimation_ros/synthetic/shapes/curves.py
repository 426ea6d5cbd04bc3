"""Plane curves: outlines, profiles, rounded corners."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator

FloatArray = npt.NDArray[np.float64]


def arc_lengths(curve: FloatArray) -> FloatArray:
    """Return the (N,) length along `curve` (N, D) from its first point to each of its points."""
    steps = np.linalg.norm(np.diff(curve, axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def resample(curve: FloatArray, count: int) -> FloatArray:
    """Return `count` points evenly spaced along the polyline `curve` (N, D)."""
    lengths = arc_lengths(curve)
    wanted = np.linspace(0.0, lengths[-1], count)
    return np.stack([np.interp(wanted, lengths, axis) for axis in curve.T], axis=1)


def smooth_curve(controls: npt.ArrayLike, count: int) -> FloatArray:
    """Return `count` points of a smooth curve through `controls` (K, D), without overshoot."""
    points = np.asarray(controls, dtype=np.float64)
    lengths = arc_lengths(points)
    curve: FloatArray = PchipInterpolator(lengths, points)(np.linspace(0, lengths[-1], count))
    return curve


def bezier(controls: npt.ArrayLike, count: int) -> FloatArray:
    """Return `count` points of the Bezier curve of `controls` (K, D) (de Casteljau)."""
    t = np.linspace(0.0, 1.0, count)[:, None, None]
    points = np.asarray(controls, dtype=np.float64)[None]
    while points.shape[1] > 1:
        points = (1 - t) * points[:, :-1] + t * points[:, 1:]
    curve: FloatArray = points[:, 0]
    return curve


def trim_start(curve: FloatArray, length: float) -> FloatArray:
    """Return `curve` (N, D) without its first `length` metres, at most half of it."""
    lengths = arc_lengths(curve)
    cut = min(length, 0.5 * lengths[-1])
    first = np.array([np.interp(cut, lengths, axis) for axis in curve.T])
    return np.concatenate([first[None], curve[lengths > cut + 1e-9]])


def join_rounded(first: FloatArray, second: FloatArray, radius: float, count: int) -> FloatArray:
    """Return `first` followed by `second` with the corner between them rounded off.

    Args:
        first: (N, D), ends at the corner.
        second: (M, D), starts at the corner.
        radius: Length cut from each side of the corner, metres.
        count: Points of the rounding, at least 2.
    """
    corner = second[0]
    before = trim_start(first[::-1], radius)[::-1]
    after = trim_start(second, radius)
    rounding = bezier(np.stack([before[-1], corner, after[0]]), count)
    return np.concatenate([before[:-1], rounding, after[1:]])


def rounded_polyline(controls: npt.ArrayLike, radius: float, count: int = 4) -> FloatArray:
    """Return the polyline of `controls` (K, D) with every inner corner rounded off."""
    points = np.asarray(controls, dtype=np.float64)
    curve = points[:2]
    for index in range(1, len(points) - 1):
        before, here, after = points[index - 1], points[index], points[index + 1]
        limit = 0.45 * min(np.linalg.norm(here - before), np.linalg.norm(after - here))
        cut = min(radius, float(limit))
        start = here + (before - here) * cut / max(float(np.linalg.norm(before - here)), 1e-9)
        stop = here + (after - here) * cut / max(float(np.linalg.norm(after - here)), 1e-9)
        rounding = bezier(np.stack([start, here, stop]), count)
        curve = np.concatenate([curve[:-1], rounding, after[None]])
    return curve


def circle(count: int) -> FloatArray:
    """Return `count` points of the unit circle, (count, 2)."""
    angle = np.arange(count) * (2 * np.pi / count)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def superellipse(count: int, exponent: float, aspect: float = 1.0) -> FloatArray:
    """Return `count` points of |x|^n + |y / aspect|^n = 1, evenly spaced along the curve."""
    angle = np.linspace(0, 2 * np.pi, 8 * count + 1)
    cosine, sine = np.cos(angle), np.sin(angle) * aspect
    radius = (np.abs(cosine) ** exponent + np.abs(sine / aspect) ** exponent) ** (-1 / exponent)
    dense = np.stack([cosine * radius, sine * radius], axis=1)
    return resample(dense, count + 1)[:-1]


def rounded_rectangle(width: float, depth: float, radius: float, corner: int = 4) -> FloatArray:
    """Return the (4 * corner, 2) outline of a rectangle with round corners, centred."""
    radius = min(radius, 0.5 * width, 0.5 * depth)
    angle = np.linspace(0, np.pi / 2, corner)
    quarter = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    centre = np.array([0.5 * width - radius, 0.5 * depth - radius])
    turned = np.stack([-quarter[:, 1], quarter[:, 0]], axis=1)
    return np.concatenate(
        [
            quarter + centre,
            turned + centre * (-1, 1),
            -quarter - centre,
            -turned + centre * (1, -1),
        ]
    )


def plane_normals(curve: FloatArray) -> FloatArray:
    """Return the (N, 2) unit normals to the right of the way along `curve` (N, 2)."""
    tangent = np.gradient(curve, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-12)
    return np.stack([tangent[:, 1], -tangent[:, 0]], axis=1)
