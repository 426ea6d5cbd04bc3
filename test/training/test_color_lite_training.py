"""CR-Net lite and ACR-Pose lite: their losses, their beginnings, and what comes out of a run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pose_estimation_ros.core.categories import CATEGORIES
from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.networks.acr_lite import ACRLiteConfig
from pose_estimation_ros.networks.crnet_lite import CRNetLiteConfig
from pose_estimation_ros.networks.lite_encoder import EncoderConfig
from pose_estimation_ros.synthetic.crop_samples import pack_crops
from pose_estimation_ros.synthetic.shard_files import write_shards
from pose_estimation_ros.training import acr_lite_training, crnet_lite_training
from pose_estimation_ros.training.acr_lite_training import ACRLiteTask, points_on_object
from pose_estimation_ros.training.adversarial_losses import DISCRIMINATOR, RECONSTRUCTOR
from pose_estimation_ros.training.batch_plan import BatchRequest
from pose_estimation_ros.training.checkpoints import TrainingState, save_checkpoint
from pose_estimation_ros.training.crop_batches import PointBatch
from pose_estimation_ros.training.lite_export import load_trained
from pose_estimation_ros.training.lite_losses import LiteLossWeights, lite_losses, placement_truth
from pose_estimation_ros.training.lite_task import LiteTask
from pose_estimation_ros.training.loop import _alone
from pose_estimation_ros.training.losses import correspondence_loss
from pose_estimation_ros.training.shape_priors import save_priors
from pose_estimation_ros.training.task import TrainingData
from test.training.tiny_tasks import acr_lite, crnet_lite, random_crops, spd_lite

MODULES = {'crnet-lite': crnet_lite_training, 'acr-lite': acr_lite_training}
MAKERS = {'crnet-lite': crnet_lite, 'acr-lite': acr_lite}


def batch_of(task: LiteTask, objects: int = 6) -> PointBatch:
    """Return a batch in which the first two points of every object are none of it."""
    batch = task.batch(BatchRequest(0, 0, objects, 0, (1,), (0,), 0, 1))
    member = batch.member.clone()
    member[:, :2] = False
    return replace(batch, member=member)


def strayed(batch: PointBatch) -> PointBatch:
    """Return the batch with what is not on the object far away."""
    return replace(batch, nocs=torch.where(batch.member[:, :, None], batch.nocs, 3.0))


def checkpoint(task: LiteTask, path: Path) -> dict[str, torch.Tensor]:
    """Write a checkpoint of a task's fresh network; return its weights."""
    torch.manual_seed(5)
    model = task.new_model()
    notes = {'network': task.network, **task.notes()}
    save_checkpoint(path, TrainingState(model, {}, 7, notes=notes))
    return model.state_dict()


def test_points_beside_the_object_become_copies_of_one_on_it() -> None:
    nocs = torch.arange(24.0).reshape(2, 4, 3)
    member = torch.tensor([[False, True, False, True], [True, True, True, False]])
    kept = points_on_object(nocs, member)
    assert kept[:, :, 0].tolist() == [[3.0, 3.0, 3.0, 9.0], [12.0, 15.0, 18.0, 12.0]]


def test_the_judge_sees_nothing_beside_the_object() -> None:
    torch.manual_seed(0)
    task = acr_lite()
    pair, batch = dict(task.new_model().eval().items()), batch_of(task)
    ours = task.losses(pair, RECONSTRUCTOR, batch), task.losses(pair, DISCRIMINATOR, batch)
    away = strayed(batch)
    assert (away.nocs != batch.nocs).any()
    torch.testing.assert_close(task.losses(pair, DISCRIMINATOR, away), ours[1])
    nearer = replace(batch, nocs=0.5 * batch.nocs)
    assert task.losses(pair, DISCRIMINATOR, nearer)['judgement'] != ours[1]['judgement']


def test_the_judge_is_as_exact_in_mixed_precision() -> None:
    torch.manual_seed(0)
    task = acr_lite()
    judge = task.new_model()[DISCRIMINATOR]
    nocs = torch.rand(4, 32, 3) - 0.5
    with torch.autocast('cpu', torch.bfloat16):
        mixed = judge(nocs)
    torch.testing.assert_close(mixed, judge(nocs))


def test_each_player_moves_alone_and_the_adversary_has_its_weight() -> None:
    torch.manual_seed(0)
    task = acr_lite(weight=0.5)
    pair = task.new_model().train()
    players = task.players(pair)
    modules, batch = {player.name: player.module for player in players}, batch_of(task)
    assert [player.name for player in players] == [RECONSTRUCTOR, DISCRIMINATOR]
    assert players[1].optimizer.param_groups[0]['rate_factor'] == 0.1
    for player in players:
        pair.zero_grad()
        with _alone(player, players):
            losses = task.losses(modules, player.name, batch)
            losses['total'].backward()
        moved = {name.partition('.')[0] for name, value in pair.named_parameters()
                 if value.grad is not None and value.grad.any()}
        assert moved == {player.name}
        if player.name == RECONSTRUCTOR:
            with_weight = losses
    weights = LiteLossWeights()
    expected = with_weight['correspondence'] + 0.5 * with_weight['adversarial'] + sum(
        getattr(weights, name) * value for name, value in with_weight.items()
        if name not in ('correspondence', 'adversarial', 'total'))
    torch.testing.assert_close(with_weight['total'], expected)


def test_the_loss_is_the_mean_over_steps_of_points_on_the_object() -> None:
    torch.manual_seed(0)
    task = crnet_lite()
    batch = batch_of(task)
    with torch.no_grad():
        output = task.new_model()(batch.points, batch.condition, batch.category, batch.color,
                                  truth=placement_truth(batch), decoded=20)
        terms = lite_losses(output, batch, LiteLossWeights())
        away = lite_losses(output, strayed(batch), LiteLossWeights())
    assert len(output.steps) == 2
    assert output.steps[0].nocs.shape[1] == 20
    on_object = batch.member[:, :20]
    truth = batch.nocs[:, :20][on_object]
    each = [float(correspondence_loss(step.nocs[on_object], truth, LiteLossWeights.smoothness))
            for step in output.steps]
    assert float(terms['correspondence']) == pytest.approx(np.mean(each), rel=1e-5)
    assert each[0] != pytest.approx(each[1], rel=1e-6)
    torch.testing.assert_close(away, terms)


@pytest.mark.parametrize('network', MAKERS)
def test_a_run_begins_with_an_spd_lite_of_the_same_size(network: str, tmp_path: Path) -> None:
    begun = checkpoint(spd_lite(), tmp_path / 'spd.pt')
    task = MAKERS[network]()
    content = torch.load(tmp_path / 'spd.pt', weights_only=True)
    weights = task.first_weights(content, tmp_path / 'spd.pt')
    model = task.new_model()
    model.load_state_dict(weights)
    start = f'{RECONSTRUCTOR}.' if network == 'acr-lite' else ''
    assert torch.equal(weights[f'{start}encoder.condition.weight'], begun['condition.weight'])
    assert torch.equal(weights[f'{start}head.query.weight'], begun['query.weight'])
    with pytest.raises(AssertionError):
        torch.testing.assert_close(task.new_model().state_dict(), weights)


def test_a_run_does_not_begin_with_another_network(tmp_path: Path) -> None:
    checkpoint(crnet_lite(), tmp_path / 'crnet.pt')
    content = torch.load(tmp_path / 'crnet.pt', weights_only=True)
    with pytest.raises(ModelError, match='is a checkpoint of crnet-lite, not of acr-lite'):
        acr_lite().first_weights(content, tmp_path / 'crnet.pt')


@pytest.mark.parametrize('network', MAKERS)
def test_a_checkpoint_gives_the_network_that_was_trained(network: str, tmp_path: Path) -> None:
    task = MAKERS[network]()
    trained = checkpoint(task, tmp_path / 'last.pt')
    loaded, notes = load_trained(network, tmp_path / 'last.pt')
    start = f'{RECONSTRUCTOR}.' if network == 'acr-lite' else ''
    weights = loaded.state_dict()
    assert set(weights) == {name.removeprefix(start) for name in trained
                            if name.startswith(start)}
    for name, value in weights.items():
        assert torch.equal(value, trained[f'{start}{name}']), name
    assert not loaded.training
    assert notes['training']['steps'] == 7


def test_a_checkpoint_of_an_unknown_variant_is_refused(tmp_path: Path) -> None:
    task = crnet_lite()
    notes = task.notes()
    notes['config']['category_relation'] = 'gat'
    state = TrainingState(task.new_model(), {}, 7, notes={'network': task.network, **notes})
    save_checkpoint(tmp_path / 'last.pt', state)
    with pytest.raises(ModelError, match="no category_relation 'gat'"):
        load_trained('crnet-lite', tmp_path / 'last.pt')


@pytest.mark.parametrize('make', [
    lambda: CRNetLiteConfig(steps=4), lambda: EncoderConfig(instance_relation='gat'),
    lambda: ACRLiteConfig(relational='maybe')])
def test_a_variant_that_does_not_exist_is_refused(make: object) -> None:
    with pytest.raises(ConfigurationError, match='choose one of'):
        make()


@pytest.mark.parametrize('network', MAKERS)
def test_some_training_views_must_have_colours(network: str, tmp_path: Path) -> None:
    priors = np.random.default_rng(0).uniform(-0.3, 0.3, (6, 32, 3)).astype(np.float32)
    save_priors(tmp_path / 'priors.npz', priors, 'random')
    module = MODULES[network]
    for name, crops in (('plain', replace(random_crops(), colored=np.zeros(24, bool))),
                        ('colored', random_crops())):
        write_shards(tmp_path / name, 1, {'kind': 'crops'}, lambda _, kept=crops: pack_crops(kept))

    def task(*sources: str) -> LiteTask:
        data = TrainingData(sources, tmp_path / 'cache', priors=tmp_path / 'priors.npz')
        return module.make_task(data, module.DEFAULTS)

    plain, colored = str(tmp_path / 'plain'), str(tmp_path / 'colored')
    with pytest.raises(ConfigurationError, match='none of .*crops --colored.*spd-lite'):
        task(plain)
    made = task(plain, colored)
    assert made.network == network
    assert made.data.priors.categories == CATEGORIES
    assert isinstance(made, ACRLiteTask) == (network == 'acr-lite')
