"""Saving and resuming a training run so that the resumed loss curve is the uninterrupted one."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.core.symmetry import Symmetry

_AVERAGE_PREFIX = 'module.'
_FAULT_LENGTH = 120
# What notes tell that networks are trained for.
_SUBJECTS = ('categories', 'objects')


@dataclass
class TrainingState:
    """Everything that a training run must remember.

    Random numbers are no part of it: they follow from seed and step.

    Attributes:
        model: The network that is trained.
        optimizers: The optimizer of each player.
        step: Number of optimizer steps done.
        average: The averaged (EMA) weights, if the run keeps them.
        scalers: Loss scaling of each player, for float16.
        notes: Small plain values (numbers, strings, lists of them) to keep beside, such as the
            configuration or the best validation score.
    """

    model: nn.Module
    optimizers: Mapping[str, torch.optim.Optimizer]
    step: int = 0
    average: nn.Module | None = None
    scalers: Mapping[str, torch.amp.GradScaler] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(path: Path, state: TrainingState) -> None:
    """Write the state to `path`; a run killed while it writes leaves the old file whole."""
    content = {
        'step': state.step,
        'model': state.model.state_dict(),
        'optimizer': {name: one.state_dict() for name, one in state.optimizers.items()},
        'average': state.average.state_dict() if state.average is not None else None,
        'scaler': {name: one.state_dict() for name, one in state.scalers.items()},
        'notes': state.notes,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'{path.name}.partial')
    with temporary.open('wb') as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def restore(state: TrainingState, content: Mapping[str, Any], path: Path) -> None:
    """Put what `read_checkpoint` returned back into `state`, in place.

    Raises:
        ModelError: The checkpoint belongs to another network.
    """
    saved = content['optimizer']
    if 'param_groups' in saved:
        # Runs of before there were several players.
        saved = {next(iter(state.optimizers)): saved}
    try:
        state.model.load_state_dict(content['model'])
        for name, optimizer in state.optimizers.items():
            optimizer.load_state_dict(saved[name])
        if state.average is not None:
            state.average.load_state_dict(content['average'])
        for name, scaler in state.scalers.items():
            if content.get('scaler', {}).get(name):
                scaler.load_state_dict(content['scaler'][name])
    except (RuntimeError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise ModelError(
            f'The checkpoint {path} does not fit this network: {first_fault(error)}. '
            'Use the configuration it was trained with, or start a new run in another folder.'
        ) from error
    state.step = content['step']
    state.notes |= content['notes']


def begin_with(state: TrainingState, weights: Mapping[str, Tensor], path: Path) -> None:
    """Give a new run the weights of a trained network.

    Raises:
        ModelError: If they are those of another network.
    """
    try:
        state.model.load_state_dict(weights)
        if state.average is not None:
            state.average.module.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(f'the weights of {path} do not fit this network: '
                         f'{first_fault(error)}; give a checkpoint of the same '
                         'configuration') from error


def trained_weights(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the weights to use of a checkpoint: the averaged ones where the run kept them."""
    if content.get('average') is None:
        return dict(content['model'])
    return {name.removeprefix(_AVERAGE_PREFIX): value
            for name, value in content['average'].items() if name.startswith(_AVERAGE_PREFIX)}


def first_fault(error: Exception) -> str:
    """Return in one short line the first of the faults that torch lists over many."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    fault = next(iter(lines[1:2] or lines), type(error).__name__)
    return fault if len(fault) <= _FAULT_LENGTH else f'{fault[:_FAULT_LENGTH]}…'


def load_plain(path: Path, cure: str, records: Sequence[type] = ()) -> Any:
    """Return what a file of PyTorch holds: tensors and plain values, never code that would run.

    Args:
        path: The file.
        cure: What to do if it cannot be read, a sentence.
        records: Classes whose objects may be in it as well, because making them runs nothing.

    Raises:
        ModelError: If it is damaged, of another kind, or holds anything else.
    """
    try:
        with torch.serialization.safe_globals(list(records)):
            return torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        # What torch says here explains how to run the file's code.
        raise ModelError(f'{path} cannot be read: it is damaged, no file of PyTorch, or holds '
                         'more than tensors and plain values, which might run code and is '
                         f'refused. {cure}') from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise ModelError(f'{path} cannot be read ({first_fault(error)}). {cure}') from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint's content: step, model, average, notes and the rest.

    Raises:
        ModelError: The file is missing or damaged.
    """
    if not path.is_file():
        raise ModelError(f'There is no checkpoint at {path}. Train first, or give another path.')
    content = load_plain(path, 'Give the last.pt or best.pt of a training; if it is that, it is '
                         'damaged: delete it and train again.')
    if not isinstance(content, dict) or 'model' not in content or 'step' not in content:
        raise ModelError(f'{path} is not a checkpoint of this package: it lacks model and step.')
    return content


def check_network(content: Mapping[str, Any], network: str, path: Path) -> None:
    """Refuse the checkpoint of another network by its name.

    Raises:
        ModelError: If the checkpoint says that it belongs to another network.
    """
    found = content.get('notes', {}).get('network', network)
    if found != network:
        raise ModelError(f'{path} is a checkpoint of {found}, not of {network}; give one that '
                         f'`pose-estimation train {network}` wrote, or use another folder')


def check_trained_for(content: Mapping[str, Any], notes: Mapping[str, Any], path: Path) -> None:
    """Refuse a checkpoint of other categories or known objects than those at hand.

    Weights know them by their place only, so of as many others they would fit.

    Args:
        content: The checkpoint's.
        notes: What a run on the data at hand notes; what either does not tell is not compared.
        path: The checkpoint's, for messages.

    Raises:
        ConfigurationError: If names, their order or symmetries differ.
    """
    trained = content.get('notes', {})
    for kind in _SUBJECTS:
        if kind not in trained or kind not in notes:
            continue
        (names, symmetries), (own_names, own_symmetries) = (
            _subjects(told[kind]) for told in (trained, notes))
        if names != own_names:
            raise ConfigurationError(
                f'{path} was trained for the {kind} {", ".join(names) or "none"}, and the data '
                f'and priors given are of {", ".join(own_names) or "none"}; give those of the '
                'same, or begin a new run in another folder without this checkpoint')
        changed = [name for name, one, own in zip(names, symmetries, own_symmetries, strict=True)
                   if not one.is_close(own)]
        if changed:
            raise ConfigurationError(
                f'{path} was trained with another symmetry of {", ".join(changed)} than the data '
                'and priors given have; give those of the same, or begin a new run in another '
                'folder without this checkpoint')


def _subjects(told: Sequence[str | Mapping[str, Any]]) -> tuple[list[str], list[Symmetry]]:
    """Return names and symmetries of categories or objects; some notes tell only names."""
    plain = [{'name': one} if isinstance(one, str) else one for one in told]
    return ([str(one['name']) for one in plain],
            [Symmetry.from_plain(one.get('symmetry') or {}) for one in plain])
