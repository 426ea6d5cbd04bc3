"""A tiny MRC-Net, and the deterministic parameters that the fixtures were recorded with."""

import zlib
from typing import Any

import numpy as np
import torch

from pose_estimation_ros.networks.mrc import MRCConfig, MRCNet
from pose_estimation_ros.training.mrc_import import published_name


def tiny_config(**changes: Any) -> MRCConfig:
    """Return a network of a moment: 64 pixels, 72 rotations, 8 depths, 8 x 8 cells."""
    sizes: dict[str, Any] = {
        'objects': 3, 'crop': 64, 'width': 8, 'blocks': (1, 1, 1, 1), 'nside': 1,
        'depth_bins': 8, 'cells': 8, 'nearest': 1e-4, 'farthest': 9e-3, 'radius': 2,
        'dilations': (1, 2), 'hidden': 32}
    return MRCConfig(**{**sizes, **changes})


def tiny_network(seed: int = 0, **changes: Any) -> MRCNet:
    """Return such a network with random weights that matter, also in the last layers."""
    torch.manual_seed(seed)
    network = MRCNet(tiny_config(**changes)).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.startswith('regressor') and name.endswith('.last.weight'):
                parameter.normal_()
            elif parameter.ndim == 1:
                parameter += 0.3 * torch.randn_like(parameter)
            elif parameter.ndim > 4:
                # Decoders begin equal; a wrong one must show.
                parameter += parameter.std() * torch.randn_like(parameter)
    return network


def published_network(objects: int) -> MRCNet:
    """Return the published network with the parameters of the recorded fill 'he'."""
    with torch.device('meta'):
        network = MRCNet(MRCConfig(objects, norm='batch'))
    network.load_state_dict({
        name: torch.from_numpy(balanced_values(published_name(name), tuple(value.shape)))
        for name, value in network.state_dict().items()}, assign=True)
    return network.eval()


def balanced_values(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return the values of a tensor by the recorded fill 'he', float32.

    Args:
        name: What the tensor is called in published checkpoints, in full.
        shape: Its shape; with five axes it is one tensor for each object.
    """
    values = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith('.running_var'):
        values = np.abs(values) + 0.5
    elif len(shape) == 1 and name.endswith('.weight'):
        values = 1 + 0.1 * values
    elif name.endswith(('.bias', '.running_mean')):
        values *= 0.05
    else:
        values *= np.sqrt(2 / np.prod(shape[2 if len(shape) == 5 else 1:]))
    return values.astype(np.float32)
