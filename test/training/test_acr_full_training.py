"""ACR-Pose and its discriminator train against each other, and become a model."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.backends.full import FullBackend
from pose_estimation_ros.backends.registry import create_backend
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.networks.acr import ACRConfig
from pose_estimation_ros.networks.discriminator import Discriminator
from pose_estimation_ros.networks.spd import reconstruct
from pose_estimation_ros.runtime.model_store import ModelStore
from pose_estimation_ros.runtime.session import InferenceSession
from pose_estimation_ros.training.acr_full_training import (
    DEFAULTS,
    DISCRIMINATOR,
    FINE_TUNING_STAGES,
    PUBLISHED_STAGES,
    RECONSTRUCTOR,
    ACRFullTask,
    new_pair,
)
from pose_estimation_ros.training.adversarial_losses import discriminator_loss, generator_loss
from pose_estimation_ros.training.batch_plan import BatchRequest
from pose_estimation_ros.training.checkpoints import TrainingState, save_checkpoint
from pose_estimation_ros.training.full_export import export_full
from pose_estimation_ros.training.full_task import FullBatch
from pose_estimation_ros.training.loop import _alone, run
from pose_estimation_ros.training.losses import spd_losses
from pose_estimation_ros.training.onnx_export import export_network
from pose_estimation_ros.training.shape_priors import save_priors
from pose_estimation_ros.training.stages import StageSettings, read_stages, total_steps
from test.training.tiny_tasks import FULL_PRIORS, acr_full, color_views, settings


class Grey(nn.Module):
    """Stands for the image branch where it does not matter."""

    def __init__(self) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.rand(32))

    def forward(self, image: Tensor, pixel_index: Tensor) -> Tensor:
        return self.level[:, None] * image.mean(dim=(1, 2, 3))[:, None, None].expand(
            -1, 32, pixel_index.shape[1])


class GreyTask(ACRFullTask):
    """ACR-Pose without its image branch, for quick steps."""

    def new_model(self) -> nn.ModuleDict:
        pair = super().new_model()
        pair[RECONSTRUCTOR].psp = Grey()
        return pair


def grey_task() -> GreyTask:
    return GreyTask(*color_views(), ACRConfig(width=16, neighbours=8))


def batch_of(task: ACRFullTask, objects: int) -> FullBatch:
    return task.batch(BatchRequest(0, 0, objects, 0, (1,), (0,), 0, 1))


def test_least_squares_losses_are_those_of_the_paper() -> None:
    true, predicted = torch.tensor([1.0, 0.5]), torch.tensor([0.2, 0.6])
    assert discriminator_loss(true, predicted).item() == pytest.approx(0.125 + 0.2)
    assert generator_loss(predicted).item() == pytest.approx((0.64 + 0.16) / 2)


def test_a_discriminator_learns_to_tell_sets_apart() -> None:
    torch.manual_seed(0)
    judge = Discriminator()
    optimizer = torch.optim.Adam(judge.parameters(), 1e-3)
    losses = []
    for _ in range(40):
        true = torch.rand(16, 32, 3) - 0.5
        verdicts = judge(torch.cat([true, 0.5 * (torch.rand(16, 32, 3) - 0.5)]))
        loss = discriminator_loss(*verdicts.chunk(2))
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[0] == pytest.approx(0.5, abs=0.02)
    assert losses[-1] < 0.05


def test_each_player_has_gradients_everywhere_in_its_turn_and_none_in_the_others() -> None:
    torch.manual_seed(0)
    task = acr_full()
    pair = task.new_model().train()
    players = task.players(pair)
    assert [player.name for player in players] == [RECONSTRUCTOR, DISCRIMINATOR]
    modules = {player.name: player.module for player in players}
    batch = batch_of(task, 2)
    for player in players:
        pair.zero_grad()
        with _alone(player, players):
            task.losses(modules, player.name, batch)['total'].backward()
        for name, parameter in pair.named_parameters():
            if name.startswith(player.name):
                assert parameter.grad.isfinite().all(), name
                assert parameter.grad.any(), name
            else:
                assert parameter.grad is None, name


def test_the_total_has_the_published_weights_and_the_judge_sees_coordinates() -> None:
    torch.manual_seed(0)
    task = grey_task()
    pair = task.new_model().eval()
    modules = dict(pair.items())
    batch = batch_of(task, 4)
    ((logits, deformation),) = task.stages(pair[RECONSTRUCTOR], batch, task.prior(batch))
    nocs, _ = reconstruct(logits, deformation, task.prior(batch))
    expected = spd_losses(logits, deformation, task.prior(batch), batch.nocs, batch.shape)
    predicted, true = pair[DISCRIMINATOR](nocs), pair[DISCRIMINATOR](batch.nocs)
    total = (expected.correspondence + 5.0 * expected.chamfer + 1e-4 * expected.entropy
             + 0.01 * expected.deformation + 0.1 * (predicted - 1.0).square().mean())

    ours = task.losses(modules, RECONSTRUCTOR, batch)
    torch.testing.assert_close(ours['total'], total)
    judged = task.losses(modules, DISCRIMINATOR, batch)
    judgement = (true - 1.0).square().mean() + predicted.square().mean()
    torch.testing.assert_close(judged['judgement'], judgement)
    torch.testing.assert_close(judged['total'], 0.1 * judgement)


def test_the_discriminator_moves_a_tenth_as_fast(tmp_path: Path) -> None:
    given = settings(1, 2, stages=(StageSettings(1, 1e-3),), clip=np.inf, validate_every=99)
    torch.manual_seed(given.seed)
    before = grey_task().new_model().state_dict()
    after = run(grey_task(), given, tmp_path).model.state_dict()
    # Adam's first step moves a weight by the rate.
    for name, rate in (('reconstructor.assignment.4.bias', 1e-3),
                       ('discriminator.verdict.2.bias', 1e-4)):
        assert (after[name] - before[name]).abs().max().item() == pytest.approx(rate, rel=0.01)


def test_both_players_get_better(tmp_path: Path) -> None:
    given = settings(9, 4, stages=(StageSettings(9, 3e-3),), log_every=1, validate_every=99)
    run(grey_task(), given, tmp_path)
    with (tmp_path / 'train.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    judgement = [float(row['discriminator.judgement']) for row in rows]
    correspondence = [float(row['reconstructor.correspondence']) for row in rows]
    # A new discriminator says about 0.5 to all; then it is sure of more at every step.
    assert judgement[0] == pytest.approx(0.5, abs=0.01)
    assert (np.diff(judgement) < 0.0).all()
    assert judgement[-1] < judgement[0] - 0.015
    assert correspondence[-1] < correspondence[0] - 0.02


def test_fine_tuning_begins_with_a_new_discriminator(tmp_path: Path) -> None:
    still = 1e-12
    first = StageSettings(2, 1e-3)
    second = replace(FINE_TUNING_STAGES[0], steps=1, rate=still, ratio=())
    trained, tuned = (
        run(grey_task(), settings(3, 2, stages=stages, validate_every=99), tmp_path / name).model
        for name, stages in (('trained', (first,)), ('tuned', (first, second))))
    for name, value in trained.state_dict().items():
        if not value.is_floating_point() or 'running' in name:
            continue
        difference = (tuned.state_dict()[name] - value).abs().max()
        if name.startswith(DISCRIMINATOR):
            assert difference > 0.01, name
        else:
            assert difference < 1e-6, name


def test_the_schedule_is_the_published_one() -> None:
    assert DEFAULTS.batch == 96
    assert total_steps(PUBLISHED_STAGES) * 96 == 50 * 48_000
    assert [stage.rate for stage in PUBLISHED_STAGES] == pytest.approx([1e-4, 5e-5, 1e-5, 1e-6])
    assert [stage.rate for stage in FINE_TUNING_STAGES] == pytest.approx([1e-4, 5e-5])
    assert total_steps(FINE_TUNING_STAGES) * 96 == 10 * 48_000


def test_the_stages_in_the_documents_are_the_published_ones(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / 'docs/acr.md').read_text(encoding='utf-8')
    path = tmp_path / 'stages.yaml'
    path.write_text(text.split('```yaml')[1].split('```')[0])
    first = tuple(replace(stage, ratio=(1, 0)) for stage in PUBLISHED_STAGES)
    assert read_stages(path) == (*first, *FINE_TUNING_STAGES)


def test_the_exported_network_answers_as_the_trained_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = new_pair(ACRConfig(width=16, neighbours=8))[RECONSTRUCTOR]
    # A fresh network hardly tells points apart; these weights keep the signal's strength.
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.weight, -1.0, 1.0)
            module.momentum = 1.0
    for layer in network.assignment:
        if isinstance(layer, nn.Conv1d):
            nn.init.normal_(layer.weight, std=0.3)
    generator = np.random.default_rng(0)
    inputs = {
        'points': generator.normal(0.0, 0.05, (3, 64, 3)).astype(np.float32),
        'image': generator.normal(size=(3, 3, 192, 192)).astype(np.float32),
        'pixel_index': generator.integers(192 * 192, size=(3, 64)),
        'category': np.array([0, 3, 5])}
    prior = torch.from_numpy(FULL_PRIORS[inputs['category']])
    tensors = [torch.from_numpy(value) for value in inputs.values()]
    network.train()(*tensors, prior)
    with torch.no_grad():
        expected = reconstruct(*network.eval()(*tensors, prior), prior)
    assert expected[0].std(dim=1).min() > 0.05
    export_network(network, FULL_PRIORS, tmp_path / 'acr.onnx', 64)
    session = InferenceSession(tmp_path / 'acr.onnx', 'cpu', threads=1)
    for objects in (slice(0, 3), slice(1, 2)):
        ours = session.run({name: value[objects] for name, value in inputs.items()})
        for name, value in zip(('nocs', 'shape'), expected, strict=True):
            same = np.isclose(ours[name], value[objects], atol=1e-4).all(axis=-1)
            # Of two neighbours that are equally far but for rounding, either may be taken.
            assert same.mean() > 0.98


def test_a_trained_pair_becomes_a_model_that_the_backend_runs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    task, checkpoint = acr_full(), tmp_path / 'last.pt'
    notes = {'network': task.network, **task.notes()}
    save_checkpoint(checkpoint, TrainingState(task.new_model(), {}, 7, notes=notes))
    save_priors(tmp_path / 'priors.npz', FULL_PRIORS, 'random')
    out = tmp_path / 'models/mine'
    export_full('acr-full', checkpoint, tmp_path / 'priors.npz', out)

    manifest = ModelStore([tmp_path / 'models']).find('mine', task='pose').manifest
    assert (manifest.backend, manifest.size) == ('acr', 'full')
    assert manifest.training['steps'] == 7
    assert manifest.training['config']['neighbours'] == 8
    backend = create_backend('acr', BackendOptions(str(out), 'cpu', threads=1))
    assert isinstance(backend, FullBackend)
    assert backend.describe() == {'backend': 'acr', 'model': 'mine',
                                  'provider': 'CPUExecutionProvider'}
    depth = np.full((120, 160), 0.6, np.float32)
    depth += 0.02 * np.random.default_rng(0).random(depth.shape, np.float32)
    frame = RGBDFrame(0, 'camera', np.full((120, 160, 3), 90, np.uint8), depth,
                      CameraIntrinsics.pinhole(160, 120, 150.0, 150.0, 79.5, 59.5))
    detections = [Detection(label, 0.9, np.array([40.0, 40.0, 90.0, 90.0]),
                            np.ones((50, 50), bool), (40, 40)) for label in ('mug', 'can')]
    answers = backend.estimate(frame, detections)
    # Random weights need not agree on a pose; each object has its answer all the same.
    assert [answer.detection for answer in answers] == detections
    backend.close()

    with pytest.raises(ModelError, match='acr-full, not of spd-full'):
        export_full('spd-full', checkpoint, tmp_path / 'priors.npz', out)
