"""A lite network with colour begins with the weights of a trained SPD lite.

What the two have in common has the same layers; everything else starts as no change, so the
network starts where the other ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pose_estimation_ros.networks.lite_encoder import offered_rotations
from pose_estimation_ros.networks.spd_lite import OFFERS
from pose_estimation_ros.training.checkpoints import trained_weights

_ENCODER = ('category', 'condition', 'latents', 'coordinates', 'stages')
_DECODER = ('read_back', 'points', 'feature', 'prior_point', 'prior_bias', 'prior_feature',
            'placed')
_HEAD = ('guess', 'query', 'key', 'deform', 'log_sharpness')
# A network that sees a picture makes its offers by that.
_SUMMARY = 'encoder.stages.0.summary.'
# Of the logit: a quarter as likely.
_LESS_LIKELY = 1.4
_PARTS = {name: part for part, names in (('encoder', _ENCODER), ('decoder', _DECODER),
                                         ('head', _HEAD)) for name in names}


def first_weights(content: Mapping[str, Any], fresh: Mapping[str, Tensor],
                  own: Callable[[], Mapping[str, Tensor]], prefix: str = '') -> dict[str, Tensor]:
    """Return the weights to begin with, of an SPD lite or of the same network.

    Args:
        content: What a checkpoint holds.
        fresh: The new model's weights, initialised.
        own: Returns the checkpoint's weights if it is of the same network, else refuses it.
        prefix: What the names of the network's weights begin with in the model.
    """
    if not is_spd_lite(content):
        return more_offers(own(), fresh)
    network = {name.removeprefix(prefix): value for name, value in fresh.items()
               if name.startswith(prefix)}
    begun = weights_from_spd_lite(content, network)
    return {**fresh, **{f'{prefix}{name}': value for name, value in begun.items()}}


def is_spd_lite(content: Mapping[str, Any]) -> bool:
    """Return whether a checkpoint is one of an SPD lite."""
    return bool(content.get('notes', {}).get('network') == 'spd-lite')


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
    for name in [name for name in renamed if name.startswith(_SUMMARY) and name not in fresh]:
        del renamed[name]
    return {**fresh, **more_offers(renamed, fresh)}


def more_offers(weights: Mapping[str, Tensor], fresh: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights in which a network that offers 9 placements offers as many as the new one.

    A new offer is an old one with the object turned about its own vertical; it is less likely.

    Args:
        weights: The weights to begin with, under the new network's names.
        fresh: The new network's weights, initialised.
    """
    weights = dict(weights)
    for name in [name for name in weights if name.endswith('stages.0.likelihood.weight')]:
        stage = name.removesuffix('likelihood.weight')
        wanted = len(fresh[name])
        if len(weights[name]) != len(OFFERS) or wanted == len(OFFERS):
            continue  # they fit, or nothing makes them fit, which whoever loads them says
        sources, turns = _turned_offers(wanted)
        for kind in ('weight', 'bias'):
            maps = weights[f'{stage}correction.{kind}']
            turned = torch.einsum('kij,kjr->kir', turns, maps.view(len(OFFERS), 3, -1)[sources])
            weights[f'{stage}correction.{kind}'] = turned.reshape(12 * wanted,
                                                                  *maps.shape[1:])
            weights[f'{stage}likelihood.{kind}'] = weights[f'{stage}likelihood.{kind}'][sources]
        weights[f'{stage}likelihood.bias'][len(OFFERS):] -= _LESS_LIKELY
    return weights


def _turned_offers(number: int) -> tuple[Tensor, Tensor]:
    """Return (number,) which old offer each new one comes from, and (number, 3, 3) the turn."""
    sources, turns = [], []
    for rotation in offered_rotations(number):
        relative = rotation @ np.swapaxes(OFFERS, 1, 2)
        about_own_vertical = np.flatnonzero(np.isclose(relative[:, 1, 1], 1.0))
        same = [old for old in about_own_vertical if np.allclose(relative[old], np.eye(3))]
        source = (same or list(about_own_vertical))[0]
        sources.append(source)
        turns.append(relative[source])
    return torch.tensor(np.array(sources)), torch.tensor(np.stack(turns), dtype=torch.float32)
