"""What RViz shows: boxes, axes, labels, shapes and grasps as markers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from pose_estimation_ros.core.boxes import BOX_EDGES, box_corners
from pose_estimation_ros.core.se3 import transform_points
from pose_estimation_ros.drawing.overlay import label_color
from pose_estimation_ros.drawing.shapes import AXIS_COLORS
from pose_estimation_ros.nodes.conversions import pose_message
from pose_estimation_ros.nodes.grasp_messages import grasps_marker
from pose_estimation_ros.nodes.placed_object import PlacedObject
from pose_estimation_ros.pipeline import Gripper, PipelineResult

_LINE_WIDTH = 0.003
_TEXT_HEIGHT = 0.025
_SHAPE_POINTS = 200
_MESH_OPACITY = 0.6
_KINDS = ('box', 'axes', 'label', 'shape', 'grasps')


class MarkerMaker:
    """Turns results into markers; remembers what of the last one has to go."""

    def __init__(self) -> None:
        self._corners = _CornerCache()
        self._shows_untracked = False
        self._shown: set[tuple[str, int]] = set()

    def markers(self, result: PipelineResult, placed: Sequence[PlacedObject],
                T_output_camera: NDArray[np.float64], gripper: Gripper, header: Header,
                lifetime: float) -> MarkerArray:
        """Return the markers of a result, and those that take away what is over.

        Args:
            result: Of the pipeline.
            placed: Its objects in the output frame.
            T_output_camera: (4, 4) from the camera's optical frame into that frame.
            gripper: Whose outline shows the grasps.
            header: Stamp and output frame.
            lifetime: Of a marker without update, seconds.
        """
        markers = [Marker(header=header, ns=f'{key.label}/{kind}', id=key.track_id,
                          action=Marker.DELETE)
                   for key in result.lost for kind in _KINDS]
        self._shown -= {(marker.ns, marker.id) for marker in markers}
        # Without tracks nobody says which markers of the last frame are over: all of them are.
        untracked = any(item.pose.track_id < 0 for item in placed)
        if untracked or self._shows_untracked:
            markers.insert(0, Marker(header=header, action=Marker.DELETEALL))
        self._shows_untracked = untracked
        duration = Duration(sec=int(lifetime), nanosec=int(lifetime % 1 * 1e9))
        for item in placed:
            extras = self._shape(item), grasps_marker(item, T_output_camera, gripper)
            for marker in [*_markers(item, result.fallback),
                           *(extra for extra in extras if self._is_news(item, extra))]:
                marker.header, marker.lifetime, marker.id = header, duration, item.number
                markers.append(marker)
        return MarkerArray(markers=markers)

    def _shape(self, item: PlacedObject) -> Marker:
        points, faces = item.pose.points, item.pose.faces
        if points is None:
            return Marker(ns=f'{item.pose.label}/shape', action=Marker.DELETE)
        if faces is None:
            return _points_marker(item, points)
        return _mesh_marker(item, self._corners.of(item.pose.label, points, faces))

    def _is_news(self, item: PlacedObject, marker: Marker) -> bool:
        """Note what is shown; return False of what deletes something that is not."""
        key = marker.ns, item.number
        if marker.action == Marker.ADD:
            self._shown.add(key)
            return True
        was_shown = key in self._shown
        self._shown.discard(key)
        return was_shown


class _CornerCache:
    """The corners of known meshes as messages, which cost more to make than to send."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[NDArray[np.int32], list[Point]]] = {}

    def of(self, label: str, points: NDArray[np.float32],
           faces: NDArray[np.int32]) -> list[Point]:
        """Return the corners of an object's triangles one after another, object frame."""
        known = self._known.get(label)
        # A backend hands out the same arrays with every pose.
        if known is None or known[0] is not faces:
            corners = points[faces.reshape(-1)].astype(np.float64)
            known = faces, [Point(x=x, y=y, z=z) for x, y, z in corners.tolist()]
            self._known[label] = known
        return known[1]


def _markers(item: PlacedObject, fallback: str) -> list[Marker]:
    label, (T_box, size) = item.pose.label, item.pose.placed_box(item.T)
    # Who sees it in RViz should know that no depth was looked at.
    remark = f' ({item.pose.source}, no depth)' if fallback else ''
    corners = box_corners(T_box, size)
    box = _lines(f'{label}/box', corners[np.array(BOX_EDGES)].reshape(-1, 3))
    box.color = _color(label_color(label))
    length = 0.5 * float(np.linalg.norm(size))
    ends = [point for axis in range(3)
            for point in (item.T[:3, 3], item.T[:3, 3] + length * item.T[:3, axis])]
    axes = _lines(f'{label}/axes', np.array(ends))
    axes.colors = [_color(color) for color in AXIS_COLORS for _ in range(2)]
    text = Marker(ns=f'{label}/label', type=Marker.TEXT_VIEW_FACING, action=Marker.ADD,
                  text=f'{item.name} {item.pose.score:.2f}{remark}',
                  color=_color(label_color(label)))
    text.scale.z = _TEXT_HEIGHT
    # Above the object's upper side, where its box does not hide it.
    above = T_box.copy()
    above[:3, 3] += (0.5 * size[1] + _TEXT_HEIGHT) * T_box[:3, 1]
    text.pose = pose_message(above, (0.0, 0.0, 0.0, 1.0))
    return [box, axes, text]


def _mesh_marker(item: PlacedObject, corners: list[Point]) -> Marker:
    """Return the mesh of a known object, so that the image behind it can be compared."""
    color = _color(label_color(item.pose.label))
    color.a = _MESH_OPACITY
    marker = Marker(ns=f'{item.pose.label}/shape', type=Marker.TRIANGLE_LIST, action=Marker.ADD,
                    pose=pose_message(item.T, item.quaternion), points=corners, color=color)
    marker.scale.x = marker.scale.y = marker.scale.z = 1.0
    return marker


def _points_marker(item: PlacedObject, shape: NDArray[np.float32]) -> Marker:
    """Return some points of the reconstructed shape; all of them are in `object_points`."""
    stride = max(1, len(shape) // _SHAPE_POINTS)
    points = transform_points(item.T, shape[::stride])
    marker = Marker(ns=f'{item.pose.label}/shape', type=Marker.POINTS, action=Marker.ADD,
                    points=[Point(x=x, y=y, z=z) for x, y, z in points.tolist()],
                    color=_color(label_color(item.pose.label)))
    marker.scale.x = marker.scale.y = _LINE_WIDTH
    marker.pose.orientation.w = 1.0
    return marker


def _lines(namespace: str, points: NDArray[np.float64]) -> Marker:
    marker = Marker(ns=namespace, type=Marker.LINE_LIST, action=Marker.ADD,
                    points=[Point(x=x, y=y, z=z) for x, y, z in points.tolist()])
    marker.scale.x = _LINE_WIDTH
    marker.pose.orientation.w = 1.0
    marker.color.a = 1.0
    return marker


def _color(rgb: tuple[int, int, int]) -> ColorRGBA:
    red, green, blue = (channel / 255.0 for channel in rgb)
    return ColorRGBA(r=red, g=green, b=blue, a=1.0)
