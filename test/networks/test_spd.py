"""The full SPD network computes what the published one computes."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pose_estimation_ros.networks.spd import SPD, reconstruct

DATA = Path(__file__).parents[1] / 'data' / 'spd'
WHOLE = Path(__file__).parents[2].parent / 'shared/specs/fixtures/spd'

Fill = Callable[[nn.Module, str], None]


@pytest.fixture(scope='module')
def network() -> SPD:
    return SPD().eval()


def _predict(network: SPD, inputs: dict[str, Tensor]) -> dict[str, np.ndarray]:
    with torch.no_grad():
        logits, deformation = network(
            inputs['in_points'], inputs['in_img'], inputs['in_choose'], inputs['in_cat_id'],
            inputs['in_prior'],
        )
        coordinates, shape = reconstruct(logits, deformation, inputs['in_prior'])
    return {
        'assign_mat': logits.numpy(),
        'deltas': deformation.numpy(),
        'coords': coordinates.numpy(),
        'inst_shape': shape.numpy(),
    }


def _inputs(file: np.lib.npyio.NpzFile) -> dict[str, Tensor]:
    return {name: torch.from_numpy(file[name]) for name in file.files if name.startswith('in_')}


def _whole_file(name: str) -> Path:
    path = WHOLE / name
    if not path.is_file():
        pytest.skip('the whole fixtures are not beside this clone')
    return path


def test_parameters_have_the_published_names_and_shapes(network: SPD) -> None:
    expected = json.loads((DATA / 'spd_parameters.json').read_text())
    assert {name: list(value.shape) for name, value in network.state_dict().items()} == expected
    assert sum(value.numel() for value in network.parameters()) == 18_326_197


def test_the_names_and_shapes_are_the_whole_specifications() -> None:
    specification = json.loads(_whole_file('spd_state_dict_spec.json').read_text())
    kept = json.loads((DATA / 'spd_parameters.json').read_text())
    assert kept == {entry['name']: entry['shape'] for entry in specification['tensors']}
    assert {entry['dtype'] for entry in specification['tensors']} == {'float32'}


def test_one_object_of_the_balanced_fixture_agrees_to_1e_4(
    network: SPD, fill_parameters: Fill
) -> None:
    fill_parameters(network, 'B')
    with np.load(DATA / 'spd_excerpt.npz') as file:
        ours = _predict(network, _inputs(file))
        np.testing.assert_allclose(ours['assign_mat'][:, ::32], file['assign_mat'], atol=1e-4)
        for name in ('deltas', 'coords'):
            np.testing.assert_allclose(ours[name], file[name], atol=1e-4)


def test_the_whole_balanced_fixture_agrees_to_1e_4(network: SPD, fill_parameters: Fill) -> None:
    fill_parameters(network, 'B')
    with np.load(_whole_file('spd_parity.npz')) as file:
        inputs = _inputs(file)
        ours = _predict(network, inputs)
        for name, value in ours.items():
            np.testing.assert_allclose(value, file[f'B_{name}'], atol=1e-4)
        for pair in ((1, 2), (4, 5)):
            inputs['in_cat_id'] = torch.tensor(pair)
            ours = _predict(network, inputs)
            for name in ('coords', 'deltas'):
                expected = file[f'B_{name}_f64_cat_{pair[0]}_{pair[1]}']
                np.testing.assert_allclose(ours[name], expected, atol=1e-4)


def test_the_whole_plain_fixture_agrees_within_its_tolerances(
    network: SPD, fill_parameters: Fill
) -> None:
    fill_parameters(network, 'A')
    with np.load(_whole_file('spd_parity.npz')) as file:
        ours = _predict(network, _inputs(file))
        np.testing.assert_allclose(ours['assign_mat'], file['assign_mat'], rtol=1e-5, atol=1e-3)
        for name in ('deltas', 'coords', 'inst_shape'):
            np.testing.assert_allclose(ours[name], file[name], atol=1e-4)


def test_the_shape_starts_as_the_prior_and_every_layer_learns() -> None:
    torch.manual_seed(0)
    network = SPD().train()
    prior = torch.rand(1, 1024, 3) - 0.5
    pixels = torch.randint(192 * 192, (1, 40))
    logits, deformation = network(
        torch.randn(1, 40, 3), torch.randn(1, 3, 192, 192), pixels, torch.tensor([5]), prior
    )
    assert deformation.abs().max().item() < 0.07  # the bias of the last layer: 1 / sqrt(256)
    assert deformation.std(dim=1).max().item() < 1e-3
    coordinates, shape = reconstruct(logits, deformation, prior)
    (coordinates.square().sum() + shape.square().sum()).backward()
    without = [name for name, value in network.named_parameters()
               if value.grad is None or not value.grad.any()]
    assert without == []
