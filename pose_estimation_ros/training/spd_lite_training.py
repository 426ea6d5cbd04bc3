"""Training of SPD `lite` on stored crops.

    python -m pose_estimation_ros.training.spd_lite_training --data data/crops/primary/train \
        --validation data/crops/primary/val --priors models/shape_priors/priors.npz \
        --out runs/spd_lite --steps 6000 --threads 2

The same command again goes on from the last checkpoint. `--minutes` ends a slice early; the
learning rate follows `--steps`, so slices give the same curve as one long run.
"""

from __future__ import annotations

import argparse
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.networks.spd_lite import SpdLite, SpdLiteConfig, SpdLiteOutput
from pose_estimation_ros.synthetic.crops import Crops, read_crop_shard
from pose_estimation_ros.synthetic.shard_files import list_shards
from pose_estimation_ros.training.checkpoints import (
    TrainingState,
    load_checkpoint,
    save_checkpoint,
)
from pose_estimation_ros.training.crop_batches import (
    CropAugmentation,
    PointBatch,
    join,
    training_batch,
)
from pose_estimation_ros.training.losses import (
    assignment_entropy,
    chamfer_distance,
    deformation_magnitude,
)
from pose_estimation_ros.training.shape_priors import load_priors
from pose_estimation_ros.training.training_log import TrainingLog
from pose_estimation_ros.training.weight_average import averaged_weights

_logger = logging.getLogger(__name__)

_LOG_EVERY = 50
_CHECKPOINT_SECONDS = 120.0
_WARM_UP_STEPS = 100
_RELOAD_SECONDS = 120.0
# In the order of CATEGORIES: bottle, bowl, camera, can, laptop, mug.
_CATEGORY_WEIGHTS = (0.7, 0.6, 1.6, 0.7, 1.1, 1.7)


@dataclass(frozen=True)
class LossWeights:
    """Weights of the loss terms; correspondence is the unit.

    SPD's own terms keep their published ratio. `smoothness` is where the correspondence loss
    turns from square to absolute: a tenth of SPD's, since the last millimetres decide a grasp.
    """

    chamfer: float = 5.0
    entropy: float = 1e-4
    deformation: float = 0.01
    guess: float = 1.0
    placed: float = 1.0
    size: float = 0.5
    membership: float = 0.05
    smoothness: float = 0.02


def spd_lite_losses(output: SpdLiteOutput, batch: PointBatch,
                    weights: LossWeights) -> dict[str, Tensor]:
    """Return every loss term and their weighted sum, `total`."""
    member = batch.member.float()

    def coordinate_error(nocs: Tensor) -> Tensor:
        error = functional.smooth_l1_loss(nocs, batch.nocs, beta=weights.smoothness,
                                          reduction='none').sum(dim=2)
        return (error * member).sum() / member.sum().clamp_min(1.0)

    shape = output.shape
    terms = {
        'correspondence': coordinate_error(output.nocs),
        'guess': coordinate_error(output.guess),
        'placed': torch.stack([coordinate_error(stage) for stage in output.placed]).mean(),
        'chamfer': chamfer_distance(shape, batch.shape),
        # A quarter of the points is enough for this small term, and saves a tenth of the step.
        'entropy': assignment_entropy(output.assignment[:, ::4]),
        'deformation': deformation_magnitude(output.deformation.float()),
        'size': (extent(shape) - extent(batch.shape)).abs().mean(),
        'membership': functional.binary_cross_entropy_with_logits(
            output.membership.float(), member),
    }
    total = terms['correspondence'] + sum(
        getattr(weights, name) * terms[name] for name in terms if name != 'correspondence')
    return {'total': torch.as_tensor(total), **terms}


def extent(shape: Tensor) -> Tensor:
    """Return the (B, 3) box size of (B, V, 3) points, symmetric about the origin as in SPD."""
    return 2.0 * shape.abs().amax(dim=1)


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Return the rate of a step: linear warm-up, then half a cosine down to 1 % of the peak."""
    if step < _WARM_UP_STEPS:
        return peak * (step + 1) / _WARM_UP_STEPS
    progress = min(1.0, (step - _WARM_UP_STEPS) / max(1, steps - _WARM_UP_STEPS))
    return peak * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * progress)))


class GrowingCrops:
    """The crops of a folder into which a generator may still be writing."""

    def __init__(self, folder: Path) -> None:
        """Load what is there.

        Raises:
            ConfigurationError: If there is nothing.
        """
        self._folder = folder
        self._read: list[Path] = list_shards(folder)
        if not self._read:
            raise ConfigurationError(f'{folder} holds no crops; make some with: pose-estimation '
                                     'dataset crops --help')
        self.crops = join([read_crop_shard(path) for path in self._read])

    def refresh(self) -> None:
        """Take in what has come since the last look."""
        new = [path for path in list_shards(self._folder) if path not in self._read]
        if new:
            self.crops = join([self.crops, *(read_crop_shard(path) for path in new)])
            self._read += new


def drawn_views(crops: Crops, batch: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """Return the indices of a random batch in which hard categories are more frequent.

    What has a front needs its turn about the vertical learnt as well, which takes longest.
    """
    weight = np.array(_CATEGORY_WEIGHTS)[crops.category]
    return generator.choice(len(crops), batch, replace=False, p=weight / weight.sum())


def validation_error(model: torch.nn.Module, crops: Crops, points: int,
                     batch: int = 64) -> tuple[float, float]:
    """Return the mean NOCS distance on members and the membership accuracy, no augmentation."""
    model.eval()
    distance, correct, members, total = 0.0, 0.0, 0.0, 0
    generator = np.random.default_rng(0)
    with torch.no_grad():
        for start in range(0, len(crops), batch):
            index = np.arange(start, min(start + batch, len(crops)))
            data = training_batch(crops, index, points, 256, None, generator)
            output = model(data.points, data.condition, data.category)
            error = torch.linalg.vector_norm(output.nocs - data.nocs, dim=2)
            distance += float((error * data.member).sum())
            members += float(data.member.sum())
            correct += float(((output.membership > 0) == data.member).sum())
            total += data.member.numel()
    model.train()
    return distance / max(members, 1.0), correct / max(total, 1)


def train(arguments: argparse.Namespace) -> None:
    """Run the training until `--steps` or `--minutes` are reached."""
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    device = torch.device(arguments.device)
    config = SpdLiteConfig(stages=arguments.stages, width=arguments.width)
    prior = torch.from_numpy(load_priors(arguments.priors)[:, :arguments.prior_points])
    model = SpdLite(config, prior).to(device)
    average = averaged_weights(model, decay=0.999)
    optimizer = torch.optim.AdamW(model.parameters(), lr=arguments.rate, weight_decay=1e-4)
    generator = np.random.default_rng(arguments.seed)
    state = TrainingState(model, optimizer, average=average, generators={'batches': generator},
                          notes={'config': config.as_dict(), 'prior_points': prior.shape[1],
                                 'points': arguments.points, 'images': 0})
    last = arguments.out / 'last.pt'
    if last.is_file():
        load_checkpoint(last, state)
        _logger.info('resumed %s at step %d', last, state.step)
    validation = GrowingCrops(arguments.validation).crops
    data, loaded = GrowingCrops(arguments.data), time.monotonic()
    _logger.info('%d training and %d validation crops', len(data.crops), len(validation))
    weights, augmentation = LossWeights(), CropAugmentation()
    start = saved = time.monotonic()
    sums: dict[str, float] = {}
    with TrainingLog(arguments.out, state.step) as log, \
            TrainingLog(arguments.out, state.step, 'validation') as validation_log:
        while state.step < arguments.steps and time.monotonic() - start < 60 * arguments.minutes:
            if time.monotonic() - loaded > _RELOAD_SECONDS:
                data.refresh()
                loaded = time.monotonic()
            for group in optimizer.param_groups:
                group['lr'] = learning_rate(state.step, arguments.steps, arguments.rate)
            index = drawn_views(data.crops, arguments.batch, generator)
            batch = training_batch(data.crops, index, arguments.points, 384, augmentation,
                                   generator)
            batch = PointBatch(*(getattr(batch, name).to(device)
                                 for name in batch.__dataclass_fields__))
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=arguments.bf16):
                output = model(batch.points, batch.condition, batch.category)
            losses = spd_lite_losses(output, batch, weights)
            optimizer.zero_grad(set_to_none=True)
            losses['total'].backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            average.update_parameters(model)
            state.step += 1
            state.notes['images'] += arguments.batch
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach())
            if state.step % _LOG_EVERY == 0:
                row = {name: value / _LOG_EVERY for name, value in sums.items()}
                log.write(state.step, {**row, 'rate': optimizer.param_groups[0]['lr'],
                                       'images': state.notes['images']})
                sums = {}
            if state.step % arguments.validate_every == 0 or state.step == arguments.steps:
                distance, accuracy = validation_error(average.module, validation,
                                                      arguments.points)
                validation_log.write(state.step, {'nocs': distance, 'membership': accuracy})
                _logger.info('step %d: validation NOCS error %.4f, membership %.3f, %.0f s',
                             state.step, distance, accuracy, time.monotonic() - start)
            # Only between two rows of the log, so that a resumed run writes the same rows.
            if (state.step % _LOG_EVERY == 0
                    and time.monotonic() - saved > _CHECKPOINT_SECONDS):
                save_checkpoint(last, state)
                saved = time.monotonic()
    save_checkpoint(last, state)
    _logger.info('stopped at step %d of %d', state.step, arguments.steps)


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', type=Path, required=True, help='folder of training crops')
    parser.add_argument('--validation', type=Path, required=True, help='folder of validation '
                        'crops')
    parser.add_argument('--priors', type=Path, required=True, help='shape priors (.npz)')
    parser.add_argument('--out', type=Path, required=True, help='checkpoints and logs')
    parser.add_argument('--steps', type=int, default=6000, help='length of the schedule')
    parser.add_argument('--minutes', type=float, default=1e9, help='stop this slice after')
    parser.add_argument('--batch', type=int, default=64, help='objects per step')
    parser.add_argument('--points', type=int, default=256, help='points per object')
    parser.add_argument('--prior-points', type=int, default=256, help='points of the prior')
    parser.add_argument('--stages', type=int, default=3, help='PointNets in the cascade')
    parser.add_argument('--width', type=int, default=320, help='channels per point')
    parser.add_argument('--rate', type=float, default=2e-3, help='peak learning rate')
    parser.add_argument('--validate-every', type=int, default=500, help='steps')
    parser.add_argument('--threads', type=int, default=2, help='CPU threads')
    parser.add_argument('--seed', type=int, default=0, help='seed of weights and batches')
    parser.add_argument('--device', default='cpu', help='cpu or cuda')
    parser.add_argument('--no-bf16', dest='bf16', action='store_false', help='train in float32')
    logging.basicConfig(level=logging.INFO, format='%(message)s')
    train(parser.parse_args())


if __name__ == '__main__':
    main()
