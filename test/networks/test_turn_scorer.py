"""The choice of the turn that brings a cloud near to its canonical frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.networks.crnet_lite import CRNetLite, CRNetLiteConfig
from pose_estimation_ros.networks.lite_encoder import (
    EncoderConfig,
    offered_rotations,
    surface_covariance,
    turned,
    upper_triangle,
)
from pose_estimation_ros.networks.turn_scorer import TurnScorer, nearest_turn
from pose_estimation_ros.runtime import InferenceSession
from pose_estimation_ros.training.lite_export import export_onnx
from pose_estimation_ros.training.lite_warm_start import adapted

TURNS = offered_rotations(24)
PRIOR = 0.2 * torch.randn(6, 48, 3, generator=torch.Generator().manual_seed(5))


@pytest.fixture
def cloud() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(2)
    points = torch.randn(3, 64, 3, generator=generator) * torch.tensor([0.5, 0.3, 0.2])
    return {'points': points, 'color': torch.rand(3, 64, 9, generator=generator),
            'condition': 0.3 * torch.randn(3, 3, generator=generator),
            'category': torch.tensor([0, 2, 5])}


def scores(scorer: TurnScorer, cloud: dict[str, Tensor]) -> Tensor:
    known = torch.ones(3, 64, 1, dtype=torch.bool)
    covariance = surface_covariance(cloud['points']).flatten(2)
    with torch.no_grad():
        return scorer(cloud['points'], covariance, cloud['color'] - 0.5, known,
                      cloud['condition'], cloud['category'])


def network(placement: str) -> CRNetLite:
    torch.manual_seed(0)
    config = EncoderConfig(stages=2, width=32, latents=8, placement=placement)
    return CRNetLite(CRNetLiteConfig(config, steps=1, embedding=16), PRIOR).eval()


def test_turning_the_cloud_moves_the_scores_to_other_turns(cloud: dict[str, Tensor]) -> None:
    torch.manual_seed(0)
    scorer = TurnScorer(TURNS, 6)
    # What the scorer is told of vertical and view is what tells turned clouds apart.
    torch.nn.init.zeros_(scorer.circumstances.weight)
    before = scores(scorer, cloud)
    turn = torch.from_numpy(TURNS[7]).float()
    after = scores(scorer, {**cloud, 'points': cloud['points'] @ turn.T})
    moved = [int(np.flatnonzero([np.allclose(other, own @ TURNS[7]) for other in TURNS])[0])
             for own in TURNS]
    assert before.std(dim=1).min() > 1e-3
    torch.testing.assert_close(after, before[:, moved], atol=1e-5, rtol=1e-5)


def test_a_cloud_that_is_stood_up_is_told_from_one_that_lies(cloud: dict[str, Tensor]) -> None:
    torch.manual_seed(0)
    scorer = TurnScorer(TURNS, 6)
    before = scores(scorer, cloud)
    after = scores(scorer, {**cloud, 'points': cloud['points'] @ torch.from_numpy(
        TURNS[7]).float().T})
    assert (torch.sort(after)[0] - torch.sort(before)[0]).abs().max() > 1e-3


@pytest.mark.parametrize('number', [0, 5, 23])
def test_the_nearest_turn_is_that_of_a_cloud_turned_a_little_further(number: int) -> None:
    generator = torch.Generator().manual_seed(number)
    truth = torch.randn(2, 40, 3, generator=generator) * 0.2 + 0.05
    off = axis_rotation((0.6, 0.0, 0.8), np.radians(35.0)) @ TURNS[number]
    points = 3.0 * truth @ torch.from_numpy(off).float() + 0.4
    member = torch.ones(2, 40, dtype=torch.bool)
    points[:, :5], member[:, :5] = 9.0, False
    turns = torch.from_numpy(TURNS).float()
    assert nearest_turn(turns, points, truth, member).tolist() == [number, number]


def test_covariances_turn_with_their_points(cloud: dict[str, Tensor]) -> None:
    R = torch.from_numpy(axis_rotation((0.0, 0.6, 0.8), 1.1)).float().expand(3, 3, 3)
    points, covariance = turned(R, cloud['points'], surface_covariance(cloud['points']))
    torch.testing.assert_close(covariance, surface_covariance(points), atol=1e-5, rtol=1e-4)
    assert upper_triangle(covariance).shape == (3, 64, 6)


def test_an_offering_network_goes_on_as_a_turning_one(cloud: dict[str, Tensor]) -> None:
    offering, turning = network('offered'), network('turned')
    turning.load_state_dict(adapted(offering.state_dict(), turning.state_dict()))
    upright = []
    for one in (offering, turning):
        likelihood = one.encoder(**cloud).likelihood
        rank = (likelihood.argsort(dim=1, descending=True) == 0).int().argmax(dim=1)
        upright.append(one(**cloud, rank=rank))
    torch.testing.assert_close(upright[0].steps[-1].nocs, upright[1].steps[-1].nocs, atol=1e-5,
                               rtol=1e-5)


def test_every_layer_of_the_scorer_learns(cloud: dict[str, Tensor]) -> None:
    turning = network('turned').train()
    truth = 0.2 * cloud['points']
    code = turning.encoder(**cloud, truth=truth, member=torch.ones(3, 64, dtype=torch.bool))
    assert code.chosen.tolist() == [0, 0, 0]
    torch.nn.functional.cross_entropy(code.likelihood, code.chosen).backward()
    assert turning.encoder.scorer is not None
    for name, weight in turning.encoder.scorer.named_parameters():
        assert weight.grad is not None and weight.grad.abs().max() > 0, name


def test_it_runs_in_onnx_for_any_number_of_objects(cloud: dict[str, Tensor],
                                                   tmp_path: Path) -> None:
    turning, path = network('turned'), tmp_path / 'network.onnx'
    export_onnx('crnet-lite', turning, 64, path)
    session = InferenceSession(path, 'cpu')
    with torch.no_grad():
        for count, rank in ((3, 0), (1, 2)):
            given = {name: value[:count] for name, value in cloud.items()}
            ranks = torch.full((count,), rank)
            expected = turning(**given, rank=ranks).steps[-1].nocs
            found = session.run({**{name: value.numpy() for name, value in given.items()},
                                 'rank': ranks.numpy()})
            np.testing.assert_allclose(found['nocs'], expected.numpy(), atol=1e-4)
