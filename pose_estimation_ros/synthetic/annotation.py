"""Synthetic frames as every data set has them, for writers and metrics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.categories import Category
from pose_estimation_ros.core.se3 import inverse
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame, ObjectAnnotation
from pose_estimation_ros.rendering.renderer import camera_rays
from pose_estimation_ros.synthetic.scene import Scene
from pose_estimation_ros.synthetic.scene_renderer import object_window
from pose_estimation_ros.synthetic.synthetic_frame import Instance, SyntheticFrame

# A handle of which less is to be seen does not tell how a mug is turned.
HIDDEN_HANDLE = 0.05


def annotated_frame(name: str, synthetic: SyntheticFrame,
                    categories: Sequence[Category]) -> AnnotatedFrame:
    """Return a frame in the form of all data sets.

    Its NOCS map is there if the clean depth is, which stored frames have lost. The visibility of
    an annotation counts what the image's border cuts off as hidden.

    Args:
        name: Unique within the data set.
        synthetic: What was rendered or read.
        categories: Of the source of objects; their symmetries become the annotations'.
    """
    by_name = {category.name: category for category in categories}
    nocs = None if synthetic.clean_depth is None else synthetic.nocs_map()
    return AnnotatedFrame(
        name, synthetic.frame,
        tuple(_annotation(instance, by_name[instance.category])
              for instance in synthetic.instances),
        synthetic.instance_map.astype(np.int32), nocs)


def full_masks(scene: Scene, synthetic: SyntheticFrame) -> dict[int, NDArray[np.bool_]]:
    """Return the (H, W) silhouette of each instance as if nothing covered it, by its id.

    Args:
        scene: What was rendered, with the camera and resolution of the frame as its view.
        synthetic: The frame.
    """
    masks = {}
    for instance in synthetic.instances:
        body = scene.bodies[instance.id - 1]
        # Rays that graze the rim may differ by rounding from those of the whole scene.
        mask = synthetic.instance_map == instance.id
        window = object_window(body, scene.view)
        if window is not None:
            own_frame = inverse(body.T_world_object) @ scene.view.T_world_camera
            hit = np.isfinite(body.solid.caster.distances(
                camera_rays(scene.view.intrinsics, own_frame, window)))
            rows = slice(window.y, window.y + window.height)
            mask[rows, window.x:window.x + window.width] |= hit
        masks[instance.id] = mask
    return masks


def _annotation(instance: Instance, category: Category) -> ObjectAnnotation:
    return ObjectAnnotation(
        instance.id, instance.category, instance.name, instance.T_camera_object, instance.size,
        category.symmetry, instance.visibility * instance.in_image,
        instance.part_visibility.get('handle', 1.0) >= HIDDEN_HANDLE)
