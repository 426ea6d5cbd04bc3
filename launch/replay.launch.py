"""Replay a bag or recorded RGB-D frames as a camera, and start the pose estimator on it."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PythonExpression
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

CORE = str(Path(__file__).with_name('pose_estimation.launch.py'))
TOPICS = ('color_topic', 'color_info_topic', 'depth_topic', 'depth_info_topic')


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
        parameters=[LaunchConfiguration('params_file'), {
            'source': ParameterValue(LaunchConfiguration('source'), value_type=str),
            **{name: ParameterValue(LaunchConfiguration(name), value_type=str)
               for name in TOPICS},
            'rate': ParameterValue(LaunchConfiguration('rate'), value_type=float),
            'pace': ParameterValue(LaunchConfiguration('pace'), value_type=str),
            'frames': ParameterValue(LaunchConfiguration('frames'), value_type=str),
            'stamps': ParameterValue(LaunchConfiguration('stamps'), value_type=str),
            'clock': ParameterValue(LaunchConfiguration('clock'), value_type=bool),
            'loop': ParameterValue(LaunchConfiguration('loop'), value_type=bool),
            'use_sim_time': ParameterValue(PythonExpression(
                ["'", LaunchConfiguration('use_sim_time'), "' == 'true'"]), value_type=bool),
        }],
    )
    return LaunchDescription([
        DeclareLaunchArgument('source',
                              description='bag of rosbag2, or folder of RGB-D frames, NOCS or '
                              'BOP data'),
        DeclareLaunchArgument('rate', default_value='5.0',
                              description='frames per second, with pace rate'),
        DeclareLaunchArgument('pace', default_value='auto',
                              choices=['auto', 'rate', 'recorded', 'results'],
                              description='when the next frame is shown: at the rate, at the '
                              'recorded times, or when the results of the last one have come'),
        DeclareLaunchArgument('frames', default_value='all', choices=['all', 'answered'],
                              description='images of a bag with pace rate or results: all, or '
                              'those that have results in it'),
        DeclareLaunchArgument('stamps', default_value='now', choices=['now', 'recorded'],
                              description='stamps of a bag are moved to the present, or kept'),
        DeclareLaunchArgument('clock', default_value='false', choices=['true', 'false'],
                              description='publish the time of a bag on /clock; with stamps '
                              'recorded'),
        *(DeclareLaunchArgument(name, default_value='',
                                description='topic of the bag; empty: found by type and name')
          for name in TOPICS),
        DeclareLaunchArgument('loop', default_value='true', choices=['true', 'false'],
                              description='start over after the last frame'),
        estimator,
        camera,
    ])
