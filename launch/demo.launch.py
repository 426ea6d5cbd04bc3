"""Start a simulated RGB-D camera and the pose estimator on it."""

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
        executable='simulated_camera',
        name='simulated_camera',
        namespace=LaunchConfiguration('namespace'),
        output='screen',
        parameters=[{
            'rate': ParameterValue(LaunchConfiguration('rate'), value_type=float),
            'seed': ParameterValue(LaunchConfiguration('seed'), value_type=int),
            'use_sim_time': ParameterValue(PythonExpression(
                ["'", LaunchConfiguration('use_sim_time'), "' == 'true'"]), value_type=bool),
        }],
    )
    return LaunchDescription([
        DeclareLaunchArgument('rate', default_value='5.0', description='frames per second'),
        DeclareLaunchArgument('seed', default_value='0', description='first scene'),
        estimator,
        camera,
    ])
