"""Materials of synthetic surfaces: what each part of an object and each background is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.synthetic import noise, textures
from pose_estimation_ros.synthetic.blocks import in_blocks
from pose_estimation_ros.synthetic.colors import sample_color, sample_hsv, vary
from pose_estimation_ros.synthetic.prints import (
    keyboard_picture,
    label_picture,
    screen_picture,
)
from pose_estimation_ros.synthetic.textures import Pattern

FloatArray: TypeAlias = NDArray[np.float32]

BACKGROUND_ROLES = ('table', 'floor', 'wall')

_NOISES: dict[str, tuple[noise.Noise, ...]] = {
    'primary': (noise.value_noise,),
    'second': (noise.gradient_noise, noise.cell_noise, noise.wave_noise),
}


@dataclass(frozen=True)
class Material:
    """What one surface is made of.

    Attributes:
        role: Name of the part or background it was made for.
        pattern: Its colours over space.
        gloss: 0 matt to 1 mirror.
        metallic: 0 paint, glaze or plastic to 1 bare metal.
        specular: Reflectance at normal incidence of what is not metal.
    """

    role: str
    pattern: Pattern
    gloss: float
    metallic: float = 0.0
    specular: float = 0.04

    def albedo(self, points: NDArray[np.floating], normals: NDArray[np.floating],
               size: NDArray[np.floating]) -> FloatArray:
        """Return the colour at points of the surface.

        Args:
            points: (N, 3) metres, object frame.
            normals: (N, 3) unit normals, object frame.
            size: (3,) extent of the object, metres.

        Returns:
            (N, 3) float32 linear RGB, 0 to 1.
        """
        extent = np.asarray(size, dtype=np.float32)
        colors = in_blocks(lambda block, block_normals: self.pattern(block, block_normals, extent),
                           np.asarray(points, dtype=np.float32),
                           np.asarray(normals, dtype=np.float32))
        return np.clip(colors, 0.001, 1.0)


Maker: TypeAlias = Callable[[str, np.random.Generator], Pattern]


def sample_material(role: str, domain: str, generator: np.random.Generator) -> Material:
    """Return a random material.

    Args:
        role: Name of an object's part ('body', 'handle', 'label', ...) or of a background
            ('table', 'floor', 'wall', 'clutter'). Unknown roles are made like a body.
        domain: 'primary' or 'second'; the second uses other noises, palettes and shares.
        generator: Source of randomness.
    """
    if role == 'table':
        return _material(role, _choose(_TABLES, generator)(domain, generator),
                         generator.uniform(0.0, 0.55))
    if role == 'floor':
        return _material(role, _choose(_FLOORS, generator)(domain, generator),
                         generator.uniform(0.0, 0.4))
    if role == 'wall':
        return _material(role, _choose(_WALLS, generator)(domain, generator),
                         generator.uniform(0.0, 0.15))
    if role == 'screen':
        return _material(role, partial(_on_screen, screen_picture(domain, generator)),
                         generator.uniform(0.3, 0.95))
    if role == 'keyboard':
        return _material(role, partial(_on_deck, keyboard_picture(domain, generator)),
                         generator.uniform(0.05, 0.4))
    if role in ('lens', 'glass'):
        color = sample_hsv(generator, (0.0, 1.0), (0.0, 0.6), (0.02, 0.2))
        return _material(role, partial(textures.plain, color), generator.uniform(0.8, 1.0))
    if role == 'flash':
        color = sample_hsv(generator, (0.0, 1.0), (0.0, 0.1), (0.6, 0.95))
        return _material(role, partial(textures.plain, color), generator.uniform(0.5, 0.9))
    if role == 'grip':
        color = sample_hsv(generator, (0.0, 1.0), (0.0, 0.3), (0.04, 0.3))
        return _material(role, _speckle_over(color, domain, generator),
                         generator.uniform(0.0, 0.25))
    if role in ('metal', 'rim', 'base') and generator.random() < 0.6:
        return _metal(role, domain, generator)
    if role == 'label':
        return _material(role, _label(domain, generator), generator.uniform(0.1, 0.6))
    return _material(role, _choose(_BODIES, generator)(domain, generator), _body_gloss(generator))


def sample_object_materials(part_names: Sequence[str], domain: str,
                            generator: np.random.Generator) -> tuple[Material, ...]:
    """Return one material per part of an object, matched as the parts of real objects are.

    Args:
        part_names: Names of the parts; equal names get equal materials.
        domain: 'primary' or 'second'.
        generator: Source of randomness.
    """
    body = sample_material('body', domain, generator)
    chosen: dict[str, Material] = {}
    same_as_body = {'handle': 0.85, 'inside': 0.5, 'rim': 0.6, 'base': 0.7, 'lid': 0.6,
                    'cap': 0.2, 'grip': 0.3, 'shoulder': 0.8}
    for name in part_names:
        if name in chosen:
            continue
        if name == 'body' or generator.random() < same_as_body.get(name, 0.0):
            chosen[name] = replace(body, role=name)
        elif name == 'inside':
            white = sample_hsv(generator, (0.0, 1.0), (0.0, 0.1), (0.7, 0.97))
            color = white if generator.random() < 0.6 else sample_color(domain, generator)
            chosen[name] = replace(body, role=name, pattern=partial(textures.plain, color))
        else:
            chosen[name] = sample_material(name, domain, generator)
    return tuple(chosen[name] for name in part_names)


def _material(role: str, pattern: Pattern, gloss: float) -> Material:
    return Material(role=role, pattern=pattern, gloss=float(gloss))


def _metal(role: str, domain: str, generator: np.random.Generator) -> Material:
    color = sample_hsv(generator, (0.0, 0.15), (0.0, 0.25), (0.55, 0.95))
    pattern = partial(textures.brushed, _noise(domain, generator), _seed(generator),
                      generator.uniform(0.0, 0.6), color)
    return Material(role=role, pattern=pattern, gloss=float(generator.uniform(0.35, 0.9)),
                    metallic=float(generator.uniform(0.6, 1.0)))


def _body_gloss(generator: np.random.Generator) -> float:
    """Return a gloss: a third matt, a third in between, a third glazed or polished."""
    low, high = ((0.0, 0.15), (0.15, 0.6), (0.6, 0.95))[int(generator.integers(3))]
    return float(generator.uniform(low, high))


def _choose(makers: tuple[tuple[float, Maker], ...], generator: np.random.Generator) -> Maker:
    weights = np.array([weight for weight, _ in makers])
    return makers[int(generator.choice(len(makers), p=weights / weights.sum()))][1]


def _noise(domain: str, generator: np.random.Generator) -> noise.Noise:
    choices = _NOISES[domain]
    return choices[int(generator.integers(len(choices)))]


def _seed(generator: np.random.Generator) -> int:
    # Few seeds keep the cached noise tables few; patterns differ by scale and colours anyway.
    return int(generator.integers(24))


def _plain(domain: str, generator: np.random.Generator) -> Pattern:
    return partial(textures.plain, sample_color(domain, generator))


def _clouds(domain: str, generator: np.random.Generator) -> Pattern:
    first = sample_color(domain, generator)
    second = vary(first, 0.5, generator) if generator.random() < 0.6 else sample_color(
        domain, generator)
    return partial(textures.clouds, _noise(domain, generator), _seed(generator),
                   10 ** generator.uniform(-2.5, -0.8), int(generator.integers(1, 4)),
                   generator.uniform(0.6, 2.5), first, second)


def _speckle(domain: str, generator: np.random.Generator) -> Pattern:
    return _speckle_over(sample_color(domain, generator), domain, generator)


def _speckle_over(ground: FloatArray, domain: str, generator: np.random.Generator) -> Pattern:
    return partial(textures.speckle, _noise(domain, generator), _seed(generator),
                   10 ** generator.uniform(-3.0, -2.0), generator.uniform(0.05, 0.35), ground,
                   vary(ground, 0.9, generator))


def _wood(domain: str, generator: np.random.Generator) -> Pattern:
    if domain == 'second':
        light = sample_color(domain, generator)
    else:
        light = sample_hsv(generator, (0.03, 0.12), (0.2, 0.7), (0.2, 0.85))
    dark = light * generator.uniform(0.3, 0.8)
    board = generator.uniform(0.06, 0.25) if generator.random() < 0.5 else 0.0
    return partial(textures.wood, _noise(domain, generator), _seed(generator),
                   generator.uniform(0.006, 0.03), board, light, dark.astype(np.float32))


def _marble(domain: str, generator: np.random.Generator) -> Pattern:
    ground = sample_color(domain, generator)
    return partial(textures.marble, _noise(domain, generator), _seed(generator),
                   generator.uniform(0.04, 0.25), ground,
                   np.asarray(ground * generator.uniform(0.3, 0.8), dtype=np.float32))


def _weave(domain: str, generator: np.random.Generator) -> Pattern:
    first = sample_color(domain, generator)
    return partial(textures.weave, _noise(domain, generator), _seed(generator),
                   10 ** generator.uniform(-2.9, -2.0), first, vary(first, 0.6, generator))


def _checker(domain: str, generator: np.random.Generator) -> Pattern:
    first = sample_color(domain, generator)
    second = first if generator.random() < 0.5 else sample_color(domain, generator)
    return partial(textures.checker, 10 ** generator.uniform(-2.0, -0.5),
                   generator.uniform(0.5, 2.0), generator.uniform(0.0, 0.004), first, second,
                   sample_color(domain, generator))


def _fine_checker(domain: str, generator: np.random.Generator) -> Pattern:
    return partial(textures.checker, 10 ** generator.uniform(-2.3, -1.4),
                   generator.uniform(0.5, 2.0), 0.0, sample_color(domain, generator),
                   sample_color(domain, generator), np.zeros(3, dtype=np.float32))


def _bands(domain: str, generator: np.random.Generator) -> Pattern:
    count = int(generator.integers(2, 6))
    colors = np.stack([sample_color(domain, generator) for _ in range(count)])
    if count > 2 and generator.random() < 0.5:
        colors[::2] = colors[0]
    edges = np.sort(generator.uniform(0.05, 0.98, count - 1)).astype(np.float32)
    wobble = generator.uniform(0.0, 0.1) if generator.random() < 0.3 else 0.0
    return partial(textures.bands, edges, colors, wobble, _seed(generator),
                   _noise(domain, generator))


def _gradient(domain: str, generator: np.random.Generator) -> Pattern:
    direction = generator.standard_normal(3).astype(np.float32)
    direction[1] += 1.0
    return partial(textures.gradient, direction / np.linalg.norm(direction),
                   sample_color(domain, generator), sample_color(domain, generator))


def _label(domain: str, generator: np.random.Generator) -> Pattern:
    low = generator.uniform(0.0, 0.35)
    return partial(textures.printed, label_picture(domain, generator),
                   bool(generator.random() < 0.75), low,
                   generator.uniform(low + 0.25, 1.0), _plain(domain, generator))


def _on_screen(picture: FloatArray, points: FloatArray, normals: FloatArray,
               size: FloatArray) -> FloatArray:
    """Show a picture on a laptop's screen, whose lower edge is the hinge."""
    rows, columns = picture.shape[:2]
    # A lid opened flat has its picture along x instead of y.
    height = np.where(np.abs(normals[:, 1]) < 0.95, points[:, 1] / size[1] + 0.5,
                      -2 * points[:, 0] / size[0])
    column = np.clip((0.5 - points[:, 2] / size[2]) * columns, 0, columns - 1).astype(np.int32)
    row = np.clip((1 - height) * rows, 0, rows - 1).astype(np.int32)
    return picture[row, column]


def _on_deck(picture: FloatArray, points: FloatArray, normals: FloatArray,
             size: FloatArray) -> FloatArray:
    """Show a picture on the upper side of a laptop's base, whose far edge is the hinge."""
    rows, columns = picture.shape[:2]
    column = np.clip((0.5 - points[:, 2] / size[2]) * columns, 0, columns - 1).astype(np.int32)
    row = np.clip((points[:, 0] / size[0] + 0.5) * rows, 0, rows - 1).astype(np.int32)
    return picture[row, column]


_BODIES: tuple[tuple[float, Maker], ...] = (
    (0.38, _plain), (0.08, _clouds), (0.07, _speckle), (0.03, _wood), (0.03, _marble),
    (0.02, _weave), (0.05, _fine_checker), (0.10, _bands), (0.07, _gradient), (0.20, _label))
_TABLES: tuple[tuple[float, Maker], ...] = (
    (0.40, _wood), (0.18, _plain), (0.10, _clouds), (0.10, _speckle), (0.08, _marble),
    (0.09, _weave), (0.08, _checker))
_FLOORS: tuple[tuple[float, Maker], ...] = (
    (0.25, _wood), (0.20, _plain), (0.20, _speckle), (0.15, _weave), (0.20, _checker))
_WALLS: tuple[tuple[float, Maker], ...] = (
    (0.50, _plain), (0.20, _clouds), (0.10, _checker), (0.10, _speckle), (0.10, _gradient))
