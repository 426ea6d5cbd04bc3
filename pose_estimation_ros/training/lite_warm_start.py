"""A lite network with colour begins with the weights of a trained SPD lite.

What the two have in common has the same layers; everything else starts as no change, so the
network starts where the other ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from pose_estimation_ros.training.checkpoints import trained_weights

_ENCODER = ('category', 'condition', 'latents', 'coordinates', 'stages')
_DECODER = ('read_back', 'points', 'feature', 'prior_point', 'prior_bias', 'prior_feature',
            'placed')
_HEAD = ('guess', 'query', 'key', 'deform', 'log_sharpness')
_PARTS = {name: part for part, names in (('encoder', _ENCODER), ('decoder', _DECODER),
                                         ('head', _HEAD)) for name in names}


def is_spd_lite(content: Mapping[str, Any]) -> bool:
    """Return whether a checkpoint is one of an SPD lite."""
    return bool(content['notes'].get('network') == 'spd-lite')


def weights_from_spd_lite(content: Mapping[str, Any],
                          fresh: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights to begin with.

    Args:
        content: What a checkpoint of an SPD lite of the same sizes holds.
        fresh: The new network's weights, initialised; layers that SPD lite lacks keep them.
    """
    renamed = {}
    for name, value in trained_weights(content).items():
        part = _PARTS.get(name.partition('.')[0])
        renamed[name if part is None else f'{part}.{name}'] = value
    renamed.pop('prior', None)
    return {**fresh, **renamed}
