"""The full DISP6D computes what the published ones compute; small ones do what they say."""

import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))

from disp6d_networks import published_network, tiny_config, tiny_network

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.networks.disp6d import (
    LITE,
    PUBLISHED_CAD,
    PUBLISHED_CATEGORIES,
    Disp6d,
    Disp6dConfig,
    ViewCodes,
)
from pose_estimation_ros.networks.shape_conditioning import ShapeConditionedCodes
from pose_estimation_ros.networks.view_encoder import HalvingConvolution, unit_length
from pose_estimation_ros.training.disp6d_losses import (
    pose_loss,
    reconstruction_loss,
    shape_loss,
)

DATA = Path(__file__).parents[1] / 'data' / 'disp6d'
WHOLE = Path(__file__).parents[2].parent / 'shared/specs/fixtures/rgb'
CASES = {'cad': ('tless', 'subdiv_f18_softmax', PUBLISHED_CAD),
         'categories': ('real275', 'subdiv_camera', PUBLISHED_CATEGORIES)}


@pytest.fixture(scope='module')
def published() -> Callable[[str], Disp6d]:
    """Return the function from a case to its network; making one takes seconds."""
    return lru_cache(lambda kind: published_network(CASES[kind][2], CASES[kind][1]))


def _assert_close(ours: Tensor, recorded: np.ndarray, tolerance: float) -> None:
    """Compare with a tolerance relative to the largest value."""
    np.testing.assert_allclose(ours, recorded, rtol=0, atol=tolerance * np.abs(recorded).max())


def _channels_first(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2)


@pytest.mark.parametrize('kind', CASES)
def test_a_crop_of_the_recorded_fixtures_agrees(
        kind: str, published: Callable[[str], Disp6d]) -> None:
    network = published(kind)
    with np.load(DATA / 'network.npz') as file, torch.no_grad():
        codes = network.encode(_channels_first(file['image']))
        _assert_close(codes.shape, file[f'{kind}_shape'], 1e-5)
        _assert_close(codes.pose, file[f'{kind}_pose'], 1e-5)
        conditioned = network.condition(codes.shape, torch.from_numpy(file['harmonics']))
        _assert_close(conditioned.mT, file[f'{kind}_codebook'], 1e-5)
        cosine = unit_length(conditioned) @ unit_length(codes.pose)[:, :, None]
        assert cosine[0, :, 0].argmax() == file[f'{kind}_index'][0]
        for branch, image in network.decode(codes).items():
            _assert_close(image.permute(0, 2, 3, 1)[:, ::8, ::8], file[f'{kind}_{branch}'], 1e-4)


@pytest.mark.parametrize('kind', CASES)
def test_the_whole_fixtures_agree(kind: str, published: Callable[[str], Disp6d]) -> None:
    path = WHOLE / f'disp6d_parity_{CASES[kind][0]}_brief.npz'
    if not path.is_file():
        pytest.skip('the whole fixtures are not beside this clone')
    network = published(kind)
    with np.load(path) as file, torch.no_grad():
        x = _channels_first(file['input_raw'])
        codes = network.encode(x)
        _assert_close(codes.shape, file['z_obj'], 1e-5)
        _assert_close(codes.pose, file['z_pose'], 1e-5)
        images = network.decode(codes)
        _assert_close(images['color'].permute(0, 2, 3, 1), file['y_bgr'], 1e-4)
        if 'depth' in images:
            _assert_close(images['depth'].permute(0, 2, 3, 1), file['y_depth'], 1e-4)
        x = _channels_first(file['enc_x'])
        for stage, layer in enumerate(network.encoder.stages):
            x = layer(x)
            if kind == 'cad':
                _assert_close(x[:1, :8].permute(0, 2, 3, 1),
                              file[f'conv{stage}_act_n0_c0_8'], 1e-5)


def test_the_losses_of_the_whole_training_fixture_agree() -> None:
    path = WHOLE / 'disp6d_parity_train_brief.npz'
    if not path.is_file():
        pytest.skip('the whole fixtures are not beside this clone')
    network = published_network(PUBLISHED_CAD, 'my_exp')
    with np.load(path) as file, torch.no_grad():
        codes = network.encode(_channels_first(file['input_raw']))
        color = network.decode(codes)['color']
        rotations = torch.from_numpy(file['hsh'][:2, None])
        conditioned = network.condition(codes.shape, rotations)
        _assert_close(conditioned, file['cond_code'], 1e-5)
        label = torch.from_numpy(file['labels'][:, 0]).long()
        assert reconstruction_loss(color, _channels_first(file['recon_gt_bgr'])).item() == (
            pytest.approx(float(file['recon_loss_bgr']), rel=1e-5))
        assert shape_loss(codes.shape, torch.from_numpy(file['ema_w_before'].T),
                          label).item() == pytest.approx(float(file['shape_loss']), rel=1e-5)
        assert pose_loss(conditioned[:, 0], codes.pose).item() == (
            pytest.approx(float(file['pose_loss']), rel=1e-4))


def test_the_published_networks_have_their_numbers_of_parameters() -> None:
    with torch.device('meta'):
        sizes = [sum(value.numel() for value in Disp6d(config).parameters())
                 for config in (PUBLISHED_CAD, PUBLISHED_CATEGORIES)]
    assert sizes == [36_529_539, 51_741_316]


def test_convolutions_pad_behind_the_image_first() -> None:
    layer = HalvingConvolution(1, 1, 5, 'none')
    with torch.no_grad():
        layer.conv.weight.fill_(1.0)
        layer.conv.bias.zero_()
        counts = layer(torch.ones(1, 1, 8, 8))
    # At the first pixel 4 of 5 rows are in the image, at the last one 3.
    assert counts[0, 0, 0, 0] == 16 and counts[0, 0, -1, -1] == 9


def test_codes_of_rotations_are_a_trilinear_form() -> None:
    torch.manual_seed(0)
    block = ShapeConditionedCodes(4, 6, 5)
    shape, rotation = torch.randn(2, 4), torch.randn(3, 6)
    with torch.no_grad():
        answer = block(shape, rotation)
        leaky = torch.nn.LeakyReLU(0.2)
        a, b = unit_length(leaky(block.shape(shape))), unit_length(leaky(block.rotation(rotation)))
        y = unit_length(leaky(torch.einsum('bi,ijk,nk->bnj', a, block.mix, b)))
        torch.testing.assert_close(answer, y + block.contract(leaky(block.expand(y))))
        pairs = block(shape, rotation[[2, 0]][:, None])
    torch.testing.assert_close(pairs[:, 0], answer[[0, 1], [2, 0]])


def test_stretched_crops_do_not_depend_on_brightness_and_contrast() -> None:
    image = torch.rand(2, 3, 32, 32)
    network = tiny_network(contrast='stretched')
    with torch.no_grad():
        given, darker = network.encode(image), network.encode(0.4 * image + 0.2)
        torch.testing.assert_close(given.pose, darker.pose, atol=1e-4, rtol=1e-4)
        assert all(torch.isfinite(code).all() for code in network.encode(torch.ones_like(image)))


def test_an_answer_does_not_depend_on_the_batch() -> None:
    network, image = tiny_network(), torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        together, alone = network.encode(image), network.encode(image[1:2])
        torch.testing.assert_close(together.pose[1:2], alone.pose, atol=1e-5, rtol=1e-4)
        decoded = network.decode(together)
        torch.testing.assert_close(network.decode(alone)['depth'], decoded['depth'][1:2],
                                   atol=1e-5, rtol=1e-4)
    assert {branch: tuple(value.shape) for branch, value in decoded.items()} == {
        'color': (3, 3, 32, 32), 'depth': (3, 1, 32, 32)}


def test_the_shape_changes_what_a_pose_is_decoded_to() -> None:
    network = tiny_network()
    codes = ViewCodes(*unit_length(torch.randn(2, 2, 8)))
    with torch.no_grad():
        one = network.decode(codes)['color']
        other = network.decode(ViewCodes(codes.shape.flip(0), codes.pose))['color']
    assert (one - other).abs().max() > 1e-2


def test_without_conditioning_all_shapes_have_the_same_codes_of_rotations() -> None:
    shape, rotation = torch.randn(2, 8), torch.randn(3, 164)
    with torch.no_grad():
        common = tiny_network(conditioning='none').condition(shape, rotation)
        conditioned = tiny_network().condition(shape, rotation)
    torch.testing.assert_close(common[0], common[1])
    assert (conditioned[0] - conditioned[1]).abs().max() > 1e-2


def test_a_network_learns_two_crops() -> None:
    torch.manual_seed(0)
    network, image = tiny_network(), torch.rand(2, 3, 32, 32)
    target = {'color': image.round(), 'depth': image[:, :1].round()}
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(20):
        codes = network.encode(image)
        loss = sum(reconstruction_loss(value, target[branch])
                   for branch, value in network.decode(codes).items())
        conditioned = network.condition(codes.shape.detach(), torch.eye(2, 164)[:, None])
        loss = loss + pose_loss(conditioned[:, 0], codes.pose)
        optimizer.zero_grad()
        loss.backward()
        assert all(value.grad is not None for value in network.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_a_configuration_survives_a_manifest() -> None:
    assert Disp6dConfig.from_dict(LITE.as_dict()) == LITE
    assert LITE.as_dict()['decoded'] == ['color', 'depth']


@pytest.mark.parametrize(('changes', 'message'), [
    ({'norm': 'batch'}, "no norm 'batch'"), ({'blocks': (1,)}, r'not \(1,\) for the widths'),
    ({'crop': 30}, 'a multiple of 4 pixels, not 30'), ({'decoded': ()}, r'not \(\)'),
    ({'decoded': ('normal',)}, "not \\('normal',\\)"),
    ({'encoding': 'euler'}, "no encoding 'euler'")])
def test_what_no_network_can_be_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        tiny_config(**changes)
