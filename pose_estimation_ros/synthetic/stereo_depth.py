"""Depth of an active stereo camera such as RealSense D415 and D435.

All lengths in pixels are those of the sensor's own image; they are scaled to the image at hand
by the ratio of focal lengths, so a crop or a resized image degrades as the full one does.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.synthetic.noise import smooth_field

FloatImage = NDArray[np.float32]


_EDGE_STEP = 1.0  # pixels of disparity across 3 pixels of image: no table is that steep


@dataclass(frozen=True)
class StereoSensor:
    """Parameters of one stereo depth camera, whose depth is aligned to a colour camera.

    Attributes:
        focal: Focal length of the disparity image, pixels.
        baseline: Distance of the two infrared cameras, metres.
        color_offset: Distance of the colour camera to the left of the left one, metres.
        border: Columns of the colour image left of the left infrared image, pixels.
        subpixel: Steps of disparity per pixel.
        noise: Standard deviation of disparity, pixels, alike over a matching window.
        noise_correlation: Its correlation length, pixels.
        ripple: Standard deviation of the slow error of disparity, pixels.
        ripple_correlation: Its correlation length, pixels.
        grain: Standard deviation of disparity from pixel to pixel, pixels.
        bias: Relative error of depth.
        resampling: Pixels of the depth image per pixel of the colour image it is aligned to.
        misalignment: (x, y) error of this alignment, pixels.
        fattening: Radius by which foreground grows over background, pixels.
        raggedness: Amplitude of the wobble of depth edges, pixels.
        flying: Share of edge pixels whose depth lies between foreground and background.
        edge_holes: Share of the length of depth edges along which depth is lost.
        edge_step: Jump of disparity above which that happens, pixels.
        dark_holes: Albedo below which matches begin to fail.
        gloss_holes: Share of pixels lost on a fully glossy surface.
        highlight: Angle between ray and normal below which a mirror dazzles, radians.
        grazing: Cosine of incidence below which matches begin to fail.
        base_holes: Share of pixels lost on an ordinary surface.
        patch: Correlation length of holes, pixels.
        minimum: Nearest depth, metres.
        maximum: Farthest depth, metres.
        unit: Step of the depth image, metres.
    """

    focal: float
    baseline: float
    color_offset: float
    border: float
    subpixel: int
    noise: float
    noise_correlation: float
    ripple: float
    ripple_correlation: float
    grain: float
    bias: float
    resampling: float
    misalignment: tuple[float, float]
    fattening: float
    raggedness: float
    flying: float
    edge_holes: float
    edge_step: float
    dark_holes: float
    gloss_holes: float
    highlight: float
    grazing: float
    base_holes: float
    patch: float
    minimum: float
    maximum: float
    unit: float


def sample_stereo_sensor(generator: np.random.Generator) -> StereoSensor:
    """Return a stereo sensor with parameters drawn around those of RealSense D415 and D435."""
    uniform = generator.uniform
    # D435: 50 mm, a wider infrared than colour image; D415: 55 mm and about as wide.
    wide = generator.random() < 0.5
    return StereoSensor(
        focal=uniform(590, 640), baseline=0.050 if wide else 0.055, color_offset=0.015,
        border=uniform(-120, -60) if wide else uniform(-15, 15), subpixel=32,
        noise=uniform(0.03, 0.11), noise_correlation=uniform(9, 18),
        ripple=uniform(0.02, 0.07), ripple_correlation=uniform(25, 70),
        grain=uniform(0.0, 0.01), bias=generator.normal(0.0, 0.004),
        resampling=uniform(0.65, 0.8) if wide and generator.random() < 0.5 else uniform(0.92, 1.5),
        misalignment=(generator.normal(0, 0.7), generator.normal(0, 0.5)),
        fattening=uniform(0.0, 1.6), raggedness=uniform(0.5, 1.8), flying=uniform(0.0, 0.06),
        edge_holes=uniform(0.4, 0.95), edge_step=uniform(1.5, 4.0),
        dark_holes=max(0.0, uniform(-0.012, 0.012)), gloss_holes=10 ** uniform(-5.5, -2.6),
        highlight=np.radians(uniform(0.0, 4.5)), grazing=uniform(0.03, 0.2),
        base_holes=10 ** uniform(-7, -4), patch=uniform(4, 9), minimum=uniform(0.15, 0.25),
        maximum=uniform(1.5, 6.0), unit=0.001)


def simulate_stereo(depth: FloatImage, cosine: FloatImage, albedo: FloatImage, gloss: FloatImage,
                    intrinsics: CameraIntrinsics, sensor: StereoSensor,
                    generator: np.random.Generator, column: int) -> FloatImage:
    """Return what the sensor measures of a clean depth image; see `depth_sensor`.

    Args:
        depth: (H, W) metres, NaN = nothing there.
        cosine: (H, W) or () absolute cosine of incidence.
        albedo: (H, W) or () luminance of the surface.
        gloss: (H, W) or () 0 matt to 1 mirror.
        intrinsics: Camera of this image.
        sensor: Its parameters.
        generator: Source of randomness.
        column: First column of this image in the full one, pixels of this image.

    Returns:
        (H, W) metres, NaN = unknown.
    """
    height, width = depth.shape
    scale = intrinsics.fx / sensor.focal
    known = np.isfinite(depth)
    focal_baseline = np.float32(sensor.focal * sensor.baseline)
    clean = np.where(known, focal_baseline / np.where(known, depth, 1.0), 0.0
                     ).astype(np.float32)

    disparity, lost = _resample(clean, intrinsics, sensor, scale, generator, column)
    patches = smooth_field(height, width, sensor.patch * scale, generator)
    grain = generator.standard_normal((height, width), dtype=np.float32)
    lost |= _edge_holes(disparity, patches, sensor, generator)
    chance = _hole_chance(cosine, albedo, gloss, sensor)
    lost |= 0.95 * patches + 0.3 * grain > _normal_quantile(1.0 - chance)

    disparity += sensor.noise * smooth_field(height, width, sensor.noise_correlation * scale,
                                             generator)
    disparity += sensor.ripple * smooth_field(height, width, sensor.ripple_correlation * scale,
                                              generator)
    disparity += np.float32(sensor.grain) * grain
    disparity = np.round(disparity * sensor.subpixel) / np.float32(sensor.subpixel)
    valid = (disparity > 0) & ~lost
    measured = focal_baseline * np.float32(1 + sensor.bias) / np.where(valid, disparity, 1.0)
    valid &= (measured >= sensor.minimum) & (measured <= sensor.maximum)
    valid = _without_speckles(valid)
    measured = np.round(measured / np.float32(sensor.unit)) * np.float32(sensor.unit)
    return np.where(valid, measured, np.float32(np.nan)).astype(np.float32)


def _resample(clean: FloatImage, intrinsics: CameraIntrinsics, sensor: StereoSensor, scale: float,
              generator: np.random.Generator, column: int
              ) -> tuple[FloatImage, NDArray[np.bool_]]:
    """Return the disparity as matched and aligned to colour, and which pixels have none.

    Surfaces are sampled at the depth image's own pixels, the nearest to each colour pixel; edges
    are fattened and wobble as the matching window decides.
    """
    height, width = clean.shape
    ratio = sensor.resampling / scale
    phase = generator.random(2)
    columns = _nearest_pixels(width, ratio, phase[0]) + sensor.misalignment[0] * scale
    rows = _nearest_pixels(height, ratio, phase[1]) + sensor.misalignment[1] * scale
    x, y = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
    smooth = cv2.remap(clean, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    small = np.ones((3, 3), dtype=np.uint8)
    step = cv2.dilate(clean, small) - cv2.erode(clean, small)
    radius = max(round((sensor.fattening + 2 * sensor.raggedness) * scale), 1)
    reach = np.ones((2 * radius + 1,) * 2, dtype=np.uint8)
    near_edge = cv2.dilate((step > _EDGE_STEP / min(scale, 1.0)).astype(np.uint8), reach) > 0

    fat = round(sensor.fattening * scale)
    matched = cv2.dilate(clean, np.ones((2 * fat + 1,) * 2, dtype=np.uint8)) if fat else clean
    wobble = np.float32(sensor.raggedness * scale)
    x += wobble * smooth_field(height, width, 3.5 * scale, generator)
    y += np.float32(0.7) * wobble * smooth_field(height, width, 3.5 * scale, generator)
    ragged = cv2.remap(matched, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    hidden = _hidden_from_one_camera(clean, intrinsics.fx, sensor, scale, column)
    hidden = cv2.remap(hidden.astype(np.uint8), x, y, cv2.INTER_NEAREST,
                       borderMode=cv2.BORDER_REPLICATE) > 0
    disparity = np.where(near_edge, ragged, smooth)
    # Foreground that grew over its shadow is seen by both cameras.
    hidden &= ~(near_edge & (disparity > clean + np.float32(_EDGE_STEP)))
    return disparity, hidden


def _nearest_pixels(count: int, ratio: float, phase: float) -> NDArray[np.float64]:
    """Return for pixels 0 to count - 1 the nearest one of a grid of `ratio` pixels per pixel."""
    return np.asarray((np.round(np.arange(count) * ratio + phase) - phase) / ratio)


def _hidden_from_one_camera(clean: FloatImage, fx: float, sensor: StereoSensor, scale: float,
                            column: int) -> NDArray[np.bool_]:
    """Return which pixels of the colour image the infrared cameras do not both see.

    A pixel at column u lies at u - d in the right camera's image. It is hidden where a pixel
    further right lies at the same place or left of it, or where that place is off the image.
    """
    # The right camera is the farther one from colour: what it sees, the left one sees as well.
    shift = clean * np.float32(
        fx * (sensor.baseline + sensor.color_offset) / (sensor.focal * sensor.baseline))
    position = np.arange(column, column + clean.shape[1], dtype=np.float32) - shift
    nearest = np.minimum.accumulate(position[:, ::-1], axis=1)[:, ::-1]
    # Slanted surfaces are compressed but still matched: only a clear overlap hides.
    return np.asarray((position > nearest + np.float32(scale))
                      | (position < np.float32(sensor.border * scale)))


def _edge_holes(disparity: FloatImage, patches: FloatImage, sensor: StereoSensor,
                generator: np.random.Generator) -> NDArray[np.bool_]:
    """Return the thin lines along depth edges where matching fails; add flying pixels."""
    small = np.ones((3, 3), dtype=np.uint8)
    high, low = cv2.dilate(disparity, small), cv2.erode(disparity, small)
    behind = (high - low > np.float32(sensor.edge_step)) & (
        disparity < high - np.float32(sensor.edge_step / 2))
    thick = cv2.dilate(behind.astype(np.uint8), small) > 0
    lost = behind & (patches < _normal_quantile(np.float32(sensor.edge_holes)))
    lost |= thick & (patches < _normal_quantile(np.float32(0.4 * sensor.edge_holes)))
    flying = np.flatnonzero(behind)
    flying = flying[generator.random(flying.size) < sensor.flying]
    share = generator.random(flying.size, dtype=np.float32)
    low, high = low.ravel()[flying], high.ravel()[flying]
    disparity.ravel()[flying] = low + share * (high - low)
    return lost


def _hole_chance(cosine: FloatImage, albedo: FloatImage, gloss: FloatImage,
                 sensor: StereoSensor) -> FloatImage:
    """Return the chance of each pixel to have no match."""
    dark = 0.6 * np.clip(1.0 - albedo / max(sensor.dark_holes, 1e-6), 0.0, 1.0)
    grazing = np.clip(1.0 - cosine / sensor.grazing, 0.0, 1.0)
    # The projector stands beside the cameras: a mirror that faces them dazzles.
    dazzled = (cosine > np.cos(sensor.highlight)) * np.clip(2.0 * gloss - 0.8, 0.0, 0.9)
    shiny = 1.0 - (1.0 - sensor.gloss_holes * gloss) * (1.0 - dazzled)
    chance = 1.0 - (1.0 - dark) * (1.0 - grazing) * (1.0 - shiny) * (1.0 - sensor.base_holes)
    return np.asarray(chance, dtype=np.float32)


def _normal_quantile(probability: FloatImage) -> FloatImage:
    """Return the normal distribution's quantile, by Tukey's lambda approximation."""
    p = np.clip(probability, 1e-7, 1 - 1e-7)
    return np.asarray((p ** 0.135 - (1 - p) ** 0.135) / 0.1975, dtype=np.float32)


def _without_speckles(valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Remove what is thinner than 3 pixels, as the sensor's own speckle filter does."""
    kept = cv2.morphologyEx(valid.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return kept.astype(np.bool_)
