"""`pose-estimation train`: train a network, on this machine or under torchrun on many."""

from __future__ import annotations

import logging
import shlex
import sys
from dataclasses import replace
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.training.registry import NETWORKS, network_named

Network = Enum('Network', {name: name for name in NETWORKS}, type=str)  # type: ignore[misc]


class Device(str, Enum):
    """Where to train."""

    auto = 'auto'
    cpu = 'cpu'
    cuda = 'cuda'


class PrecisionChoice(str, Enum):
    """Arithmetic of the network."""

    float32 = 'float32'
    bfloat16 = 'bfloat16'
    float16 = 'float16'


_DATA, _LENGTH, _HOW = 'Data', 'Length', 'How'
_OWN = "Default: the network's own."


def _in(panel: str, text: str, **limits: Any) -> Any:
    return typer.Option(help=text, rich_help_panel=panel, show_default=False, **limits)


def train(
        network: Annotated[Network, typer.Argument(help='; '.join(
            f'{entry.name}: {entry.summary}' for entry in NETWORKS.values()))],
        data: Annotated[list[str], _in(_DATA, (
            "Folder, folder:split, or 'synthetic' to render while training. Give it again to mix "
            'several. NOCS data in the frame of published SPD-family weights: '
            'folder:subset@spd.'))],
        out: Annotated[Path, _in(_LENGTH, (
            'Folder of checkpoints and logs. A run found there goes on.'))],
        ratio: Annotated[str, _in(_DATA, 'Shares of the data in each batch, such as 3:1. '
                                  'Default: equal.')] = '',
        validation: Annotated[str, _in(_DATA, (
            'Data that decides which checkpoint is the best. Default: none.'))] = '',
        priors: Annotated[Path | None, _in(_DATA, (
            'Shape priors, for the networks of SPD, CR-Net and ACR-Pose.'))] = None,
        steps: Annotated[int, _in(_LENGTH, 'Steps of the whole training; the learning rate '
                                  f'follows them. {_OWN}', min=0)] = 0,
        minutes: Annotated[float, _in(_LENGTH, (
            'Stop this call after that time; the same call again goes on. Default: no '
            'limit.'), min=0)] = float('inf'),
        stages: Annotated[Path | None, _in(_LENGTH, (
            'YAML file of stages (steps, rate, data ratio, frozen weights) instead of --steps '
            'and --rate.'))] = None,
        start_from: Annotated[Path | None, _in(_LENGTH, (
            'Checkpoint whose weights a new run begins with.'))] = None,
        batch: Annotated[int, _in(_HOW, f'Samples per step, over all processes. {_OWN}',
                                  min=0)] = 0,
        rate: Annotated[float, _in(_HOW, f'Highest learning rate. {_OWN}', min=0)] = 0.0,
        seed: Annotated[int, _in(_HOW, 'Seed of weights, order, augmentation. Default: 0.',
                                 min=0)] = 0,
        device: Annotated[Device, _in(_HOW, 'Default: auto.')] = Device.auto,
        precision: Annotated[PrecisionChoice | None, _in(_HOW, _OWN)] = None,
        threads: Annotated[int, _in(_HOW, "CPU threads of the network. Default: PyTorch's choice.",
                                    min=0)] = 0,
        workers: Annotated[int | None, _in(_HOW, (
            f'Processes that make batches ahead; the result is the same. {_OWN}'), min=0)] = None,
        makers: Annotated[int, _in(_HOW, "Processes that render for '--data synthetic'. "
                                   'Default: 1.', min=1)] = 1,
        log_every: Annotated[int, _in(_HOW, f'Steps between two rows of the log. {_OWN}',
                                      min=0)] = 0,
        validate_every: Annotated[int, _in(_HOW, 'Steps between two validations. Default: 500.',
                                           min=1)] = 500,
) -> None:
    """Train a network, or go on where the run's last checkpoint is.

    The folder gets last.pt, best.pt (least validation error), train.csv, validation.csv and
    TensorBoard events. A resumed run gives the curve of an uninterrupted one, with any number of
    workers. The log says how long is left; on a CPU the default steps take hours, and --minutes
    cuts them into slices.

    On several GPUs or machines the processes share each batch:
    torchrun --nproc-per-node 4 -m pose_estimation_ros.cli.main train ...
    """
    if find_spec('torch') is None:
        raise ConfigurationError('training needs PyTorch, which is not installed; run '
                                 'make setup-test or pip install torch torchvision')
    from pose_estimation_ros.evaluation.report import circumstances
    from pose_estimation_ros.training.batch_plan import parse_ratio
    from pose_estimation_ros.training.loop import run
    from pose_estimation_ros.training.stages import read_stages, stretched
    from pose_estimation_ros.training.task import TrainingData

    if stages and (steps or rate):
        raise ConfigurationError(f'{stages} says how long and how fast to train; leave --steps '
                                 'and --rate out')
    logging.basicConfig(level=logging.INFO, format='%(message)s')
    chosen = network_named(network.value)
    settings = chosen.defaults()
    plan = read_stages(stages) if stages else stretched(
        settings.stages, steps or sum(stage.steps for stage in settings.stages))
    if rate and not stages:
        highest = max(stage.rate for stage in plan)
        plan = tuple(replace(stage, rate=stage.rate * rate / highest) for stage in plan)
    settings = replace(
        settings, stages=plan, batch=batch or settings.batch,
        ratio=parse_ratio(ratio, len(data)), seed=seed, device=device.value,
        precision=precision.value if precision else settings.precision, threads=threads,
        workers=settings.workers if workers is None else workers, minutes=minutes,
        log_every=log_every or settings.log_every, validate_every=validate_every,
        start_from=start_from, provenance={
            'command': shlex.join(['pose-estimation', *sys.argv[1:]]), 'data': list(data),
            'seed': seed, **circumstances()})
    sources = TrainingData(tuple(data), out / 'synthetic', validation, priors, makers)
    run(chosen.make_task(sources, settings), settings, out)
