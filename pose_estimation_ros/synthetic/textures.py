"""Procedural surface patterns, evaluated at 3-D points of the object frame (no texture maps).

A pattern is a picklable function of a `Surface` that returns (N, 3) float32 linear RGB. The
functions here take their parameters first; `functools.partial` makes a pattern of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.synthetic.noise import Noise, fractal

FloatArray: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Surface:
    """Points of one object's surface.

    Attributes:
        points: (N, 3) float32 metres, object frame.
        normals: (N, 3) float32 unit normals, object frame.
        size: (3,) float32 extent of the object, metres.
        own_colors: (N, 3) float32 linear RGB that the object's mesh gives these points, or None.
    """

    points: FloatArray
    normals: FloatArray
    size: FloatArray
    own_colors: FloatArray | None = None

    def plane_coordinates(self) -> FloatArray:
        """Return (N, 2) metres across the surface: the axes that the normal is least along."""
        axis = np.abs(self.normals).argmax(axis=1)
        rows = np.arange(len(axis))
        return np.stack([self.points[rows, np.where(axis == 0, 1, 0)],
                         self.points[rows, np.where(axis == 2, 1, 2)]], axis=1)

    def relative(self) -> FloatArray:
        """Return the (N, 3) points as shares of the object's box, 0 to 1."""
        return self.points / self.size + np.float32(0.5)


Pattern: TypeAlias = Callable[[Surface], FloatArray]


def mix(first: FloatArray, second: FloatArray, share: FloatArray) -> FloatArray:
    """Return (N, 3) colours between `first` and `second`, (3,) or (N, 3), by (N,) share."""
    return np.asarray(first + share[:, None] * (second - first), dtype=np.float32)


def smooth_step(value: FloatArray, low: float, high: float) -> FloatArray:
    """Return (N,) 0 below `low`, 1 above `high`, and a smooth rise between."""
    t = np.clip((value - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), dtype=np.float32)


def plain(color: FloatArray, surface: Surface) -> FloatArray:
    """One colour."""
    return np.tile(np.asarray(color, dtype=np.float32), (len(surface.points), 1))


def own_colors(exponent: float, matrix: FloatArray, surface: Surface) -> FloatArray:
    """The colours of the mesh itself, as other light, paint or ageing would change them.

    Args:
        exponent: Of each channel; above 1 dark parts get darker.
        matrix: (3, 3) what is done to (red, green, blue) after that.
        surface: Where; must have colours of its own.

    Returns:
        (N, 3) linear RGB.
    """
    assert surface.own_colors is not None
    changed = surface.own_colors ** np.float32(exponent) @ matrix.T
    return np.asarray(np.maximum(changed, 0), dtype=np.float32)


def on_top(picture: FloatArray, around: Pattern, surface: Surface) -> FloatArray:
    """A picture, (h, w, 3), on the upper side (+z) of a flat thing."""
    colors = around(surface)
    upper = surface.normals[:, 2] > 0.7
    relative = surface.relative()[upper]
    colors[upper] = _look_up(picture, relative[:, 0], relative[:, 1])
    return colors


def worn(under: Pattern, noise: Noise, seed: int, cell: float, amount: float, stain: float,
         surface: Surface) -> FloatArray:
    """Another pattern with the unevenness of real surfaces: grain and broad stains.

    Args:
        under: The pattern.
        noise: Noise to use.
        seed: Its seed.
        cell: Size of the grain, metres; stains are 60 times as large.
        amount: Strength of the grain.
        stain: Strength of the stains.
        surface: Where.

    Returns:
        (N, 3) linear RGB.
    """
    scaled = surface.points / np.float32(cell)
    factor = 1 + np.float32(amount) * (2 * noise(scaled, seed) - 1)
    if stain > 0:
        factor *= 1 + np.float32(stain) * (2 * noise(scaled / np.float32(60), seed + 3) - 1)
    return np.asarray(under(surface) * factor[:, None], dtype=np.float32)


def clouds(noise: Noise, seed: int, cell: float, octaves: int, contrast: float,
           first: FloatArray, second: FloatArray, surface: Surface) -> FloatArray:
    """Two colours blended by fractal noise with cells of `cell` metres."""
    value = fractal(noise, surface.points / np.float32(cell), seed, octaves)
    return mix(first, second, np.clip(0.5 + contrast * (value - 0.5), 0, 1))


def speckle(noise: Noise, seed: int, cell: float, share: float, ground: FloatArray,
            spots: FloatArray, surface: Surface) -> FloatArray:
    """Spots of `cell` metres that cover about `share` of the ground."""
    value = noise(surface.points / np.float32(cell), seed)
    return mix(ground, spots, smooth_step(value, 0.95 - share, 1.05 - share))


def wood(noise: Noise, seed: int, ring: float, board: float, pores: float, light: FloatArray,
         dark: FloatArray, surface: Surface) -> FloatArray:
    """Boards sawn from logs that grew along x.

    Args:
        noise: Noise that bends the rings and places the pores.
        seed: Its seed.
        ring: Thickness of a year's ring, metres.
        board: Width of a board, metres; 0 = one piece.
        pores: Strength of the dark pores.
        light: (3,) colour of early wood.
        dark: (3,) colour of late wood, pores and gaps.
        surface: Where.

    Returns:
        (N, 3) linear RGB.
    """
    across = surface.plane_coordinates()[:, 1]
    index = np.floor(across / np.float32(board)) if board > 0 else np.zeros_like(across)
    # Each board comes from another place of the log.
    own = surface.points + np.stack([index * 1.37, index * 0.11, index * 0.07], axis=1)
    own = np.asarray(own, dtype=np.float32)
    bend = noise(own * np.float32([2.5, 9, 9]), seed) + 0.3 * noise(
        own * np.float32([9, 40, 40]), seed + 1)
    offset = np.float32(0.4 * board if board > 0 else 0.08)
    y, z = own[:, 1] % 0.35 - offset, own[:, 2] % 0.31 - offset
    radius = np.sqrt(y * y + z * z) + np.float32(0.05) * bend + np.float32(0.02) * own[:, 0]
    phase = radius / np.float32(ring)
    phase -= np.floor(phase)
    late = phase * phase
    pore = smooth_step(noise(own * np.float32([110, 1000, 1000]), seed + 2), 0.62, 0.85)
    share = np.clip(0.15 + 0.5 * late + pores * pore * (0.4 + 0.6 * late), 0, 1)
    colors = mix(light, dark, share)
    if board > 0:
        fraction = across / np.float32(board) - index
        gap = 1 - smooth_step(np.minimum(fraction, 1 - fraction) * board, 0.0004, 0.0015)
        colors *= (1 - 0.8 * gap + 0.08 * np.sin(index * 12.9))[:, None].astype(np.float32)
    return colors


def marble(noise: Noise, seed: int, cell: float, ground: FloatArray, vein: FloatArray,
           surface: Surface) -> FloatArray:
    """Thin veins through a cloudy stone."""
    value = fractal(noise, surface.points / np.float32(cell), seed, 4)
    line = 1 - np.abs(2 * value - 1)
    return mix(ground * (0.85 + 0.3 * value[:, None]), vein, smooth_step(line, 0.88, 0.99))


def weave(noise: Noise, seed: int, thread: float, first: FloatArray, second: FloatArray,
          surface: Surface) -> FloatArray:
    """Threads of `thread` metres over and under each other, unevenly dyed."""
    uv = surface.plane_coordinates() * np.float32(np.pi / thread)
    over = np.sin(uv[:, 0]) * np.sin(uv[:, 1])
    dye = noise(surface.points / np.float32(30 * thread), seed)
    return mix(first, second, np.clip(0.5 + 0.35 * over + 0.8 * (dye - 0.5), 0, 1))


def checker(cell: float, aspect: float, joint: float, first: FloatArray, second: FloatArray,
            joint_color: FloatArray, surface: Surface) -> FloatArray:
    """Tiles of `cell` by `cell * aspect` metres in two colours, with joints of `joint` metres."""
    extent = np.float32([cell, cell * aspect])
    uv = surface.plane_coordinates() / extent
    index = np.floor(uv)
    colors = mix(first, second, (index.sum(axis=1) % 2).astype(np.float32))
    if joint > 0:
        fraction = uv - index
        edge = (np.minimum(fraction, 1 - fraction) * extent).min(axis=1)
        colors = mix(joint_color, colors, smooth_step(edge, 0.3 * joint, 0.7 * joint))
    return colors


def bands(edges: FloatArray, colors: FloatArray, wobble: float, seed: int, noise: Noise,
          surface: Surface) -> FloatArray:
    """Horizontal bands: `colors` (K, 3) between relative heights `edges` (K - 1,)."""
    height = surface.relative()[:, 1]
    if wobble > 0:
        height = height + np.float32(wobble) * (
            noise(surface.points / np.float32(0.015), seed) - 0.5)
    return np.asarray(colors[np.searchsorted(edges, height)], dtype=np.float32)


def gradient(direction: FloatArray, first: FloatArray, second: FloatArray,
             surface: Surface) -> FloatArray:
    """A blend of two colours along `direction`, relative to the object's size."""
    along = (surface.points / surface.size) @ direction
    return mix(first, second, np.clip(0.5 + along, 0, 1))


def brushed(noise: Noise, seed: int, strength: float, color: FloatArray,
            surface: Surface) -> FloatArray:
    """Fine scratches along one direction, as on machined metal."""
    lines = noise(surface.points / np.float32([0.03, 0.0008, 0.03]), seed)
    return np.asarray(color * (1 + strength * (lines[:, None] - 0.5)), dtype=np.float32)


def printed_around(picture: FloatArray, low: float, high: float, around: Pattern,
                   surface: Surface) -> FloatArray:
    """A picture, (h, w, 3), once around the y axis between two relative heights."""
    # Seen from outside with +y up, the angle from +x to +z runs to the left.
    angle = np.arctan2(surface.points[:, 2], surface.points[:, 0])
    across = np.float32(0.5) - angle / np.float32(2 * np.pi)
    return _print(picture, across, low, high, around, surface)


def printed_on_sides(picture: FloatArray, low: float, high: float, around: Pattern,
                     surface: Surface) -> FloatArray:
    """A picture, (h, w, 3), on each side of a box between two relative heights."""
    relative, normals = surface.relative(), surface.normals
    along_x = np.abs(normals[:, 2]) > np.abs(normals[:, 0])
    across = np.where(along_x, relative[:, 0] * np.sign(normals[:, 2]),
                      -relative[:, 2] * np.sign(normals[:, 0]))
    return _print(picture, across, low, high, around, surface)


def on_screen(picture: FloatArray, surface: Surface) -> FloatArray:
    """A picture, (h, w, 3), on a laptop's screen, whose lower edge is the hinge."""
    relative = surface.relative()
    # A lid that is opened flat has its picture along x instead of y.
    upright = np.abs(surface.normals[:, 1]) < 0.95
    height = np.where(upright, relative[:, 1], 1 - 2 * relative[:, 0])
    return _look_up(picture, 1 - relative[:, 2], height)


def on_deck(picture: FloatArray, surface: Surface) -> FloatArray:
    """A picture, (h, w, 3), on the upper side of a laptop's base, the hinge at its top."""
    relative = surface.relative()
    return _look_up(picture, 1 - relative[:, 2], 1 - relative[:, 0])


def _print(picture: FloatArray, across: FloatArray, low: float, high: float, around: Pattern,
           surface: Surface) -> FloatArray:
    height = (surface.relative()[:, 1] - np.float32(low)) / np.float32(high - low)
    side = np.abs(surface.normals[:, 1]) < 0.7
    inside = side & (height > 0) & (height < 1)
    colors = around(surface)
    colors[inside] = _look_up(picture, (across % 1.0)[inside], height[inside])
    return colors


def _look_up(picture: FloatArray, across: FloatArray, height: FloatArray) -> FloatArray:
    """Return the (N, 3) colours at relative places, left to right and bottom to top."""
    rows, columns = picture.shape[:2]
    column = np.clip(across * columns, 0, columns - 1).astype(np.int32)
    row = np.clip((1 - height) * rows, 0, rows - 1).astype(np.int32)
    return np.asarray(picture[row, column])
