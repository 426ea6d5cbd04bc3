"""Draws docs/pictures/grasps.jpg: simulated frames, estimated boxes and planned grasps.

Usage: python tools/site/grasps_picture.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.backends.registry import create_backend
from pose_estimation_ros.core.categories import CATEGORIES
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.se3 import transform_points
from pose_estimation_ros.drawing import OverlayStyle, draw_overlay
from pose_estimation_ros.drawing.shapes import draw_outline
from pose_estimation_ros.evaluation.detection_sources import TrueMasks
from pose_estimation_ros.grasping import (
    GraspPlanner,
    GraspPlannerOptions,
    Gripper,
    Surroundings,
)
from pose_estimation_ros.synthetic.annotation import annotated_frame
from pose_estimation_ros.synthetic.scene import SceneGenerator
from pose_estimation_ros.synthetic.scene_renderer import render_frame

_PICTURE = Path(__file__).resolve().parents[2] / 'docs' / 'pictures' / 'grasps.jpg'
_SCENES = (9, 7)
_LEAST_SCORE = 0.5
_GRIPPER = Gripper()


def picture(frame: RGBDFrame, poses: Sequence[ObjectPose]) -> NDArray[np.uint8]:
    """Return a frame with boxes and of each object the best grasp of each kind."""
    image = draw_overlay(frame.rgb, frame.intrinsics, poses,
                         style=OverlayStyle(mask_opacity=0.0, axes_share=0.0))
    plans = GraspPlanner(GraspPlannerOptions(_GRIPPER)).plan(poses, Surroundings(frame.up))
    for plan in plans:
        # The best of each kind; the first of them is drawn last.
        best = {grasp.kind: grasp for grasp in reversed(plan.grasps)}
        for grasp in sorted(best.values(), key=lambda grasp: grasp.score):
            outline = _GRIPPER.outline(grasp.width)
            draw_outline(image, frame.intrinsics,
                         transform_points(grasp.T_camera_grasp, outline), _color(grasp.score))
    return image


def _color(score: float) -> tuple[int, int, int]:
    pixel = cv2.applyColorMap(np.array([[round(255 * score)]], np.uint8), cv2.COLORMAP_VIRIDIS)
    blue, green, red = pixel[0, 0].tolist()
    return red, green, blue


def main() -> None:
    """Render, estimate, plan and write the picture."""
    backend = create_backend('spd', BackendOptions())
    scenes = SceneGenerator('primary', 'test')
    pictures = []
    for seed in _SCENES:
        frame = annotated_frame(str(seed), render_frame(scenes.scene(seed)), CATEGORIES)
        answers = backend.estimate(frame.frame, TrueMasks()(frame))
        poses = [answer for answer in answers
                 if isinstance(answer, ObjectPose) and answer.score >= _LEAST_SCORE]
        pictures.append(picture(frame.frame, poses))
    backend.close()
    image = cv2.cvtColor(np.concatenate(pictures, axis=1), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(_PICTURE), image, [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(f'wrote {_PICTURE}')


if __name__ == '__main__':
    main()
