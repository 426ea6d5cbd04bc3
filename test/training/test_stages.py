"""The stages of a training: lengths, rates, and the file they are read from."""

from fnmatch import fnmatch
from pathlib import Path

import pytest

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.networks.spd import SPD
from pose_estimation_ros.training.stages import (
    StageSettings,
    published_spd_stages,
    read_stages,
    stage_places,
    stretched,
    total_steps,
)


def test_the_published_schedule_falls_in_five_stages() -> None:
    places = stage_places(published_spd_stages())
    assert [place.start for place in places] == [0, 15_000, 30_000, 45_000, 60_000]
    assert places[-1].end == 75_000
    assert [place.settings.rate_at(99) for place in places] == pytest.approx(
        [1e-4, 6e-5, 3e-5, 1e-5, 1e-6])


def test_stages_are_stretched_in_proportion() -> None:
    stages = (StageSettings(100, 1.0), StageSettings(300, 0.5))
    assert [stage.steps for stage in stretched(stages, 40)] == [10, 30]
    assert total_steps(stretched(published_spd_stages(), 103)) == 103
    with pytest.raises(ConfigurationError, match='1 steps are too few for 2 stages'):
        stretched(stages, 1)


def test_a_cosine_rises_and_falls() -> None:
    stage = StageSettings(2000, 2.0, 'cosine', warm_up=100)
    rates = [stage.rate_at(step) for step in range(2000)]
    assert rates[0] == pytest.approx(0.02)
    assert max(rates) == rates[99] == 2.0
    assert rates[1050] == pytest.approx(1.01, abs=1e-4)
    assert rates[-1] == pytest.approx(0.02, abs=1e-4)


def test_stages_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / 'stages.yaml'
    path.write_text('- {steps: 100, rate: 1e-4}\n'
                    '- {steps: 50, rate: 0.00005, schedule: cosine, ratio: [3, 1],\n'
                    '   freeze: ["psp.*"], reinitialise: ["discriminator.*"]}\n')
    assert read_stages(path) == (
        StageSettings(100, 1e-4),
        StageSettings(50, 5e-5, 'cosine', ratio=(3, 1), freeze=('psp.*',),
                      reinitialise=('discriminator.*',)))


@pytest.mark.parametrize(('text', 'fault'), [
    ('', 'is no list of stages'),
    ('steps: 3', 'is no list of stages'),
    ('- {steps: 3}', 'stage 1 of .* must have steps and rate'),
    ('- {steps: 3, rate: 1}\n- {steps: 3, rate: 1, speed: 2}', 'stage 2 of .* and is .*speed'),
    ('- {steps: 0, rate: 1}', 'at least one step'),
    ('- {steps: 1, rate: fast}', "stage 1 of .*: rate is 'fast'; give a number"),
    ('- {steps: 1, rate: null}', 'rate is None; give a number'),
    ('- {steps: 1, rate: .nan}', 'positive, finite rate .* not 1, nan'),
    ('- {steps: 1, rate: .inf}', 'positive, finite rate .* not 1, inf'),
    ('- {steps: 1.5, rate: 1}', 'steps is 1.5; give a whole number'),
    ('- {steps: true, rate: 1}', 'steps is True; give a whole number'),
    ('- {steps: 1, rate: 1, warm_up: "5"}', "warm_up is '5'; give a whole number"),
    ('- {steps: 1, rate: 1, ratio: 3}', r'ratio is 3; give a list such as \[3, 1\]'),
    ('- {steps: 1, rate: 1, ratio: [1.5, 1]}', r'ratio is \[1.5, 1\]; give a list'),
    ('- {steps: 1, rate: 1, freeze: null}', 'freeze is None; give a list'),
    ('- {steps: 1, rate: 1, freeze: "psp.*"}', r"freeze is 'psp.\*'; give a list"),
    ('- {steps: 1, rate: 1, reinitialise: [5]}', r'reinitialise is \[5\]; give a list'),
    ('- {steps: 1, rate: 1, schedule: steep}', "unknown schedule 'steep'"),
    ('- {steps: 1, rate: 1, ratio: [0, 0]}', 'shares of 0 or more, not all 0'),
    ('- {steps: [', 'cannot be read'),
])
def test_faults_in_a_file_are_named(text: str, fault: str, tmp_path: Path) -> None:
    path = tmp_path / 'stages.yaml'
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=fault):
        read_stages(path)


def test_the_example_in_the_documents_is_right(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / 'docs/training.md').read_text(encoding='utf-8')
    path = tmp_path / 'stages.yaml'
    path.write_text(text.split('```yaml')[1].split('```')[0])
    stages = read_stages(path)
    assert [stage.ratio for stage in stages] == [(1, 0), (3, 1), (1, 3)]
    names = SPD().state_dict()
    for pattern in (*stages[1].freeze, *stages[2].reinitialise):
        assert any(fnmatch(name, pattern) for name in names)
