"""Draws the figures of README.md, docs/how_it_works.md and docs/design.md.

    .venv/bin/python tools/site/figures.py

`make figures` calls it. The frame is a simulated one, the poses are those of the shipped models.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use('agg')
import cv2
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from pose_estimation_ros.backends.lite import LiteBackend, ObjectPoints
from pose_estimation_ros.core.se3 import transform_points
from pose_estimation_ros.drawing import draw_overlay
from pose_estimation_ros.drawing.overlay import label_color
from pose_estimation_ros.drawing.shapes import draw_box
from pose_estimation_ros.pipeline import Pipeline, PipelineOptions, PipelineResult, create_pipeline
from pose_estimation_ros.runtime import ModelStore
from pose_estimation_ros.synthetic.scene import SceneGenerator
from pose_estimation_ros.synthetic.scene_renderer import render_frame

PICTURES = Path(__file__).resolve().parents[2] / 'docs' / 'pictures'
# A scene of the test split with several categories, one of them unsure.
SEED = 12
# Another, with objects of all sizes.
RESULT_SEED = 8
DIM = 0.45
# Around the objects shown, pixels.
MARGIN = 45
INK, PAPER, ROS_PAPER = '#1f2937', '#e8eef7', '#fdf1dc'


def main() -> None:
    """Draw everything."""
    plt.rcParams.update({'font.size': 9, 'savefig.bbox': 'tight', 'savefig.pad_inches': 0.05})
    draw_result(PICTURES / 'demo.jpg')
    draw_steps(PICTURES / 'steps.jpg')
    draw_frames(PICTURES / 'frames.png')
    draw_design(PICTURES / 'design.png')


def draw_result(path: Path) -> None:
    """Draw what is estimated of one simulated frame, and thin white boxes where objects are."""
    seen = render_frame(SceneGenerator('primary', 'test').scene(RESULT_SEED))
    pipeline = create_pipeline(PipelineOptions(tracker=None))
    try:
        result = pipeline.process(seen.frame)
    finally:
        pipeline.close()
    image = draw_overlay(seen.frame.rgb, seen.frame.intrinsics, result.poses, result.detections)
    for instance in seen.instances:
        draw_box(image, seen.frame.intrinsics, instance.T_camera_object, instance.size,
                 (255, 255, 255), thickness=1)
    cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])


def draw_steps(path: Path) -> None:
    """Draw what each step makes of one simulated frame."""
    frame = render_frame(SceneGenerator('primary', 'test').scene(SEED)).frame
    pipeline = create_pipeline(PipelineOptions(tracker=None))
    try:
        result = pipeline.process(frame)
        panels = (
            ('1  colour', frame.rgb),
            ('2  depth, as the sensor sees it', _depth_picture(result)),
            ('3  segmentation', draw_overlay(frame.rgb, frame.intrinsics, (), result.detections)),
            ('4  object coordinates of the points (NOCS)', _coordinates(pipeline, result)),
            ('5  shape, in the pose that fits', _shapes(result)),
            ('6  pose and size', draw_overlay(frame.rgb, frame.intrinsics, result.poses, ())),
        )
    finally:
        pipeline.close()
    rows, columns = _surroundings(result)
    figure, axes = plt.subplots(2, 3, figsize=(10.5, 5.6))
    for place, (title, picture) in zip(axes.flat, panels, strict=True):
        place.imshow(picture[rows, columns])
        place.set_title(title, loc='left', fontsize=9)
        place.axis('off')
    figure.tight_layout(pad=0.4)
    figure.savefig(path, dpi=100, pil_kwargs={'quality': 85})
    plt.close(figure)


def _surroundings(result: PipelineResult) -> tuple[slice, slice]:
    """Return rows and columns of the part of the image, 4:3, that shows all detections."""
    boxes = np.stack([detection.box for detection in result.detections])
    low, high = boxes[:, :2].min(axis=0) - MARGIN, boxes[:, 2:].max(axis=0) + MARGIN
    limits = np.array([result.frame.intrinsics.width, result.frame.intrinsics.height])
    extent = np.minimum(max((high - low)[0] / 4, (high - low)[1] / 3) * np.array([4, 3]), limits)
    corner = np.clip((low + high - extent) / 2, 0, limits - extent).astype(int)
    (left, top), (width, height) = corner, extent.astype(int)
    return slice(top, top + height), slice(left, left + width)


def _depth_picture(result: PipelineResult) -> np.ndarray:
    depth = result.frame.depth
    near, far = np.nanpercentile(depth, (1, 99))
    shade = np.clip((depth - near) / (far - near), 0, 1)
    picture = (plt.get_cmap('viridis_r')(np.nan_to_num(shade))[..., :3] * 255).astype(np.uint8)
    picture[np.isnan(depth)] = 0
    return picture


def _coordinates(pipeline: Pipeline, result: PipelineResult) -> np.ndarray:
    """Return the dimmed image with the points given to the network, coloured by its answer."""
    backend = pipeline.backend
    assert isinstance(backend, LiteBackend)
    picture = (result.frame.rgb * DIM).astype(np.uint8)
    for pose in result.poses:
        taken = backend.take(result.frame, pose.detection)
        assert isinstance(taken, ObjectPoints)
        assert pose.nocs is not None
        colors = np.clip((pose.nocs + 0.5) * 255, 0, 255).astype(int)
        _dots(picture, result.frame.intrinsics.project(taken.points), colors)
    return picture


def _shapes(result: PipelineResult) -> np.ndarray:
    picture = (result.frame.rgb * DIM).astype(np.uint8)
    for pose in result.poses:
        points = transform_points(pose.T_camera_object, pose.points)
        colors = np.tile(label_color(pose.label), (len(points), 1))
        _dots(picture, result.frame.intrinsics.project(points), colors)
    return picture


def _dots(picture: np.ndarray, pixels: np.ndarray, colors: np.ndarray) -> None:
    for (column, row), color in zip(pixels, colors, strict=True):
        cv2.circle(picture, (round(column), round(row)), 2, tuple(map(int, color)), -1,
                   cv2.LINE_AA)


def draw_frames(path: Path) -> None:
    """Draw the object frame of each category on its mean shape."""
    priors = np.load(ModelStore().find('shape_priors').file('priors'))
    labels = [str(label) for label in priors['categories']]
    figure = plt.figure(figsize=(10.5, 2.1))
    for index, label in enumerate(labels):
        axes = figure.add_subplot(1, len(labels), index + 1, projection='3d')
        points = priors['priors'][index]
        points = points / np.linalg.norm(np.ptp(points, axis=0))
        # y is up: matplotlib draws its third axis upwards.
        x, y, z = points.T
        axes.scatter(z, x, y, s=1.5, color=np.array(label_color(label)) / 255, alpha=0.6)
        for direction, color, name in (((0, 1, 0), 'tab:red', 'x'), ((0, 0, 1), 'tab:green', 'y'),
                                       ((1, 0, 0), 'tab:blue', 'z')):
            end = 0.55 * np.array(direction)
            axes.plot(*zip((0, 0, 0), end, strict=True), color=color, linewidth=2)
            axes.text(*(1.15 * end), name, color=color)
        axes.set_title(label, fontsize=9, y=-0.1)
        axes.set(xlim=(-0.4, 0.4), ylim=(-0.4, 0.4), zlim=(-0.4, 0.4), box_aspect=(1, 1, 1))
        axes.view_init(elev=25, azim=35)
        axes.axis('off')
    figure.subplots_adjust(left=0, right=1, top=0.95, bottom=0, wspace=0)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def draw_design(path: Path) -> None:
    """Draw the stages, the threads they run in, and the values between them."""
    figure, axes = plt.subplots(figsize=(10.5, 2.9))
    axes.set(xlim=(-1, 105), ylim=(0, 29))
    axes.axis('off')
    boxes = (('pair colour\nand depth,\nconvert', 'FrameInput', ROS_PAPER),
             ('check,\nundistort,\nfind objects', 'segmentation/', PAPER),
             ('poses of all\nobjects as\none batch', 'backends/', PAPER),
             ('identity,\nsmoothing,\ngrasps', 'tracking/', PAPER),
             ('poses, TF,\nmarkers,\ndiagnostics', 'publishers', ROS_PAPER))
    values = ('RGBD\nFrame', 'Detection', 'ObjectPose\nRejection', 'Pipeline\nResult')
    for index, (text, name, color) in enumerate(boxes):
        _box(axes, 22.5 * index, text, name, color)
    for index, text in enumerate(values):
        start = 22.5 * index + 14.2
        axes.annotate('', (start + 8.6, 15), (start, 15),
                      arrowprops={'arrowstyle': '-|>', 'color': INK})
        axes.text(start + 4.2, 15.8, text, ha='center', va='bottom', fontsize=7, color=INK)
    for first, last, text in ((
            0, 0, 'executor: the newest\nframe waits, older ones\nare dropped, counted'),
                              (1, 1, 'first worker:\nframe n + 1'),
                              (2, 4, 'second worker: frame n; results leave in order')):
        start, end = 22.5 * first, 22.5 * last + 14
        axes.plot((start, end), (6.5, 6.5), color=INK, linewidth=1)
        axes.text(start, 5.7, text, va='top', fontsize=7.5, color=INK)
    axes.plot((22.5, 81.5), (24, 24), color=INK, linewidth=1)
    axes.text(52, 24.6, 'plain Python that knows no ROS', ha='center', fontsize=8, color=INK)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _box(axes: Axes, left: float, text: str, name: str, color: str) -> None:
    axes.add_patch(FancyBboxPatch((left, 9), 14, 12, boxstyle='round,pad=0.3',
                                  facecolor=color, edgecolor=INK))
    axes.text(left + 7, 16, text, ha='center', va='center', fontsize=8, color=INK)
    axes.text(left + 7, 10, name, ha='center', va='center', fontsize=7.5, family='monospace',
              color=INK)


if __name__ == '__main__':
    main()
