"""Poses for tests of tracking."""

import numpy as np

from pose_estimation_ros.core.categories import category_named
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.core.symmetry import NO_SYMMETRY

SECOND = 1_000_000_000
SIZE = np.array([0.08, 0.1, 0.08])


def pose(label, position, R=None, size=SIZE, symmetry=None, **further):
    """Return a pose; of a category it has its symmetry."""
    category = category_named(label)
    known = NO_SYMMETRY if category is None else category.symmetry
    T = make_transform(np.eye(3) if R is None else R, position)
    return ObjectPose(label, 0.9, T, np.asarray(size, float), symmetry or known, 'test', **further)


def ids(tracked):
    """Return the ids in the order of the poses."""
    return [p.track_id for p in tracked.poses]
