"""Parameters of the nodes that record and replay."""

from __future__ import annotations

from pose_estimation_ros.nodes.parameters import ParameterSpec

# Keys of what the recorder keeps in the metadata of a bag.
PARAMETERS_NOTE = 'pose_estimator.parameters'
VERSION_NOTE = 'pose_estimation_ros.version'

RECORDER_PARAMETERS: tuple[ParameterSpec, ...] = (
    ParameterSpec('output', '', 'Folder of the bag, must not exist yet; empty = '
                  'recording_<date and time, UTC> in the folder where the node was started.',
                  read_only=True),
    ParameterSpec('estimator', 'pose_estimator', 'Node whose inputs and outputs are recorded; '
                  'in the namespace of the recorder unless it has one of its own.',
                  read_only=True),
    ParameterSpec('lazy_outputs', default=False, read_only=True,
                  description='Record overlay/image, object_markers, object_points, grasp_poses '
                  'and grasp_candidates as well, which the estimator makes only for those who '
                  'listen.'),
    ParameterSpec('extra_topics', '', 'Further topics, separated by commas, such as '
                  'ground_truth_poses.', read_only=True),
    ParameterSpec('compression', default=True, read_only=True,
                  description='Compress with Zstandard.'),
    ParameterSpec('buffer', 128, 'Most megabytes that wait for the disk; what comes beyond is '
                  'dropped and counted.', limits=(1, 4096), read_only=True),
    ParameterSpec('min_free', 500, 'The recording ends, whole, when the disk has fewer megabytes '
                  'left.', limits=(0, 10_000_000), read_only=True),
)

REPLAY_CAMERA_PARAMETERS: tuple[ParameterSpec, ...] = (
    ParameterSpec('source', '', 'Bag of rosbag2 (folder, .mcap or .db3), or folder of recorded '
                  'frames: rgb.png + depth.png + camera.json, NOCS or BOP.', read_only=True),
    ParameterSpec('pace', 'auto', 'When the next frame is shown: at the rate, at the recorded '
                  'times (bags), or when object_detections of the last one have come (bags), so '
                  'that no frame is dropped; auto = recorded for bags, rate for folders.',
                  choices=('auto', 'rate', 'recorded', 'results'), read_only=True),
    ParameterSpec('frames', 'all', 'Which images of a bag are shown, with pace rate and results: '
                  'all, or only those that have object_detections in the bag: a new run then '
                  'sees what the recorded one saw.', choices=('all', 'answered'),
                  read_only=True),
    ParameterSpec('rate', 5.0, 'Frames per second, with pace rate.', limits=(0.01, 120.0),
                  read_only=True),
    ParameterSpec('result_timeout', 30.0, 'Longest wait for object_detections, seconds, with pace '
                  'results.', limits=(0.1, 3600.0), read_only=True),
    ParameterSpec('loop', default=True, read_only=True,
                  description='Start over after the last frame.'),
    ParameterSpec('stamps', 'now', 'Stamps of a bag are moved to the present, or stay as '
                  'recorded.', choices=('now', 'recorded'), read_only=True),
    ParameterSpec('clock', default=False, read_only=True,
                  description='Publish the recorded time on /clock, for nodes with use_sim_time; '
                  'needs stamps recorded.'),
    ParameterSpec('color_topic', '', 'Topic of the bag; empty = found by type, encoding and '
                  'name.', read_only=True),
    ParameterSpec('color_info_topic', '', 'Topic of the bag; empty = the camera_info beside the '
                  'colour images.', read_only=True),
    ParameterSpec('depth_topic', '', 'Topic of the bag; empty = found by type, encoding, size and '
                  'name.', read_only=True),
    ParameterSpec('depth_info_topic', '', 'Topic of the bag; empty = the camera_info beside the '
                  'depth images.', read_only=True),
    ParameterSpec('sync.slop', 0.02, 'Largest difference of the stamps of colour and depth in a '
                  'bag, seconds, with pace rate and results.', limits=(0.0, 1.0),
                  read_only=True),
    ParameterSpec('frame_id', 'camera_color_optical_frame', 'Frame of the images of a folder; '
                  'those of a bag keep theirs.', read_only=True),
)
