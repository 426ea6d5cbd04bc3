"""What the training loop asks of a network: the one interface that every network fills."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from pose_estimation_ros.training.batch_plan import BatchRequest
from pose_estimation_ros.training.stages import StageSettings

Precision = Literal['float32', 'bfloat16', 'float16']
Losses = dict[str, Tensor]


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained, whichever it is.

    Attributes:
        stages: The stages of the training.
        batch: Samples per step, over all processes.
        ratio: Shares of the data sources in a batch; () = one source.
        seed: Seed of weights, order and augmentation.
        device: 'auto', 'cpu' or 'cuda'.
        precision: Arithmetic of the network; weights and the loss's sums are float32 always.
        threads: CPU threads of the network; 0 = PyTorch's choice.
        workers: Processes that make batches ahead; 0 = none. The result does not depend on it.
        clip: Largest norm of a player's gradient; infinite = no limit.
        average: Decay of the moving average of the weights; 0 = no average.
        minutes: This call stops after that time; the same call again goes on.
        log_every: Steps between two rows of the log.
        validate_every: Steps between two validations.
        save_every: Seconds between two checkpoints.
        start_from: Checkpoint whose weights a new run begins with.
        provenance: What checkpoints note of this call: command, commit, machine.
    """

    stages: tuple[StageSettings, ...]
    batch: int
    ratio: tuple[int, ...] = ()
    seed: int = 0
    device: str = 'auto'
    precision: Precision = 'float32'
    threads: int = 0
    workers: int = 0
    clip: float = math.inf
    average: float = 0.0
    minutes: float = math.inf
    log_every: int = 50
    validate_every: int = 500
    save_every: float = 120.0
    start_from: Path | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingData:
    """Where a network's training data are.

    Attributes:
        sources: 'folder', 'folder:split', or 'synthetic' for samples made while training, one
            per share of the ratio.
        cache: Folder for samples made while training.
        validation: Folder of validation data, as a source; '' = no validation.
        priors: File of shape priors, for the networks that deform them.
        makers: Processes that make synthetic samples.
    """

    sources: tuple[str, ...]
    cache: Path
    validation: str = ''
    priors: Path | None = None
    makers: int = 1


@dataclass(frozen=True, eq=False)
class Player:
    """A part of the model with an optimizer of its own; most networks are one player.

    Players are trained in turn within each step, as a network and its discriminator are.

    Attributes:
        name: Its name, '' if it is the only one.
        module: The model or a part of it.
        optimizer: Its optimizer. A parameter group's 'rate_factor' scales the stage's rate.
    """

    name: str
    module: nn.Module
    optimizer: torch.optim.Optimizer


class TrainingTask(Protocol):
    """A network with its data and losses."""

    @property
    def network(self) -> str:
        """Name of the network, as on the command line."""

    @property
    def figure(self) -> str:
        """Name of the validation value that decides which checkpoint is best: the least."""

    def new_model(self) -> nn.Module:
        """Return the network with initial weights, drawn from torch's generator."""

    def players(self, model: nn.Module) -> list[Player]:
        """Return the players with fresh optimizers, in the order of their turns."""

    def first_weights(self, content: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
        """Return the weights that a new run begins with, from what a checkpoint holds.

        Raises:
            ModelError: If the checkpoint is of a network that this one cannot begin with.
        """

    def batch(self, request: BatchRequest) -> Any:
        """Return this process's share of a step's batch, which depends on the request alone.

        Tensors are on the CPU, in dataclasses, tuples, lists or dictionaries.
        """

    def losses(self, modules: Mapping[str, nn.Module], player: str, batch: Any) -> Losses:
        """Return a player's loss terms; 'total' is what it minimises.

        Means must be those of the whole batch: plain means over samples are, others take
        `distributed.global_mean`.

        Args:
            modules: The module of each player, by its name.
            player: Whose turn it is; the others' weights are held.
            batch: What `batch` returned, on the device.
        """

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return validation values of a network in evaluation mode; {} = there are none."""

    def notes(self) -> dict[str, Any]:
        """Return what an exporter must know, in plain values."""

    def advance(self, now: BatchRequest, ahead: BatchRequest) -> None:
        """Prepare the data from the present request up to one that will soon come."""

    def close(self) -> None:
        """Free what the data hold."""
