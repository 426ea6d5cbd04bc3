"""The auto-encoder of the shape priors on synthetic instances, for the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.core.farthest_points import farthest_point_order
from pose_estimation_ros.networks.shape_prior_autoencoder import ShapePriorAutoEncoder
from pose_estimation_ros.synthetic.object_source import ObjectSource
from pose_estimation_ros.training.checkpoints import check_network, first_fault, read_checkpoint
from pose_estimation_ros.training.shape_prior_training import (
    DEFAULTS,
    NETWORK,
    AutoEncoderTask,
    decoded_mean_shape,
)
from pose_estimation_ros.training.shape_priors import (
    PRIOR_POINTS,
    save_priors,
    surface_points,
    training_instances,
)
from pose_estimation_ros.training.sources import SYNTHETIC, synthetic_world
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
    return AutoEncoderTask(np.concatenate(clouds), worlds[0].objects.categories,
                           source=data.sources[0])


def category_clouds(objects: ObjectSource) -> list[NDArray[np.float32]]:
    """Return per category the (M, POINTS, 3) NOCS surface points of its first instances."""
    return [
        np.stack([surface_points(model, POINTS, np.random.default_rng(number))
                  for number, model in enumerate(
                      training_instances(category.name, INSTANCES, objects))])
        for category in objects.categories]


def export_priors(checkpoint: Path, out: Path) -> None:
    """Write the decoded mean shapes of a trained auto-encoder's categories to an npz file.

    Raises:
        ModelError: If the checkpoint is missing, damaged or not of the auto-encoder.
    """
    content = read_checkpoint(checkpoint)
    check_network(content, NETWORK, checkpoint)
    model = ShapePriorAutoEncoder()
    try:
        model.load_state_dict(content['model'])
    except RuntimeError as error:
        raise ModelError(f'checkpoint {checkpoint} is not one of the auto-encoder: '
                         f'{first_fault(error)}; give the last.pt of `pose-estimation train '
                         f'{NETWORK}`') from error
    world = synthetic_world(content.get('notes', {}).get('source') or SYNTHETIC)
    assert world is not None
    shapes = [decoded_mean_shape(model.eval(), clouds)
              for clouds in category_clouds(world.objects)]
    priors = np.stack([shape[farthest_point_order(shape, PRIOR_POINTS)] for shape in shapes])
    save_priors(out, priors, 'autoencoder', world.objects.categories)
