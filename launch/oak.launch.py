"""Start a Luxonis OAK-D with depth aligned to colour, and the pose estimator on it.

With start_camera:=false the camera, or anything that publishes on its topics, runs elsewhere.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

from pose_estimation_ros.nodes.driver_launch import driver_group, driver_installed

CORE = str(Path(__file__).with_name('pose_estimation.launch.py'))
PRESET = str(Path(__file__).parents[1] / 'config' / 'cameras' / 'oak.yaml')
CAMERA = ['/', LaunchConfiguration('camera_name')]


def generate_launch_description():
    """Declare the camera's arguments; the estimator's are those of pose_estimation.launch.py."""
    core = IncludeLaunchDescription(PythonLaunchDescriptionSource(CORE))
    driver = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(PathJoinSubstitution(
            [FindPackageShare('depthai_ros_driver'), 'launch', 'rgbd_pcl.launch.py'])),
        launch_arguments={
            'name': LaunchConfiguration('camera_name'),
            # The estimator takes the rectified images: depth fits no others.
            'rectify_rgb': 'true',
            'params_file': LaunchConfiguration('driver_params_file'),
        }.items(),
    )
    return LaunchDescription([
        DeclareLaunchArgument('start_camera', default_value='true', choices=['true', 'false'],
                              description='start the driver; false: it runs already'),
        DeclareLaunchArgument('camera_name', default_value='oak',
                              description="first part of the camera's topics"),
        DeclareLaunchArgument('driver_params_file',
                              default_value=PathJoinSubstitution([FindPackageShare(
                                  'depthai_ros_driver'), 'config', 'rgbd.yaml']),
                              description="the driver's parameters, where stereo.i_align_depth "
                                          'must be true',
                              condition=IfCondition(LaunchConfiguration('start_camera'))),
        DeclareLaunchArgument('camera_preset', default_value=PRESET,
                              description='parameters that suit the camera'),
        DeclareLaunchArgument('color_image', default_value=[*CAMERA, '/rgb/image_rect'],
                              description='topic of the colour images'),
        DeclareLaunchArgument('color_info', default_value=[*CAMERA, '/rgb/camera_info'],
                              description="topic of the colour camera's calibration"),
        DeclareLaunchArgument('depth_image', default_value=[*CAMERA, '/stereo/image_raw'],
                              description='topic of the depth images, aligned to colour'),
        DeclareLaunchArgument('depth_info', default_value=[*CAMERA, '/stereo/camera_info'],
                              description="topic of the depth image's calibration"),
        DeclareLaunchArgument('camera_frame', default_value=[
            LaunchConfiguration('camera_name'), '_rgb_camera_optical_frame'],
                              description='TF frame of the images, for RViz'),
        driver_installed('depthai_ros_driver'),
        # Before the driver, so that its process gets the shared memory profile too.
        core,
        driver_group(core, driver),
    ])
