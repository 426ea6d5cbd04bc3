"""Start an Azure Kinect, and the pose estimator on it.

With start_camera:=false the camera, or anything that publishes on its topics, runs elsewhere.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

from pose_estimation_ros.nodes.driver_launch import driver_group, driver_installed

CORE = str(Path(__file__).with_name('pose_estimation.launch.py'))
PRESET = str(Path(__file__).parents[1] / 'config' / 'cameras' / 'azure_kinect.yaml')
CAMERA = [LaunchConfiguration('camera')]


def generate_launch_description():
    """Declare the camera's arguments; the estimator's are those of pose_estimation.launch.py."""
    core = IncludeLaunchDescription(PythonLaunchDescriptionSource(CORE))
    driver = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(PathJoinSubstitution(
            [FindPackageShare('azure_kinect_ros_driver'), 'launch', 'driver.launch.py'])),
        launch_arguments={
            # depth_to_rgb needs both sensors.
            'color_enabled': 'true',
            'depth_enabled': 'true',
            # The driver's own clouds cost more than the estimator.
            'point_cloud': 'false',
            'rgb_point_cloud': 'false',
            'depth_mode': LaunchConfiguration('depth_mode'),
            'color_resolution': LaunchConfiguration('color_resolution'),
            'fps': LaunchConfiguration('fps'),
        }.items(),
    )
    return LaunchDescription([
        DeclareLaunchArgument('start_camera', default_value='true', choices=['true', 'false'],
                              description='start the driver; false: it runs already'),
        DeclareLaunchArgument('camera', default_value='',
                              description="what the camera's topics begin with, such as /k4a"),
        DeclareLaunchArgument('depth_mode', default_value='NFOV_UNBINNED',
                              description='view and resolution of the depth sensor'),
        DeclareLaunchArgument('color_resolution', default_value='720P',
                              description='of the colour camera, and of aligned depth'),
        DeclareLaunchArgument('fps', default_value='15',
                              description='frames per second: 5, 15 or 30'),
        DeclareLaunchArgument('camera_preset', default_value=PRESET,
                              description='parameters that suit the camera'),
        DeclareLaunchArgument('color_image', default_value=[*CAMERA, '/rgb/image_raw'],
                              description='topic of the colour images'),
        DeclareLaunchArgument('color_info', default_value=[*CAMERA, '/rgb/camera_info'],
                              description="topic of the colour camera's calibration"),
        DeclareLaunchArgument('depth_image', default_value=[*CAMERA, '/depth_to_rgb/image_raw'],
                              description='topic of the depth images, aligned to colour'),
        DeclareLaunchArgument('depth_info', default_value=[*CAMERA, '/depth_to_rgb/camera_info'],
                              description="topic of the depth image's calibration"),
        DeclareLaunchArgument('camera_frame', default_value='rgb_camera_link',
                              description='TF frame of the images, for RViz'),
        driver_installed('azure_kinect_ros_driver'),
        # Before the driver, so that its process gets the shared memory profile too.
        core,
        driver_group(core, driver),
    ])
