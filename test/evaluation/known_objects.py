"""Frames with known objects for the tests of BOP's metrics."""

from pathlib import Path

import numpy as np

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Y_AXIS_SYMMETRY
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame, ObjectAnnotation
from pose_estimation_ros.datasets.bop_writer import BopWriter
from pose_estimation_ros.evaluation.bop_model import CadModel
from pose_estimation_ros.evaluation.bop_symmetries import SymmetryTransforms
from pose_estimation_ros.evaluation.predictions import FramePredictions, Prediction
from pose_estimation_ros.rendering.primitives import box

SIZE = np.array([0.06, 0.08, 0.1])
DIAMETER = float(np.linalg.norm(SIZE))
CAMERA = CameraIntrinsics.pinhole(160, 120, 150.0, 150.0, 80.0, 60.0)
FRAME = '000001/000017'
HALF_TURN = np.diag([-1.0, -1, 1, 1])


def model(symmetries: SymmetryTransforms | None = None) -> CadModel:
    return CadModel(box(SIZE), DIAMETER, symmetries or SymmetryTransforms.none())


def at(x: float, z: float = 0.6) -> np.ndarray:
    return make_transform(np.eye(3), (x, 0.0, z))


def annotation(T: np.ndarray, visibility: float = 1.0, label: str = 'obj_000001'
               ) -> ObjectAnnotation:
    return ObjectAnnotation(1, label, label, T, SIZE, visibility=visibility)


def frame(*objects: ObjectAnnotation, wall: float = np.nan) -> AnnotatedFrame:
    """Return a frame whose sensor saw a wall so far away, by default no depth at all."""
    depth = np.full((CAMERA.height, CAMERA.width), wall, np.float32)
    image = np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)
    return AnnotatedFrame(FRAME, RGBDFrame(0, 'camera', image, depth, CAMERA), objects)


def prediction(T: np.ndarray, score: float = 0.9, label: str = 'obj_000001') -> Prediction:
    return Prediction(label, score, T, SIZE)


def predictions(*estimates: Prediction) -> FramePredictions:
    return FramePredictions(FRAME, estimates)


def write_data_set(root: Path, carton: str = 'carton', tin: str = 'tin',
                   wall: float = np.nan) -> None:
    """Write a BOP data set of two frames with a carton and two tins of these labels each."""
    writer = BopWriter(root, 'test', {'carton': 3, 'tin': 7})
    mesh = box(SIZE)
    labels = {'carton': carton, 'tin': tin}
    for name, symmetry in (('carton', NO_SYMMETRY), ('tin', Y_AXIS_SYMMETRY)):
        writer.add_model(name, labels[name], mesh.vertices, mesh.faces, symmetry)
    objects = tuple(ObjectAnnotation(number, labels[name], name, at(x), SIZE, visibility=1.0)
                    for number, (name, x) in enumerate(
                        (('carton', -0.1), ('tin', 0.0), ('tin', 0.1)), start=1))
    instances = np.zeros((CAMERA.height, CAMERA.width), np.int32)
    for number, x in enumerate((50, 75, 100), start=1):
        instances[50:70, x:x + 10] = number
    with writer.scene(1) as scene:
        for name in 'ab':
            scene.write(AnnotatedFrame(name, frame(wall=wall).frame, objects, instances))
    writer.finish()
