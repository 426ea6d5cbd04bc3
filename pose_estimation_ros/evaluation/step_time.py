"""How long a step of a training takes, whether or not the training itself was interrupted."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pose_estimation_ros.training.task import TrainingSettings, TrainingTask

FIRST_STEPS, TIMED_STEPS = 2, 8


def step_seconds(task: TrainingTask, training: TrainingSettings) -> float:
    """Return the time of a step, of a few that are made for it: on a CPU processor time.

    Args:
        task: What is trained.
        training: How, in one stage.
    """
    from pose_estimation_ros.training.loop import run

    clock = time.process_time if training.device == 'cpu' else time.perf_counter
    with TemporaryDirectory() as folder:
        run(task, _shortened(training, FIRST_STEPS), Path(folder))
        began = clock()
        run(task, _shortened(training, FIRST_STEPS + TIMED_STEPS), Path(folder))
        return (clock() - began) / TIMED_STEPS


def _shortened(training: TrainingSettings, steps: int) -> TrainingSettings:
    stage, = training.stages
    return replace(training, stages=(replace(stage, steps=steps, warm_up=0),))
