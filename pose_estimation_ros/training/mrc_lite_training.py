"""Training of MRC-Net `lite`."""

from __future__ import annotations

from pose_estimation_ros.training.mrc_recipes import LITE
from pose_estimation_ros.training.mrc_training import MRCTask, make_mrc_task
from pose_estimation_ros.training.stages import StageSettings
from pose_estimation_ros.training.task import TrainingData, TrainingSettings

NETWORK = 'mrc-lite'
DEFAULTS = TrainingSettings(
    stages=(StageSettings(8000, 1e-3, 'cosine', warm_up=200),), batch=32, precision='bfloat16',
    clip=5.0, average=0.999, workers=1)


# The registry calls every network with its settings; these data do not depend on them.
def make_task(data: TrainingData, settings: TrainingSettings) -> MRCTask:  # noqa: ARG001
    """Return the task on the given data; see `make_mrc_task`."""
    return make_mrc_task(NETWORK, data, LITE)
