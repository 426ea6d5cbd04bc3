"""Learning rates as functions of the step."""

from __future__ import annotations

import bisect
from dataclasses import dataclass

import torch

from pose_estimation_ros.core.errors import ConfigurationError


@dataclass(frozen=True)
class StagedSchedule:
    """A learning rate that is constant within stages.

    Attributes:
        rate: Learning rate of a factor of one.
        factors: Factor of each stage.
        starts: First step of each stage, ascending from 0.
    """

    rate: float
    factors: tuple[float, ...]
    starts: tuple[int, ...]

    def __post_init__(self) -> None:
        """Check the stages.

        Raises:
            ConfigurationError: The stages are not ascending from step 0, one factor each.
        """
        ascending = all(a <= b for a, b in zip(self.starts, self.starts[1:], strict=False))
        if len(self.factors) != len(self.starts) or self.starts[:1] != (0,) or not ascending:
            raise ConfigurationError(
                f'A staged schedule needs one factor per start, starts ascending from 0, but has '
                f'the factors {self.factors} and the starts {self.starts}.'
            )

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step (the first is 0)."""
        return self.rate * self.factors[bisect.bisect_right(self.starts, step) - 1]

    def starts_stage(self, step: int) -> bool:
        """Return whether a stage begins at this step: there the published code forgets moments."""
        return step in self.starts


def published_spd_schedule(steps: int = 75_000) -> StagedSchedule:
    """Return SPD's schedule (spec 4.3), stretched to the given number of steps.

    Published: 50 epochs of 1500 steps of 32 objects, rate 1e-4, stages of ten epochs.
    """
    starts = tuple(steps * stage // 5 for stage in range(5))
    return StagedSchedule(1e-4, (1.0, 0.6, 0.3, 0.1, 0.01), starts)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group of the optimizer this learning rate."""
    for group in optimizer.param_groups:
        group['lr'] = rate


def forget_moments(optimizer: torch.optim.Optimizer) -> None:
    """Reset what the optimizer has gathered, as if it were made anew."""
    optimizer.state.clear()
