"""CR-Net lite and ACR-Pose lite: what the two networks with colour have in common."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.networks.acr_lite import ACRLite, ACRLiteConfig
from pose_estimation_ros.networks.crnet_lite import CRNetLite, CRNetLiteConfig
from pose_estimation_ros.networks.lite_encoder import (
    EncoderConfig,
    PlacementTruth,
    offered_rotations,
    surface_shape,
)
from pose_estimation_ros.networks.lite_relation import make_relation
from pose_estimation_ros.networks.spd_lite import SpdLite, SpdLiteConfig
from pose_estimation_ros.runtime import InferenceSession
from pose_estimation_ros.training.lite_export import export_onnx
from pose_estimation_ros.training.lite_warm_start import more_offers, weights_from_spd_lite

POINTS = 64
PRIOR = 0.2 * torch.randn(6, 48, 3, generator=torch.Generator().manual_seed(5))
KINDS = ('none', 'mlp', 'nonlocal', 'transformer')


def encoder(relation: str = 'none', picture: str = 'off') -> EncoderConfig:
    return EncoderConfig(stages=2, width=32, latents=8, instance_relation=relation,
                         picture=picture)


def crnet(relation: str = 'transformer', steps: int = 2, picture: str = 'off') -> CRNetLite:
    torch.manual_seed(0)
    return CRNetLite(CRNetLiteConfig(encoder(relation, picture), relation, steps, 16),
                     PRIOR).eval()


def acr(picture: str = 'off') -> ACRLite:
    torch.manual_seed(0)
    return ACRLite(ACRLiteConfig(encoder(picture=picture), embedding=16), PRIOR).eval()


def pictured_crnet(steps: int = 2) -> CRNetLite:
    return crnet(steps=steps, picture='on')


def pictured_acr() -> ACRLite:
    return acr('on')


def awake(network: nn.Module) -> nn.Module:
    """Give layers that start as nothing something to say."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for value in network.parameters():
            if value.abs().max() == 0:
                value.normal_(std=0.1, generator=generator)
    return network


@pytest.fixture
def inputs() -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    return (torch.randn(3, POINTS, 3, generator=generator),
            torch.randn(3, 3, generator=generator), torch.tensor([0, 4, 5]),
            torch.rand(3, POINTS, 9, generator=generator))


BOTH = pytest.mark.parametrize('make', [crnet, acr])
ALL = pytest.mark.parametrize('make', [crnet, acr, pictured_crnet, pictured_acr])


@ALL
def test_the_order_of_the_points_does_not_matter(make: object,
                                                 inputs: tuple[Tensor, ...]) -> None:
    network = awake(make())
    order = torch.randperm(POINTS, generator=torch.Generator().manual_seed(0))
    points, condition, category, color = inputs

    straight = network(*inputs)
    shuffled = network(points[:, order], condition, category, color[:, order])

    torch.testing.assert_close(shuffled.steps[-1].nocs, straight.steps[-1].nocs[:, order],
                               atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(shuffled.steps[-1].shape, straight.steps[-1].shape, atol=1e-4,
                               rtol=1e-4)
    torch.testing.assert_close(shuffled.error, straight.error, atol=1e-4, rtol=1e-4)


@ALL
def test_an_object_does_not_depend_on_its_neighbours_in_the_batch(
        make: object, inputs: tuple[Tensor, ...]) -> None:
    network = awake(make())

    together, alone = network(*inputs), network(*(tensor[1:2] for tensor in inputs))

    torch.testing.assert_close(together.steps[-1].nocs[1:2], alone.steps[-1].nocs, atol=1e-5,
                               rtol=1e-5)


@BOTH
def test_the_assignment_of_every_step_is_a_mean_of_the_deformed_shape(
        make: object, inputs: tuple[Tensor, ...]) -> None:
    output = awake(make())(*inputs)

    for step in output.steps:
        weights = torch.softmax(step.assignment, dim=2)
        torch.testing.assert_close(weights.sum(dim=2), torch.ones(3, POINTS))
        torch.testing.assert_close(step.nocs, weights @ step.shape)
    torch.testing.assert_close(output.steps[-1].shape, PRIOR[inputs[2]] + output.deformation)


@ALL
def test_colour_changes_the_answer_and_unknown_colour_gives_one(
        make: object, inputs: tuple[Tensor, ...]) -> None:
    network = awake(make())
    points, condition, category, color = inputs

    colored = network(*inputs).steps[-1].nocs
    other = network(points, condition, category, 1.0 - color).steps[-1].nocs
    unknown = network(points, condition, category, torch.full_like(color, torch.nan))

    assert (colored - other).abs().max() > 1e-3
    assert torch.isfinite(unknown.steps[-1].nocs).all()


@ALL
def test_onnx_runtime_gives_the_same_for_three_objects_and_for_one(
        make: object, inputs: tuple[Tensor, ...], tmp_path: Path) -> None:
    network = awake(make())
    name = 'crnet-lite' if isinstance(network, CRNetLite) else 'acr-lite'
    export_onnx(name, network, POINTS, tmp_path / 'network.onnx')
    rank = torch.tensor([0, 2, 1])
    with torch.no_grad():
        expected = network(*inputs, rank=rank)

    names = ('points', 'condition', 'category', 'color', 'rank')
    session = InferenceSession(tmp_path / 'network.onnx', 'cpu', 1)
    given = {key: value.numpy() for key, value in zip(names, (*inputs, rank), strict=True)}

    last = expected.steps[-1]
    chance = expected.encoding.likelihood.softmax(dim=1).sort(dim=1, descending=True).values
    entropy = Categorical(logits=last.assignment).entropy()
    member = expected.membership.sigmoid()
    wanted = {'nocs': last.nocs, 'shape': last.shape, 'membership': expected.membership,
              'probability': chance[torch.arange(3), rank], 'error': expected.error,
              'entropy': (entropy * member).sum(dim=1) / member.sum(dim=1)}
    for objects in (slice(0, 3), slice(1, 2)):
        output = session.run({key: value[objects] for key, value in given.items()})
        assert set(output) == set(wanted)
        for key, value in wanted.items():
            np.testing.assert_allclose(output[key], value[objects], atol=1e-4, err_msg=key)


@ALL
def test_every_parameter_gets_a_gradient(make: object, inputs: tuple[Tensor, ...]) -> None:
    network = awake(make())
    color = inputs[3].clone()
    color[0] = torch.nan
    output = network(*inputs[:3], color)
    (sum(step.nocs.square().sum() + step.guess.sum() for step in output.steps)
     + output.membership.sum() + output.error.sum()
     + output.encoding.likelihood.square().sum()).backward()

    assert [name for name, value in network.named_parameters() if value.grad is None] == []


@ALL
def test_the_estimate_of_its_own_error_does_not_pull_at_the_features(
        make: object, inputs: tuple[Tensor, ...]) -> None:
    network = make()
    network(*inputs).error.sum().backward()

    pulled = {name.partition('.')[0] for name, value in network.named_parameters()
              if value.grad is not None}
    assert pulled == {'error'}


@BOTH
def test_a_network_starts_where_an_spd_lite_ended(make: object,
                                                  inputs: tuple[Tensor, ...]) -> None:
    torch.manual_seed(3)
    spd = SpdLite(SpdLiteConfig(stages=2, width=32, latents=8, embedding=16), PRIOR).eval()
    network = crnet(steps=0) if make is crnet else acr()
    content = {'notes': {'network': 'spd-lite'}, 'model': spd.state_dict(), 'average': None}

    network.load_state_dict(weights_from_spd_lite(content, network.state_dict()))

    torch.testing.assert_close(network(*inputs).steps[-1].nocs, spd(*inputs[:3]).nocs,
                               atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('make', [pictured_crnet, pictured_acr])
def test_of_every_second_point_only_the_picture_sees_the_others(
        make: object, inputs: tuple[Tensor, ...], tmp_path: Path) -> None:
    network = awake(make())
    points, condition, category, color = inputs
    moved = points.clone()
    moved[:, 1::2] += 0.3
    with torch.no_grad():
        whole, other = (network(cloud, condition, category, color, every=2)
                        for cloud in (points, moved))
    nocs = whole.steps[-1].nocs

    assert nocs.shape == (3, POINTS // 2, 3)
    assert (other.steps[-1].nocs - nocs).abs().max() > 1e-3

    name = 'crnet-lite' if isinstance(network, CRNetLite) else 'acr-lite'
    export_onnx(name, network, POINTS, tmp_path / 'network.onnx', every=2)
    session = InferenceSession(tmp_path / 'network.onnx', 'cpu', 1)
    output = session.run({'points': points.numpy(), 'condition': condition.numpy(),
                          'category': category.numpy(), 'color': color.numpy(),
                          'rank': np.zeros(3, np.int64)})
    np.testing.assert_allclose(output['nocs'], nocs, atol=1e-4)


@pytest.mark.parametrize('make', [pictured_crnet, pictured_acr])
def test_with_a_picture_the_offer_nearest_the_true_rotation_is_taken_in_training(
        make: object, inputs: tuple[Tensor, ...]) -> None:
    network = make()
    rotations = torch.from_numpy(offered_rotations(24)[[3, 20, 11]]).float()
    truth = PlacementTruth(torch.zeros(3, POINTS, 3), torch.ones(3, POINTS, dtype=torch.bool),
                           rotations)

    code = network(*inputs, truth=truth).encoding

    assert code.chosen.tolist() == [3, 20, 11]


@pytest.mark.parametrize('make', [pictured_crnet, pictured_acr])
def test_a_network_with_pictures_begins_with_an_spd_lite_but_for_its_offers(make: object) -> None:
    torch.manual_seed(3)
    spd = SpdLite(SpdLiteConfig(stages=2, width=32, latents=8, embedding=16), PRIOR)
    content = {'notes': {'network': 'spd-lite'}, 'model': spd.state_dict(), 'average': None}
    network = pictured_crnet(steps=0) if make is pictured_crnet else make()

    network.load_state_dict(weights_from_spd_lite(content, network.state_dict()))

    torch.testing.assert_close(network.encoder.stages[1].points.layers[1].weight,
                               spd.stages[1].points.layers[1].weight)


def test_offers_cover_every_side_down_in_every_turn() -> None:
    rotations = offered_rotations(24)

    np.testing.assert_allclose(rotations[:9], offered_rotations(9))
    relative = np.einsum('aij,bkj->abik', rotations, rotations)
    angle = np.degrees(np.arccos(np.clip((np.trace(relative, axis1=2, axis2=3) - 1) / 2, -1, 1)))
    assert angle[~np.eye(24, dtype=bool)].min() > 89.0
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0)
    with pytest.raises(ConfigurationError, match='9 or 24 placements, not 7'):
        offered_rotations(7)


def test_more_offers_are_the_old_ones_turned_about_the_own_vertical(
        inputs: tuple[Tensor, ...]) -> None:
    torch.manual_seed(3)
    few = CRNetLite(CRNetLiteConfig(EncoderConfig(stages=1, width=32, latents=8, offers=9),
                                    steps=0), PRIOR).eval()
    many = CRNetLite(CRNetLiteConfig(EncoderConfig(stages=1, width=32, latents=8), steps=0),
                     PRIOR).eval()
    many.load_state_dict(more_offers(few.state_dict(), many.state_dict()))
    old, new = offered_rotations(9), offered_rotations(24)
    number = next(number for number in range(9, 24) if np.allclose(new[number][1], old[5][1]))
    turn = torch.from_numpy(new[number] @ old[5].T).float()

    chosen = [network.encoder(*inputs, rank=None).placed for network in (few, many)]
    torch.testing.assert_close(chosen[0], chosen[1])
    offers = []
    for network in (few, many):
        taken: list[Tensor] = []
        moves = network.encoder.stages[0].moves
        network.encoder.stages[0].moves = lambda *given, run=moves, kept=taken: (
            kept.append(run(*given)) or kept[-1])
        network.encoder(*inputs)
        offers.append(taken[0])
    torch.testing.assert_close(offers[1][:, :9], offers[0])
    torch.testing.assert_close(offers[1][:, number], offers[0][:, 5] @ turn.T, atol=1e-5,
                               rtol=1e-5)


def test_weights_that_cannot_get_more_offers_stay_as_they_are() -> None:
    config = EncoderConfig(stages=1, width=32, latents=8)
    many, few = (CRNetLite(CRNetLiteConfig(EncoderConfig(**{**config.as_dict(), 'offers': offers}),
                                           steps=0), PRIOR).state_dict() for offers in (24, 9))
    kept = more_offers(many, few)
    assert all(kept[name] is value for name, value in many.items())


@pytest.mark.parametrize('steps', [0, 1, 2, 3])
@pytest.mark.parametrize('relation', KINDS)
def test_every_relation_and_number_of_steps_runs(relation: str, steps: int,
                                                 inputs: tuple[Tensor, ...]) -> None:
    output = crnet(relation, steps)(*inputs)

    assert len(output.steps) == steps + 1
    assert output.steps[-1].nocs.shape == (3, POINTS, 3)


@pytest.mark.parametrize('kind', KINDS)
def test_a_relation_starts_as_no_change_and_then_looks_at_the_other_set(kind: str) -> None:
    generator = torch.Generator().manual_seed(2)
    x, y = torch.randn(2, 10, 32, generator=generator), torch.randn(2, 7, 32, generator=generator)
    relation = make_relation(kind, 32, 4)

    untouched = relation(x, y)
    torch.testing.assert_close(untouched[0], x)
    torch.testing.assert_close(untouched[1], y)
    awake(relation)
    moved = relation(x, y)[0] - relation(x, y + 1.0 + y.square())[0]
    assert (moved.abs().max() > 1e-4) == (kind != 'none')


def test_configurations_survive_their_plain_form() -> None:
    for config in (crnet('mlp', 1).config, acr().config):
        assert type(config).from_dict(config.as_dict()) == config


def test_the_surface_around_points_of_a_plane_is_flat_along_its_normal() -> None:
    generator = torch.Generator().manual_seed(4)
    flat = torch.rand(1, 256, 3, generator=generator)
    flat[..., 2] = 0.3

    xx, _, xz, yy, yz, zz = surface_shape(flat)[0].unbind(dim=1)

    torch.testing.assert_close(zz, torch.zeros(256), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(xz.abs() + yz.abs(), torch.zeros(256), atol=1e-4, rtol=0.0)
    torch.testing.assert_close(xx + yy, torch.ones(256), atol=1e-4, rtol=0.0)


def test_points_that_are_all_the_same_have_no_surface_but_no_nan_either() -> None:
    assert torch.isfinite(surface_shape(torch.zeros(1, 32, 3))).all()
