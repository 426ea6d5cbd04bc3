"""The one training loop, with every network that ships."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.training import run_record
from pose_estimation_ros.training.checkpoints import read_checkpoint
from pose_estimation_ros.training.loop import BEST, LAST, run
from pose_estimation_ros.training.sources import SourcedTask
from pose_estimation_ros.training.stages import StageSettings
from pose_estimation_ros.training.task import Player
from test.training import tiny_tasks
from test.training.tiny_tasks import settings

TASKS = {
    'spd-lite': (tiny_tasks.spd_lite, settings(7, 16, precision='bfloat16', average=0.9)),
    'crnet-lite': (tiny_tasks.crnet_lite, settings(3, 4, log_every=1, average=0.9)),
    'acr-lite': (tiny_tasks.acr_lite, settings(3, 4, log_every=1, average=0.9)),
    'picture-placement': (tiny_tasks.picture_placement, settings(3, 4, log_every=1, average=0.9)),
    'shape-prior': (tiny_tasks.autoencoder, settings(7, 8)),
    'maskrcnn': (tiny_tasks.detector, settings(5, 2, precision='bfloat16', average=0.9)),
    'spd-full': (tiny_tasks.spd_full, settings(2, 1, log_every=1, validate_every=9)),
}


def rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a log without the time they were written at."""
    with path.open(newline='') as file:
        return [{name: value for name, value in row.items() if name != 'seconds'}
                for row in csv.DictReader(file)]


def fail_at(task, step: int):
    """Make the task stop the run, as a power cut would, when it asks for a step's batch."""
    make = task.batch

    def batch(request):
        if request.step == step:
            raise KeyboardInterrupt
        return make(request)

    task.batch = batch
    return task


@pytest.mark.parametrize('network', TASKS)
def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(network: str, tmp_path: Path):
    make, given = TASKS[network]
    whole = run(make(), given, tmp_path / 'whole')
    stop = given.stages[0].steps // 2
    with pytest.raises(KeyboardInterrupt):
        run(fail_at(make(), stop), replace(given, save_every=0.0), tmp_path / 'cut')
    assert read_checkpoint(tmp_path / 'cut' / LAST)['step'] == stop
    torch.manual_seed(77)
    resumed = run(make(), given, tmp_path / 'cut')

    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name
    assert len(rows(tmp_path / 'whole/train.csv')) >= 2
    for log in ('train.csv', 'validation.csv'):
        assert rows(tmp_path / 'cut' / log) == rows(tmp_path / 'whole' / log)


@pytest.mark.parametrize('network', ['spd-lite', 'maskrcnn'])
def test_data_workers_do_not_change_the_result(network: str, tmp_path: Path):
    make, given = TASKS[network]
    for workers in (0, 1, 3):
        run(make(), replace(given, workers=workers), tmp_path / str(workers))
    expected = rows(tmp_path / '0/train.csv')
    assert rows(tmp_path / '1/train.csv') == expected
    assert rows(tmp_path / '3/train.csv') == expected


def test_another_seed_gives_another_curve(tmp_path: Path):
    make, given = TASKS['shape-prior']
    run(make(), given, tmp_path / 'a')
    run(make(), replace(given, seed=1), tmp_path / 'b')
    assert rows(tmp_path / 'a/train.csv') != rows(tmp_path / 'b/train.csv')


def test_a_finished_run_trains_no_further(tmp_path: Path):
    make, given = TASKS['shape-prior']
    first = run(make(), given, tmp_path)
    again = run(make(), given, tmp_path)
    assert again.step == first.step == 7
    for name, value in first.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value)


def test_a_run_stops_when_its_minutes_are_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seconds = iter(range(10_000))
    monkeypatch.setattr(run_record.time, 'monotonic', lambda: next(seconds))
    make, given = TASKS['shape-prior']
    state = run(make(), replace(given, minutes=8 / 60), tmp_path)
    assert 1 <= state.step < 7
    assert read_checkpoint(tmp_path / LAST)['step'] == state.step


class Line(SourcedTask):
    """A toy: `slope` learns to copy a line; `critic` learns what slope says."""

    network, figure = 'line', 'error'
    validations = ()

    def __init__(self, players=('slope', 'critic')):
        super().__init__([])
        self.names = players
        self.asked = 0

    def new_model(self):
        return nn.ModuleDict({'slope': nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4),
                                                     nn.Linear(4, 1)), 'critic': nn.Linear(1, 1)})

    def players(self, model):
        return [Player(name, model[name], torch.optim.Adam([
            {'params': list(model[name].parameters()), 'rate_factor': factor}]))
            for name, factor in (('slope', 1.0), ('critic', 0.1)) if name in self.names]

    def batch(self, request):
        return torch.stack([torch.from_numpy(grain.generator.normal(size=1)).float()
                            for grain in request.grains(1)])

    def losses(self, modules, player, batch):
        said = modules['slope'](batch)
        if player == 'slope':
            return {'total': (said - 2 * batch).square().mean()}
        return {'total': (modules['critic'](batch) - said.detach()).square().mean()}

    def validate(self, model):
        self.asked += 1
        return {'error': self.validations[self.asked - 1]} if self.validations else {}

    def notes(self):
        return {}

    def advance(self, now, ahead):
        pass


def test_players_move_in_turn_with_their_own_rates(tmp_path: Path):
    given = settings(6, 8, log_every=1)
    whole = run(Line(), given, tmp_path / 'whole')
    assert [group['lr'] for one in whole.optimizers.values() for group in one.param_groups] == [
        pytest.approx(given.stages[0].rate_at(5)), pytest.approx(0.1 * given.stages[0].rate_at(5))]
    logged = rows(tmp_path / 'whole/train.csv')
    assert set(logged[0]) == {'step', 'slope.total', 'critic.total', 'rate', 'images'}

    with pytest.raises(KeyboardInterrupt):
        run(fail_at(Line(), 3), replace(given, save_every=0.0), tmp_path / 'cut')
    resumed = run(Line(), given, tmp_path / 'cut')
    assert rows(tmp_path / 'cut/train.csv') == logged
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name


def test_a_player_leaves_the_others_weights_alone(tmp_path: Path):
    alone = run(Line(('slope',)), settings(4, 8), tmp_path / 'alone')
    both = run(Line(), settings(4, 8), tmp_path / 'both')
    for name, value in alone.model['slope'].named_parameters():
        assert torch.equal(both.model['slope'].state_dict()[name], value)


def test_stages_freeze_and_draw_weights_again(tmp_path: Path):
    def stages(*more: StageSettings):
        return replace(settings(1, 8), stages=(StageSettings(3, 0.01), *more))

    first = run(Line(), stages(), tmp_path / 'first').model
    frozen = run(Line(), stages(StageSettings(3, 0.01, freeze=('slope.0.*', 'slope.1.*'))),
                 tmp_path / 'frozen').model
    for name, value in first.state_dict().items():
        kept = name.startswith(('slope.0.', 'slope.1.'))
        assert torch.equal(frozen.state_dict()[name], value) == kept, name

    again = run(Line(), stages(StageSettings(1, 1e-9, reinitialise=('critic.*',))),
                tmp_path / 'again').model
    assert torch.allclose(again['slope'][0].weight, first['slope'][0].weight, atol=1e-6)
    assert not torch.allclose(again['critic'].weight, first['critic'].weight, atol=1e-3)


def test_the_optimizer_forgets_where_a_stage_begins(tmp_path: Path):
    given = replace(settings(1, 8), stages=(StageSettings(3, 0.01), StageSettings(2, 0.005)))
    state = run(Line(), given, tmp_path)
    moments = state.optimizers['slope'].state_dict()['state']
    assert {float(entry['step']) for entry in moments.values()} == {2.0}
    assert state.optimizers['slope'].param_groups[0]['lr'] == 0.005


def test_a_pattern_that_fits_no_weight_is_named(tmp_path: Path):
    given = replace(settings(1, 8), stages=(StageSettings(3, 0.01, freeze=('backbone.*',)),))
    with pytest.raises(ConfigurationError, match=r"no parameter matches 'backbone\.\*'"):
        run(Line(), given, tmp_path)


def test_a_stage_that_mixes_other_sources_is_refused(tmp_path: Path):
    given = replace(settings(1, 8), stages=(StageSettings(3, 0.01, ratio=(3, 1)),))
    with pytest.raises(ConfigurationError, match=r'mixes data \(3, 1\), but there are 1 sources'):
        run(Line(), given, tmp_path)


def test_the_best_checkpoint_is_that_of_the_least_figure(tmp_path: Path):
    task = Line()
    task.validations = (3.0, 1.0, 2.0)
    run(task, settings(6, 8), tmp_path)
    best, last = read_checkpoint(tmp_path / BEST), read_checkpoint(tmp_path / LAST)
    assert (best['step'], last['step']) == (4, 6)
    assert last['notes']['best'] == 1.0
    assert [float(row['error']) for row in rows(tmp_path / 'validation.csv')] == [3.0, 1.0, 2.0]


def test_a_new_run_can_begin_with_the_weights_of_another(tmp_path: Path):
    first = run(Line(), settings(4, 8, average=0.5), tmp_path / 'first')
    given = replace(settings(1, 8), stages=(StageSettings(1, 1e-12),),
                    start_from=tmp_path / 'first' / LAST)
    second = run(Line(), given, tmp_path / 'second')
    for name, value in first.average.module.named_parameters():
        assert torch.allclose(second.model.get_parameter(name), value, atol=1e-9)
    assert second.step == 1


def test_a_checkpoint_of_another_network_is_refused_by_name(tmp_path: Path):
    run(Line(), settings(1, 8), tmp_path)
    make, given = TASKS['shape-prior']
    with pytest.raises(ModelError, match='is a checkpoint of line, not of shape-prior'):
        run(make(), given, tmp_path)


def test_a_run_does_not_go_on_with_other_objects(tmp_path: Path):
    class Known(Line):
        def __init__(self, name):
            super().__init__()
            self.known = name

        def notes(self):
            return {'objects': [{'name': self.known}]}

    run(Known('drill'), settings(1, 8), tmp_path)
    run(Known('drill'), settings(1, 8), tmp_path)
    with pytest.raises(ConfigurationError, match='for the objects drill, and .* are of clamp;'):
        run(Known('clamp'), settings(1, 8), tmp_path)


def test_gradients_without_end_stop_the_run_with_advice(tmp_path: Path):
    class Broken(Line):
        def losses(self, modules, player, batch):
            return {'total': modules[player](batch).sum() * float('nan')}

    with pytest.raises(ConfigurationError, match=r'not finite.*lower --rate'):
        run(Broken(), settings(60, 8), tmp_path)


def test_float16_without_a_gpu_is_refused(tmp_path: Path):
    with pytest.raises(ConfigurationError, match='float16 needs a GPU'):
        run(Line(), settings(1, 8, precision='float16'), tmp_path)


def test_a_gradient_is_cut_to_its_largest_norm(tmp_path: Path):
    def moved(clip: float) -> float:
        class Plain(Line):
            def players(self, model):
                return [Player('slope', model['slope'],
                               torch.optim.SGD(model['slope'].parameters()))]

        given = replace(settings(1, 8, clip=clip), stages=(StageSettings(1, 1.0),))
        start = tmp_path / f'start{clip}'
        before = run(Plain(), replace(given, stages=(StageSettings(1, 1e-30),)), start).model
        after = run(Plain(), given, tmp_path / str(clip)).model
        steps = [(a - b).square().sum() for a, b in zip(
            after['slope'].parameters(), before['slope'].parameters(), strict=True)]
        return float(torch.stack(steps).sum().sqrt().detach())

    assert moved(0.01) == pytest.approx(0.01, rel=1e-3)
    assert moved(float('inf')) > 0.1


def test_random_numbers_within_the_network_follow_from_the_step(tmp_path: Path):
    class Noisy(Line):
        drawn: list[float]

        def losses(self, modules, player, batch):
            if player == 'slope':
                self.drawn.append(float(torch.rand(())))
            return super().losses(modules, player, batch)

    whole, cut = Noisy(), Noisy()
    whole.drawn, cut.drawn = [], []
    run(whole, settings(4, 8), tmp_path / 'whole')
    with pytest.raises(KeyboardInterrupt):
        run(fail_at(cut, 2), settings(4, 8, save_every=0.0), tmp_path / 'cut')
    del cut.batch
    torch.manual_seed(5)
    run(cut, settings(4, 8), tmp_path / 'cut')
    assert cut.drawn == whole.drawn
    assert len(np.unique(whole.drawn)) == 4
