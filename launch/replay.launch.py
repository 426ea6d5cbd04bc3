"""Replay recorded RGB-D frames as a camera, and start the pose estimator on it."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PythonExpression
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

CORE = str(Path(__file__).with_name('pose_estimation.launch.py'))


def generate_launch_description():
    """Declare the camera's arguments; the estimator's are those of pose_estimation.launch.py."""
    estimator = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(CORE))
    camera = Node(
        package='pose_estimation_ros',
        executable='replay_camera',
        name='replay_camera',
        namespace=LaunchConfiguration('namespace'),
        output='screen',
        parameters=[{
            'source': ParameterValue(LaunchConfiguration('source'), value_type=str),
            'rate': ParameterValue(LaunchConfiguration('rate'), value_type=float),
            'loop': ParameterValue(LaunchConfiguration('loop'), value_type=bool),
            'use_sim_time': ParameterValue(PythonExpression(
                ["'", LaunchConfiguration('use_sim_time'), "' == 'true'"]), value_type=bool),
        }],
    )
    return LaunchDescription([
        DeclareLaunchArgument('source', description='folder of RGB-D frames, NOCS or BOP data'),
        DeclareLaunchArgument('rate', default_value='5.0', description='frames per second'),
        DeclareLaunchArgument('loop', default_value='true', choices=['true', 'false'],
                              description='start over after the last frame'),
        estimator,
        camera,
    ])
