"""Start an Orbbec camera with depth aligned to colour, and the pose estimator on it.

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
PRESET = str(Path(__file__).parents[1] / 'config' / 'cameras' / 'orbbec.yaml')
CAMERA = ['/', LaunchConfiguration('camera_name')]


def generate_launch_description():
    """Declare the camera's arguments; the estimator's are those of pose_estimation.launch.py."""
    core = IncludeLaunchDescription(PythonLaunchDescriptionSource(CORE))
    driver = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(PathJoinSubstitution(
            [FindPackageShare('orbbec_camera'), 'launch', LaunchConfiguration('driver')])),
        launch_arguments={
            'camera_name': LaunchConfiguration('camera_name'),
            # Without it the same topic carries depth as the depth sensor sees it.
            'depth_registration': 'true',
            'enable_frame_sync': 'true',
        }.items(),
    )
    return LaunchDescription([
        DeclareLaunchArgument('start_camera', default_value='true', choices=['true', 'false'],
                              description='start the driver; false: it runs already'),
        DeclareLaunchArgument('camera_name', default_value='camera',
                              description="first part of the camera's topics"),
        DeclareLaunchArgument('driver', default_value='gemini_330_series.launch.py',
                              description="the driver's launch file for the model"),
        DeclareLaunchArgument('camera_preset', default_value=PRESET,
                              description='parameters that suit the camera'),
        DeclareLaunchArgument('color_image', default_value=[*CAMERA, '/color/image_raw'],
                              description='topic of the colour images'),
        DeclareLaunchArgument('color_info', default_value=[*CAMERA, '/color/camera_info'],
                              description="topic of the colour camera's calibration"),
        DeclareLaunchArgument('depth_image', default_value=[*CAMERA, '/depth/image_raw'],
                              description='topic of the depth images, aligned to colour'),
        DeclareLaunchArgument('depth_info', default_value=[*CAMERA, '/depth/camera_info'],
                              description="topic of the depth image's calibration"),
        DeclareLaunchArgument('camera_frame', default_value=[
            LaunchConfiguration('camera_name'), '_color_optical_frame'],
                              description='TF frame of the images, for RViz'),
        driver_installed('orbbec_camera'),
        # Before the driver, so that its process gets the shared memory profile too.
        core,
        driver_group(core, driver),
    ])
