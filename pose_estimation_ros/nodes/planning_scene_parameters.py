"""Parameters of the node that tells MoveIt which objects there are."""

from __future__ import annotations

from pose_estimation_ros.nodes.parameters import ParameterSpec

PLANNING_SCENE_PARAMETERS: tuple[ParameterSpec, ...] = (
    ParameterSpec('shape', 'box', 'Each object is its box, or the convex hull of its '
                  'reconstructed shape (object_points).', choices=('box', 'hull'), read_only=True),
    ParameterSpec('labels', '', 'Labels that are told, separated by commas; empty = all.'),
    ParameterSpec('min_score', 0.0, 'Objects with a lower score are not told.',
                  limits=(0.0, 1.0)),
    ParameterSpec('prefix', '', 'Begins the ids of all objects: with several cameras one each.',
                  read_only=True),
    ParameterSpec('held', '', 'Ids or labels that are left alone, separated by commas, as mug_3 '
                  'or mug: objects that are attached to the robot.'),
    ParameterSpec('padding', 0.005, 'A box is larger than the object by so much on every side, '
                  'metres.', limits=(0.0, 0.2)),
    ParameterSpec('min_motion', 0.01, 'Smallest step of an object that is told, metres.',
                  limits=(0.0, 1.0)),
    ParameterSpec('min_rotation', 0.1, 'Smallest turn of an object that is told, radians.',
                  limits=(0.0, 3.1416)),
    ParameterSpec('max_missed_seconds', 2.0, 'An object that is left out of object_detections '
                  'for longer is removed.', limits=(0.0, 3600.0)),
    ParameterSpec('max_silent_seconds', 0.0, 'Without any message of object_detections for '
                  'longer everything is removed; 0 = never, as with mode: on_demand.',
                  limits=(0.0, 3600.0)),
)
