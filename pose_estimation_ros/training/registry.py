"""The networks that can be trained and exported, by name; nothing heavy is imported before use."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pose_estimation_ros.core.errors import ConfigurationError

if TYPE_CHECKING:
    from pose_estimation_ros.training.task import TrainingData, TrainingSettings, TrainingTask


@dataclass(frozen=True)
class TrainableNetwork:
    """A network that can be trained.

    Attributes:
        name: Its name on the command line.
        summary: What it is, for `--help`.
        module: Module of `training` with its DEFAULTS (`TrainingSettings`) and `make_task`.
    """

    name: str
    summary: str
    module: str

    def defaults(self) -> TrainingSettings:
        """Return how the network is trained if nothing else is said."""
        settings: TrainingSettings = self._loaded().DEFAULTS
        return settings

    def make_task(self, data: TrainingData, settings: TrainingSettings) -> TrainingTask:
        """Return the network with its data and losses."""
        task: TrainingTask = self._loaded().make_task(data, settings)
        return task

    def _loaded(self) -> Any:
        return import_module(f'{__package__}.{self.module}')


NETWORKS = {network.name: network for network in (
    TrainableNetwork('spd-lite', 'pose and size from depth points, small; data: crops',
                     'spd_lite_training'),
    TrainableNetwork('crnet-lite', 'the same with colour, relations and recurrence; data: crops',
                     'crnet_lite_training'),
    TrainableNetwork('acr-lite', 'the same with graphs, against a discriminator; data: crops',
                     'acr_lite_training'),
    TrainableNetwork('picture-placement', 'what crnet-lite and acr-lite see in a picture of the '
                     'points; data: crops', 'picture_placement_training'),
    TrainableNetwork('spd-full', 'the published SPD; data: colour crops or NOCS',
                     'spd_full_training'),
    TrainableNetwork('crnet-full', 'the published CR-Net; data: colour crops or NOCS',
                     'crnet_full_training'),
    TrainableNetwork('acr-full', 'the published ACR-Pose; data: colour crops or NOCS',
                     'acr_full_training'),
    TrainableNetwork('mrc-lite', 'pose of known objects from colour, small; data: views',
                     'mrc_lite_training'),
    TrainableNetwork('mrc-full', 'the published MRC-Net; data: views', 'mrc_full_training'),
    TrainableNetwork('neural_mesh-lite', 'features of neural meshes, small; data: pictures',
                     'neural_mesh_lite_training'),
    TrainableNetwork('neural_mesh-full', 'the published features; data: pictures',
                     'neural_mesh_full_training'),
    TrainableNetwork('disp6d-category', 'rotation and shape of categories from colour, small; '
                     'data: turned', 'disp6d_category_training'),
    TrainableNetwork('disp6d-parts', 'the same for known objects that it never saw; data: '
                     'turned', 'disp6d_parts_training'),
    TrainableNetwork('maskrcnn', 'the lite detector; data: frames', 'maskrcnn_training'),
    TrainableNetwork('point-classifier', 'what a detection shows; data: candidates, crops',
                     'point_classifier_training'),
    TrainableNetwork('shape-prior', "the shape priors' auto-encoder; data: 'synthetic'",
                     'shape_prior_task'),
)}


def network_named(name: str) -> TrainableNetwork:
    """Return a network.

    Raises:
        ConfigurationError: If there is none of that name.
    """
    if name not in NETWORKS:
        raise ConfigurationError(f'unknown network {name!r}; choose one of {", ".join(NETWORKS)}')
    return NETWORKS[name]
