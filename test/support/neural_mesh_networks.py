"""Feature extractors of neural meshes: the published one as recorded, and a tiny one."""

import torch
from mrc_networks import balanced_values
from torch import Tensor

from pose_estimation_ros.networks.neural_mesh import FeatureExtractor, full_config
from pose_estimation_ros.training.neural_mesh_import import published_name

_WRAPPED = 'module.'


def published_extractor() -> FeatureExtractor:
    """Return the published network with the parameters of the recorded fill 'he'."""
    with torch.device('meta'):
        extractor = FeatureExtractor(full_config())
    extractor.load_state_dict({
        name: torch.tensor(0) if value.ndim == 0 else torch.from_numpy(
            balanced_values(_WRAPPED + published_name(name), _published_shape(name, value))
        ).reshape(value.shape)
        for name, value in extractor.state_dict().items()}, assign=True)
    return extractor.eval()


def tiny_extractor() -> FeatureExtractor:
    """Return a network like the published one, 32 times as narrow, with statistics that matter."""
    torch.manual_seed(0)
    extractor = FeatureExtractor(full_config(width=2)).eval()
    for name, value in extractor.state_dict().items():
        if name.endswith(('running_mean', 'running_var')):
            value += 0.3 * torch.rand_like(value)
    return extractor


def published_state(extractor: FeatureExtractor) -> dict[str, Tensor]:
    """Return the weights of a full network as checkpoints have them."""
    return {_WRAPPED + published_name(name): value.reshape(_published_shape(name, value))
            for name, value in extractor.state_dict().items()}


def _published_shape(name: str, value: Tensor) -> tuple[int, ...]:
    """Return the shape in checkpoints: the last layer is a matrix there."""
    return tuple(value.shape[:2] if name == 'project.weight' else value.shape)
