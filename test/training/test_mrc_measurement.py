"""Poses in stored views: those of turned copies are turned back, and the surest one counts."""

from types import SimpleNamespace

import numpy as np
import torch

from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.training.mrc_measurement import view_errors
from pose_estimation_ros.training.mrc_steps import Prediction
from pose_estimation_ros.training.mrc_validation import PoseErrorMeter
from pose_estimation_ros.training.mrc_views import object_views
from test.support.mrc_views import spotted_frame, wedge

VIEWS = [view for x in (-0.03, 0.0, 0.03) for view in object_views(
    spotted_frame((x, 0.01, 0.5)), ['wedge'], 96)]
OFF = np.radians(20.0)


class Knowing:
    """Knows the pose in crops turned half round, and is 20 degrees off in all others."""

    network = SimpleNamespace(config=SimpleNamespace(crop=64))
    cells = torch.zeros(1)

    def predict(self, batch):
        half_turn = torch.diag(torch.tensor([-1.0, -1.0, 1.0]))
        true = torch.from_numpy(VIEWS[0].T_camera_object[:3, :3].astype(np.float32))
        right = ((batch.R - half_turn @ true).abs() < 1e-4).all(dim=2).all(dim=1)
        wrong = torch.from_numpy(axis_rotation([0.0, 1.0, 0.0], OFF).astype(np.float32))
        R = torch.where(right[:, None, None], batch.R, batch.R @ wrong)
        return Prediction(R, batch.t, right.float())


def test_the_surest_of_several_turned_copies_counts():
    meter = PoseErrorMeter([wedge()])
    one, two, four = view_errors(Knowing(), meter, VIEWS, range(3), (1, 2, 4))
    for found in (one, two):
        np.testing.assert_allclose(found.angle, OFF, atol=1e-3)
        assert (found.surface > 0.1).all()
    assert four.angle.shape == (3,)
    np.testing.assert_allclose(four.angle, 0.0, atol=2e-3)
    np.testing.assert_allclose(four.surface, 0.0, atol=1e-4)
    np.testing.assert_allclose(four.projection, 0.0, atol=1e-2)
    assert four.recall.tolist() == [1.0, 1.0, 1.0]
    assert (one.recall < 1.0).all()


def test_only_the_chosen_views_are_measured():
    found, = view_errors(Knowing(), PoseErrorMeter([wedge()]), VIEWS, [2])
    assert found.angle.shape == (1,)
