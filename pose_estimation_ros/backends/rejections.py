"""Why a backend gives no pose: one sentence each, the same in every backend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.object_pose import Rejection


def no_depth(detection: Detection, backend: str) -> Rejection:
    """Return the rejection of an object in a frame without depth."""
    return Rejection(detection, f'the frame has no depth; the {backend} backend needs a depth '
                     'topic aligned to colour')


def unknown_label(detection: Detection, model: str, categories: Sequence[str]) -> Rejection:
    """Return the rejection of an object of a category that the model was not trained on."""
    return Rejection(detection, f'model {model} does not know {detection.label!r}; it knows '
                     f'{", ".join(categories)}')


def few_points(detection: Detection, minimum: int) -> Rejection:
    """Return the rejection of an object with less than `minimum` points."""
    return Rejection(detection, f'fewer than {minimum} pixels of its mask have depth: the object '
                     'is too small, too far, too near, or dark or shiny for the depth sensor')


def no_agreement(detection: Detection, inlier_ratio: float) -> Rejection:
    """Return the rejection of an object whose correspondences agree on no pose.

    Args:
        detection: The object.
        inlier_ratio: Share of its points that agree with the best pose.
    """
    return Rejection(detection, 'no pose agrees with the points: only '
                     f'{100 * inlier_ratio:.0f} % are consistent; the mask probably covers '
                     'something else')


def no_size(detection: Detection, size: NDArray[np.float64]) -> Rejection:
    """Return the rejection of an object whose reconstructed shape has no extent.

    Args:
        detection: The object.
        size: (3,) extent that was found, metres.
    """
    return Rejection(detection, 'the network gave a shape without extent: size '
                     f'{size.tolist()} m; the mask probably covers something else, or the model '
                     'is damaged')


def no_extent(detection: Detection) -> Rejection:
    """Return the rejection of an object whose box holds no whole pixel."""
    return Rejection(detection, f'its box {detection.box.tolist()} holds no whole pixel; the '
                     'detector is damaged')


def no_pose_in_front(detection: Detection, t: NDArray[np.float64],
                     confidence: float) -> Rejection:
    """Return the rejection of an object whose pose is not finite or not before the camera.

    Args:
        detection: The object.
        t: (3,) position that was found, metres.
        confidence: Of the pose.
    """
    return Rejection(detection, 'the network gave no finite pose in front of the camera: position '
                     f'{t.tolist()} m, confidence {confidence:.3g}; the box probably covers '
                     'something else, or the model is damaged')


def is_size(size: NDArray[np.float64]) -> bool:
    """Return whether (3,) lengths are finite and positive, as an object's size must be."""
    return bool(np.isfinite(size).all() and (size > 0).all())
