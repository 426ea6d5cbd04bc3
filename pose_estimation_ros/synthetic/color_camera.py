"""The colour imager: from linear light to the 8-bit picture a camera driver delivers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.synthetic.colors import luminance
from pose_estimation_ros.synthetic.noise import smooth_field

FloatImage = NDArray[np.float32]

_TONE_STEPS = 4096


@dataclass(frozen=True)
class ColorCamera:
    """Parameters of one colour camera at one moment.

    Attributes:
        brightness: Mean linear value that auto-exposure aims at, 0 to 1.
        exposure: Factor of exposure error.
        white_balance: (3,) gains of red, green, blue.
        vignetting: Loss of light in the corners, 0 to 1.
        defocus: Standard deviation of blur, pixels at 640 columns.
        motion: (x, y) motion during exposure, pixels.
        shot_noise: Variance of noise per unit of light.
        read_noise: Standard deviation of noise in the dark.
        noise_correlation: Blur of the noise by demosaicing and denoising, pixels.
        haze: Stray light added to everything, share of the brightest.
        gamma: Exponent of the tone curve.
        shoulder: Strength of the compression of highlights, 0 to 1.
        saturation: Factor of colourfulness after the tone curve.
        sharpening: Strength of the halo-making sharpening filter.
        jpeg_quality: 0 = no compression, else quality of JPEG, 1 to 100.
    """

    brightness: float
    exposure: float
    white_balance: tuple[float, float, float]
    vignetting: float
    defocus: float
    motion: tuple[float, float]
    shot_noise: float
    read_noise: float
    noise_correlation: float
    haze: float
    gamma: float
    shoulder: float
    saturation: float
    sharpening: float
    jpeg_quality: int


def sample_color_camera(domain: str, generator: np.random.Generator) -> ColorCamera:
    """Return a colour camera with random parameters; `domain` is 'primary' or 'second'."""
    uniform, normal = generator.uniform, generator.normal
    second = domain == 'second'
    balance = 0.14 if second else 0.09
    moves = generator.random() < (0.3 if second else 0.2)
    motion = normal(0.0, 2.0, 2) if moves else (0.0, 0.0)
    compressed = generator.random() < (0.8 if second else 0.4)
    return ColorCamera(
        brightness=uniform(0.08, 0.24), exposure=float(np.exp(normal(0.0, 0.3))),
        white_balance=(float(np.exp(normal(0, balance))), 1.0, float(np.exp(normal(0, balance)))),
        vignetting=uniform(0.0, 0.35), defocus=uniform(0.25, 0.9),
        motion=(float(motion[0]), float(motion[1])),
        shot_noise=float(10 ** uniform(-4.0, -2.9)), read_noise=float(10 ** uniform(-2.8, -2.0)),
        noise_correlation=uniform(0.3, 0.9), haze=uniform(0.0, 0.08) if second else uniform(
            0.0, 0.04),
        gamma=uniform(1.9, 2.5), shoulder=uniform(0.2, 0.9),
        saturation=uniform(0.6, 1.5) if second else uniform(0.8, 1.4),
        sharpening=uniform(0.0, 1.8), jpeg_quality=int(uniform(40, 96)) if compressed else 0)


class Excerpt(NamedTuple):
    """Which part of a camera's image some pixels are.

    Attributes:
        x: First column, in pixels of this part.
        y: First row.
        width: Columns of the whole image.
        height: Rows of the whole image.
        light: What `metered_light` says of the whole image.
    """

    x: int
    y: int
    width: int
    height: int
    light: float


def metered_light(linear_rgb: FloatImage) -> float:
    """Return what auto-exposure measures in (H, W, 3) light.

    It is a compressed mean, so that a lamp in view does not darken everything.
    """
    return float(np.sqrt(np.maximum(luminance(linear_rgb), 0)).mean()) ** 2


def develop(linear_rgb: FloatImage, camera: ColorCamera, generator: np.random.Generator,
            excerpt: Excerpt | None = None) -> NDArray[np.uint8]:
    """Return the picture that a colour camera delivers.

    Args:
        linear_rgb: (H, W, 3) light, any positive scale.
        camera: Its parameters.
        generator: Source of randomness; the same state gives the same picture.
        excerpt: Which part of the image it is; None = all of it.

    Returns:
        (H, W, 3) uint8, red first.
    """
    if excerpt is None:
        height, width = linear_rgb.shape[:2]
        excerpt = Excerpt(0, 0, width, height, metered_light(linear_rgb[::8, ::8]))
    scale = excerpt.width / 640.0
    image = linear_rgb * _gains(excerpt.light, camera)
    image *= _vignette(linear_rgb.shape[:2], excerpt, camera.vignetting)[..., None]
    image = _blur(image, camera, scale)
    image += np.float32(camera.haze)
    height, width = linear_rgb.shape[:2]
    noise = np.empty_like(image)
    for channel in range(3):
        noise[..., channel] = smooth_field(height, width, 1.0, generator)
    noise = cv2.GaussianBlur(noise, (0, 0), camera.noise_correlation)
    # The blur lowers white noise by this factor at most; below half a pixel it hardly blurs.
    noise *= np.float32(max(1.0, 2 * np.sqrt(np.pi) * camera.noise_correlation))
    image += noise * np.sqrt(np.maximum(image, 0) * np.float32(camera.shot_noise)
                             + np.float32(camera.read_noise ** 2))
    display = _tone_curve(camera)[
        np.clip(image * np.float32((_TONE_STEPS - 1) / 2), 0, _TONE_STEPS - 1).astype(np.int16)]
    grey = luminance(display)[..., None]
    display = grey + np.float32(camera.saturation) * (display - grey)
    if camera.sharpening > 0.05:
        soft = cv2.GaussianBlur(display, (0, 0), 1.0 * max(scale, 0.5))
        display += np.float32(camera.sharpening) * (display - soft)
    picture = np.clip(display * 255.0 + 0.5, 0, 255).astype(np.uint8)
    if camera.jpeg_quality:
        encoded = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, camera.jpeg_quality])[1]
        picture = cv2.imdecode(encoded, cv2.IMREAD_COLOR).astype(np.uint8)
    return picture


def _gains(light: float, camera: ColorCamera) -> FloatImage:
    """Return the (3,) gains of exposure and white balance."""
    gain = camera.brightness * camera.exposure / max(light, 1e-4)
    return np.array(camera.white_balance, dtype=np.float32) * np.float32(gain)


def _vignette(shape: tuple[int, ...], excerpt: Excerpt, loss: float) -> FloatImage:
    aspect = excerpt.height / excerpt.width
    rows = np.linspace(-aspect, aspect, excerpt.height, dtype=np.float32)
    columns = np.linspace(-1, 1, excerpt.width, dtype=np.float32)
    rows = rows[excerpt.y:excerpt.y + shape[0], None]
    columns = columns[excerpt.x:excerpt.x + shape[1]]
    return np.asarray(1 - np.float32(loss / (1 + aspect ** 2)) * (rows * rows + columns * columns))


def _blur(image: FloatImage, camera: ColorCamera, scale: float) -> FloatImage:
    sigma = camera.defocus * scale
    if sigma > 0.25:
        image = cv2.GaussianBlur(image, (0, 0), sigma)
    length = float(np.hypot(*camera.motion)) * scale
    if length > 1.0:
        size = 2 * int(np.ceil(length / 2)) + 1
        kernel = np.zeros((size, size), dtype=np.float32)
        middle = size // 2
        step = np.array(camera.motion) / np.hypot(*camera.motion) * length / 2
        ends = [tuple(round(float(middle + sign * value)) for value in step) for sign in (-1, 1)]
        cv2.line(kernel, ends[0], ends[1], 1.0)
        image = cv2.filter2D(image, -1, kernel / kernel.sum())
    return np.asarray(image, dtype=np.float32)


def _tone_curve(camera: ColorCamera) -> FloatImage:
    """Return display values, 0 to 1, for light from 0 to 2."""
    light = np.linspace(0, 2, _TONE_STEPS, dtype=np.float32)
    shoulder = np.float32(camera.shoulder)
    rolled = light * (1 + shoulder * light / 4) / (1 + shoulder * light)
    return np.asarray(np.clip(rolled * (1 + shoulder) / (1 + shoulder / 4), 0, 1)
                      ** np.float32(1 / camera.gamma), dtype=np.float32)
