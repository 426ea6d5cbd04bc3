"""The stages of a training: how long, how fast, on which mix of data, and which weights.

Every training is a sequence of stages. Where one begins the optimizer is made anew, as the
published trainings do, and weights may be frozen or drawn again, as fine-tuning wants it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from pose_estimation_ros.core.errors import ConfigurationError

Schedule = Literal['constant', 'cosine']

_LEAST_SHARE = 0.01
_WHOLE = ('steps', 'warm_up')
# What they hold, and an example.
_LISTS: dict[str, tuple[type, str]] = {
    'ratio': (int, '[3, 1]'), 'freeze': (str, '["psp.*"]'), 'reinitialise': (str, '["psp.*"]')}


@dataclass(frozen=True)
class StageSettings:
    """One stage.

    Attributes:
        steps: Its length, optimizer steps.
        rate: Highest learning rate; players and parameter groups may scale it.
        schedule: 'constant', or 'cosine': half a cosine down to 1 % of the rate.
        warm_up: Steps at its beginning in which the rate grows linearly.
        ratio: Shares of the data sources in each batch, such as (3, 1); () = those of the run.
        freeze: Patterns of parameter names that keep their values, such as 'psp.*'.
        reinitialise: Patterns of parameters and buffers that get new initial values at its start.
    """

    steps: int
    rate: float
    schedule: Schedule = 'constant'
    warm_up: int = 0
    ratio: tuple[int, ...] = ()
    freeze: tuple[str, ...] = ()
    reinitialise: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigurationError: If a value cannot work.
        """
        # NaN must not pass, and it compares as false.
        if self.steps < 1 or not 0 < self.rate < math.inf or self.warm_up < 0:
            raise ConfigurationError(
                'a stage needs at least one step, a positive, finite rate and no negative '
                'warm-up, not '
                f'{self.steps}, {self.rate} and {self.warm_up}; correct the stage')
        if self.ratio and (min(self.ratio) < 0 or sum(self.ratio) == 0):
            raise ConfigurationError(f'the data ratio {self.ratio} of a stage must be of shares '
                                     'of 0 or more, not all 0; correct the stage')
        if self.schedule not in get_args(Schedule):
            raise ConfigurationError(f'unknown schedule {self.schedule!r} of a stage; choose one '
                                     f'of {", ".join(get_args(Schedule))}')

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step, counted from the stage's start."""
        if step < self.warm_up:
            return self.rate * (step + 1) / self.warm_up
        if self.schedule == 'constant':
            return self.rate
        progress = min(1.0, (step - self.warm_up) / max(1, self.steps - self.warm_up))
        cosine = 0.5 * (1.0 + math.cos(math.pi * progress))
        return self.rate * (_LEAST_SHARE + (1.0 - _LEAST_SHARE) * cosine)


@dataclass(frozen=True)
class StagePlace:
    """Where a step of the training lies.

    Attributes:
        number: Number of its stage, from 0.
        settings: That stage.
        start: The stage's first step.
    """

    number: int
    settings: StageSettings
    start: int

    @property
    def end(self) -> int:
        """First step after the stage."""
        return self.start + self.settings.steps


def stage_places(stages: Sequence[StageSettings]) -> list[StagePlace]:
    """Return the stages with their first steps."""
    starts = accumulate((stage.steps for stage in stages), initial=0)
    return [StagePlace(number, stage, start)
            for number, (stage, start) in enumerate(zip(stages, starts, strict=False))]


def stretched(stages: Sequence[StageSettings], steps: int) -> tuple[StageSettings, ...]:
    """Return the stages with their lengths scaled to that many steps together.

    Raises:
        ConfigurationError: If there are fewer steps than stages.
    """
    if steps < len(stages):
        raise ConfigurationError(f'{steps} steps are too few for {len(stages)} stages; '
                                 f'train for at least {len(stages)}')
    total = total_steps(stages)
    ends = accumulate((stage.steps for stage in stages), initial=0)
    borders = [steps * end // total for end in ends]
    return tuple(replace(stage, steps=max(1, end - start))
                 for stage, (start, end) in zip(stages, pairwise(borders), strict=True))


def total_steps(stages: Sequence[StageSettings]) -> int:
    """Return the number of steps of all stages."""
    return sum(stage.steps for stage in stages)


def published_spd_stages(steps: int = 75_000) -> tuple[StageSettings, ...]:
    """Return SPD's schedule (spec 4.3), stretched to the given number of steps.

    Published: 50 epochs of 1500 steps of 32 objects, rate 1e-4, stages of ten epochs.
    """
    stages = [StageSettings(15_000, 1e-4 * factor) for factor in (1.0, 0.6, 0.3, 0.1, 0.01)]
    return stretched(stages, steps)


def read_stages(path: Path) -> tuple[StageSettings, ...]:
    """Read stages from a YAML file: a list of mappings with the names of `StageSettings`.

    Raises:
        ConfigurationError: If the file is missing, no such list, or an entry is wrong.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f'the stages {path} cannot be read ({error}); give a YAML file '
                                 'as docs/training.md shows') from error
    if not isinstance(content, list) or not content:
        raise ConfigurationError(f'{path} is no list of stages; write one "- steps: ..." for each '
                                 'stage, as docs/training.md shows')
    return tuple(_stage(entry, f'stage {number} of {path}')
                 for number, entry in enumerate(content, start=1))


def _stage(entry: Any, name: str) -> StageSettings:
    known = {field.name for field in fields(StageSettings)}
    if not isinstance(entry, Mapping) or not {'steps', 'rate'} <= entry.keys() <= known:
        raise ConfigurationError(f'{name} must have steps and rate, may have '
                                 f'{", ".join(sorted(known - {"steps", "rate"}))}, and is {entry}')
    try:
        return StageSettings(**{key: _value(key, value) for key, value in entry.items()})
    except ConfigurationError as error:
        raise ConfigurationError(f'{name}: {error}') from error


def _value(key: str, value: Any) -> Any:
    """Return an entry of a stage as `StageSettings` wants it.

    Raises:
        ConfigurationError: If it is of another type.
    """
    if key == 'rate':
        try:
            # YAML 1.1 takes 1e-4 for text; it wants a dot.
            return float(value)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f'rate is {value!r}; give a number such as 1.0e-4'
                                     ) from error
    if key in _WHOLE and type(value) is not int:
        raise ConfigurationError(f'{key} is {value!r}; give a whole number')
    if key not in _LISTS:
        return value
    kind, example = _LISTS[key]
    if not isinstance(value, list) or any(type(one) is not kind for one in value):
        raise ConfigurationError(f'{key} is {value!r}; give a list such as {example}')
    return tuple(value)
