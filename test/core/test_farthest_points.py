import numpy as np
import pytest

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.farthest_points import farthest_point_order


def test_every_prefix_of_the_farthest_point_order_covers_the_shape() -> None:
    points = np.random.default_rng(0).normal(size=(2000, 3))
    points /= 2 * np.linalg.norm(points, axis=1, keepdims=True)
    order = farthest_point_order(points, 256)
    assert len(set(order)) == 256
    for prefix in (16, 64, 256):
        gap = np.linalg.norm(points[:, None] - points[order[:prefix]][None], axis=2).min(axis=1)
        # A cap of radius g covers g^2 / 4 r^2 of a sphere; even covers need little overlap.
        assert gap.max() < 2.2 * 0.5 * np.sqrt(4.0 / prefix)


def test_more_points_than_there_are_cannot_be_ordered() -> None:
    with pytest.raises(InvalidInputError, match='cannot choose 5 of 3 points'):
        farthest_point_order(np.zeros((3, 3), np.float32), 5)
