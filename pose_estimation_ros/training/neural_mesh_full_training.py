"""Training of the neural mesh as published: its network, optimizer and schedule (spec 2.6)."""

from __future__ import annotations

from pose_estimation_ros.training.neural_mesh_recipes import FULL
from pose_estimation_ros.training.neural_mesh_training import (
    NeuralMeshTask,
    make_neural_mesh_task,
)
from pose_estimation_ros.training.stages import StageSettings
from pose_estimation_ros.training.task import TrainingData, TrainingSettings

NETWORK = 'neural_mesh-full'
# 2000 epochs of about 1200 pictures of a category, 15 scales each, in batches of 48.
DEFAULTS = TrainingSettings(
    stages=(StageSettings(525_000, 2e-4), StageSettings(225_000, 4e-5)), batch=48, workers=8)


# The registry calls every network with its settings; these data do not depend on them.
def make_task(data: TrainingData, settings: TrainingSettings) -> NeuralMeshTask:  # noqa: ARG001
    """Return the task on the given data; see `make_neural_mesh_task`."""
    return make_neural_mesh_task(NETWORK, data, FULL)
