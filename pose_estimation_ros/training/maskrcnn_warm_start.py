"""A detector of other classes begins with the weights of a trained one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from pose_estimation_ros.core.categories import Category

_STEM = 'backbone.stem.0.0.weight'
# Layers with one group of outputs per class; the first is the background's.
_PER_CLASS = ('heads.box_predictor.cls_score', 'heads.box_predictor.bbox_pred',
              'heads.mask_predictor.mask_fcn_logits')


def begun_weights(trained: Mapping[str, Tensor], trained_classes: Sequence[Category],
                  fresh: Mapping[str, Tensor], classes: Sequence[str]) -> dict[str, Tensor]:
    """Return the weights that a new detector begins with.

    Classes that the trained detector knows keep what it learnt of them; a new one begins as the
    mean of all it knows, a thing on a table. Channels of the input that the new one lacks are
    left out: it begins as the trained one sees frames without depth.

    Args:
        trained: The trained detector's weights.
        trained_classes: Its classes, from 1.
        fresh: The new detector's weights, initialised.
        classes: Names of its classes, from 1.
    """
    begun = dict(trained)
    channels = fresh[_STEM].shape[1]
    if begun[_STEM].shape[1] > channels:
        begun[_STEM] = begun[_STEM][:, :channels]
    numbers = {category.name: number for number, category in enumerate(trained_classes, start=1)}
    if list(numbers) == list(classes):
        return begun
    for layer in _PER_CLASS:
        for name in (f'{layer}.weight', f'{layer}.bias'):
            begun[name] = _by_class(trained[name], len(numbers), [numbers.get(name)
                                                                  for name in classes])
    return begun


def _by_class(values: Tensor, known: int, sources: Sequence[int | None]) -> Tensor:
    """Return the outputs of the background and of classes that are (number) or are not known."""
    groups = values.view(1 + known, -1, *values.shape[1:])
    mean = groups[1:].mean(dim=0)
    chosen = [groups[0], *(mean if source is None else groups[source] for source in sources)]
    return torch.cat(chosen)
