"""Lights of a synthetic scene and how surfaces answer them. World frame: z up, table at z = 0."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.synthetic.blocks import in_blocks

FloatArray = NDArray[np.float32]

_GLOSSY = 0.08  # surfaces below this gloss get no highlight and no reflection


@dataclass(frozen=True)
class SoftBox:
    """A bright rectangle of the surroundings, as windows and ceiling lamps reflect in a glaze.

    Attributes:
        direction: (3,) unit vector towards its centre, world frame.
        right: (3,) unit vector along its width.
        up: (3,) unit vector along its height.
        half_size: Half width and half height, tangents of angles.
        color: (3,) radiance.
    """

    direction: FloatArray
    right: FloatArray
    up: FloatArray
    half_size: tuple[float, float]
    color: FloatArray


@dataclass(frozen=True)
class Lighting:
    """All light of a scene.

    Attributes:
        sky: (3,) light from above.
        ground: (3,) light from below.
        key_directions: (L, 3) unit vectors towards the lights that cast shadows, L = 1 or 2.
        key_colors: (L, 3) their strength.
        key_radii: (L,) half their apparent size, radians.
        fill_directions: (F, 3) unit vectors towards lights without shadows.
        fill_colors: (F, 3) their strength.
        soft_boxes: Bright rectangles for reflections.
    """

    sky: FloatArray
    ground: FloatArray
    key_directions: FloatArray
    key_colors: FloatArray
    key_radii: FloatArray
    fill_directions: FloatArray
    fill_colors: FloatArray
    soft_boxes: tuple[SoftBox, ...]


def sample_lighting(domain: str, generator: np.random.Generator) -> Lighting:
    """Return the lights of one scene.

    Args:
        domain: 'primary': daylight and room lamps, mostly soft. 'second': harder spots, stronger
            colours.
        generator: Source of randomness.
    """
    second = domain == 'second'
    tint = 0.25 if second else 0.10
    ambient = generator.uniform(0.1, 0.4) if second else generator.uniform(0.15, 0.6)
    count = int(generator.integers(1, 3))
    strength = generator.uniform(0.4, 1.5) / np.sqrt(count)
    elevation = generator.uniform(0.5, 1.5, count) if second else generator.uniform(
        0.6, 1.4, count)
    radii = generator.uniform(0.01, 0.1, count) if second else generator.uniform(
        0.05, 0.35, count)
    directions = _directions(generator.uniform(0, 2 * np.pi, count), elevation)
    colors = np.stack([_light_color(tint, generator) for _ in range(count)]) * strength
    fills = int(generator.integers(0, 3))
    fill_directions = _directions(generator.uniform(0, 2 * np.pi, fills),
                                  generator.uniform(0.1, 1.3, fills))
    fill_colors = np.array([_light_color(tint, generator) * generator.uniform(0.05, 0.3)
                            for _ in range(fills)], dtype=np.float32).reshape(fills, 3)
    boxes = [_soft_box(direction, color * generator.uniform(1.5, 5.0), generator)
             for direction, color in zip(directions, colors, strict=True)]
    boxes += [_soft_box(_directions(generator.uniform(0, 2 * np.pi, 1),
                                    generator.uniform(0.0, 0.8, 1))[0],
                        _light_color(tint, generator) * generator.uniform(0.5, 3.0), generator)
              for _ in range(int(generator.integers(0, 4)))]
    return Lighting(
        sky=_light_color(tint, generator) * np.float32(ambient),
        ground=_light_color(tint, generator) * np.float32(ambient * generator.uniform(0.2, 0.7)),
        key_directions=directions, key_colors=colors.astype(np.float32),
        key_radii=radii.astype(np.float32), fill_directions=fill_directions,
        fill_colors=fill_colors, soft_boxes=tuple(boxes))


def shade(lighting: Lighting, albedo: FloatArray, normals: FloatArray,
          view_directions: FloatArray, points: FloatArray, gloss: FloatArray,
          metallic: FloatArray, specular: FloatArray, visibility: FloatArray) -> FloatArray:
    """Return the light that surfaces send to the camera.

    Args:
        lighting: The lights.
        albedo: (N, 3) linear RGB.
        normals: (N, 3) unit normals, world frame; turned towards the camera here.
        view_directions: (N, 3) unit vectors from surface to camera, world frame.
        points: (N, 3) metres, world frame.
        gloss: (N,) 0 matt to 1 mirror.
        metallic: (N,) 0 paint to 1 metal.
        specular: (N,) reflectance at normal incidence.
        visibility: (N, L) share of each key light that reaches the surface.

    Returns:
        (N, 3) float32 linear RGB, not limited above.
    """
    return in_blocks(partial(_shade_block, lighting), albedo, normals, view_directions, points,
                     gloss, metallic, specular, visibility)


def _shade_block(lighting: Lighting, albedo: FloatArray, normals: FloatArray,
                 view_directions: FloatArray, points: FloatArray, gloss: FloatArray,
                 metallic: FloatArray, specular: FloatArray, visibility: FloatArray) -> FloatArray:
    facing = np.einsum('ni,ni->n', normals, view_directions)
    normals = np.where(facing[:, None] < 0, -normals, normals).astype(np.float32)
    up = 0.5 + 0.5 * normals[:, 2:3]
    light = (lighting.sky * up + lighting.ground * (1.0 - up)) * _openness(points, normals)
    for index in range(len(lighting.key_directions)):
        # A light of finite size also reaches surfaces that face a little away from it.
        wrap = np.float32(np.sin(lighting.key_radii[index]))
        lambert = np.clip((normals @ lighting.key_directions[index] + wrap) / (1 + wrap), 0, 1)
        light += (lambert * visibility[:, index])[:, None] * lighting.key_colors[index]
    for direction, color in zip(lighting.fill_directions, lighting.fill_colors, strict=True):
        light += np.clip(normals @ direction, 0, 1)[:, None] * color
    color = albedo * light * (1.0 - np.float32(0.85) * metallic[:, None])

    glossy = np.flatnonzero((gloss > _GLOSSY) | (metallic > 0.1))
    if glossy.size:
        color[glossy] += _reflection(
            lighting, albedo[glossy], normals[glossy], view_directions[glossy], gloss[glossy],
            metallic[glossy], specular[glossy], visibility[glossy])
    return np.asarray(color, dtype=np.float32)


def background_color(lighting: Lighting, directions: FloatArray) -> FloatArray:
    """Return the (N, 3) linear RGB seen along (N, 3) world directions that hit nothing."""
    return surroundings(lighting, directions, np.ones(len(directions), dtype=np.float32))


def surroundings(lighting: Lighting, directions: FloatArray, gloss: FloatArray) -> FloatArray:
    """Return the (N, 3) light that comes from (N, 3) directions, blurred where gloss is low."""
    up = np.clip(0.5 + directions[:, 2:3], 0, 1)
    total = lighting.sky * up + lighting.ground * (1 - up) * np.float32(0.6)
    softness = 0.04 + 0.8 * (1.0 - gloss) ** 2
    for box in lighting.soft_boxes:
        ahead = directions @ box.direction
        depth = np.maximum(ahead, 1e-3)
        across = np.abs(directions @ box.right) / depth - np.float32(box.half_size[0])
        along = np.abs(directions @ box.up) / depth - np.float32(box.half_size[1])
        inside = np.clip(0.5 - across / softness, 0, 1) * np.clip(0.5 - along / softness, 0, 1)
        area = 4 * box.half_size[0] * box.half_size[1]
        spread = area / (area + softness * softness)
        total = total + (inside * (ahead > 0) * spread)[:, None] * box.color
    return np.asarray(total, dtype=np.float32)


def _reflection(lighting: Lighting, albedo: FloatArray, normals: FloatArray, view: FloatArray,
                gloss: FloatArray, metallic: FloatArray, specular: FloatArray,
                visibility: FloatArray) -> FloatArray:
    """Return mirrored surroundings and highlights (Schlick's Fresnel, Blinn-Phong lobes)."""
    cosine = np.clip(np.einsum('ni,ni->n', normals, view), 0, 1)
    mirrored = 2 * cosine[:, None] * normals - view
    base = specular[:, None] * (1 - metallic[:, None]) + albedo * metallic[:, None]
    fresnel = base + (1 - base) * ((1 - cosine) ** 5 * gloss)[:, None]
    total = surroundings(lighting, mirrored, gloss)
    exponent = np.exp2(3 + 7 * gloss)
    for index in range(len(lighting.key_directions)):
        half = view + lighting.key_directions[index]
        half /= np.linalg.norm(half, axis=1, keepdims=True) + 1e-6
        lobe = np.clip(np.einsum('ni,ni->n', normals, half), 0, 1) ** exponent
        strength = lobe * (exponent + 8) / 25 * visibility[:, index]
        total += strength[:, None] * lighting.key_colors[index]
    return np.asarray(fresnel * total * np.maximum(gloss, metallic)[:, None], dtype=np.float32)


def _openness(points: FloatArray, normals: FloatArray) -> FloatArray:
    """Return (N, 1) how much of the surroundings is not hidden by the table just below."""
    near = np.exp(-np.abs(points[:, 2:3]) / np.float32(0.025))
    return np.asarray(1 - 0.55 * near * np.clip(1 - normals[:, 2:3], 0, 1), dtype=np.float32)


def _directions(azimuth: NDArray[np.float64], elevation: NDArray[np.float64]) -> FloatArray:
    return np.stack([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation),
                     np.sin(elevation)], axis=-1).astype(np.float32)


def _light_color(tint: float, generator: np.random.Generator) -> FloatArray:
    """Return a (3,) colour of unit mean: warm to cold by temperature, a little green or pink."""
    warmth, green = generator.normal(0.0, tint, 2)
    color = np.array([1 + warmth, 1 + 0.3 * green, 1 - warmth])
    return np.asarray(np.clip(color, 0.3, 2.0), dtype=np.float32)


def _soft_box(direction: FloatArray, color: FloatArray,
              generator: np.random.Generator) -> SoftBox:
    right = np.cross(direction, generator.standard_normal(3) * 0.2 + (0, 0, 1))
    right = (right / np.linalg.norm(right)).astype(np.float32)
    return SoftBox(direction=direction, right=right,
                   up=np.cross(right, direction).astype(np.float32),
                   half_size=(float(generator.uniform(0.08, 0.6)),
                              float(generator.uniform(0.08, 0.6))),
                   color=color.astype(np.float32))
