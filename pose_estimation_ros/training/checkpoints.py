"""Saving and resuming a training run so that the resumed loss curve is the uninterrupted one."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pose_estimation_ros.core.errors import ModelError


@dataclass
class TrainingState:
    """Everything that a training run must remember.

    Attributes:
        model: The network that is trained.
        optimizer: Its optimizer.
        step: Number of optimizer steps done.
        average: The averaged (EMA) weights, if the run keeps them.
        generators: NumPy generators (PCG64, NumPy's default) that the run draws from, by name.
        notes: Small plain values (numbers, strings, lists of them) to keep beside, such as the
            configuration or the best validation score.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    average: nn.Module | None = None
    generators: dict[str, np.random.Generator] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(path: Path, state: TrainingState) -> None:
    """Write the state and torch's random generators to `path`.

    A run killed while it writes leaves the old file whole.
    """
    content = {
        'step': state.step,
        'model': state.model.state_dict(),
        'optimizer': state.optimizer.state_dict(),
        'average': state.average.state_dict() if state.average is not None else None,
        'notes': state.notes,
        'generators': {
            name: generator.bit_generator.state for name, generator in state.generators.items()
        },
        'torch': torch.get_rng_state(),
        'cuda': torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'{path.name}.partial')
    with temporary.open('wb') as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load_checkpoint(path: Path, state: TrainingState) -> None:
    """Put a saved state back into `state` (in place) and torch's random generators.

    Raises:
        ModelError: The file is missing, damaged, or belongs to another network.
    """
    content = read_checkpoint(path)
    try:
        state.model.load_state_dict(content['model'])
        state.optimizer.load_state_dict(content['optimizer'])
        if state.average is not None:
            state.average.load_state_dict(content['average'] or content['model'])
    except (RuntimeError, ValueError, KeyError) as error:
        raise ModelError(
            f'The checkpoint {path} does not fit this network: {error}. '
            'Use the configuration it was trained with, or start a new run in another folder.'
        ) from error
    state.step = content['step']
    state.notes = content['notes']
    for name, generator in state.generators.items():
        if name in content['generators']:
            generator.bit_generator.state = content['generators'][name]
    torch.set_rng_state(content['torch'].cpu())
    if torch.cuda.is_available() and content['cuda']:
        # A run may go on with another number of devices than it had.
        for device, words in zip(range(torch.cuda.device_count()), content['cuda'], strict=False):
            torch.cuda.set_rng_state(words.cpu(), device)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint's content: step, model, average, notes and the rest.

    Raises:
        ModelError: The file is missing or damaged.
    """
    if not path.is_file():
        raise ModelError(f'There is no checkpoint at {path}. Train first, or give another path.')
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
    except (RuntimeError, EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
        raise ModelError(
            f'The checkpoint {path} cannot be read ({error}). Delete it and train again.'
        ) from error
    if not isinstance(content, dict) or 'model' not in content or 'step' not in content:
        raise ModelError(f'{path} is not a checkpoint of this package: it lacks model and step.')
    return content
