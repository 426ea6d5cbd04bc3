"""Reconstructed surfaces against the models of NOCS data."""

from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.core.object_pose import ObjectPose, Rejection
from pose_estimation_ros.datasets.nocs_dataset import NocsDataset
from pose_estimation_ros.evaluation.detection_sources import TrueMasks
from pose_estimation_ros.evaluation.reconstruction_accuracy import reconstruct

EXCERPT = Path(__file__).resolve().parents[1] / 'data' / 'spd' / 'nocs'


class Reconstructs:
    """Gives each object its model's surface, enlarged, and refuses some labels."""

    def __init__(self, dataset, larger=1.0, refused=()):
        self.truth = {entry.label: entry for entry in dataset[0].objects}
        self.dataset, self.larger, self.refused = dataset, larger, refused

    def estimate(self, _frame, detections):
        return [self._answer(detection) for detection in detections]

    def _answer(self, detection):
        if detection.label in self.refused:
            return Rejection(detection, 'no')
        entry = self.truth[detection.label]
        points = self.larger * entry.diagonal * self.dataset.shape(entry)
        return ObjectPose(entry.label, 0.9, entry.T_camera_object, entry.size, entry.symmetry,
                          'test', points=points.astype(np.float32))


@pytest.fixture(params=['nocs', 'spd'])
def dataset(request):
    return NocsDataset(EXCERPT, 'real_train', request.param)


def test_the_true_surface_has_no_distance_in_either_convention(dataset):
    found = reconstruct(Reconstructs(dataset), dataset, [0], TrueMasks())
    assert found.objects == len(found.distances) == len(dataset[0].objects)
    assert max(entry.root for entry in found.distances) < 1e-6


def test_an_error_of_size_counts(dataset):
    found = reconstruct(Reconstructs(dataset, larger=1.2), dataset, [0], TrueMasks())
    assert min(entry.root for entry in found.distances) > 0.01


def test_what_has_no_pose_has_no_distance_but_is_counted(dataset):
    refused = dataset[0].objects[0].label
    found = reconstruct(Reconstructs(dataset, refused=(refused,)), dataset, [0], TrueMasks())
    assert found.objects == len(dataset[0].objects) > len(found.distances)
    assert refused not in {entry.category for entry in found.distances}
