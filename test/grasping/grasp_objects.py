"""True objects as a perfect estimate would tell them."""

from functools import lru_cache

import numpy as np

from pose_estimation_ros.core.categories import category_named
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.evaluation.grasp_trial import Surface
from pose_estimation_ros.grasping import Gripper
from pose_estimation_ros.synthetic.object_model import make_object

# Of the size of a Robotiq 2F-140: what of the six categories a hand can hold, it can.
LARGE = Gripper(opening=0.14, finger_depth=0.06, finger_thickness=0.012, finger_width=0.02,
                palm_width=0.15, palm_thickness=0.06, palm_height=0.1)
# A camera that looks down at a table by 35 degrees; the object's y is up.
UPRIGHT = make_transform(axis_rotation((1, 0, 0), np.pi - 0.6), [0.05, 0.1, 0.7])
UP = UPRIGHT[:3, 1]


@lru_cache(maxsize=32)
def true_object(category, seed):
    """Return an object model and its dense surface."""
    model = make_object(category, seed, 'primary')
    return model, Surface.of(model.mesh)


def estimate_of(category, seed, T=UPRIGHT, count=256):
    """Return a pose without error, with as many points as a network reconstructs."""
    model, _ = true_object(category, seed)
    samples = model.mesh.sample_surface(count, np.random.default_rng(seed))
    return ObjectPose(category, 0.9, T, model.size, category_named(category).symmetry, 'test',
                      points=samples.points)
