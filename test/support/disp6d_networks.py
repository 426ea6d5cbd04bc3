"""A tiny DISP6D, and the deterministic parameters that the fixtures were recorded with."""

import zlib
from typing import Any

import numpy as np
import torch

from pose_estimation_ros.networks.disp6d import Disp6d, Disp6dConfig
from pose_estimation_ros.training.disp6d_import import (
    from_published,
    published_name,
    published_shape,
)


def tiny_config(**changes: Any) -> Disp6dConfig:
    """Return a network of a moment: 32 pixels, codes of 8 numbers."""
    sizes: dict[str, Any] = {
        'crop': 32, 'widths': (8, 8), 'blocks': (0, 1), 'kernel': 3, 'norm': 'group', 'code': 8,
        'code_length': 'unit', 'decoder_widths': (8, 8), 'decoded': ('color', 'depth'),
        'encoding': 'quaternion', 'hidden': 8}
    return Disp6dConfig(**{**sizes, **changes})


def tiny_network(seed: int = 0, **changes: Any) -> Disp6d:
    """Return such a network with random weights."""
    torch.manual_seed(seed)
    return Disp6d(tiny_config(**changes)).eval()


def published_values(network: Disp6d, scope: str) -> dict[str, np.ndarray]:
    """Return by their names in checkpoints the parameters of the recorded fill 'brief'."""
    values = {}
    for name, value in network.state_dict().items():
        stored = f'{scope}/{published_name(name)}'
        generator = np.random.default_rng(zlib.crc32(stored.encode()))
        values[stored] = (0.05 * generator.standard_normal(published_shape(value.shape))
                          ).astype(np.float32)
    return values


def published_network(config: Disp6dConfig, scope: str) -> Disp6d:
    """Return a published network with the parameters of the recorded fill 'brief'."""
    with torch.device('meta'):
        network = Disp6d(config)
    stored = published_values(network, scope)
    network.load_state_dict({
        name: from_published(published_name(name), stored[f'{scope}/{published_name(name)}'],
                             config)
        for name in network.state_dict()}, assign=True)
    return network.eval()
