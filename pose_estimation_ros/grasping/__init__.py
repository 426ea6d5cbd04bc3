"""From a pose to a grasp: where a parallel-jaw gripper may take hold of an object."""

from pose_estimation_ros.grasping.given_grasps import GivenGrasp, read_given_grasps
from pose_estimation_ros.grasping.grasp import (
    KINDS,
    Grasp,
    GraspLimits,
    Gripper,
    Surroundings,
)
from pose_estimation_ros.grasping.planner import GraspPlan, GraspPlanner, GraspPlannerOptions

__all__ = ['KINDS', 'GivenGrasp', 'Grasp', 'GraspLimits', 'GraspPlan', 'GraspPlanner',
           'GraspPlannerOptions', 'Gripper', 'Surroundings', 'read_given_grasps']
