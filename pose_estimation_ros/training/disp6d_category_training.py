"""Training of DISP6D lite on the six categories."""

from __future__ import annotations

from pose_estimation_ros.training.disp6d_recipes import CATEGORY
from pose_estimation_ros.training.disp6d_training import Disp6dTask, make_disp6d_task
from pose_estimation_ros.training.stages import StageSettings
from pose_estimation_ros.training.task import TrainingData, TrainingSettings

NETWORK = 'disp6d-category'
DEFAULTS = TrainingSettings(
    stages=(StageSettings(10000, 1e-3, 'cosine', warm_up=200),), batch=32, precision='bfloat16',
    clip=1.0, average=0.999, workers=1)


# The registry calls every network with its settings; these data do not depend on them.
def make_task(data: TrainingData, settings: TrainingSettings) -> Disp6dTask:  # noqa: ARG001
    """Return the task on the given data; see `make_disp6d_task`."""
    return make_disp6d_task(NETWORK, data, CATEGORY)
