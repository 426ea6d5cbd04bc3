"""Frames with a wished number of objects, which the speed benchmarks share."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, count, cycle, islice

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.categories import CATEGORIES
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.evaluation.detection_sources import TrueMasks
from pose_estimation_ros.pipeline import Pipeline
from pose_estimation_ros.segmentation.preprocessing import resize_color, resize_depth
from pose_estimation_ros.synthetic.annotation import annotated_frame
from pose_estimation_ros.synthetic.layout import LayoutStyle
from pose_estimation_ros.synthetic.scene import Body, Scene, SceneGenerator
from pose_estimation_ros.synthetic.scene_renderer import render_frame
from pose_estimation_ros.synthetic.splits import ROOM_ROLES
from pose_estimation_ros.synthetic.viewpoints import View, look_at

NUMBERS = (1, 2, 4, 8, 16, 32)
# Width and height of pictures, pixels.
RESOLUTIONS = ((320, 240), (640, 480), (1280, 960), (1920, 1440))
_MOST_SCENES = 300
_TRIES = 3
# Smaller masks are hidden objects, of which no method takes points.
_LEAST_PIXELS = 60
# Between neighbours in a crowd, metres.
_SPACING = 0.22
# Everything in it stands upright; the crowd arranges it anew.
_STANDING = LayoutStyle((6, 6), (0, 0), (0, 0), (0, 0), (0.8, 1.2), 0.0, 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Crowd:
    """A frame, and true masks of the objects that it shows."""

    frame: RGBDFrame
    detections: tuple[Detection, ...]


def crowd(objects: int) -> Crowd:
    """Return a simulated frame of so many objects that stand in rows, seen from above.

    Some may hide others: masks of those that are seen stand in for them, so that a backend always
    gets as many as asked for.
    """
    best: Crowd | None = None
    for scene in islice(_crowded_scenes(objects), _TRIES):
        seen = _seen(scene)
        if best is None or len(seen.detections) > len(best.detections):
            best = seen
        if len(best.detections) >= objects:
            break
    assert best is not None
    return Crowd(best.frame, tuple(islice(cycle(best.detections), objects)))


def resized(frame: RGBDFrame, width: int, height: int) -> RGBDFrame:
    """Return a frame as a camera with another number of pixels delivers it."""
    assert frame.depth is not None
    return replace(frame, rgb=resize_color(frame.rgb, width, height),
                   depth=resize_depth(frame.depth, width, height),
                   intrinsics=frame.intrinsics.resize(width, height))


def crowded_frame(pipeline: Pipeline, objects: int) -> RGBDFrame:
    """Return the first simulated test frame in which so many poses are found.

    Raises:
        SystemExit: If there is none among many.
    """
    generator = SceneGenerator('primary', 'test')
    for scene in map(generator.scene, range(_MOST_SCENES)):
        if len(scene.instances) >= objects:
            frame = render_frame(scene).frame
            if len(pipeline.process(frame).poses) == objects:
                return frame
    raise SystemExit(f'no scene among {_MOST_SCENES} shows exactly {objects} objects')


def _crowded_scenes(objects: int) -> Iterator[Scene]:
    generator = SceneGenerator('primary', 'test', layout=_STANDING)
    side = math.ceil(math.sqrt(objects))
    places = [np.array(divmod(number, side), dtype=float) for number in range(objects)]
    middle = np.mean(places, axis=0)
    eye = 1.3 * _SPACING * (side + 1) * np.array([0.0, -0.5, 0.87])
    for first in count(step=objects):
        base = generator.scene(first)
        standing = chain.from_iterable(generator.scene(seed).instances for seed in count(first))
        rows = [_moved(body, _SPACING * (place - middle))
                for body, place in zip(standing, places, strict=False)]
        room = [body for body in base.bodies if body.solid.category in ROOM_ROLES]
        yield replace(base, bodies=(*rows, *room), instance_count=objects,
                      view=View(base.view.intrinsics, look_at(eye, np.zeros(3))))


def _moved(body: Body, place: NDArray[np.float64]) -> Body:
    T = body.T_world_object.copy()
    T[:2, 3] = place
    return replace(body, T_world_object=T)


def _seen(scene: Scene) -> Crowd:
    frame = annotated_frame('crowd', render_frame(scene), CATEGORIES)
    return Crowd(frame.frame, tuple(detection for detection in TrueMasks()(frame)
                                    if np.count_nonzero(detection.mask) >= _LEAST_PIXELS))
