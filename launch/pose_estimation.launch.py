"""Start the pose estimator: the core that every other launch file includes.

The estimator brings itself up (its parameter `autostart`). An argument that is left empty keeps
the value of the parameter file.
"""

import os
from pathlib import Path

import yaml
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue

CONFIG = Path(__file__).parents[1] / 'config'
# Fast DDS 3, from Kilted on, renamed the variable, and takes offence at both.
FASTDDS_PROFILE = ('FASTRTPS_DEFAULT_PROFILES_FILE'
                   if os.environ.get('ROS_DISTRO') in {'humble', 'iron', 'jazzy'}
                   else 'FASTDDS_DEFAULT_PROFILES_FILE')
SWITCH = ['true', 'false']

# name, default, description, choices
ARGUMENTS = (
    ('backend', '',
     "spd, crnet, acr, mrc, neural_mesh, disp6d or a plugin's; empty: as params_file says", None),
    ('model', '', "name or folder of the backend's model; empty: as params_file says", None),
    ('segmentation_model', '',
     "name or folder of the segmenter's model; empty: as params_file says", None),
    ('device', '', 'where the networks run; empty: as params_file says',
     ['', 'auto', 'cpu', 'cuda', 'tensorrt']),
    ('output_frame', '', 'TF frame of all outputs; empty: as params_file says', None),
    ('use_sim_time', '', 'take the time from /clock; empty: as params_file says',
     ['', *SWITCH]),
    ('autostart', '', 'the estimator configures and activates itself; empty: as params_file says',
     ['', *SWITCH]),
    ('params_file', str(CONFIG / 'pose_estimation.yaml'),
     'parameters of the estimator and of the nodes beside it', None),
    ('camera_preset', '',
     'parameters that suit the camera, over those of params_file; empty: none', None),
    ('namespace', '', 'namespace of the estimator and of its topics', None),
    ('tf_prefix', '',
     'begins TF frames and ids in MoveIt, one for each camera; empty: as params_file says',
     None),
    ('color_image', 'color/image_raw', 'topic of the colour images', None),
    ('color_info', 'color/camera_info', "topic of the colour camera's calibration", None),
    ('depth_image', 'depth/image_raw', 'topic of the depth images, aligned to colour', None),
    ('depth_info', 'depth/camera_info', "topic of the depth image's calibration", None),
    ('color_rectified', '', 'images are rectified: no distortion; empty: as params_file says',
     ['', *SWITCH]),
    ('color_rotation', '',
     'degrees clockwise that make the images upright; empty: as params_file says',
     ['', '0', '90', '180', '270']),
    ('color_transport', '', 'how colour images are sent; empty: as params_file says',
     ['', 'raw', 'compressed']),
    ('depth_transport', '', 'how depth images are sent; empty: as params_file says',
     ['', 'raw', 'compressedDepth']),
    ('rviz', 'false', 'show cloud, overlay, boxes, shapes, grasps and TF in RViz', SWITCH),
    ('rviz_frame', '',
     'TF frame that RViz draws in; empty: output_frame, or else camera_frame', None),
    ('camera_frame', 'camera_color_optical_frame', 'TF frame of the images, for RViz', None),
    ('planning_scene', 'false', 'tell MoveIt which objects there are; needs moveit_msgs', SWITCH),
    ('record', 'false', 'record inputs and outputs as a bag (MCAP) that can be replayed', SWITCH),
    ('record_to', '', 'folder of the bag; empty: recording_<date and time> where launch runs',
     None),
    ('log_level', 'info', 'severity from which the estimator logs',
     ['debug', 'info', 'warn', 'error']),
)

# Launch arguments that set a parameter of the estimator, unless they are empty.
PARAMETERS = {
    'backend': 'backend',
    'model': 'model',
    'segmentation_model': 'segmentation.model',
    'device': 'device',
    'output_frame': 'output_frame',
    'tf_prefix': 'tf.prefix',
    'use_sim_time': 'use_sim_time',
    'autostart': 'autostart',
    'color_rectified': 'color.rectified',
    'color_rotation': 'color.rotation',
    'color_transport': 'color.transport',
    'depth_transport': 'depth.transport',
}
# Those that are no text.
TYPED = ('use_sim_time', 'autostart', 'color_rectified', 'color_rotation')


def start_nodes(context):
    """Make the actions from the values of the arguments."""
    value = {name: LaunchConfiguration(name).perform(context) for name, *_ in ARGUMENTS}
    parameters = {parameter: yaml.safe_load(value[name]) if name in TYPED else value[name]
                  for name, parameter in PARAMETERS.items() if value[name]}
    file = [value['params_file']] if value['params_file'] else []
    preset = preset_values(value['camera_preset']) if value['camera_preset'] else []
    # Without a word in the arguments the parameter file's counts.
    sim_time = ([{'use_sim_time': value['use_sim_time'] == 'true'}]
                if value['use_sim_time'] else [])
    # Objects of several cameras are one scene, so their ids differ as their TF frames do.
    scene_prefix = [{'prefix': value['tf_prefix']}] if value['tf_prefix'] else []
    rviz_frame = value['rviz_frame'] or value['output_frame'] or value['camera_frame']
    color_image, depth_image = value['color_image'], value['depth_image']
    recorder = Node(
        package='pose_estimation_ros',
        executable='recorder',
        name='recorder',
        namespace=value['namespace'],
        output='screen',
        parameters=[*file, *sim_time,
                    {'output': ParameterValue(value['record_to'], value_type=str)}],
        condition=IfCondition(value['record']),
    )
    estimator = LifecycleNode(
        package='pose_estimation_ros',
        executable='pose_estimator',
        name='pose_estimator',
        namespace=value['namespace'],
        output='screen',
        parameters=[*file, *preset, parameters],
        remappings=[
            ('color/image_raw', color_image),
            ('color/image_raw/compressed', f'{color_image}/compressed'),
            ('color/camera_info', value['color_info']),
            ('depth/image_raw', depth_image),
            ('depth/image_raw/compressedDepth', f'{depth_image}/compressedDepth'),
            ('depth/camera_info', value['depth_info']),
        ],
        arguments=['--ros-args', '--log-level', value['log_level']],
    )
    planning_scene = Node(
        package='pose_estimation_ros',
        executable='planning_scene_bridge',
        name='planning_scene_bridge',
        namespace=value['namespace'],
        output='screen',
        parameters=[*file, *sim_time, *scene_prefix],
        # MoveIt's is the same wherever the estimator is.
        remappings=[('collision_object', '/collision_object')],
        condition=IfCondition(value['planning_scene']),
    )
    rviz = Node(
        package='rviz2',
        executable='rviz2',
        name='rviz',
        namespace=value['namespace'],
        arguments=['-d', str(CONFIG / 'rviz' / 'pose_estimation.rviz'),
                   '--fixed-frame', rviz_frame],
        parameters=sim_time,
        remappings=[
            ('/object_markers', 'object_markers'),
            ('/object_points', 'object_points'),
            ('/overlay/image', 'overlay/image'),
            ('/color/image_raw', color_image),
            ('/depth/image_raw', depth_image),
            ('/depth/camera_info', value['depth_info']),
        ],
        condition=IfCondition(value['rviz']),
    )
    # RViz first: if it is not installed nothing has been started. The recorder before the
    # estimator, so that its first frames are in the bag.
    return [rviz, planning_scene, recorder, estimator]


def preset_values(path):
    """Return the parameters of a camera's file, one dictionary for each node in it.

    As a file it would come after the arguments wherever the user's own file names the node in
    full: values of equally named nodes are merged first.
    """
    content = yaml.safe_load(Path(path).read_text(encoding='utf-8'))
    return [node['ros__parameters'] for node in content.values()]


def generate_launch_description():
    """Declare the arguments, then start the estimator and, if wanted, the others."""
    return LaunchDescription([
        *(DeclareLaunchArgument(name, default_value=default, description=description,
                                choices=choices)
          for name, default, description, choices in ARGUMENTS),
        # Shared memory that holds whole images, unless the user has a profile of their own.
        SetEnvironmentVariable(FASTDDS_PROFILE, EnvironmentVariable(
            FASTDDS_PROFILE, default_value=str(CONFIG / 'fastdds.xml'))),
        OpaqueFunction(function=start_nodes),
    ])
