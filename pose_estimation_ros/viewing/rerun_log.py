"""Frames and results in Rerun: images, depth, points, boxes, axes, grasps, times, warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rerun as rr
import rerun.blueprint as rrb
from numpy.typing import NDArray

from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.rotation import matrix_to_quaternion
from pose_estimation_ros.drawing.overlay import label_color
from pose_estimation_ros.drawing.shapes import AXIS_COLORS
from pose_estimation_ros.nodes.camera_publisher import millimetres
from pose_estimation_ros.nodes.naming import object_name
from pose_estimation_ros.viewing.seen_frame import SeenFrame

APPLICATION = 'pose_estimation_ros'
TIMELINE = 'stamp'
_MOST_POINTS = 20_000
_JPEG_QUALITY = 85
_MILLIMETRES = 1000.0
_MILLISECONDS = 1000.0
_APPROACH_LENGTH = 0.08
_GRASP_COLOR = (240, 228, 66)
_TRUTH_COLOR = (255, 255, 255)


class RerunLog:
    """Writes to a Rerun viewer or file; entities are in the camera's optical frame."""

    def __init__(self, file: Path | None) -> None:
        """Open the recording.

        Args:
            file: .rrd file to write; None = a viewer that is started.
        """
        self._remarks: tuple[str, ...] = ()
        self._stream = rr.RecordingStream(APPLICATION)
        if file is None:
            self._stream.spawn(default_blueprint=_blueprint())
        else:
            self._stream.save(file, default_blueprint=_blueprint())
        self._stream.log('/', rr.ViewCoordinates.RDF, static=True)

    def log_frame(self, seen: SeenFrame, grasps: NDArray[np.float64]) -> None:
        """Show a frame with everything that is known of it, and nothing of those before.

        Args:
            seen: The frame.
            grasps: (G, 4, 4) those that are known by now, see `log_grasps`.
        """
        self._at(seen.frame.stamp_ns)
        self._log_camera(seen.frame)
        self._log_objects(seen.objects)
        true = [(found.T_camera_object, found.size) for found in seen.truth]
        self._stream.log('objects/truth', _boxes(true, [''] * len(true),
                                                 [_TRUTH_COLOR] * len(true)))
        self._stream.log('plots/objects', rr.Scalars(float(len(seen.objects))))
        if np.isfinite(seen.latency):
            self._stream.log('plots/milliseconds/image_to_result',
                             rr.Scalars(_MILLISECONDS * seen.latency))
        if seen.remarks != self._remarks:
            for remark in seen.remarks:
                self._stream.log('warnings', rr.TextLog(remark, level='INFO'))
        self._remarks = seen.remarks
        self.log_grasps(seen.frame.stamp_ns, grasps)

    def log_grasps(self, stamp_ns: int, grasps: NDArray[np.float64]) -> None:
        """Show the grasps of a frame in place of those that were shown.

        Args:
            stamp_ns: Of the frame.
            grasps: (G, 4, 4) poses of the gripper in the camera's frame, approaching along z.
        """
        self._at(stamp_ns)
        approach = _APPROACH_LENGTH * grasps[:, :3, 2]
        self._stream.log('objects/grasps', rr.Arrows3D(
            origins=grasps[:, :3, 3] - approach, vectors=approach, colors=_GRASP_COLOR))

    def log_stages(self, stamp_ns: int, milliseconds: Mapping[str, float]) -> None:
        """Show how long each stage took."""
        self._at(stamp_ns)
        for stage, value in milliseconds.items():
            self._stream.log(f'plots/milliseconds/{stage}', rr.Scalars(value))

    def log_complaint(self, stamp_ns: int, sentence: str, *, is_error: bool) -> None:
        """Show what a node complained about."""
        self._at(stamp_ns)
        self._stream.log('warnings', rr.TextLog(sentence, level='ERROR' if is_error else 'WARN'))

    def close(self) -> None:
        """Send what is waiting and close the file."""
        self._stream.flush()
        self._stream.disconnect()

    def _at(self, stamp_ns: int) -> None:
        self._stream.set_time(TIMELINE, timestamp=np.datetime64(stamp_ns, 'ns'))

    def _log_camera(self, frame: RGBDFrame) -> None:
        camera = frame.intrinsics
        self._stream.log('camera', rr.Pinhole(
            image_from_camera=camera.K, width=camera.width, height=camera.height,
            camera_xyz=rr.ViewCoordinates.RDF))
        _, jpeg = cv2.imencode('.jpg', cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2BGR),
                               [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        self._stream.log('camera/color', rr.EncodedImage(contents=jpeg.tobytes(),
                                                         media_type='image/jpeg'))
        if frame.depth is None:
            for entity in ('camera/depth', 'cloud'):
                self._stream.log(entity, rr.Clear(recursive=False))
            return
        self._stream.log('camera/depth', rr.DepthImage(millimetres(frame.depth),
                                                       meter=_MILLIMETRES))
        rows, columns = np.nonzero(np.isfinite(frame.depth))
        stride = max(1, len(rows) // _MOST_POINTS)
        rows, columns = rows[::stride], columns[::stride]
        pixels = np.stack([columns, rows], axis=-1).astype(np.float64)
        points = camera.back_project(pixels, frame.depth[rows, columns])
        self._stream.log('cloud', rr.Points3D(points, colors=frame.rgb[rows, columns]))

    def _log_objects(self, poses: Sequence[ObjectPose]) -> None:
        colors = [label_color(pose.label) for pose in poses]
        labels = [f'{object_name(pose, index)} {pose.score:.2f}'
                  for index, pose in enumerate(poses)]
        self._stream.log('objects/boxes', _boxes(
            [pose.placed_box(pose.T_camera_object) for pose in poses], labels, colors))
        origins = np.array([pose.T_camera_object[:3, 3] for pose in poses for _ in range(3)])
        vectors = np.array([
            0.5 * float(np.linalg.norm(pose.size)) * pose.T_camera_object[:3, axis]
            for pose in poses for axis in range(3)])
        self._stream.log('objects/axes', rr.Arrows3D(
            origins=origins.reshape(-1, 3), vectors=vectors.reshape(-1, 3),
            colors=list(AXIS_COLORS) * len(poses)))


def _boxes(boxes: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
           labels: Sequence[str], colors: Sequence[tuple[int, int, int]]) -> Any:
    """Return boxes of (4, 4) poses and (3,) sizes."""
    return rr.Boxes3D(
        centers=np.array([T[:3, 3] for T, _ in boxes]).reshape(-1, 3),
        half_sizes=np.array([size / 2 for _, size in boxes]).reshape(-1, 3),
        quaternions=[rr.Quaternion(xyzw=matrix_to_quaternion(T[:3, :3])) for T, _ in boxes],
        labels=list(labels), colors=list(colors))


def _blueprint() -> Any:
    """Return the layout: picture and space above, times and warnings below."""
    return rrb.Blueprint(
        rrb.Vertical(
            rrb.Horizontal(
                rrb.Spatial2DView(origin='camera', name='picture', contents=[
                    'camera/color', 'objects/boxes', 'objects/axes', 'objects/truth']),
                rrb.Spatial3DView(origin='/', name='space', contents=[
                    'cloud', 'objects/**', 'camera'])),
            rrb.Horizontal(
                rrb.TimeSeriesView(origin='plots/milliseconds', name='milliseconds'),
                rrb.TextLogView(origin='warnings', name='warnings')),
            row_shares=[3, 1]),
        collapse_panels=True)
