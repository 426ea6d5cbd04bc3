"""A small data set of boxes on a plane, and a backend that knows where they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose, Rejection
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.core.symmetry import NO_SYMMETRY
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame, ObjectAnnotation

CAMERA = CameraIntrinsics.pinhole(96, 64, 80.0, 80.0, 47.5, 31.5)
SIZE = np.array([0.1, 0.2, 0.1])
LABELS = ('mug', 'can')


def true_pose(x: float) -> np.ndarray:
    return make_transform(np.eye(3), (x, 0.0, 0.8))


def annotated_frame(index: int, objects: int = 2) -> AnnotatedFrame:
    """Two objects side by side, each 12 x 12 pixels; their place depends on the frame."""
    instance_map = np.zeros((64, 96), np.int32)
    annotations = []
    for number in range(objects):
        left = 8 + 40 * number + index % 4
        instance_map[20:32, left:left + 12] = number + 1
        annotations.append(ObjectAnnotation(number + 1, LABELS[number], f'model_{number}',
                                            true_pose(0.1 * number + 0.01 * index), SIZE,
                                            visibility=1.0))
    rgb = np.full((64, 96, 3), index, np.uint8)
    frame = RGBDFrame(0, 'camera', rgb, np.full((64, 96), 0.8, np.float32), CAMERA)
    return AnnotatedFrame(f'scene/{index:04d}', frame, tuple(annotations), instance_map)


class FakeDataset:
    """Frames 0 to count - 1."""

    name = 'fake'

    def __init__(self, count: int = 20, objects: int = 2) -> None:
        self.count, self.objects = count, objects

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> AnnotatedFrame:
        return annotated_frame(index, self.objects)

    def __iter__(self) -> Iterator[AnnotatedFrame]:
        return (self[index] for index in range(self.count))


class KnowsMugs:
    """Gives mugs their true pose, which it reads from the picture's colour, and refuses cans."""

    name = 'knows_mugs'
    needs = frozenset({'depth', 'detections'})
    categories = ('mug', 'can')

    def estimate(self, frame: RGBDFrame,
                 detections: Sequence[Detection]) -> list[ObjectPose | Rejection]:
        pose = true_pose(0.01 * float(frame.rgb[0, 0, 0]))
        return [ObjectPose('mug', 0.9, pose, SIZE, NO_SYMMETRY, self.name, detection=detection)
                if detection.label == 'mug' else Rejection(detection, 'no')
                for detection in detections]

    def describe(self) -> dict[str, str]:
        return {'model': 'knowledge'}

    def close(self) -> None:
        pass


class FindsMugs:
    """A segmenter that finds the first object only."""

    providers = ('none',)
    needs_depth = False
    categories = ('mug',)

    def detect(self, frame: RGBDFrame) -> list[Detection]:
        left = 8 + int(frame.rgb[0, 0, 0]) % 4
        return [Detection('mug', 0.7, np.array([left, 20.0, left + 12, 32.0]),
                          np.ones((12, 12), bool), (left, 20))]

    def close(self) -> None:
        pass


def use_fakes(monkeypatch, folder: Path, dataset: FakeDataset) -> None:
    """Let the runner open the fake data set, backend and segmenter."""
    from pose_estimation_ros.evaluation import methods, runner
    from pose_estimation_ros.evaluation.data_folders import Data
    from pose_estimation_ros.pipeline import Pipeline

    folder.mkdir(exist_ok=True)
    methods._estimator.cache_clear()
    methods._detector.cache_clear()
    runner._opened.cache_clear()
    monkeypatch.setattr(Data, '_opened', lambda self: dataset)
    monkeypatch.setattr(methods, 'create_backend', lambda name, options: KnowsMugs())
    monkeypatch.setattr(methods, 'create_segmenter', lambda name, options: FindsMugs())
    monkeypatch.setattr(methods, 'create_pipeline',
                        lambda options: Pipeline(FindsMugs(), KnowsMugs(), None))
