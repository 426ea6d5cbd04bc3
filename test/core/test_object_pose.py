"""Values of a pose that cannot be are refused where they arise, by name and value."""

from __future__ import annotations

import numpy as np
import pytest

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.symmetry import NO_SYMMETRY


def pose(covariance: np.ndarray | None) -> ObjectPose:
    return ObjectPose(label='mug', score=0.5, T_camera_object=np.eye(4), size=np.full(3, 0.1),
                      symmetry=NO_SYMMETRY, source='spd', covariance=covariance)


def changed(row: int, column: int, value: float) -> np.ndarray:
    covariance = np.diag([1e-4] * 6)
    covariance[row, column] = value
    return covariance


@pytest.mark.parametrize('covariance', [
    changed(0, 0, np.nan), changed(2, 2, np.inf), changed(3, 3, -1e-4), changed(0, 1, 5e-5),
    np.eye(3)], ids=['nan', 'infinite', 'negative', 'asymmetric', 'small'])
def test_what_is_no_covariance_is_refused(covariance: np.ndarray) -> None:
    with pytest.raises(InvalidInputError, match='mug: covariance must be a symmetric 6 x 6'):
        pose(covariance)


def test_a_covariance_is_kept_as_it_is_and_none_is_unknown() -> None:
    given = np.diag([1e-4, 2e-4, 3e-4, 0.0, 10.0, 1e-9])
    assert pose(given).covariance is given
    assert pose(None).covariance is None
