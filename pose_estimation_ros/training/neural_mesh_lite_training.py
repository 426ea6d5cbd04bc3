"""Training of the neural mesh `lite`; begins best with the weights of the lite detector."""

from __future__ import annotations

from pose_estimation_ros.training.neural_mesh_recipes import LITE
from pose_estimation_ros.training.neural_mesh_training import (
    NeuralMeshTask,
    make_neural_mesh_task,
)
from pose_estimation_ros.training.stages import StageSettings
from pose_estimation_ros.training.task import TrainingData, TrainingSettings

NETWORK = 'neural_mesh-lite'
DEFAULTS = TrainingSettings(
    stages=(StageSettings(3600, 6e-4, 'cosine', warm_up=50),), batch=16, precision='bfloat16',
    clip=5.0, average=0.998, workers=1)


# The registry calls every network with its settings; these data do not depend on them.
def make_task(data: TrainingData, settings: TrainingSettings) -> NeuralMeshTask:  # noqa: ARG001
    """Return the task on the given data; see `make_neural_mesh_task`."""
    return make_neural_mesh_task(NETWORK, data, LITE)
