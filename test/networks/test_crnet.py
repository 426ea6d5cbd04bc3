"""The full CR-Net computes what the published one computes; its variants do what they say."""

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.networks import crnet
from pose_estimation_ros.networks.crnet import CRNet, CRNetConfig, LastStage
from pose_estimation_ros.networks.spd import SPD, reconstruct

DATA = Path(__file__).parents[1] / 'data' / 'spd'
WHOLE = Path(__file__).parents[2].parent / 'shared/specs/fixtures/spd'
POINTS = 16

Fill = Callable[[nn.Module, str], None]
Inputs = tuple[Tensor, ...]


@pytest.fixture(scope='module')
def released(fill_parameters: Fill) -> CRNet:
    """Return the released network with the parameters of the recorded fill B."""
    network = CRNet().eval()
    # For CR-Net fill B is fill A with the last assignment layers a hundredth as strong.
    fill_parameters(network, 'A')
    with torch.no_grad():
        for head in (network.assignment, network.assignment0, network.assignment1):
            for parameter in head[4].parameters():
                parameter *= 0.01
    return network


def _predict(network: CRNet, inputs: Inputs) -> dict[str, np.ndarray]:
    with torch.no_grad():
        logits, deformation = network.last_stage(*inputs)
        coordinates, shape = reconstruct(logits, deformation, inputs[4])
    return {'assign_mat': logits.numpy(), 'deltas': deformation.numpy(),
            'coords': coordinates.numpy(), 'inst_shape': shape.numpy()}


def _recorded_inputs(file: np.lib.npyio.NpzFile) -> Inputs:
    names = ('in_points', 'in_img', 'in_choose', 'in_cat_id', 'in_prior')
    return tuple(torch.from_numpy(file[name]) for name in names)


def _random_inputs(objects: int = 2) -> Inputs:
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(objects, POINTS, 3, generator=generator),
            torch.randn(objects, 3, 192, 192, generator=generator),
            torch.randint(192 * 192, (objects, POINTS), generator=generator),
            torch.arange(objects) + 3,
            torch.rand(objects, POINTS, 3, generator=generator) - 0.5)


class _NoImage(nn.Module):
    """Stands for the image encoder, which is the same in every variant and slow."""

    def forward(self, image: Tensor, pixel_index: Tensor) -> Tensor:
        return image.flatten(2)[:, :1, :pixel_index.shape[1]].expand(-1, 32, -1)


def _small(**changes: object) -> CRNet:
    torch.manual_seed(0)
    with patch.object(crnet, 'PSPNet', _NoImage):
        return CRNet(CRNetConfig(points=POINTS, **changes)).eval()


def test_parameters_have_the_published_names_and_shapes(released: CRNet) -> None:
    expected = json.loads((DATA / 'crnet_parameters.json').read_text())
    assert len(expected) == 197
    assert {name: list(value.shape) for name, value in released.state_dict().items()} == expected
    assert sum(value.numel() for value in released.parameters()) == 21_423_065


def test_one_object_of_the_balanced_fixture_agrees_to_1e_4(released: CRNet) -> None:
    # The recorded inputs are those of the SPD fixture.
    with np.load(DATA / 'spd_excerpt.npz') as inputs, np.load(DATA / 'crnet_excerpt.npz') as file:
        ours = _predict(released, _recorded_inputs(inputs))
        np.testing.assert_allclose(ours['assign_mat'][:, ::32], file['assign_mat'], atol=1e-4)
        for name in ('deltas', 'coords'):
            np.testing.assert_allclose(ours[name], file[name], atol=1e-4)


def test_the_whole_balanced_fixture_agrees_to_1e_4(released: CRNet) -> None:
    path = WHOLE / 'crnet_parity.npz'
    if not path.is_file():
        pytest.skip('the whole fixtures are not beside this clone')
    with np.load(path) as file:
        inputs = _recorded_inputs(file)
        ours = _predict(released, inputs)
        for name, value in ours.items():
            np.testing.assert_allclose(value, file[f'B_{name}'], atol=1e-4)
        for pair in ((1, 2), (4, 5)):
            ours = _predict(released, (*inputs[:3], torch.tensor(pair), inputs[4]))
            for name in ('coords', 'deltas'):
                expected = file[f'B_{name}_f64_cat_{pair[0]}_{pair[1]}']
                np.testing.assert_allclose(ours[name], expected, atol=1e-4)


@pytest.mark.parametrize('recurrence', ['released', 'paper'])
def test_matrices_of_logits_are_multiplied_as_if_they_were_formed(recurrence: str) -> None:
    network, inputs = _small(recurrence=recurrence), _random_inputs()
    formed = []
    for name in ('assignment', 'assignment0', 'assignment1'):
        head = network.get_submodule(name)
        factored = head.factored

        def record(*arguments: object, factored: object = factored) -> object:
            formed.append(factored(*arguments))
            return formed[-1]

        head.factored = record

    stages = network(*inputs)

    expected = formed[0].dense()
    torch.testing.assert_close(stages[0][0], expected)
    for matrix, (logits, _) in zip(formed[1:], stages[1:], strict=True):
        expected = expected @ matrix.dense()
        torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-4)


VARIANTS = [
    *({'instance_relation': a, 'category_relation': b, 'steps': 1}
      for a, b in product(('none', 'mlp', 'nonlocal', 'transformer'), repeat=2)),
    *({'steps': steps, 'recurrence': recurrence, 'assignment': assignment}
      for steps, recurrence, assignment in product(
          (0, 1, 3), ('released', 'paper'), ('logits', 'probabilities'))),
    {'category_relation': 'none', 'recurrence': 'paper'},
]


@pytest.mark.parametrize('variant', VARIANTS, ids=lambda variant: ' '.join(map(
    str, variant.values())))
def test_every_variant_answers_at_every_stage_and_all_of_it_learns(
        variant: dict[str, object]) -> None:
    network, inputs = _small(**variant).train(), _random_inputs()
    for block in (network.transformer64, network.transformer128):
        if hasattr(block, 'out'):
            nn.init.ones_(block.out[1].weight)  # starts at zero and would hold back gradients

    stages = network(*inputs)

    assert len(stages) == 1 + network.config.steps
    loss = torch.zeros(())
    for logits, deformation in stages:
        assert logits.shape == (2, POINTS, POINTS)
        assert deformation.shape == (2, POINTS, 3)
        nocs, shape = reconstruct(logits, deformation, inputs[4])
        loss = loss + nocs.square().sum() + shape.square().sum()
    for ours, last in zip(network.eval().last_stage(*inputs), network(*inputs)[-1], strict=True):
        torch.testing.assert_close(ours, last)
    loss.backward()
    without = [name for name, value in network.named_parameters() if value.grad is None]
    assert without == []


def test_without_relations_and_steps_it_is_spd() -> None:
    torch.manual_seed(0)
    spd = SPD().eval()
    network = CRNet(CRNetConfig('none', 'none', steps=0)).eval()
    network.load_state_dict(spd.state_dict())
    spd.psp = network.psp = _NoImage()
    points, image, pixel_index, category, _ = _random_inputs()
    inputs = (points, image, pixel_index, category, torch.rand(2, 1024, 3) - 0.5)
    ((logits, deformation),) = network(*inputs)
    torch.testing.assert_close((logits, deformation), spd(*inputs), atol=1e-5, rtol=1e-4)


def test_the_paper_relates_object_and_deformed_shape_anew_with_the_same_weights() -> None:
    network, inputs = _small(recurrence='paper', steps=1), _random_inputs()
    category = inputs[3]
    with torch.no_grad():
        network.deformation[4].weight *= 1e3  # for a shape that is not the prior
        (_, first), (_, second) = network(*inputs)
        deformed = (*inputs[:4], inputs[4] + first)
        instance = network._instance(*inputs[:3])
        _, features = network._head_inputs(instance, deformed[4])
        expected = first + network.deformation0(category, *features)
    assert first.abs().max() > 0.1
    torch.testing.assert_close(second, expected)


def test_probabilities_keep_rows_that_sum_to_one_and_untrained_steps_keep_assignments() -> None:
    network, inputs = _small(assignment='probabilities'), _random_inputs()
    with torch.no_grad():
        stages = [logits for logits, _ in network(*inputs)]
    for logits in stages:
        # Logarithms of probabilities: a softmax does not change them.
        torch.testing.assert_close(logits.logsumexp(dim=2), torch.zeros(2, POINTS), atol=1e-5,
                                   rtol=0)
    change = (stages[2].exp() - stages[0].exp()).abs().sum(dim=2) / 2
    assert change.max() < 2 * 0.06


def test_an_object_does_not_depend_on_its_neighbours_in_the_batch() -> None:
    network, inputs = _small(), _random_inputs()
    with torch.no_grad():
        together, alone = LastStage(network)(*inputs), LastStage(network)(
            *(value[1:] for value in inputs))
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a[1:], b, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(('change', 'message'), [
    ({'steps': 4}, 'no steps 4; choose one of 0, 1, 2, 3'),
    ({'recurrence': 'both'}, "no recurrence 'both'; choose one of released, paper"),
    ({'instance_relation': 'gat'}, "no instance_relation 'gat'"),
    ({'assignment': 'rows'}, "no assignment 'rows'; choose one of logits, probabilities"),
])
def test_what_is_no_choice_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        CRNetConfig(**change)


def test_steps_want_as_many_observed_points_as_the_prior_has() -> None:
    points, image, pixel_index, category, prior = _random_inputs()
    with pytest.raises(InvalidInputError, match='16 are given, not 15'):
        _small()(points, image, pixel_index, category, prior[:, 1:])
