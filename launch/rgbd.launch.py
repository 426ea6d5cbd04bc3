"""Start the pose estimator on any RGB-D camera that runs already."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

CORE = str(Path(__file__).with_name('pose_estimation.launch.py'))
PRESET = str(Path(__file__).parents[1] / 'config' / 'cameras' / 'generic.yaml')
CAMERA = [LaunchConfiguration('camera')]


def generate_launch_description():
    """Declare the camera's arguments; the estimator's are those of pose_estimation.launch.py."""
    return LaunchDescription([
        DeclareLaunchArgument('camera', default_value='/camera',
                              description="what the camera's topics begin with"),
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
        IncludeLaunchDescription(PythonLaunchDescriptionSource(CORE)),
    ])
