"""Depth cameras: from clean rendered depth to what a sensor would deliver, aligned to colour."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.synthetic.stereo_depth import (
    StereoSensor,
    sample_stereo_sensor,
    simulate_stereo,
)
from pose_estimation_ros.synthetic.time_of_flight_depth import (
    TimeOfFlightSensor,
    sample_time_of_flight_sensor,
    simulate_time_of_flight,
)

DepthSensor: TypeAlias = StereoSensor | TimeOfFlightSensor


def sample_depth_sensor(domain: str, generator: np.random.Generator) -> DepthSensor:
    """Return a depth sensor with random parameters.

    Args:
        domain: 'primary': a stereo camera such as RealSense D415 and D435. 'second': a
            time-of-flight camera, or a stereo camera of another make.
        generator: Source of randomness.
    """
    if domain == 'second':
        if generator.random() < 0.5:
            return sample_time_of_flight_sensor(generator)
        stereo = sample_stereo_sensor(generator)
        return replace(stereo, baseline=generator.uniform(0.07, 0.12), subpixel=16,
                       color_offset=generator.uniform(0.0, 0.04),
                       noise=generator.uniform(0.08, 0.2),
                       noise_correlation=generator.uniform(3, 7))
    return sample_stereo_sensor(generator)


def simulate_depth(depth: NDArray[np.float32], cosine: ArrayLike, albedo_luminance: ArrayLike,
                   gloss: ArrayLike, intrinsics: CameraIntrinsics, sensor: DepthSensor,
                   generator: np.random.Generator,
                   window: tuple[int, int, int, int] | None = None) -> NDArray[np.float32]:
    """Return what a depth sensor measures of a clean depth image, aligned to colour.

    Args:
        depth: (H, W) float32 metres along z, NaN = nothing there.
        cosine: (H, W) or one number: absolute cosine between surface normal and viewing ray.
        albedo_luminance: (H, W) or one number: linear luminance of the surface, 0 to 1.
        gloss: (H, W) or one number: 0 matt to 1 mirror.
        intrinsics: Camera of this image; a crop's own if it is a crop.
        sensor: The sensor, see `sample_depth_sensor`.
        generator: Source of randomness; the same state gives the same image.
        window: (x, y, full width, full height) of this crop in the full image, in pixels of this
            image; None = it is the full image or its place does not matter.

    Returns:
        (H, W) float32 metres along z, NaN = unknown.
    """
    surface = [np.asarray(value, dtype=np.float32) for value in (cosine, albedo_luminance, gloss)]
    if isinstance(sensor, TimeOfFlightSensor):
        return simulate_time_of_flight(depth, *surface, intrinsics, sensor, generator)
    if window is None:
        window = (0, 0, intrinsics.width, intrinsics.height)
    return simulate_stereo(depth, *surface, intrinsics, sensor, generator, window[0])
