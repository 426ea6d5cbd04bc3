"""Materials of synthetic surfaces: what each part of an object and each background is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.synthetic import patterns, textures
from pose_estimation_ros.synthetic.blocks import in_blocks
from pose_estimation_ros.synthetic.colors import color_change, sample_hsv
from pose_estimation_ros.synthetic.patterns import (
    OBJECT_STYLES,
    ROOM_STYLES,
    Maker,
    Style,
    sample_pattern,
)
from pose_estimation_ros.synthetic.prints import board_picture, keyboard_picture, screen_picture
from pose_estimation_ros.synthetic.textures import Pattern, Surface

FloatArray: TypeAlias = NDArray[np.float32]


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
               size: NDArray[np.floating], own_colors: FloatArray | None = None) -> FloatArray:
        """Return the colour at points of the surface.

        Args:
            points: (N, 3) metres, object frame.
            normals: (N, 3) unit normals, object frame.
            size: (3,) extent of the object, metres.
            own_colors: (N, 3) linear RGB of the object's mesh at these points, if it has any.

        Returns:
            (N, 3) float32 linear RGB, 0 to 1.
        """
        extent = np.asarray(size, dtype=np.float32)
        arrays = [np.asarray(points, dtype=np.float32), np.asarray(normals, dtype=np.float32)]
        if own_colors is not None:
            arrays.append(own_colors)
        colors = in_blocks(lambda points, normals, *own: self.pattern(
            Surface(points, normals, extent, *own)), *arrays)
        return np.clip(colors, 0.001, 1.0)


_BODIES: tuple[tuple[float, Maker], ...] = (
    (0.36, patterns.plain), (0.08, patterns.clouds), (0.06, patterns.speckle),
    (0.03, patterns.wood), (0.03, patterns.marble), (0.02, patterns.weave),
    (0.04, patterns.fine_checker), (0.10, patterns.bands), (0.05, patterns.rim_line),
    (0.05, patterns.gradient), (0.18, patterns.label))
# Patterns, the most gloss and the coarseness of each background.
_BACKGROUNDS: dict[str, tuple[tuple[tuple[float, Maker], ...], float, float]] = {
    'table': (((0.42, patterns.wood), (0.16, patterns.plain), (0.10, patterns.clouds),
               (0.10, patterns.speckle), (0.08, patterns.marble), (0.08, patterns.weave),
               (0.06, patterns.tiles)), 0.55, 1.0),
    'floor': (((0.25, patterns.wood), (0.18, patterns.plain), (0.22, patterns.speckle),
               (0.17, patterns.weave), (0.18, patterns.tiles)), 0.4, 3.0),
    'wall': (((0.55, patterns.plain), (0.20, patterns.clouds), (0.08, patterns.tiles),
              (0.10, patterns.speckle), (0.07, patterns.gradient)), 0.15, 4.0),
}
# Share of coloured meshes that are seen in quite other hues.
_STRANGE_COLORS = 0.12
# Chance of a part to be of one piece with the body.
_OF_ONE_PIECE = {'handle': 0.85, 'inside': 0.5, 'rim': 0.6, 'base': 0.7, 'lid': 0.6, 'cap': 0.2,
                 'grip': 0.3}


def sample_material(role: str, domain: str, generator: np.random.Generator) -> Material:
    """Return a random material.

    Args:
        role: Name of an object's part ('body', 'handle', 'label', ...) or of a background
            ('table', 'floor', 'wall'). Unknown roles are made like a body.
        domain: 'primary' or 'second'; the second uses other noises and palettes.
        generator: Source of randomness.
    """
    style = OBJECT_STYLES[domain]
    uniform = generator.uniform
    if role in _BACKGROUNDS:
        makers, most_gloss, coarseness = _BACKGROUNDS[role]
        room = replace(ROOM_STYLES[domain], coarseness=coarseness)
        pattern = patterns.worn(sample_pattern(makers, room, generator), room, generator)
        return Material(role, pattern, uniform(0.0, most_gloss))
    if role == 'screen':
        picture = screen_picture(style.palette, generator)
        return Material(role, partial(textures.on_screen, picture), uniform(0.3, 0.95))
    if role == 'keyboard':
        picture = keyboard_picture(style.palette, generator)
        return Material(role, partial(textures.on_deck, picture), uniform(0.05, 0.4))
    if role == 'board':
        picture = board_picture(style.palette, generator)
        paper = patterns.plain(style, generator)
        return Material(role, partial(textures.on_top, picture, paper), uniform(0.0, 0.3))
    if role in ('lens', 'glass'):
        color = sample_hsv(generator, (0.0, 1.0), (0.0, 0.6), (0.02, 0.2))
        return Material(role, partial(textures.plain, color), uniform(0.8, 1.0))
    if role == 'flash':
        color = sample_hsv(generator, (0.0, 1.0), (0.0, 0.1), (0.6, 0.95))
        return Material(role, partial(textures.plain, color), uniform(0.5, 0.9))
    if role == 'grip':
        color = sample_hsv(generator, (0.0, 1.0), (0.0, 0.3), (0.04, 0.3))
        return Material(role, patterns.speckle_over(color, style, generator), uniform(0.0, 0.25))
    if role in ('metal', 'rim', 'base') and generator.random() < 0.6:
        return _metal(role, style, generator)
    if role == 'label':
        return Material(role, patterns.label(style, generator), uniform(0.1, 0.6))
    return Material(role, sample_pattern(_BODIES, style, generator), _body_gloss(generator))


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
    for name in part_names:
        if name in chosen:
            continue
        if name == 'body' or generator.random() < _OF_ONE_PIECE.get(name, 0.0):
            chosen[name] = replace(body, role=name)
        elif name == 'inside':
            chosen[name] = replace(body, role=name, pattern=_glaze(domain, generator))
        else:
            chosen[name] = sample_material(name, domain, generator)
    return tuple(chosen[name] for name in part_names)


def sample_colored_material(domain: str, generator: np.random.Generator) -> Material:
    """Return a material that shows the colours of a mesh itself, more or less.

    Scanned colours hold the light of the room they were scanned in, so brightness is the least
    certain, and hue the most.
    """
    style = OBJECT_STYLES[domain]
    strange = generator.random() < _STRANGE_COLORS
    matrix = color_change(generator.normal(0.0, 0.5 if strange else 0.1),
                          float(np.exp(generator.normal(0.0, 0.5 if strange else 0.2))),
                          np.exp(generator.normal(-0.05, 0.3)
                                 + generator.normal(0.0, 0.15 if strange else 0.06, 3)))
    pattern: Pattern = partial(textures.own_colors, float(np.exp(generator.normal(0.0, 0.15))),
                               matrix)
    if generator.random() < 0.5:
        pattern = patterns.worn(pattern, style, generator)
    low, high = ((0.0, 0.15), (0.15, 0.6), (0.6, 0.9))[int(generator.choice(
        3, p=(0.45, 0.4, 0.15)))]
    return Material('body', pattern, float(generator.uniform(low, high)))


def _glaze(domain: str, generator: np.random.Generator) -> Pattern:
    """Return one colour, white more often than not."""
    if generator.random() < 0.6:
        return partial(textures.plain, sample_hsv(generator, (0.0, 1.0), (0.0, 0.1), (0.7, 0.95)))
    return patterns.plain(OBJECT_STYLES[domain], generator)


def _metal(role: str, style: Style, generator: np.random.Generator) -> Material:
    color = sample_hsv(generator, (0.0, 0.15), (0.0, 0.25), (0.55, 0.95))
    return Material(role, patterns.brushed(color, style, generator),
                    gloss=generator.uniform(0.35, 0.9), metallic=generator.uniform(0.6, 1.0))


def _body_gloss(generator: np.random.Generator) -> float:
    """Return a gloss: a third matt, a third in between, a third glazed or polished."""
    low, high = ((0.0, 0.15), (0.15, 0.6), (0.6, 0.95))[int(generator.integers(3))]
    return float(generator.uniform(low, high))
