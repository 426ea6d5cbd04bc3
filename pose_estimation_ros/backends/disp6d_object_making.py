"""Learning a known object by heart: views of its mesh from everywhere, and their codes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.disp6d_codebook import PackedCodes
from pose_estimation_ros.backends.disp6d_crops import encoder_input
from pose_estimation_ros.backends.disp6d_model import ViewEncoder
from pose_estimation_ros.backends.disp6d_object_file import (
    KnownObject,
    ObjectIdentity,
    check_thickness,
)
from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.rendering.mesh_simplification import simplified
from pose_estimation_ros.rendering.model_meshes import SHOWN_FACES
from pose_estimation_ros.rendering.object_views import ObjectCamera, turned_boxes, turned_crop

Progress = Callable[[int, int], None]
"""Is told how many views are done, and how many there are."""

# Directions that are drawn ahead of the encoder.
_AHEAD = 3


@dataclass(frozen=True, eq=False)
class _TurnedViews:
    """An object from one direction, in all turns about the optical axis.

    Attributes:
        crops: (P, crop, crop, 3) uint8 blue, green, red.
        boxes: (P, 4) as x/z and y/z.
    """

    crops: NDArray[np.uint8]
    boxes: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EncodedViews:
    """An object from everywhere, in the order of `ViewSettings.rotations`.

    Attributes:
        codes: (K, D) float32, as the encoder gives them.
        boxes: (K, 4) float32 of the object, as x/z and y/z.
        center: (3,) point of the mesh frame at which the cameras looked, metres.
        distance: From the cameras to that point, metres.
    """

    codes: NDArray[np.float32]
    boxes: NDArray[np.float32]
    center: NDArray[np.float64]
    distance: float


def encode_views(encoder: ViewEncoder, mesh: Mesh, colors: NDArray[np.uint8] | None,
                 progress: Progress | None = None) -> EncodedViews:
    """Draw and encode all views of a mesh.

    Args:
        encoder: Of the model that is to recognise it.
        mesh: Metres.
        colors: (V, 3) red, green, blue of its vertices; None = grey.
        progress: Is told how far it is.

    Raises:
        ConfigurationError: If Open3D is not installed.
        InvalidInputError: If the mesh cannot be drawn.
    """
    diameter = 2.0 * float(np.linalg.norm(
        mesh.vertices - mesh.bounds.mean(axis=0), axis=1).max())
    distance = encoder.views.view_distance * diameter
    # The encoder takes the cores; ray casting beside it gets one.
    camera = ObjectCamera(mesh, colors, distance, encoder.crops.rendered_background, threads=1)
    rotations = encoder.views.rotations()
    codes, boxes = [], []
    for done, view in enumerate(_drawn(camera, encoder, rotations.views, rotations.turns), 1):
        codes.append(encoder.encode(encoder_input(view.crops, encoder.crops)).pose)
        boxes.append(view.boxes)
        if progress is not None:
            progress(done * len(rotations.turns), len(rotations))
    return EncodedViews(np.concatenate(codes), np.concatenate(boxes).astype(np.float32),
                        camera.center, distance)


def make_object(encoder: ViewEncoder, mesh: Mesh, colors: NDArray[np.uint8] | None,
                identity: ObjectIdentity, progress: Progress | None = None) -> KnownObject:
    """Return an object with the codes of all its views.

    Args:
        encoder: Of the model that is to recognise it.
        mesh: Metres, the frame that poses will be of.
        colors: (V, 3) red, green, blue of its vertices; None = grey.
        identity: Name, labels, symmetry.
        progress: Is told how far it is.

    Raises:
        ConfigurationError: If Open3D is not installed.
        InvalidInputError: If the mesh cannot be drawn or is flat.
    """
    # Before the views are drawn, which takes its time.
    check_thickness(mesh, identity.name)
    views = encode_views(encoder, mesh, colors, progress)
    return KnownObject(identity, encoder.fingerprint, simplified(mesh, SHOWN_FACES),
                       views.center, views.distance, encoder.views.rotations(), views.boxes,
                       PackedCodes.of(views.codes))


def _drawn(camera: ObjectCamera, encoder: ViewEncoder, views: NDArray[np.float64],
           turns: NDArray[np.float64]) -> Iterator[_TurnedViews]:
    """Yield the views from each direction in order, drawn beside the caller's work."""
    with ThreadPoolExecutor(1) as pool:
        waiting: deque[Future[_TurnedViews]] = deque()
        for R in views:
            waiting.append(pool.submit(_turned_views, camera, encoder, R, turns))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _turned_views(camera: ObjectCamera, encoder: ViewEncoder, R: NDArray[np.float64],
                  turns: NDArray[np.float64]) -> _TurnedViews:
    settings = encoder.crops
    picture = camera.picture(R, settings.crop)
    boxes = turned_boxes(picture.outline, turns)
    crops = np.stack([turned_crop(picture, turn, box, settings.margin, settings.crop)
                      for turn, box in zip(turns, boxes, strict=True)])
    return _TurnedViews(crops[..., ::-1], boxes)
