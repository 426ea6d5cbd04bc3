"""Start an Intel RealSense with depth aligned to colour, and the pose estimator on it.

With start_camera:=false the camera, or anything that publishes on its topics, runs elsewhere.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

CORE = str(Path(__file__).with_name('pose_estimation.launch.py'))
CAMERA = ['/', LaunchConfiguration('camera_namespace'), '/', LaunchConfiguration('camera_name')]


def generate_launch_description():
    """Declare the camera's arguments; the estimator's are those of pose_estimation.launch.py."""
    driver = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(PathJoinSubstitution(
            [FindPackageShare('realsense2_camera'), 'launch', 'rs_launch.py'])),
        launch_arguments={
            'camera_namespace': LaunchConfiguration('camera_namespace'),
            'camera_name': LaunchConfiguration('camera_name'),
            # Both are off by default, and the estimator needs both.
            'align_depth.enable': 'true',
            'enable_sync': 'true',
        }.items(),
    )
    estimator = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(CORE),
        launch_arguments={
            'color_image': [*CAMERA, '/color/image_raw'],
            'color_info': [*CAMERA, '/color/camera_info'],
            'depth_image': [*CAMERA, '/aligned_depth_to_color/image_raw'],
            'depth_info': [*CAMERA, '/aligned_depth_to_color/camera_info'],
        }.items(),
    )
    return LaunchDescription([
        DeclareLaunchArgument('start_camera', default_value='true', choices=['true', 'false'],
                              description='start the driver; false: it runs already'),
        DeclareLaunchArgument('camera_namespace', default_value='camera',
                              description="first part of the camera's topics"),
        DeclareLaunchArgument('camera_name', default_value='camera',
                              description="second part of the camera's topics"),
        # Before the driver, so that its process gets the shared memory profile too.
        estimator,
        GroupAction([driver], condition=IfCondition(LaunchConfiguration('start_camera'))),
    ])
