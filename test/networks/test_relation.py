"""Relation blocks: the transformer is the published one, the others do what the paper says."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from pose_estimation_ros.networks.relation import TransformerRelation, relation_block
from pose_estimation_ros.runtime import InferenceSession
from pose_estimation_ros.training.onnx_files import write_onnx

WHOLE = Path(__file__).parents[2].parent / 'shared/specs/fixtures/spd'
KINDS = ['mlp', 'nonlocal', 'transformer']


def test_the_transformer_agrees_with_the_published_one_to_1e_4(
        fill_parameters: Callable[[nn.Module, str], None]) -> None:
    path = WHOLE / 'crnet_relation_parity.npz'
    if not path.is_file():
        pytest.skip('the whole fixtures are not beside this clone')
    network = nn.ModuleDict({'transformer64': TransformerRelation(64)})
    fill_parameters(network, 'A')
    with np.load(path) as file, torch.no_grad():
        ours = network['transformer64'](torch.from_numpy(file['in_a']),
                                        torch.from_numpy(file['in_b']))
        for update, name in zip(ours, ('out_a', 'out_b'), strict=True):
            np.testing.assert_allclose(update, file[name], atol=1e-4)
            np.testing.assert_allclose(update[:, :, :64], file[f'{name}_f64_first64'], atol=1e-4)


def test_the_exported_transformer_attends_without_the_matrix_of_all_pairs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    block = TransformerRelation(16).eval()
    inputs = dict(zip('ab', torch.randn(2, 3, 16, 20), strict=True))
    write_onnx(block, inputs, ['of_a', 'of_b'], tmp_path / 'block.onnx',
               {name: {0: 'objects', 2: 'points'} for name in 'ab'})

    operators = Counter(node.op_type for node in onnx.load(tmp_path / 'block.onnx').graph.node)
    assert operators['MultiHeadAttention'] == 6
    assert operators['Softmax'] == 0
    session = InferenceSession(tmp_path / 'block.onnx', 'cpu')
    a, b = torch.randn(2, 2, 16, 300)
    found = session.run({'a': a.numpy(), 'b': b.numpy()})
    with torch.no_grad():
        wanted = block(a, b)
    for name, update in zip(('of_a', 'of_b'), wanted, strict=True):
        np.testing.assert_allclose(found[name], update, atol=1e-5)


@pytest.mark.parametrize('kind', KINDS)
def test_the_order_of_pairs_does_not_matter_and_every_parameter_learns(kind: str) -> None:
    torch.manual_seed(0)
    block = relation_block(kind, 16)
    a, b = torch.randn(2, 2, 16, 12)
    # Pooling by two sees neighbours, so that pairs of neighbours are what may change places.
    order = torch.randperm(6).repeat_interleave(2) * 2 + torch.arange(2).repeat(6)

    straight = block(a, b)
    shuffled = block(a[:, :, order], b[:, :, order])

    for update, other in zip(straight, shuffled, strict=True):
        assert update.shape == a.shape
        torch.testing.assert_close(other, update[:, :, order], atol=1e-5, rtol=1e-4)
    if kind == 'nonlocal':
        # Its last normalisation starts at zero: at first it lets no gradient through.
        nn.init.ones_(block.out[1].weight)
        straight = block(a, b)
    (straight[0].square().sum() + straight[1].square().sum()).backward()
    without = [name for name, value in block.named_parameters()
               if value.grad is None or not value.grad.any()]
    # The last normalisation takes away what is the same for all of its inputs.
    assert without in ([], ['out.0.bias'])


@pytest.mark.parametrize('kind', ['nonlocal', 'transformer'])
def test_sets_of_different_sizes_are_related(kind: str) -> None:
    block = relation_block(kind, 16)
    of_a, of_b = block(torch.randn(1, 16, 12), torch.randn(1, 16, 8))
    assert (of_a.shape, of_b.shape) == ((1, 16, 12), (1, 16, 8))


def test_one_weight_set_serves_both_directions() -> None:
    torch.manual_seed(1)
    block = relation_block('transformer', 16)
    a, b = torch.randn(2, 1, 16, 6)
    torch.testing.assert_close(block(a, b), block(b, a)[::-1])


def test_features_without_any_difference_have_a_gradient() -> None:
    block = relation_block('transformer', 16)
    a = torch.zeros(1, 16, 4, requires_grad=True)
    block(a, torch.zeros(1, 16, 4))[0].sum().backward()
    assert torch.isfinite(a.grad).all()


def test_an_untrained_non_local_block_changes_nothing_but_the_scale() -> None:
    block = relation_block('nonlocal', 16)
    a, b = torch.randn(2, 1, 16, 6)
    torch.testing.assert_close(block(a, b), (a, b))


def test_no_relation_has_no_block() -> None:
    assert relation_block('none', 16) is None
