"""The training loop of all networks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.training.batch_plan import BatchRequest, drawn
from pose_estimation_ros.training.checkpoints import (
    TrainingState,
    begin_with,
    check_network,
    check_trained_for,
    read_checkpoint,
    restore,
)
from pose_estimation_ros.training.distributed import Ranks, joined_ranks
from pose_estimation_ros.training.global_batch_norm import share_batch_statistics
from pose_estimation_ros.training.run_record import RunRecord
from pose_estimation_ros.training.stages import StagePlace, stage_places, total_steps
from pose_estimation_ros.training.step_batches import batches, on_device
from pose_estimation_ros.training.task import Losses, Player, TrainingSettings, TrainingTask
from pose_estimation_ros.training.weight_average import averaged_weights

LAST, BEST = 'last.pt', 'best.pt'
_MOST_FAILURES = 50

_logger = logging.getLogger(__name__)


def run(task: TrainingTask, settings: TrainingSettings, out: Path) -> TrainingState:
    """Train a network, or go on where the folder's last checkpoint is.

    Under `torchrun` every process calls it; together they make the steps that one would make.

    Args:
        task: The network, its data and losses.
        settings: How to train.
        out: Folder of checkpoints and logs: last.pt, best.pt, train.csv, validation.csv.

    Returns:
        The state reached, which is also in last.pt.

    Raises:
        ConfigurationError: If settings and data do not fit each other, the folder's checkpoint
            was trained for other objects, or training diverges.
        ModelError: If the folder's checkpoint belongs to another network.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    try:
        with joined_ranks(settings.device) as ranks:
            return Training(task, settings, out, ranks).run()
    finally:
        task.close()


class Training:
    """One run of the loop; see `run`."""

    def __init__(self, task: TrainingTask, settings: TrainingSettings, out: Path,
                 ranks: Ranks) -> None:
        """Make the network and take up the folder's last checkpoint, if there is one."""
        self._task, self._settings, self._out, self._ranks = task, settings, out, ranks
        if settings.precision == 'float16' and ranks.device.type == 'cpu':
            raise ConfigurationError('float16 needs a GPU; choose --precision bfloat16 or float32')
        for stage in settings.stages:
            if stage.ratio and len(stage.ratio) != len(settings.ratio or (1,)):
                raise ConfigurationError(
                    f'a stage mixes data {stage.ratio}, but there are '
                    f'{len(settings.ratio or (1,))} sources; give one share for each')
        self._places = stage_places(settings.stages)
        torch.manual_seed(settings.seed)
        model = task.new_model().to(ranks.device)
        if ranks.count > 1:
            model = share_batch_statistics(model)
        model.train()
        self._players = task.players(model)
        scaled = settings.precision == 'float16'
        self._state = TrainingState(
            model, {player.name: player.optimizer for player in self._players},
            average=averaged_weights(model, settings.average) if settings.average else None,
            scalers={player.name: torch.amp.GradScaler(ranks.device.type, enabled=scaled)
                     for player in self._players},
            notes={'network': task.network, 'history': [], **task.notes()})
        self._resume()
        self._failures = 0

    def run(self) -> TrainingState:
        """Train until the stages or the minutes are over."""
        state, settings = self._state, self._settings
        steps = total_steps(settings.stages)
        state.notes['history'] = [*state.notes['history'],
                                  {'step': state.step, 'processes': self._ranks.count,
                                   **settings.provenance}]
        with RunRecord(self._out, state, self._ranks, settings) as record:
            for place in self._places:
                if state.step < place.end and not record.is_over:
                    self._train_stage(place, record)
            if self._ranks.is_first:
                record.save(self._out / LAST)
        _logger.info('stopped at step %d of %d', state.step, steps)
        return state

    def _train_stage(self, place: StagePlace, record: RunRecord) -> None:
        self._enter(place)
        settings, state = self._settings, self._state
        modules = {player.name: self._ranks.wrapped(player.module) for player in self._players}
        steps = range(state.step, place.end)
        for batch in self._batches(place, steps):
            torch.manual_seed(self._step_seed())
            rate = place.settings.rate_at(state.step - place.start)
            losses = self._step(modules, on_device(batch, self._ranks.device), rate)
            state.step += 1
            record.add(losses, rate)
            if state.step % settings.validate_every == 0 or state.step == self._places[-1].end:
                self._validate(record)
            record.save_if_due(self._out / LAST)
            if record.is_over:
                break

    def _batches(self, place: StagePlace, steps: range) -> Iterator[Any]:
        """Yield the batches of some steps of a stage."""
        workers = self._settings.workers

        def make(step: int) -> Any:
            return self._task.batch(self._request(place, step))

        samples = batches(make, steps, workers)
        for step in steps:
            farthest = min(step + 8 * max(1, workers), place.end - 1)
            self._task.advance(self._request(place, step), self._request(place, farthest))
            yield next(samples)

    def _request(self, place: StagePlace, step: int) -> BatchRequest:
        settings = self._settings
        ratio = place.settings.ratio or settings.ratio or (1,)
        before = [0] * len(ratio)
        for earlier in self._places[:place.number]:
            counts = drawn(earlier.settings.steps * settings.batch,
                           earlier.settings.ratio or settings.ratio or (1,))
            before = [start + count for start, count in zip(before, counts, strict=True)]
        return BatchRequest(step, step - place.start, settings.batch, settings.seed, ratio,
                            tuple(before), self._ranks.rank, self._ranks.count)

    def _step_seed(self) -> int:
        """Return the seed of what is random within the network, such as dropout."""
        key = (self._settings.seed, self._state.step, self._ranks.rank)
        return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)

    def _step(self, modules: dict[str, nn.Module], batch: Any, rate: float) -> Losses:
        """Let every player make its move; return all losses."""
        found: Losses = {}
        for player in self._players:
            with _alone(player, self._players):
                losses = self._forward(modules, player, batch)
                self._update(player, losses, rate)
            prefix = f'{player.name}.' if player.name else ''
            found |= {f'{prefix}{name}': value.detach() for name, value in losses.items()}
        if self._state.average is not None:
            self._state.average.update_parameters(self._state.model)
        return found

    def _forward(self, modules: dict[str, nn.Module], player: Player, batch: Any) -> Losses:
        # Only the active player's gradients are awaited by DDP.
        seen = {other.name: modules[other.name] if other is player else other.module
                for other in self._players}
        kind = self._settings.precision
        with torch.autocast(self._ranks.device.type, getattr(torch, kind),
                            enabled=kind != 'float32'):
            return self._task.losses(seen, player.name, batch)

    def _update(self, player: Player, losses: Losses, rate: float) -> None:
        optimizer, scaler = player.optimizer, self._state.scalers[player.name]
        for group in optimizer.param_groups:
            group['lr'] = rate * group.get('rate_factor', 1.0)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(losses['total']).backward()
        scaler.unscale_(optimizer)
        norm = nn.utils.clip_grad_norm_(player.module.parameters(), self._settings.clip)
        if scaler.is_enabled() or torch.isfinite(norm):
            scaler.step(optimizer)
            self._failures = 0
        else:
            self._failures += 1
            if self._failures >= _MOST_FAILURES:
                raise ConfigurationError(
                    f'the last {_MOST_FAILURES} gradients up to step {self._state.step} were not '
                    'finite; go on from an earlier checkpoint with a lower --rate, or with '
                    '--precision float32')
        scaler.update()

    def _validate(self, record: RunRecord) -> None:
        """Judge the averaged weights, if there are any; keep the best checkpoint."""
        if not self._ranks.is_first:
            return
        average = self._state.average
        model = average.module if average is not None else self._state.model
        modes = {module: module.training for module in model.modules()}
        model.eval()
        with torch.no_grad():
            values = self._task.validate(model)
        for module, mode in modes.items():
            module.training = mode
        if values and record.validated(values, values[self._task.figure]):
            record.save(self._out / BEST)

    def _enter(self, place: StagePlace) -> None:
        """Freeze what the stage freezes; at its first step, begin anew what it begins anew."""
        model, stage = self._state.model, place.settings
        frozen = _matching(stage.freeze, [name for name, _ in model.named_parameters()])
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name not in frozen)
        model.train()
        for module in model.modules():
            own = list(module.parameters(recurse=False))
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and own and not any(
                    parameter.requires_grad for parameter in own):
                module.eval()
        if self._state.step != place.start:
            return
        for player in self._players:
            player.optimizer.state.clear()
        if stage.reinitialise:
            self._reinitialise(place)

    def _reinitialise(self, place: StagePlace) -> None:
        torch.manual_seed(self._settings.seed + place.number)
        fresh = self._task.new_model().state_dict()
        chosen = _matching(place.settings.reinitialise, list(fresh))
        average = self._state.average
        targets = [self._state.model] + ([average.module] if average is not None else [])
        for target in targets:
            state = target.state_dict()
            for name in chosen:
                state[name].copy_(fresh[name])

    def _resume(self) -> None:
        """Take up the last checkpoint of the folder, or the weights to start from."""
        settings, state, path = self._settings, self._state, self._out / LAST
        found = self._ranks.from_first(path.is_file)
        if found:
            content = self._ranks.from_first(lambda: read_checkpoint(path))
            check_network(content, self._task.network, path)
            check_trained_for(content, state.notes, path)
            restore(state, content, path)
            _logger.info('resumed %s at step %d', path, state.step)
        elif settings.start_from is not None:
            content = self._ranks.from_first(lambda: read_checkpoint(settings.start_from))
            weights = self._task.first_weights(content, settings.start_from)
            begin_with(state, weights, settings.start_from)


@contextmanager
def _alone(player: Player, players: list[Player]) -> Iterator[None]:
    """Hold the weights of all other players."""
    held = [parameter for other in players if other is not player
            for parameter in other.module.parameters() if parameter.requires_grad]
    for parameter in held:
        parameter.requires_grad_(requires_grad=False)
    try:
        yield
    finally:
        for parameter in held:
            parameter.requires_grad_(requires_grad=True)


def _matching(patterns: tuple[str, ...], names: list[str]) -> set[str]:
    """Return the names that match a pattern.

    Raises:
        ConfigurationError: If a pattern matches nothing.
    """
    chosen: set[str] = set()
    for pattern in patterns:
        found = {name for name in names if fnmatch(name, pattern)}
        if not found:
            raise ConfigurationError(f'no parameter matches {pattern!r} of the stage; they are '
                                     f'named like {names[0]} and {names[-1]}')
        chosen |= found
    return chosen
