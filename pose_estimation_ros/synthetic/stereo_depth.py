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


@dataclass(frozen=True)
class StereoSensor:
    """Parameters of one stereo depth camera, whose depth is aligned to a colour camera.

    Attributes:
        focal: Focal length of the infrared images, pixels.
        baseline: Distance of the two infrared cameras, metres.
        color_offset: Distance of the colour camera to the left of the left one, metres.
        border: Columns of the colour image left of the left infrared image, pixels.
        subpixel: Steps of disparity per pixel.
        noise: Standard deviation of disparity, pixels, correlated over the matching window.
        noise_correlation: Its correlation length, pixels.
        ripple: Standard deviation of the slow, large-scale error of disparity, pixels.
        ripple_correlation: Its correlation length, pixels.
        bias: Relative error of depth.
        fattening: Radius by which foreground grows over background, pixels.
        raggedness: Amplitude of the wobble of depth edges, pixels.
        flying: Share of edge pixels whose depth lies between foreground and background.
        edge_holes: Share of edge pixels without depth.
        dark_holes: Albedo below which matches begin to fail.
        gloss_holes: Share of pixels lost on a fully glossy surface.
        grazing: Cosine of incidence below which matches begin to fail.
        base_holes: Share of pixels lost on an ordinary surface.
        patch: Correlation length of holes, pixels.
        misalignment: (x, y) error of the alignment to colour, pixels.
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
    bias: float
    fattening: float
    raggedness: float
    flying: float
    edge_holes: float
    dark_holes: float
    gloss_holes: float
    grazing: float
    base_holes: float
    patch: float
    misalignment: tuple[float, float]
    minimum: float
    maximum: float
    unit: float


def sample_stereo_sensor(generator: np.random.Generator) -> StereoSensor:
    """Return a stereo sensor with parameters drawn around those of RealSense D415 and D435."""
    uniform = generator.uniform
    wide = generator.random() < 0.5
    return StereoSensor(
        focal=uniform(590, 640), baseline=0.050 if wide else 0.055, color_offset=0.015,
        border=uniform(-120, -60) if wide else uniform(-15, 15), subpixel=32,
        noise=uniform(0.03, 0.12), noise_correlation=uniform(3, 8),
        ripple=uniform(0.01, 0.08), ripple_correlation=uniform(30, 90),
        bias=generator.normal(0.0, 0.004), fattening=uniform(0.0, 2.0),
        raggedness=uniform(0.5, 2.0), flying=uniform(0.0, 0.15), edge_holes=uniform(0.1, 0.6),
        dark_holes=uniform(0.0, 0.03), gloss_holes=uniform(0.0, 0.08),
        grazing=uniform(0.05, 0.25), base_holes=10 ** uniform(-5, -2.5), patch=uniform(3, 10),
        misalignment=(generator.normal(0, 0.7), generator.normal(0, 0.5)),
        minimum=uniform(0.17, 0.3), maximum=uniform(1.5, 6.0), unit=0.001)


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

    hidden = _hidden_from_second_camera(clean, known, intrinsics.fx, sensor, scale, column)
    disparity, edge = _move_edges(clean, sensor, scale, generator)
    valid = disparity > 0
    valid &= ~cv2.morphologyEx(hidden.astype(np.uint8), cv2.MORPH_OPEN, np.ones((1, 3), np.uint8)
                               ).astype(bool)

    patches = smooth_field(height, width, sensor.patch * scale, generator)
    grain = smooth_field(height, width, 1.5 * scale, generator)
    chance = _hole_chance(cosine, albedo, gloss, sensor)
    valid &= patches * 0.8 + grain * 0.6 < _normal_quantile(1.0 - chance)
    valid &= ~(edge & (grain > _normal_quantile(np.float32(1.0 - sensor.edge_holes))))

    disparity += sensor.noise * smooth_field(height, width, sensor.noise_correlation * scale,
                                             generator)
    disparity += sensor.ripple * smooth_field(height, width, sensor.ripple_correlation * scale,
                                              generator)
    disparity = np.round(disparity * sensor.subpixel) / np.float32(sensor.subpixel)
    valid &= disparity > 0
    measured = focal_baseline * np.float32(1 + sensor.bias) / np.where(valid, disparity, 1.0)
    valid &= (measured >= sensor.minimum) & (measured <= sensor.maximum)
    valid = _without_speckles(valid)
    measured = np.round(measured / np.float32(sensor.unit)) * np.float32(sensor.unit)
    return np.where(valid, measured, np.float32(np.nan)).astype(np.float32)


def _hidden_from_second_camera(clean: FloatImage, known: NDArray[np.bool_], fx: float,
                               sensor: StereoSensor, scale: float, column: int
                               ) -> NDArray[np.bool_]:
    """Return which pixels the right infrared camera does not see.

    A pixel at column u lies at u - d in the right image. It is hidden where a pixel further
    right has a smaller or equal value there, or where that value is outside of the image.
    """
    # Both the left and the right camera must see it: the farther one from colour decides.
    shift = clean * np.float32(
        fx * (sensor.baseline + sensor.color_offset) / (sensor.focal * sensor.baseline))
    position = np.arange(column, column + clean.shape[1], dtype=np.float32) - shift
    nearest = np.minimum.accumulate(position[:, ::-1], axis=1)[:, ::-1]
    # Slanted surfaces compress but are still matched: only a clear overlap hides.
    hidden = position > nearest + np.float32(1.0 * scale)
    outside = position < sensor.border * scale
    return np.asarray((hidden | outside) & known)


def _move_edges(clean: FloatImage, sensor: StereoSensor, scale: float,
                generator: np.random.Generator) -> tuple[FloatImage, NDArray[np.bool_]]:
    """Fatten, roughen and misalign depth edges; return the disparity and where its edges are."""
    height, width = clean.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    wobble = np.float32(sensor.raggedness * scale)
    correlation = 3.5 * scale
    x += wobble * smooth_field(height, width, correlation, generator)
    y += wobble * smooth_field(height, width, correlation, generator)
    x += np.float32(sensor.misalignment[0] * scale)
    y += np.float32(sensor.misalignment[1] * scale)

    size = 2 * max(round((sensor.fattening + 2 * sensor.raggedness) * scale), 1) + 1
    kernel = np.ones((size, size), dtype=np.uint8)
    high, low = cv2.dilate(clean, kernel), cv2.erode(clean, kernel)
    near_edge = high - low > np.float32(0.03 * size / scale) * (1 + high * 0.05)
    radius = round(sensor.fattening * scale)
    fat = cv2.dilate(clean, np.ones((2 * radius + 1,) * 2, dtype=np.uint8)) if radius else clean
    moved = cv2.remap(fat, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    disparity = np.where(near_edge, moved, clean)

    small = np.ones((3, 3), dtype=np.uint8)
    high, low = cv2.dilate(disparity, small), cv2.erode(disparity, small)
    edge = high - low > np.float32(1.0)
    flying = edge & (generator.random((height, width), dtype=np.float32) < sensor.flying)
    share = generator.random(int(flying.sum()), dtype=np.float32)
    disparity[flying] = low[flying] + share * (high[flying] - low[flying])
    return disparity, edge


def _hole_chance(cosine: FloatImage, albedo: FloatImage, gloss: FloatImage,
                 sensor: StereoSensor) -> FloatImage:
    """Return the chance of each pixel to have no match."""
    dark = 0.6 * np.clip(1.0 - albedo / max(sensor.dark_holes, 1e-6), 0.0, 1.0)
    grazing = np.clip(1.0 - cosine / sensor.grazing, 0.0, 1.0)
    shiny = sensor.gloss_holes * gloss
    chance = 1.0 - (1.0 - dark) * (1.0 - grazing) * (1.0 - shiny) * (1.0 - sensor.base_holes)
    return np.asarray(chance, dtype=np.float32)


def _normal_quantile(probability: FloatImage) -> FloatImage:
    """Return the normal distribution's quantile, by Tukey's lambda approximation."""
    p = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.asarray((p ** 0.135 - (1 - p) ** 0.135) / 0.1975, dtype=np.float32)


def _without_speckles(valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Remove islands that are smaller than 3x3 pixels, as the sensor's own filter does."""
    kept = cv2.morphologyEx(valid.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return kept.astype(np.bool_)
