"""Start a Stereolabs ZED, and the pose estimator on it.

With start_camera:=false the camera, or anything that publishes on its topics, runs elsewhere.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, PythonExpression
from launch_ros.substitutions import FindPackageShare

from pose_estimation_ros.nodes.driver_launch import driver_group, driver_installed

CORE = str(Path(__file__).with_name('pose_estimation.launch.py'))
PRESET = str(Path(__file__).parents[1] / 'config' / 'cameras' / 'zed.yaml')
CAMERA = ['/', LaunchConfiguration('camera_name'), '/zed_node']


def generate_launch_description():
    """Declare the camera's arguments; the estimator's are those of pose_estimation.launch.py."""
    core = IncludeLaunchDescription(PythonLaunchDescriptionSource(CORE))
    driver = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(PathJoinSubstitution(
            [FindPackageShare('zed_wrapper'), 'launch', 'zed_camera.launch.py'])),
        launch_arguments={
            'camera_name': LaunchConfiguration('camera_name'),
            'camera_model': LaunchConfiguration('camera_model'),
            # The estimator's may be empty, the driver's may not.
            'use_sim_time': PythonExpression(
                ["'", LaunchConfiguration('use_sim_time'), "' or 'false'"]),
        }.items(),
    )
    return LaunchDescription([
        DeclareLaunchArgument('start_camera', default_value='true', choices=['true', 'false'],
                              description='start the driver; false: it runs already'),
        DeclareLaunchArgument('camera_name', default_value='zed',
                              description="first part of the camera's topics"),
        DeclareLaunchArgument('camera_model', default_value='zed2i',
                              description='zed, zedm, zed2, zed2i, zedx, zedxm, ...'),
        DeclareLaunchArgument('camera_preset', default_value=PRESET,
                              description='parameters that suit the camera'),
        DeclareLaunchArgument('color_image', default_value=[*CAMERA, '/rgb/color/rect/image'],
                              description='topic of the colour images'),
        DeclareLaunchArgument('color_info', default_value=[*CAMERA, '/rgb/color/rect/camera_info'],
                              description="topic of the colour camera's calibration"),
        DeclareLaunchArgument('depth_image', default_value=[*CAMERA, '/depth/depth_registered'],
                              description='topic of the depth images, aligned to colour'),
        DeclareLaunchArgument('depth_info', default_value=[*CAMERA, '/depth/camera_info'],
                              description="topic of the depth image's calibration"),
        DeclareLaunchArgument('camera_frame', default_value=[
            LaunchConfiguration('camera_name'), '_left_camera_frame_optical'],
                              description='TF frame of the images, for RViz'),
        driver_installed('zed_wrapper'),
        # Before the driver, so that its process gets the shared memory profile too.
        core,
        driver_group(core, driver, keep=['use_sim_time']),
    ])
