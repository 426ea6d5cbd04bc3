"""Depth of a time-of-flight camera: the second domain's sensor, unlike a stereo camera."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.synthetic.noise import smooth_field

FloatImage = NDArray[np.float32]


@dataclass(frozen=True)
class TimeOfFlightSensor:
    """Parameters of one time-of-flight camera.

    Attributes:
        focal: Focal length of the depth image, pixels.
        noise: Standard deviation of depth at 1 m, metres; it grows with the square of depth.
        pixel_correlation: Correlation length of the noise, pixels.
        wiggle: Amplitude of the periodic error of depth, metres.
        wavelength: Its period, metres.
        multipath: Share by which depth follows its surroundings, which rounds concave edges.
        multipath_radius: Radius of these surroundings, pixels.
        mixing: Radius over which edge pixels mix foreground and background, pixels.
        edge_holes: Share of edge pixels without depth.
        weak_signal: Returned signal below which pixels drop out in a checker-like pattern.
        minimum: Nearest depth, metres.
        maximum: Farthest depth, metres.
        unit: Step of the depth image, metres.
    """

    focal: float
    noise: float
    pixel_correlation: float
    wiggle: float
    wavelength: float
    multipath: float
    multipath_radius: float
    mixing: float
    edge_holes: float
    weak_signal: float
    minimum: float
    maximum: float
    unit: float


def sample_time_of_flight_sensor(generator: np.random.Generator) -> TimeOfFlightSensor:
    """Return a time-of-flight sensor with random parameters."""
    uniform = generator.uniform
    return TimeOfFlightSensor(
        focal=uniform(500, 620), noise=uniform(0.0010, 0.0035), pixel_correlation=uniform(1, 2.5),
        wiggle=uniform(0.0, 0.003), wavelength=uniform(0.1, 0.4), multipath=uniform(0.0, 0.2),
        multipath_radius=uniform(6, 20), mixing=uniform(0.5, 1.5), edge_holes=uniform(0.1, 0.5),
        weak_signal=uniform(0.005, 0.05), minimum=uniform(0.15, 0.25), maximum=uniform(2, 5),
        unit=0.001)


def simulate_time_of_flight(depth: FloatImage, cosine: FloatImage, albedo: FloatImage,
                            gloss: FloatImage, intrinsics: CameraIntrinsics,
                            sensor: TimeOfFlightSensor, generator: np.random.Generator
                            ) -> FloatImage:
    """Return what the sensor measures of a clean depth image; see `depth_sensor`.

    Args:
        depth: (H, W) metres, NaN = nothing there.
        cosine: (H, W) or () absolute cosine of incidence.
        albedo: (H, W) or () luminance of the surface.
        gloss: (H, W) or () 0 matt to 1 mirror.
        intrinsics: Camera of this image.
        sensor: Its parameters.
        generator: Source of randomness.

    Returns:
        (H, W) metres, NaN = unknown.
    """
    height, width = depth.shape
    scale = intrinsics.fx / sensor.focal
    known = np.isfinite(depth)
    weight = known.astype(np.float32)
    filled = np.where(known, depth, 0.0).astype(np.float32)

    mixed = _mean_nearby(filled, weight, sensor.mixing * scale)
    around = _mean_nearby(filled, weight, sensor.multipath_radius * scale)
    # Light that went round a corner pulls depth towards the corner's other side, never across
    # the gap to another object.
    pull = np.clip(around - mixed, -0.02, 0.02) * np.float32(sensor.multipath)
    kernel = np.ones((3, 3), dtype=np.uint8)
    step = cv2.dilate(filled, kernel) - cv2.erode(filled, kernel)
    edge = step > 0.02 + 0.02 * filled
    measured = np.where(edge, mixed, filled) + pull

    amplitude = sensor.noise * measured * measured / np.sqrt(np.clip(cosine, 0.15, 1.0))
    measured = measured + amplitude * smooth_field(
        height, width, sensor.pixel_correlation * scale, generator)
    phase = generator.uniform(0.0, 2 * np.pi)
    measured += np.float32(sensor.wiggle) * np.sin(
        measured * np.float32(2 * np.pi / sensor.wavelength) + np.float32(phase))

    signal = (0.15 + albedo) * cosine * (1.0 - 0.7 * gloss) / np.maximum(filled, 0.1) ** 2
    rows, columns = np.indices((height, width), sparse=True)
    checker = np.where((rows // 2 + columns // 2) % 2 == 0, 1.4, 0.7).astype(np.float32)
    grain = np.exp(0.5 * smooth_field(height, width, 4 * scale, generator))
    valid = known & (signal * checker * grain > sensor.weak_signal)
    valid &= ~(edge & (generator.random((height, width), dtype=np.float32) < sensor.edge_holes))
    valid &= (measured >= sensor.minimum) & (measured <= sensor.maximum)
    measured = np.round(measured / np.float32(sensor.unit)) * np.float32(sensor.unit)
    return np.where(valid, measured, np.float32(np.nan)).astype(np.float32)


def _mean_nearby(filled: FloatImage, weight: FloatImage, radius: float) -> FloatImage:
    """Return the mean of known depth within about `radius` pixels."""
    size = 2 * max(round(radius), 1) + 1
    total = cv2.blur(filled, (size, size), borderType=cv2.BORDER_REPLICATE)
    share = cv2.blur(weight, (size, size), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(total / np.maximum(share, 1e-6), dtype=np.float32)
