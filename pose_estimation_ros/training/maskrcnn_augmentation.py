"""Random changes of pictures and depth that a detector must see through.

All functions take images of the detector's own size and a generator, and return new arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
DepthImage = NDArray[np.float32]
InstanceMap = NDArray[np.int16]

_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True)
class ColorChanges:
    """How often colours become quite other ones.

    Attributes:
        repainted: Share of the surfaces that get another colour.
        permuted: Share of pictures whose channels change places.
        inverted: Share of pictures that become negatives.
        hue: Standard deviation of the turn of all hues, radians.
    """

    repainted: float = 0.25
    permuted: float = 0.2
    inverted: float = 0.08
    hue: float = 0.25


# Objects of a category have any colour, known ones their own.
ANY_COLORS = ColorChanges()
OWN_COLORS = ColorChanges(repainted=0.05, permuted=0.02, inverted=0.0, hue=0.1)


def augment_color(rgb: Image, instances: InstanceMap, generator: np.random.Generator,
                  changes: ColorChanges = ANY_COLORS) -> Image:
    """Return the picture as another camera, light and set of paints would show it.

    Args:
        rgb: (h, w, 3) uint8.
        instances: (h, w) int16, 0 = background, k = k-th object.
        generator: Source of randomness.
        changes: How often colours become quite other ones.

    Returns:
        (h, w, 3) uint8.
    """
    image = _recolor_surfaces(rgb, instances, changes.repainted, generator)
    if generator.random() < 0.6:
        image = cv2.transform(image, _color_matrix(changes, generator))
    if generator.random() < 0.8:
        image = cv2.LUT(image, _tone_curves(generator))
    if generator.random() < 0.3:
        image = _shade(image, generator)
    if generator.random() < 0.3:
        image = _blur(image, generator)
    if generator.random() < 0.5:
        image = _add_noise(image, generator)
    if generator.random() < 0.2:
        image = _compress(image, generator)
    return np.ascontiguousarray(image)


def augment_depth(depth: DepthImage, generator: np.random.Generator) -> DepthImage | None:
    """Return the depth as a worse or differently set sensor would give it, or None for none.

    Args:
        depth: (h, w) float32 metres, NaN = unknown.
        generator: Source of randomness.
    """
    if generator.random() < 0.12 or not np.isfinite(depth).any():
        return None
    depth = depth.copy()
    height, width = depth.shape
    if generator.random() < 0.3:
        depth *= np.float32(generator.uniform(0.96, 1.04))
    if generator.random() < 0.4:
        depth = _wavy(depth, generator)
    if generator.random() < 0.3:
        # Many set-ups cut off what lies beyond the work space.
        farthest = float(np.nanmedian(depth)) * generator.uniform(1.0, 2.0)
        with np.errstate(invalid='ignore'):
            depth[depth > farthest] = np.nan
    if generator.random() < 0.2:
        # Aligned depth lacks a slanted band at one side of the colour image.
        x_top, x_bottom = generator.uniform(0, 0.2, 2) * width
        edge = np.linspace(x_top, x_bottom, height)[:, None]
        columns = np.arange(width)[None, :]
        if generator.random() < 0.5:
            columns = columns[:, ::-1]
        depth[columns < edge] = np.nan
    if generator.random() < 0.25:
        depth = _widen_holes(depth, generator)
    if generator.random() < 0.5:
        depth[_blobs((height, width), int(generator.integers(1, 9)), generator)] = np.nan
    return depth


def place_occluders(rgb: Image, depth: DepthImage, instances: InstanceMap,
                    generator: np.random.Generator) -> tuple[Image, DepthImage, InstanceMap]:
    """Put up to three flat rectangles before the scene; what they hide is no longer labelled."""
    rgb, depth, instances = rgb.copy(), depth.copy(), instances.copy()
    height, width = depth.shape
    for _ in range(int(generator.integers(1, 4))):
        w, h = generator.integers(8, 60, 2)
        x, y = int(generator.integers(0, width - w)), int(generator.integers(0, height - h))
        window = (slice(y, y + h), slice(x, x + w))
        patch = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        if generator.random() < 0.5:
            patch[:] = patch[0, 0]
        rgb[window] = cv2.resize(patch, (int(w), int(h)), interpolation=cv2.INTER_LINEAR)
        behind = depth[window]
        if np.isfinite(behind).any():
            depth[window] = np.float32(np.nanmin(behind) * generator.uniform(0.75, 0.98))
        instances[window] = 0
    return rgb, depth, instances


def _recolor_surfaces(rgb: Image, instances: InstanceMap, share: float,
                      generator: np.random.Generator) -> Image:
    """Paint some objects, and sometimes the background, in random colours; shading stays."""
    image = rgb.copy()
    for instance in np.unique(instances):
        if generator.random() > share:
            continue
        pixels = instances == instance
        colors = image[pixels].astype(np.float32)
        luminance = (colors @ _LUMINANCE)[:, None]
        tint = generator.uniform(0.2, 1.0, 3).astype(np.float32)
        painted = luminance / max(float(luminance.mean()), 20.0) * tint * 128
        strength = np.float32(generator.uniform(0.4, 1.0))
        image[pixels] = np.clip(colors + strength * (painted - colors), 0, 255).astype(np.uint8)
    return image


def _color_matrix(changes: ColorChanges,
                  generator: np.random.Generator) -> NDArray[np.float32]:
    """Return a (3, 4) map of colours: saturation, hue, channel order, sometimes inverted."""
    grey = np.tile(_LUMINANCE, (3, 1))
    saturation = generator.uniform(0.2, 1.6) if generator.random() < 0.8 else 0.0
    matrix = grey + saturation * (np.eye(3) - grey)
    angle = generator.normal(0, changes.hue)
    axis = np.full(3, 1 / np.sqrt(3))
    hue, _ = cv2.Rodrigues(axis * angle)
    matrix = hue @ matrix
    if generator.random() < changes.permuted:
        matrix = matrix[generator.permutation(3)]
    offset = np.zeros((3, 1))
    if generator.random() < changes.inverted:
        matrix, offset = -matrix, np.full((3, 1), 255.0)
    return np.hstack([matrix, offset]).astype(np.float32)


def _tone_curves(generator: np.random.Generator) -> Image:
    """Return a (256, 1, 3) look-up table of gains, gamma and offset for each channel."""
    level = np.linspace(0, 1, 256)[:, None]
    gamma = np.exp(generator.normal(0, 0.3) + generator.normal(0, 0.06, 3))
    gain = np.exp(generator.normal(0, 0.2) + generator.normal(0, 0.12, 3))
    curve = gain * level ** gamma + generator.normal(0, 0.04)
    return (np.clip(curve, 0, 1) * 255).astype(np.uint8)[:, None, :]


def _shade(image: Image, generator: np.random.Generator) -> Image:
    """Multiply by a smooth random light."""
    height, width = image.shape[:2]
    coarse = np.exp(generator.normal(0, 0.35, (3, 4))).astype(np.float32)
    light = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(image * np.clip(light, 0.1, 3)[..., None], 0, 255).astype(np.uint8)


def _blur(image: Image, generator: np.random.Generator) -> Image:
    if generator.random() < 0.6:
        return np.asarray(
            cv2.GaussianBlur(image, (0, 0), generator.uniform(0.4, 1.4)), dtype=np.uint8)
    length = int(generator.integers(3, 8))
    kernel = np.zeros((length, length), dtype=np.float32)
    direction = generator.normal(size=2)
    direction *= (length - 1) / 2 / np.abs(direction).max()
    middle = (length - 1) / 2
    for t in np.linspace(-1, 1, 2 * length):
        x, y = np.round(middle + t * direction).astype(int)
        kernel[y, x] = 1
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), dtype=np.uint8)


def _add_noise(image: Image, generator: np.random.Generator) -> Image:
    noise = generator.standard_normal(image.shape, dtype=np.float32)
    deviation = np.float32(generator.uniform(1, 10))
    return np.clip(image + deviation * noise, 0, 255).astype(np.uint8)


def _compress(image: Image, generator: np.random.Generator) -> Image:
    quality = int(generator.integers(25, 85))
    _, code = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), dtype=np.uint8)


def _wavy(depth: DepthImage, generator: np.random.Generator) -> DepthImage:
    """Add smooth errors of inverse depth, as a badly calibrated stereo pair has them."""
    height, width = depth.shape
    cells = int(generator.integers(4, 40))
    coarse = generator.standard_normal((cells * 3 // 4 + 1, cells)).astype(np.float32)
    wave = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    inverse = 1 / depth + np.float32(generator.uniform(0, 0.008)) * wave
    return np.asarray(1 / np.maximum(inverse, 0.05), dtype=np.float32)


def _widen_holes(depth: DepthImage, generator: np.random.Generator) -> DepthImage:
    side = int(generator.integers(2, 6))
    unknown = cv2.dilate(np.isnan(depth).astype(np.uint8), np.ones((side, side), np.uint8))
    return np.where(unknown > 0, np.float32(np.nan), depth)


def _blobs(shape: tuple[int, int], count: int,
           generator: np.random.Generator) -> NDArray[np.bool_]:
    """Return a (h, w) mask of random ellipses."""
    mask = np.zeros(shape, dtype=np.uint8)
    for _ in range(count):
        centre = (int(generator.integers(shape[1])), int(generator.integers(shape[0])))
        axes = (int(generator.integers(1, 18)), int(generator.integers(1, 10)))
        cv2.ellipse(mask, centre, axes, float(generator.uniform(0, 180)), 0, 360, 1, -1)
    return mask > 0
