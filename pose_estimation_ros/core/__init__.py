"""Values and geometry, NumPy only. Imports nothing else of this package."""

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import (
    ConfigurationError,
    InvalidInputError,
    ModelError,
    PoseEstimationError,
)
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose, Rejection

__all__ = ['CameraIntrinsics', 'ConfigurationError', 'Detection', 'InvalidInputError',
           'ModelError', 'ObjectPose', 'PoseEstimationError', 'RGBDFrame', 'Rejection']
