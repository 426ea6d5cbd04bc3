"""What `pose-estimation train` has trained, as the exporters take it from its checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor, nn

from pose_estimation_ros.core.errors import ModelError, PoseEstimationError
from pose_estimation_ros.training.checkpoints import (
    check_network,
    first_fault,
    read_checkpoint,
    trained_weights,
)
from pose_estimation_ros.training.provenance import training_facts

Network = TypeVar('Network', bound=nn.Module)


def trained_network(name: str, checkpoint: Path,
                    create: Callable[[Mapping[str, Any], Mapping[str, Tensor]], Network]
                    ) -> tuple[Network, dict[str, Any]]:
    """Return the network of a checkpoint, in evaluation mode, and the run's notes.

    Args:
        name: Of the network, such as 'crnet-lite'.
        checkpoint: The run's last.pt or best.pt.
        create: Makes the network of the notes and the averaged weights.

    Returns:
        The network, and the notes, in which `training` is what a manifest says of the training.

    Raises:
        ModelError: If the checkpoint is missing, damaged or not of this network.
    """
    content = read_checkpoint(checkpoint)
    check_network(content, name, checkpoint)
    notes = content.get('notes', {})
    try:
        network = create(notes, trained_weights(content))
        return network.eval(), {**notes, 'training': training_facts(notes, content['step'])}
    except (KeyError, TypeError, AttributeError, RuntimeError, PoseEstimationError) as error:
        raise ModelError(f'checkpoint {checkpoint} is not one of the present {name}: '
                         f'{first_fault(error)}; give the last.pt of `pose-estimation train '
                         f'{name}`, or export it with the version that trained it') from error


def filled(network: Network, weights: Mapping[str, Tensor]) -> Network:
    """Return a network with weights.

    Raises:
        RuntimeError: If they are not its own.
    """
    network.load_state_dict(weights)
    return network
