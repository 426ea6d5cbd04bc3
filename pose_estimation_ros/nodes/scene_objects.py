"""Which objects a planning scene has to hold: stable, moved only when they moved, gone when lost.

A planning scene that changes with every frame keeps a planner from planning. So an object is
told again only when it has moved or changed clearly, and removed when it was not seen for a
while.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from pose_estimation_ros.core.rotation import angle_between
from pose_estimation_ros.core.se3 import inverse, transform_points, translation_error

FloatArray = NDArray[np.float64]

# A box that is larger by so much holds the points of its object, however they were estimated.
_BELONGS = 1.15
_LEAST_POINTS = 20


class Operation(IntEnum):
    """What happens to an object, by the numbers of moveit_msgs/CollisionObject."""

    ADD = 0
    REMOVE = 1
    MOVE = 3


@dataclass(frozen=True)
class Hull:
    """A closed convex mesh.

    Attributes:
        vertices: (V, 3) metres, object frame.
        faces: (F, 3) int, counter-clockwise seen from outside.
        planes: (F, 4) of the faces: unit normals outward, and offsets that are 0 in the planes.
    """

    vertices: FloatArray
    faces: NDArray[np.int64]
    planes: FloatArray

    def reach_beyond(self, other: Hull) -> float:
        """Return how far this hull reaches out of another one, metres; inside it is negative."""
        distance = self.vertices @ other.planes[:, :3].T + other.planes[:, 3]
        return float(distance.max())


@dataclass(frozen=True)
class SceneObject:
    """An object as it is seen.

    Attributes:
        name: Its identity over time.
        label: What it is.
        T: (4, 4) object to scene frame, metres.
        size: (3,) of its box, metres.
        hull: Its shape; None = the box.
    """

    name: str
    label: str
    T: FloatArray
    size: FloatArray
    hull: Hull | None = None


@dataclass(frozen=True)
class SceneChange:
    """Something that the planning scene has to be told.

    Attributes:
        operation: ADD also replaces.
        object: Of REMOVE only the name counts.
    """

    operation: Operation
    object: SceneObject


@dataclass(frozen=True)
class SceneLimits:
    """When an object is told again or removed.

    Attributes:
        min_motion: Smallest step that is told, metres.
        min_rotation: Smallest turn that is told, radians.
        min_growth: Smallest relative change of a length of the box that is told, and smallest
            share of its longest by which a hull that is told reaches out of the one before.
        max_missed_seconds: An object that detections leave out for longer is removed.
        max_silent_seconds: Everything is removed when there are no detections for longer; 0 =
            silence says nothing about what is there.
    """

    min_motion: float = 0.01
    min_rotation: float = 0.1
    min_growth: float = 0.1
    max_missed_seconds: float = 2.0
    max_silent_seconds: float = 0.0


@dataclass
class _Known:
    told: SceneObject
    seen_ns: int


class SceneMirror:
    """Remembers what the planning scene was told."""

    def __init__(self, limits: SceneLimits | None = None) -> None:
        self.limits = limits or SceneLimits()
        self._known: dict[str, _Known] = {}
        self._held: frozenset[str] = frozenset()
        self._heard_ns = 0

    def leave_alone(self, held: frozenset[str]) -> None:
        """Tell no more of some objects, as those that a robot has grasped, seen or not.

        MoveIt has taken them out of the scene by attaching them.

        Args:
            held: Names of objects, or labels: what is hidden in the hand for long comes back
                under another name.
        """
        self._held = held
        for name in [name for name, known in self._known.items() if self._is_held(known.told)]:
            del self._known[name]

    def update(self, now_ns: int, seen: Iterable[SceneObject]) -> list[SceneChange]:
        """Return what has changed with a frame.

        Args:
            now_ns: When the frame came, nanoseconds.
            seen: All objects of the frame.
        """
        self._heard_ns = now_ns
        changes = []
        for item in seen:
            if self._is_held(item):
                continue
            known = self._known.get(item.name)
            operation = (Operation.ADD if known is None
                         else self._change(known, item, now_ns))
            if operation is None and known is not None:
                known.seen_ns = now_ns
                continue
            if operation is Operation.MOVE and known is not None:
                item = replace(item, size=known.told.size, hull=known.told.hull)
            self._known[item.name] = _Known(item, now_ns)
            changes.append(SceneChange(operation or Operation.ADD, item))
        gone = [name for name, known in self._known.items() if self._is_missed(known, now_ns)]
        return changes + self._remove(gone)

    def listen(self, now_ns: int) -> list[SceneChange]:
        """Return the removal of everything after too long a silence, or a jump back in time."""
        silent_ns, limits = now_ns - self._heard_ns, self.limits
        is_over = 0 < round(limits.max_silent_seconds * 1e9) < silent_ns
        return self.clear() if is_over or silent_ns < -limits.max_missed_seconds * 1e9 else []

    def everything(self) -> list[SceneChange]:
        """Return all that is known, for who has just come."""
        return [SceneChange(Operation.ADD, known.told) for known in self._known.values()]

    def clear(self) -> list[SceneChange]:
        """Return the removal of everything."""
        return self._remove(list(self._known))

    def _is_held(self, item: SceneObject) -> bool:
        return item.name in self._held or item.label in self._held

    def _remove(self, names: Sequence[str]) -> list[SceneChange]:
        return [SceneChange(Operation.REMOVE, self._known.pop(name).told) for name in names]

    def _is_missed(self, known: _Known, now_ns: int) -> bool:
        limit = round(self.limits.max_missed_seconds * 1e9)
        return not -limit <= now_ns - known.seen_ns <= limit

    def _change(self, known: _Known, item: SceneObject, now_ns: int) -> Operation | None:
        told, limits = known.told, self.limits
        if (np.abs(item.size / told.size - 1).max() >= limits.min_growth
                or self._has_more_shape(told, item)):
            return Operation.ADD
        if (translation_error(told.T, item.T) >= limits.min_motion
                or float(angle_between(told.T[:3, :3], item.T[:3, :3])) >= limits.min_rotation):
            # After a long silence it may be another object, as ids can begin at 1 again.
            return Operation.ADD if self._is_missed(known, now_ns) else Operation.MOVE
        return None

    def _has_more_shape(self, told: SceneObject, item: SceneObject) -> bool:
        if item.hull is None or told.hull is None:
            return item.hull is not None
        growth = self.limits.min_growth * float(told.size.max())
        return item.hull.reach_beyond(told.hull) >= growth


def with_hulls(objects: Sequence[SceneObject], points: FloatArray) -> list[SceneObject]:
    """Return the objects with the convex hulls of those points that lie in their boxes.

    Args:
        objects: Of a frame.
        points: (N, 3) reconstructed shapes of all of them together, scene frame, metres.
    """
    if not objects or not len(points):
        return list(objects)
    local = [transform_points(inverse(item.T), points) for item in objects]
    # A point in several boxes belongs to the one in which it lies deepest.
    depth = np.stack([np.abs(part / (0.5 * item.size)).max(axis=1)
                      for part, item in zip(local, objects, strict=True)])
    owner = np.where(depth.min(axis=0) <= _BELONGS, depth.argmin(axis=0), -1)
    return [replace(item, hull=_hull(part[owner == index]))
            for index, (item, part) in enumerate(zip(objects, local, strict=True))]


def _hull(points: FloatArray) -> Hull | None:
    if len(points) < _LEAST_POINTS:
        return None
    try:
        hull = ConvexHull(points)
    except QhullError:
        return None
    vertices = points[hull.vertices]
    number = np.full(len(points), -1)
    number[hull.vertices] = np.arange(len(vertices))
    corners = points[hull.simplices]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    inward = (normals * hull.equations[:, :3]).sum(axis=1) < 0
    faces = number[np.where(inward[:, None], hull.simplices[:, ::-1], hull.simplices)]
    return Hull(vertices, faces, hull.equations)


def padded(size: FloatArray, padding: float) -> FloatArray:
    """Return the (3,) extents of a box that is larger by `padding` on every side, metres."""
    return np.asarray(size) + 2.0 * padding
