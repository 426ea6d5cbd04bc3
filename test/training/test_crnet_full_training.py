"""The full CR-Net is trained at every stage, and exported as it was trained."""

import csv
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.networks import crnet
from pose_estimation_ros.networks.crnet import CRNetConfig
from pose_estimation_ros.training import full_export
from pose_estimation_ros.training.batch_plan import PassOrder
from pose_estimation_ros.training.color_crops import ColorCrops
from pose_estimation_ros.training.crnet_full_training import DEFAULTS, CRNetFullTask
from pose_estimation_ros.training.full_export import export_full
from pose_estimation_ros.training.full_task import plain_batch
from pose_estimation_ros.training.loop import run
from pose_estimation_ros.training.losses import SPDLosses, spd_losses
from pose_estimation_ros.training.shape_priors import save_priors
from pose_estimation_ros.training.sources import StoredSamples
from pose_estimation_ros.training.stages import total_steps
from test.training.tiny_tasks import settings

POINTS = 24


class _PixelColors(nn.Module):
    """Stands for the image encoder, which is tested with SPD and slow."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Conv1d(3, 32, 1)

    def forward(self, image: Tensor, pixel_index: Tensor) -> Tensor:
        index = pixel_index[:, None].expand(-1, 3, -1)
        return self.linear(image.flatten(2).gather(2, index))


@pytest.fixture(autouse=True)
def _without_image_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crnet, 'PSPNet', _PixelColors)


def _crops(count: int = 4) -> ColorCrops:
    """Return points of random boxes whose colours are unknown, all seen from the front."""
    generator = np.random.default_rng(0)
    nocs = generator.uniform(-0.4, 0.4, (count, POINTS, 3)).astype(np.float32)
    return ColorCrops(
        generator.integers(0, 255, (count, 192, 192, 3), dtype=np.uint8),
        0.3 * nocs + np.float32([0.0, 0.0, 0.8]),
        generator.integers(0, 192 * 192, (count, POINTS), dtype=np.int32),
        nocs, np.full(count, 5), np.stack([np.eye(3)] * count).astype(np.float32),
        generator.uniform(-0.4, 0.4, (count, 64, 3)).astype(np.float32))


def _task(**changes: object) -> CRNetFullTask:
    crops = _crops()
    priors = np.random.default_rng(1).uniform(-0.4, 0.4, (6, POINTS, 3)).astype(np.float32)
    return CRNetFullTask([StoredSamples(crops.take, PassOrder(len(crops)))], crops, priors,
                         CRNetConfig(points=POINTS, **{'assignment': 'probabilities', **changes}))


@pytest.mark.parametrize('variant', [
    {}, {'assignment': 'logits'}, {'recurrence': 'paper', 'steps': 1},
    {'instance_relation': 'mlp', 'category_relation': 'nonlocal', 'steps': 3},
    {'instance_relation': 'none', 'category_relation': 'none', 'steps': 0}],
    ids=lambda variant: ' '.join(map(str, variant.values())))
def test_the_loss_of_every_variant_falls(variant: dict[str, object]) -> None:
    torch.manual_seed(0)
    task, batch = _task(**variant), plain_batch(_crops())
    network = task.new_model().train()
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    totals = []
    for _ in range(20):
        total = task.losses({'': network}, '', batch)['total']
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < 0.98 * totals[0]


def test_the_loss_is_the_sum_over_the_stages() -> None:
    torch.manual_seed(0)
    task, batch = _task(), plain_batch(_crops())
    network = task.new_model().eval()
    prior = task.prior(batch)
    with torch.no_grad():
        losses = task.losses({'': network}, '', batch)
        stages = network(batch.points, batch.image, batch.pixel_index, batch.category, prior)
    assert len(stages) == 3
    for field in fields(SPDLosses):
        terms = [getattr(spd_losses(*stage, prior, batch.nocs, batch.shape), field.name)
                 for stage in stages]
        assert losses[field.name].item() == pytest.approx(sum(map(float, terms)), rel=1e-5)


def test_mixed_precision_trains_as_well(tmp_path: Path) -> None:
    run(_task(), settings(4, 4, precision='bfloat16', log_every=1), tmp_path)
    with (tmp_path / 'train.csv').open(newline='') as file:
        assert all(np.isfinite(float(row['total'])) for row in csv.DictReader(file))


def test_the_schedule_is_the_published_one() -> None:
    assert total_steps(DEFAULTS.stages) == 50 * 6000
    assert [stage.steps for stage in DEFAULTS.stages] == [60_000] * 5
    assert [stage.rate for stage in DEFAULTS.stages] == pytest.approx(
        [1e-4, 6e-5, 3e-5, 1e-5, 1e-6])
    assert DEFAULTS.batch == 32


def test_a_variant_is_exported_as_it_was_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = _task(recurrence='paper', steps=1)
    run(task, settings(1, 2), tmp_path / 'run')
    priors = np.random.default_rng(1).uniform(-0.4, 0.4, (6, POINTS, 3)).astype(np.float32)
    save_priors(tmp_path / 'priors.npz', priors, 'random')
    written = {}

    def record(network: nn.Module, priors: np.ndarray, folder: Path, backend: str,
               **facts: object) -> None:
        written.update(facts, config=network.network.config, backend=backend)

    monkeypatch.setattr(full_export, 'write_full_model', record)
    export_full('crnet-full', tmp_path / 'run/last.pt', tmp_path / 'priors.npz', tmp_path / 'm')
    assert written['backend'] == 'crnet'
    assert written['config'] == task.new_model().config
    assert written['training']['config']['recurrence'] == 'paper'
    with pytest.raises(ModelError, match='is a checkpoint of crnet-full, not of spd-full'):
        export_full('spd-full', tmp_path / 'run/last.pt', tmp_path / 'priors.npz', tmp_path / 'm')
