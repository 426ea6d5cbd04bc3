"""Training of MRC-Net as published: its network, optimizer and schedule (spec 1.7)."""

from __future__ import annotations

from pose_estimation_ros.training.mrc_recipes import FULL
from pose_estimation_ros.training.mrc_training import MRCTask, make_mrc_task
from pose_estimation_ros.training.stages import StageSettings
from pose_estimation_ros.training.task import TrainingData, TrainingSettings

NETWORK = 'mrc-full'
# 75 epochs of the 50,000 rendered pictures that a BOP data set comes with, some 8 objects each.
DEFAULTS = TrainingSettings(
    stages=(StageSettings(230_000, 2e-4, 'cosine', warm_up=1000),), batch=128, workers=8)


# The registry calls every network with its settings; these data do not depend on them.
def make_task(data: TrainingData, settings: TrainingSettings) -> MRCTask:  # noqa: ARG001
    """Return the task on the given data; see `make_mrc_task`."""
    return make_mrc_task(NETWORK, data, FULL)
