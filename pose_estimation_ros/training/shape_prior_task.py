"""The auto-encoder of the shape priors on synthetic instances, for the command line."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.synthetic.object_source import ObjectSource
from pose_estimation_ros.training.shape_prior_training import DEFAULTS, AutoEncoderTask
from pose_estimation_ros.training.shape_priors import surface_points, training_instances
from pose_estimation_ros.training.sources import synthetic_world
from pose_estimation_ros.training.task import TrainingData, TrainingSettings

__all__ = ['DEFAULTS', 'make_task']

INSTANCES = 200
POINTS = 4096


def make_task(data: TrainingData, settings: TrainingSettings) -> AutoEncoderTask:  # noqa: ARG001
    """Return the task on the first training instances of each category.

    Raises:
        ConfigurationError: If other data are asked for.
    """
    worlds = [synthetic_world(source) for source in data.sources]
    if len(worlds) != 1 or worlds[0] is None:
        raise ConfigurationError(
            f'the shape priors are trained on objects, not on {", ".join(data.sources)}; give '
            '--data synthetic, or --data synthetic:<folder of meshes>')
    clouds = category_clouds(worlds[0].objects)
    return AutoEncoderTask(np.concatenate(clouds), worlds[0].objects.categories)


def category_clouds(objects: ObjectSource) -> list[NDArray[np.float32]]:
    """Return per category the (M, POINTS, 3) NOCS surface points of its first instances."""
    return [
        np.stack([surface_points(model, POINTS, np.random.default_rng(number))
                  for number, model in enumerate(
                      training_instances(category.name, INSTANCES, objects))])
        for category in objects.categories]
