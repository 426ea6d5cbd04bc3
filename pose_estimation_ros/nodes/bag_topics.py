"""Where the results of an estimator are in a bag."""

from __future__ import annotations

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.datasets.bag import Bag
from pose_estimation_ros.nodes.recording_parameters import PARAMETERS_NOTE

RESULTS = 'object_detections'
# True objects, as a simulated camera tells them.
TRUTH = 'ground_truth_poses'
_TYPE = 'vision_msgs/msg/Detection3DArray'


def results_topic(bag: Bag) -> str:
    """Return the topic of an estimator's results in a bag; '' if there is none.

    Raises:
        ConfigurationError: If there are several.
    """
    detections = [topic.name for topic in bag.topics.values() if topic.message_type == _TYPE
                  and topic.name.rpartition('/')[2] != TRUTH]
    found = [name for name in detections if name.rpartition('/')[2] == RESULTS]
    if not found and PARAMETERS_NOTE in bag.notes:
        # Remapped: our recorder keeps the topics of one estimator.
        found = detections
    if len(found) > 1:
        raise ConfigurationError(f'{bag.path} has results of several estimators: '
                                 f'{", ".join(found)}; record one of them by itself')
    return found[0] if found else ''
