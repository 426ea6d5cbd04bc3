"""Random patterns: which textures, scales and colours the surfaces of a domain have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.synthetic import noise, textures
from pose_estimation_ros.synthetic.colors import (
    OBJECT_FAMILIES,
    ROOM_FAMILIES,
    WOOD_FAMILIES,
    sample_cosine,
    sample_from_families,
    vary,
)
from pose_estimation_ros.synthetic.prints import label_picture
from pose_estimation_ros.synthetic.textures import Pattern

FloatArray: TypeAlias = NDArray[np.float32]
Palette: TypeAlias = Callable[[np.random.Generator], FloatArray]


@dataclass(frozen=True)
class Style:
    """How the surfaces of one domain are made.

    Attributes:
        palette: Draws colours of things.
        wood: Draws colours of wood.
        noises: Noise functions that patterns are made of.
        coarseness: Factor of the size of patterns. What is seen from afar has coarse ones: fine
            ones would be under-sampled, where a lens blurs them to one colour.
    """

    palette: Palette
    wood: Palette
    noises: tuple[noise.Noise, ...]
    coarseness: float = 1.0

    def noise(self, generator: np.random.Generator) -> noise.Noise:
        """Return one of the noises."""
        return self.noises[int(generator.integers(len(self.noises)))]

    def length(self, shortest: float, longest: float, generator: np.random.Generator) -> float:
        """Return a length of a pattern, metres, log-uniform in a range, times the coarseness."""
        exponent = generator.uniform(np.log(shortest), np.log(longest))
        return float(np.exp(exponent)) * self.coarseness


Maker: TypeAlias = Callable[[Style, np.random.Generator], Pattern]

_VALUE_NOISE = (noise.value_noise,)
_OTHER_NOISES = (noise.gradient_noise, noise.cell_noise, noise.wave_noise)
_WOOD = partial(sample_from_families, WOOD_FAMILIES)

OBJECT_STYLES = {
    'primary': Style(partial(sample_from_families, OBJECT_FAMILIES), _WOOD, _VALUE_NOISE),
    'second': Style(partial(sample_cosine, (0.05, 0.45)), partial(sample_cosine, (0.05, 0.3)),
                    _OTHER_NOISES),
}
ROOM_STYLES = {
    'primary': Style(partial(sample_from_families, ROOM_FAMILIES), _WOOD, _VALUE_NOISE),
    'second': Style(partial(sample_cosine, (0.0, 0.2)), partial(sample_cosine, (0.05, 0.25)),
                    _OTHER_NOISES),
}


def sample_pattern(makers: tuple[tuple[float, Maker], ...], style: Style,
                   generator: np.random.Generator) -> Pattern:
    """Return a pattern from one of `makers`, each with its relative frequency."""
    weights = np.array([weight for weight, _ in makers])
    maker = makers[int(generator.choice(len(makers), p=weights / weights.sum()))][1]
    return maker(style, generator)


def plain(style: Style, generator: np.random.Generator) -> Pattern:
    """One colour."""
    return partial(textures.plain, style.palette(generator))


def worn(pattern: Pattern, style: Style, generator: np.random.Generator) -> Pattern:
    """Another pattern with grain and stains."""
    return partial(textures.worn, pattern, style.noise(generator), _seed(generator),
                   style.length(0.0008, 0.003, generator), 0.5 * generator.random() ** 2,
                   0.25 * generator.random() ** 2)


def clouds(style: Style, generator: np.random.Generator) -> Pattern:
    """Two colours, alike or not, in clouds of 3 mm to 15 cm."""
    first = style.palette(generator)
    alike = generator.random() < 0.6
    second = vary(first, 0.5, generator) if alike else style.palette(generator)
    return partial(textures.clouds, style.noise(generator), _seed(generator),
                   style.length(0.003, 0.15, generator), int(generator.integers(1, 4)),
                   generator.uniform(0.6, 2.5), first, second)


def speckle(style: Style, generator: np.random.Generator) -> Pattern:
    """Spots of 1 to 10 mm."""
    return speckle_over(style.palette(generator), style, generator)


def speckle_over(ground: FloatArray, style: Style, generator: np.random.Generator) -> Pattern:
    """Spots of 1 to 10 mm on a given colour."""
    return partial(textures.speckle, style.noise(generator), _seed(generator),
                   style.length(0.001, 0.01, generator), generator.uniform(0.05, 0.35), ground,
                   vary(ground, 0.9, generator))


def wood(style: Style, generator: np.random.Generator) -> Pattern:
    """Wood, in boards or in one piece."""
    light = style.wood(generator)
    dark = np.asarray(light * generator.uniform(0.2, 0.75), dtype=np.float32)
    board = generator.uniform(0.06, 0.25) if generator.random() < 0.6 else 0.0
    return partial(textures.wood, style.noise(generator), _seed(generator),
                   style.length(0.003, 0.012, generator), board, generator.uniform(0.1, 0.8),
                   light, dark)


def marble(style: Style, generator: np.random.Generator) -> Pattern:
    """Stone with veins."""
    ground = style.palette(generator)
    return partial(textures.marble, style.noise(generator), _seed(generator),
                   style.length(0.04, 0.25, generator), ground,
                   np.asarray(ground * generator.uniform(0.3, 0.8), dtype=np.float32))


def weave(style: Style, generator: np.random.Generator) -> Pattern:
    """Cloth with threads of 1 to 10 mm."""
    first = style.palette(generator)
    return partial(textures.weave, style.noise(generator), _seed(generator),
                   style.length(0.0012, 0.01, generator), first, vary(first, 0.6, generator))


def tiles(style: Style, generator: np.random.Generator) -> Pattern:
    """Tiles of 1 to 30 cm in one or two colours."""
    first = style.palette(generator)
    second = vary(first, 0.2, generator) if generator.random() < 0.6 else style.palette(generator)
    return partial(textures.checker, style.length(0.01, 0.3, generator),
                   generator.uniform(0.5, 2.0), generator.uniform(0.0, 0.004), first, second,
                   style.palette(generator))


def fine_checker(style: Style, generator: np.random.Generator) -> Pattern:
    """A checker of 5 to 40 mm."""
    return partial(textures.checker, style.length(0.005, 0.04, generator),
                   generator.uniform(0.5, 2.0), 0.0, style.palette(generator),
                   style.palette(generator), np.zeros(3, dtype=np.float32))


def bands(style: Style, generator: np.random.Generator) -> Pattern:
    """Two to five horizontal bands, some with a wavy border as glazes have."""
    count = int(generator.integers(2, 6))
    colors = np.stack([style.palette(generator) for _ in range(count)])
    if count > 2 and generator.random() < 0.5:
        colors[::2] = colors[0]
    edges = np.sort(generator.uniform(0.05, 0.98, count - 1)).astype(np.float32)
    wobble = generator.uniform(0.0, 0.1) if generator.random() < 0.3 else 0.0
    return partial(textures.bands, edges, colors, wobble, _seed(generator),
                   style.noise(generator))


def rim_line(style: Style, generator: np.random.Generator) -> Pattern:
    """One colour with a line of another near the upper edge, as tableware has."""
    top = generator.uniform(0.9, 0.99)
    edges = np.array([top - generator.uniform(0.01, 0.05), top], dtype=np.float32)
    body = style.palette(generator)
    colors = np.stack([body, style.palette(generator), body])
    return partial(textures.bands, edges, colors, 0.0, 0, noise.value_noise)


def gradient(style: Style, generator: np.random.Generator) -> Pattern:
    """A blend of two colours, mostly from bottom to top."""
    direction = generator.standard_normal(3).astype(np.float32)
    direction[1] += 1.0
    return partial(textures.gradient, direction / np.linalg.norm(direction),
                   style.palette(generator), style.palette(generator))


def label(style: Style, generator: np.random.Generator) -> Pattern:
    """A printed label around a body or on the sides of a box."""
    low = generator.uniform(0.0, 0.35)
    manner = (textures.printed_around if generator.random() < 0.7
              else textures.printed_on_sides)
    return partial(manner, label_picture(style.palette, generator), low,
                   generator.uniform(low + 0.25, 1.0), plain(style, generator))


def brushed(color: FloatArray, style: Style, generator: np.random.Generator) -> Pattern:
    """Metal of a given colour with fine scratches."""
    return partial(textures.brushed, style.noise(generator), _seed(generator),
                   generator.uniform(0.0, 0.6), color)


def _seed(generator: np.random.Generator) -> int:
    # Few seeds keep the cached noise tables few; scale and colours make patterns differ anyway.
    return int(generator.integers(24))
