"""Checks the whole pipeline on recorded frames with a weak reference.

Each folder holds rgb.png, depth.png, camera.json and gt.json with the table's normal
(`table_up_cam`) and the centroid of the object's points, both in the camera frame. An upright
object's +y is parallel to the normal.

    python benchmarks/real_frames.py --backend crnet --overlays docs/pictures
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from whole_pipeline import argument_parser, pipeline_of, publish, settings_of

from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.datasets.frame_source import open_frames
from pose_estimation_ros.drawing.overlay import draw_overlay
from pose_estimation_ros.evaluation.report import Report

# What each folder of ../shared/data/real_frames shows, by a word in its name.
_SHOWN = {'mug': 'mug', 'bowl': 'bowl', 'mustard': 'bottle', 'pepper': 'can'}


def nearest_pose(poses: tuple[ObjectPose, ...], centroid: np.ndarray) -> ObjectPose | None:
    """Return the pose nearest to the centroid, None if there is none within 10 cm."""
    near = [pose for pose in poses
            if np.linalg.norm(pose.T_camera_object[:3, 3] - centroid) < 0.1]
    return min(near, default=None,
               key=lambda pose: float(np.linalg.norm(pose.T_camera_object[:3, 3] - centroid)))


def main() -> None:
    """Run the pipeline on each folder and print a row."""
    parser = argument_parser(__doc__, Path('../shared/data/real_frames'))
    parser.add_argument('--overlays', type=Path,
                        help='write pictures <backend>_<frame>.jpg to this folder')
    arguments = parser.parse_args()
    # Turned upright, the up axis would be that of the table by construction.
    pipeline = pipeline_of(arguments, upright_tolerance=0.0)
    rows = []
    for folder in sorted(path.parent for path in arguments.data.glob('*/gt.json')):
        truth = json.loads((folder / 'gt.json').read_text())
        result = pipeline.process(open_frames(folder).load(0))
        expected = next((label for word, label in _SHOWN.items() if word in folder.name), '?')
        up = np.array(truth['table_up_cam'])
        centroid = np.array(truth['object_cloud_centroid_cam'])
        pose = nearest_pose(result.poses, centroid)
        row: list[object] = [folder.name, expected]
        if pose is None:
            row += ['-', '-', '-', '-', '-']
        else:
            cosine = float(np.clip(pose.T_camera_object[:3, 1] @ up, -1.0, 1.0))
            offset = np.linalg.norm(pose.T_camera_object[:3, 3] - centroid)
            row += [pose.label, f'{pose.score:.2f}', f'{np.degrees(np.arccos(cosine)):.1f}',
                    f'{100 * offset:.1f}', ' x '.join(f'{100 * s:.1f}' for s in pose.size)]
        rows.append([*row, len(result.poses)])
        if arguments.overlays:
            arguments.overlays.mkdir(parents=True, exist_ok=True)
            picture = draw_overlay(result.frame.rgb, result.frame.intrinsics, result.poses,
                                   result.detections)
            cv2.imwrite(str(arguments.overlays / f'{arguments.backend}_{folder.name}.jpg'),
                        picture[..., ::-1])
    report = Report('real_frames', ('frame', 'shown', 'found', 'score', 'up axis off, °',
                                    'centre off centroid, cm', 'size, cm', 'objects in frame'),
                    rows, settings_of(arguments) | {'upright tolerance': 0})
    publish(report, arguments.out)


if __name__ == '__main__':
    main()
