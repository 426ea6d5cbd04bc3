"""`pose-estimation estimate`: poses of the objects in one RGB-D frame, without ROS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.rotation import matrix_to_quaternion


def estimate(
        color: Path = typer.Option(..., help='Colour image.'),
        depth: Path = typer.Option(..., help='Depth image aligned to it, 16 bit.'),
        camera: Path = typer.Option(..., help='camera.json with K (3x3) and depth_unit_m.'),
        output: Path = typer.Option(None, help='JSON file; default: printed.'),
        overlay: Path = typer.Option(None, help='Picture with boxes and axes to write.'),
        backend: str = typer.Option('spd', help='Method that estimates the poses.'),
        model: str = typer.Option('', help="Its model; empty = the method's default."),
        segmentation_model: str = typer.Option('', help="The segmenter's model."),
        device: str = typer.Option('auto', help='auto, cpu, cuda or tensorrt.'),
) -> None:
    """Estimate pose and size of every object in one RGB-D frame."""
    # The other commands must start without OpenCV and ONNX Runtime.
    import cv2

    from pose_estimation_ros.datasets.frame_files import FrameFiles, read_calibration
    from pose_estimation_ros.drawing import draw_overlay
    from pose_estimation_ros.pipeline import (
        BackendOptions,
        PipelineOptions,
        SegmenterOptions,
        create_pipeline,
    )

    frame = FrameFiles(color.stem, color, depth, read_calibration(camera)).load(stamp_ns=0)
    pipeline = create_pipeline(PipelineOptions(
        backend=backend, backend_options=BackendOptions(model, device),
        segmenter_options=SegmenterOptions(segmentation_model, device), tracker=None))
    try:
        result = pipeline.process(frame)
    finally:
        pipeline.close()
    text = json.dumps({
        'objects': [_entry(pose) for pose in result.poses], 'dropped': list(result.dropped),
        'seconds': {stage: round(seconds, 4) for stage, seconds in result.timings.items()},
    }, indent=2)
    if output is None:
        print(text)
    else:
        output.write_text(text + '\n', encoding='utf-8')
    if overlay is not None:
        image = draw_overlay(result.frame.rgb, result.frame.intrinsics, result.poses,
                             result.detections)
        cv2.imwrite(str(overlay), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


def _entry(pose: ObjectPose) -> dict[str, Any]:
    """Return a pose as JSON: metres, camera optical frame, quaternion xyzw."""
    return {'label': pose.label, 'score': round(pose.score, 4),
            'position': pose.T_camera_object[:3, 3].tolist(),
            'orientation_xyzw': matrix_to_quaternion(pose.T_camera_object[:3, :3]).tolist(),
            'size': pose.size.tolist()}
