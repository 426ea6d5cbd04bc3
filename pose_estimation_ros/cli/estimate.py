"""`pose-estimation estimate`: poses of the objects in one frame, without ROS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pose_estimation_ros.backends.base import UPRIGHT_TOLERANCE
from pose_estimation_ros.cli.backend_option import (
    BACKEND_HELP,
    COPIES_HELP,
    OBJECT_MODEL_HELP,
    OBJECTS_HELP,
    SCALE_HELP,
    UprightTolerance,
    complete_backend,
)
from pose_estimation_ros.cli.camera_options import read_camera
from pose_estimation_ros.cli.json_output import json_text, write_whole
from pose_estimation_ros.cli.models import model_names
from pose_estimation_ros.core.errors import ConfigurationError

if TYPE_CHECKING:
    from pose_estimation_ros.core.object_pose import ObjectPose
    from pose_estimation_ros.pipeline import PipelineResult

_CONVENTION = ('metres; T_camera_object and position: from the object to the optical frame of the '
               'camera (x right, y down, z forward); orientation: quaternion x y z w; size: of '
               "the object's box along its own axes; box_center: the middle of that box, in the "
               "camera's frame; covariance: x y z, then rotations about the camera's axes")


def estimate(
        color: Path = typer.Option(..., help='Colour image.'),
        depth: Path = typer.Option(None, help='Depth image aligned to it: 16-bit PNG, TIFF of '
                                   'floats in metres, or .npy of either. Not needed by methods '
                                   'that use colour alone.'),
        camera: Path = typer.Option(None, help='camera.json with K (3x3), or YAML of ROS: what '
                                    'ros2 topic echo --once prints of camera_info, or a file of '
                                    'camera_calibration.'),
        fx: float = typer.Option(None, help='Focal length along x, pixels, instead of --camera.'),
        fy: float = typer.Option(None, help='Focal length along y, pixels.'),
        cx: float = typer.Option(None, help='Principal point, x, pixels.'),
        cy: float = typer.Option(None, help='Principal point, y, pixels.'),
        depth_unit: float = typer.Option(None, min=1e-6, help='Metres per count of the depth '
                                         'image. Default: as camera.json says, else 0.001.'),
        output: Path = typer.Option(None, help='JSON file; default: printed.'),
        overlay: Path = typer.Option(None, help='Picture with boxes and axes to write, .png or '
                                     '.jpg.'),
        backend: str = typer.Option('spd', help=BACKEND_HELP, autocompletion=complete_backend),
        model: str = typer.Option('', help="Its model; empty = the method's default.",
                                  autocompletion=model_names),
        segmentation_model: str = typer.Option('', help="The segmenter's model.",
                                               autocompletion=model_names),
        device: str = typer.Option('auto', help='auto, cpu, cuda or tensorrt.'),
        upright_tolerance: UprightTolerance = UPRIGHT_TOLERANCE,
        mrc_rotated_copies: str = typer.Option('auto', help=COPIES_HELP),
        neural_mesh_scale: str = typer.Option('auto', help=SCALE_HELP),
        disp6d_objects: str = typer.Option('', help=OBJECTS_HELP),
        disp6d_object_model: str = typer.Option('', help=OBJECT_MODEL_HELP),
) -> None:
    """Estimate pose and size of every object in one frame, with depth or without.

    The result is JSON: objects with label, score, pose and size, what was dropped and why, the
    models and the time that each stage took.
    """
    # The other commands must start without OpenCV and ONNX Runtime.
    from pose_estimation_ros.datasets.frame_files import FrameFiles
    from pose_estimation_ros.pipeline import (
        BackendOptions,
        DISP6DOptions,
        MRCOptions,
        NeuralMeshOptions,
        PipelineOptions,
        SegmenterOptions,
        create_pipeline,
    )

    if overlay is not None and overlay.suffix.lower() not in {'.png', '.jpg', '.jpeg'}:
        raise ConfigurationError(f'--overlay {overlay} is neither .png nor .jpg; name it so')
    calibration = read_camera(camera, fx, fy, cx, cy, depth_unit)
    frame = FrameFiles(color.stem, color, depth, calibration).load(stamp_ns=0)
    pipeline = create_pipeline(PipelineOptions(
        backend=backend, backend_options=BackendOptions(
            model, device, mrc=MRCOptions(mrc_rotated_copies),
            neural_mesh=NeuralMeshOptions(scale=neural_mesh_scale),
            disp6d=DISP6DOptions(disp6d_objects, object_model=disp6d_object_model),
            upright_tolerance=upright_tolerance),
        segmenter_options=SegmenterOptions(segmentation_model, device), tracker=None))
    try:
        result = pipeline.process(frame)
        text = json_text(_content(result, pipeline.describe()))
    finally:
        pipeline.close()
    if overlay is not None:
        _write_overlay(overlay, result)
    if output is None:
        print(text)
    else:
        write_whole(output, f'{text}\n'.encode())


def _content(result: PipelineResult, facts: dict[str, str]) -> dict[str, Any]:
    camera = result.frame.intrinsics
    return {
        'convention': _CONVENTION,
        'objects': [_entry(pose) for pose in result.poses],
        'dropped': list(result.dropped),
        # Of the undistorted image, in which the poses and the overlay are.
        'camera': {'width': camera.width, 'height': camera.height, 'K': camera.K.tolist()},
        'pipeline': facts,
        'seconds': {stage: round(seconds, 4) for stage, seconds in result.timings.items()},
    }


def _entry(pose: ObjectPose) -> dict[str, Any]:
    from pose_estimation_ros.core.rotation import matrix_to_quaternion

    T = pose.T_camera_object
    # The origin of a CAD model may be anywhere.
    T_camera_box, size = pose.placed_box(T)
    return {'label': pose.label, 'score': round(pose.score, 4),
            'position': T[:3, 3].tolist(),
            'orientation_xyzw': matrix_to_quaternion(T[:3, :3]).tolist(),
            'size': size.tolist(), 'box_center': T_camera_box[:3, 3].tolist(),
            'T_camera_object': T.tolist(),
            'covariance': None if pose.covariance is None else pose.covariance.tolist(),
            'inlier_ratio': round(pose.inlier_ratio, 4), 'residual': round(pose.residual, 6),
            'agreement': round(pose.agreement, 4)}


def _write_overlay(path: Path, result: PipelineResult) -> None:
    import cv2

    from pose_estimation_ros.drawing import draw_overlay

    image = draw_overlay(result.frame.rgb, result.frame.intrinsics, result.poses,
                         result.detections)
    _, encoded = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    write_whole(path, encoded.tobytes())
