"""Learning rates over the steps."""

import pytest
import torch

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.training.schedules import (
    StagedSchedule,
    forget_moments,
    published_spd_schedule,
    set_rate,
)


def test_the_published_schedule_falls_in_five_stages() -> None:
    schedule = published_spd_schedule()
    rates = [schedule.rate_at(step) for step in (0, 14_999, 15_000, 30_000, 45_000, 74_999)]
    assert rates == pytest.approx([1e-4, 1e-4, 6e-5, 3e-5, 1e-5, 1e-6])
    assert [step for step in range(0, 75_000, 500) if schedule.starts_stage(step)] == [
        0, 15_000, 30_000, 45_000, 60_000]


def test_the_published_schedule_can_be_shortened() -> None:
    assert published_spd_schedule(100).starts == (0, 20, 40, 60, 80)


def test_stages_out_of_order_are_refused() -> None:
    with pytest.raises(ConfigurationError, match='ascending from 0'):
        StagedSchedule(1.0, (1.0, 0.5, 0.1), (0, 5, 3))


def test_the_optimizer_takes_the_rate_and_forgets() -> None:
    weight = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.Adam([weight], lr=1.0)
    weight.sum().backward()
    optimizer.step()
    assert optimizer.state
    set_rate(optimizer, 0.25)
    forget_moments(optimizer)
    assert optimizer.param_groups[0]['lr'] == 0.25
    assert not optimizer.state
