"""Training of the `lite` Mask R-CNN on stored synthetic frames, within a given time.

    python -m pose_estimation_ros.training.maskrcnn_training \
        --data <folder of frame shards> --out runs/maskrcnn --minutes 60 --threads 1

A run that is stopped goes on where its last checkpoint is when the same command is given again.
"""

from __future__ import annotations

import argparse
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from pose_estimation_ros.networks.mask_rcnn import MaskRCNN, MaskRCNNConfig
from pose_estimation_ros.segmentation.preprocessing import InputSize
from pose_estimation_ros.synthetic.frame_cache import list_shards, read_frames
from pose_estimation_ros.training.checkpoints import (
    TrainingState,
    load_checkpoint,
    save_checkpoint,
)
from pose_estimation_ros.training.maskrcnn_data import FrameStream, Target, collate
from pose_estimation_ros.training.training_log import TrainingLog
from pose_estimation_ros.training.weight_average import averaged_weights

CHECKPOINT_SECONDS = 120.0
LOG_STEPS = 50
_WARM_UP_STEPS = 300
_LEAST_RATE = 0.01

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MaskRCNNTraining:
    """One training run.

    Attributes:
        data: Folder of frame shards; it may still grow.
        out: Folder of the checkpoint and the logs.
        minutes: Time to train in all, over all resumptions.
        batch: Pictures a step.
        threads: CPU threads of the network.
        workers: Processes that read and augment; 0 = this one.
        learning_rate: Highest rate of AdamW.
        weight_decay: Decay of weights, not of biases and normalisations.
        seed: Seed of weights, order and augmentation.
        device: 'auto', 'cpu' or 'cuda'.
    """

    data: Path
    out: Path
    minutes: float = 60.0
    batch: int = 8
    threads: int = 1
    workers: int = 1
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    seed: int = 0
    device: str = 'auto'


def train(run: MaskRCNNTraining, config: MaskRCNNConfig | None = None) -> Path:
    """Train until the time is up and return the path of the checkpoint.

    Raises:
        ModelError: If the checkpoint in the folder belongs to another network.
        ConfigurationError: If there are no frames.
    """
    torch.set_num_threads(run.threads)
    torch.manual_seed(run.seed)
    device = _choose_device(run.device)
    config = config or MaskRCNNConfig()
    model = MaskRCNN(config).to(device, memory_format=torch.channels_last).train()
    state = TrainingState(
        model, torch.optim.AdamW(_parameter_groups(model, run.weight_decay), run.learning_rate),
        average=averaged_weights(model),
        notes={'config': asdict(config), 'seconds': 0.0})
    checkpoint = run.out / 'last.pt'
    if checkpoint.is_file():
        load_checkpoint(checkpoint, state)
        _logger.info('resumed at step %d, %.1f min', state.step, state.notes['seconds'] / 60)
    with TrainingLog(run.out, state.step) as log:
        _train_until(run, state, log, checkpoint, device)
    save_checkpoint(checkpoint, state)
    _logger.info('done: %d steps in %.1f min, %s', state.step, state.notes['seconds'] / 60,
                 checkpoint)
    return checkpoint


def _train_until(run: MaskRCNNTraining, state: TrainingState, log: TrainingLog,
                 checkpoint: Path, device: torch.device) -> None:
    samples = _batches(run, state.step)
    sums: dict[str, Tensor] = {}
    count = 0
    before = state.notes['seconds']
    start = saved = logged = time.monotonic()
    while (elapsed := before + time.monotonic() - start) < 60 * run.minutes:
        rate = _rate(state.step, elapsed / (60 * run.minutes)) * run.learning_rate
        for group in state.optimizer.param_groups:
            group['lr'] = rate
        losses = _step(state, *next(samples), device)
        for name, value in losses.items():
            sums[name] = sums.get(name, torch.zeros((), device=device)) + value.detach()
        count += 1
        now = time.monotonic()
        state.notes['seconds'] = before + now - start
        if state.step % LOG_STEPS == 0:
            means = {name: float(value) / count for name, value in sums.items()}
            means = {'loss': sum(means.values()), **means, 'rate': rate,
                     'images_per_second': count * run.batch / (now - logged)}
            log.write(state.step, means)
            _logger.info('%6.1f min  step %d  loss %.3f  %.1f images/s',
                         state.notes['seconds'] / 60, state.step, means['loss'],
                         means['images_per_second'])
            sums, count, logged = {}, 0, now
        if now - saved > CHECKPOINT_SECONDS:
            save_checkpoint(checkpoint, state)
            saved = now


def _step(state: TrainingState, images: Tensor, targets: list[Target],
          device: torch.device) -> dict[str, Tensor]:
    """Do one optimizer step and return its losses."""
    images = images.to(device, memory_format=torch.channels_last)
    targets = [{name: value.to(device) for name, value in target.items()} for target in targets]
    with torch.autocast(device.type, torch.bfloat16):
        _, losses = state.model(images, targets)
    total = torch.stack(list(losses.values())).sum()
    state.optimizer.zero_grad(set_to_none=True)
    total.backward()
    norm = nn.utils.clip_grad_norm_(state.model.parameters(), 5.0)
    if torch.isfinite(norm):
        state.optimizer.step()
        state.average.update_parameters(state.model)
    state.step += 1
    return losses


def _rate(step: int, progress: float) -> float:
    """Return the learning rate's share of its maximum: linear warm-up, then half a cosine."""
    cosine = 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    return min((step + 1) / _WARM_UP_STEPS, 1.0) * (_LEAST_RATE + (1 - _LEAST_RATE) * cosine)


def _parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    decayed = [p for p in model.parameters() if p.ndim > 1]
    free = [p for p in model.parameters() if p.ndim <= 1]
    return [{'params': decayed, 'weight_decay': weight_decay},
            {'params': free, 'weight_decay': 0.0}]


def _batches(run: MaskRCNNTraining, step: int) -> Iterator[tuple[Tensor, list[Target]]]:
    """Yield batches for ever; a resumed run sees another order than the one it had."""
    stream = FrameStream(lambda: list_shards(run.data), read_frames, InputSize(),
                         seed=run.seed + 1_000_003 * (step + 1))
    return iter(DataLoader(stream, run.batch, num_workers=run.workers, collate_fn=collate,
                           prefetch_factor=4 if run.workers else None))


def _choose_device(name: str) -> torch.device:
    if name == 'auto':
        name = 'cuda' if torch.cuda.is_available() else 'cpu'
    return torch.device(name)


def main() -> None:
    """Train as the command line says."""
    logging.basicConfig(level=logging.INFO, format='%(message)s')
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for field in fields(MaskRCNNTraining):
        required = field.name in ('data', 'out')
        kind = Path if required else type(field.default)
        parser.add_argument(f'--{field.name.replace("_", "-")}', type=kind, required=required,
                            default=None if required else field.default)
    train(MaskRCNNTraining(**vars(parser.parse_args())))


if __name__ == '__main__':
    main()
