"""The full MRC-Net computes what the published one computes; small ones do what they say."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))

from mrc_networks import published_network, tiny_config, tiny_network

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.rotation import rotation_from_6d
from pose_estimation_ros.core.site_translation import TranslationGrid
from pose_estimation_ros.core.so3_grid import so3_grid
from pose_estimation_ros.networks.mrc import MRCConfig, MRCNet, PoseLogits, PoseResidual, Pyramid

DATA = Path(__file__).parents[1] / 'data' / 'mrc'
WHOLE = Path(__file__).parents[2].parent / 'shared/specs/fixtures/rgb/mrcnet_parity_he.npz'
# The fixture was recorded with the depths of T-LESS, metres per pixel.
TLESS = TranslationGrid(256, 64, 1000, 0.05e-3, 1.7e-3)


@pytest.fixture(scope='module')
def published() -> MRCNet:
    """Return the published network with the recorded parameters, for three objects."""
    return published_network(3)


def _coarse_pose(logits: PoseLogits, K: NDArray[np.float32]
                 ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    R = so3_grid(4)[logits.rotation.argmax(dim=1).numpy()]
    tau = np.concatenate([TLESS.cell_centers()[logits.xy.argmax(dim=1).numpy()],
                          TLESS.depth_centers()[logits.depth.argmax(dim=1).numpy(), None]], axis=1)
    return R, TLESS.decode(tau, K)


def _residual(network: MRCNet, real: Pyramid, rendering: Tensor, index: Tensor,
              t: NDArray[np.float64], aux: Tensor) -> PoseResidual:
    ratio = torch.from_numpy((t[:, :2] / t[:, 2:]).astype(np.float32))
    return network.regress(real, network.encode(rendering, index),
                           torch.cat([ratio, aux[:, 2:]], dim=1))


def test_one_object_of_the_balanced_fixture_agrees_to_1e_4(published: MRCNet) -> None:
    with np.load(DATA / 'network.npz') as file, torch.no_grad():
        index, aux = torch.from_numpy(file['index']), torch.from_numpy(file['aux'])
        real = published.encode(torch.from_numpy(file['image']), index)
        logits = published.classify(real, aux)
        R, t = _coarse_pose(logits, file['K'])
        residual = _residual(published, real, torch.from_numpy(file['rendering']), index, t, aux)

        np.testing.assert_allclose(logits.rotation, file['rotation'], atol=1e-4)
        np.testing.assert_allclose(residual.rotation, file['rotation_rest'], atol=1e-4)
        np.testing.assert_allclose(1e3 * residual.depth, file['depth_rest'], atol=1e-4)
        np.testing.assert_allclose(residual.xy, file['xy_rest'], atol=1e-4)
        np.testing.assert_allclose(rotation_from_6d(residual.rotation) @ R,
                                   file['final_rotation'], atol=1e-4)


def test_the_whole_balanced_fixture_agrees_to_1e_4(published: MRCNet) -> None:
    if not WHOLE.is_file():
        pytest.skip('the whole fixtures are not beside this clone')
    with np.load(WHOLE) as file, torch.no_grad():
        index, aux = torch.from_numpy(file['in_obj_cls']), torch.from_numpy(file['in_fov'])
        real = published.encode(torch.from_numpy(file['in_x']), index)
        logits = published.classify(real, aux)
        rendering = np.concatenate([file['in_render_rgb'], file['in_render_bbox_map']], axis=1)
        rendered = published.encode(torch.from_numpy(rendering), index)
        correlations = published.regressor.correlations
        R, t = _coarse_pose(logits, file['in_K'])
        ratio = torch.from_numpy((t[:, :2] / t[:, 2:]).astype(np.float32))
        residual = published.regress(real, rendered, torch.cat([ratio, aux[:, 2:]], dim=1))

        for ours, name in ((real.mask, 'mask_real_logits'), (real.x8, 'real_x8'),
                           (real.x16, 'real_x16'), (rendered.x4[:, :64], 'feat_synt'),
                           (correlations['4'](rendered.x4, real.x4), 'corr_x4'),
                           (correlations['16'](rendered.x16, real.x16), 'corr_x16'),
                           (logits.rotation, 'pose_logits'), (logits.depth, 'depth_logits'),
                           (logits.xy, 'trans_logits'), (residual.rotation, 'pose_res'),
                           (1e3 * residual.depth, 'depth_res'), (residual.xy, 'trans_res')):
            recorded = file[name]
            np.testing.assert_allclose(ours[:len(recorded)], recorded, atol=1e-4, err_msg=name)
        np.testing.assert_allclose(logits.rotation, file['f64_pose_logits'], atol=1e-4)
        np.testing.assert_allclose(residual.rotation, file['f64_pose_res'], atol=1e-4)
        np.testing.assert_allclose(1e3 * t, file['coarse_t3d'], rtol=1e-5, atol=1e-3)
        tau = TLESS.encode(t, file['in_K']) + np.concatenate(
            [residual.xy.numpy(), residual.depth.numpy()], axis=1)
        np.testing.assert_allclose(1e3 * TLESS.decode(tau, file['in_K']), file['final_t3d'],
                                   rtol=1e-5, atol=1e-2)
        np.testing.assert_allclose(rotation_from_6d(residual.rotation) @ R, file['final_R'],
                                   atol=1e-4)


def _random_inputs(count: int, objects: int = 3, crop: int = 64
                   ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return crops, renderings, what they show, and their cameras."""
    generator = torch.Generator().manual_seed(1)
    return (torch.rand(count, 4, crop, crop, generator=generator),
            torch.rand(count, 4, crop, crop, generator=generator),
            torch.arange(count) * 2 % objects, torch.randn(count, 3, generator=generator))


def _answers(network: MRCNet, image: Tensor, rendering: Tensor, index: Tensor, aux: Tensor
             ) -> list[Tensor]:
    real = network.encode(image, index)
    rendered = network.encode(rendering, index)
    return [*network.classify(real, aux), *network.regress(real, rendered, aux), real.mask]


def test_all_objects_begin_with_the_same_decoder() -> None:
    for name, value in MRCNet(tiny_config()).decoder.named_parameters():
        assert len(value) == 3 and torch.equal(value, value[:1].expand_as(value)), name
        assert name.endswith('bias') or value.std() > 0.01, name


def test_with_group_norm_an_answer_does_not_depend_on_the_batch() -> None:
    network, inputs = tiny_network(norm='group'), _random_inputs(5)
    with torch.no_grad():
        together = _answers(network, *inputs)
        for sample in range(5):
            alone = _answers(network, *(value[sample:sample + 1] for value in inputs))
            for one, many in zip(alone, together, strict=True):
                torch.testing.assert_close(one[0], many[sample], atol=1e-5, rtol=1e-4)


def test_with_batch_norm_it_does_as_in_the_published_network() -> None:
    network, inputs = tiny_network(norm='batch'), _random_inputs(5)
    with torch.no_grad():
        together = _answers(network, *inputs)
        alone = _answers(network, *(value[:1] for value in inputs))
        twice = _answers(network, *(torch.cat([value, value]) for value in inputs))
    assert (alone[0][0] - together[0][0]).abs().max() > 1e-2
    # The same neighbours twice have the same statistics.
    torch.testing.assert_close(twice[0][:5], together[0], atol=1e-5, rtol=1e-4)


def test_every_object_has_a_decoder_of_its_own() -> None:
    network, (image, _, _, _) = tiny_network(), _random_inputs(1)
    with torch.no_grad():
        masks = network.encode(image.expand(3, -1, -1, -1), torch.tensor([0, 1, 2])).mask
        changed = masks.clone()
        network.decoder.last.bias[1] += 1.0
        changed = network.encode(image.expand(3, -1, -1, -1), torch.tensor([0, 1, 2])).mask
    assert (masks[0] - masks[2]).abs().max() > 1e-2
    torch.testing.assert_close(changed[1], masks[1] + 1.0)
    torch.testing.assert_close(changed[[0, 2]], masks[[0, 2]])


def test_the_answers_have_the_shapes_of_the_configuration() -> None:
    config = tiny_config(crop=96, width=12, nside=2, cells=5)
    network = MRCNet(config)
    image, rendering, index, aux = _random_inputs(2, crop=96)
    with torch.no_grad():
        real = network.encode(image, index)
        logits = network.classify(real, aux)
        residual = network.regress(real, network.encode(rendering, index), aux)
    assert real.x4.shape == (2, 13, 24, 24)
    assert (real.x8.shape, real.x16.shape) == ((2, 24, 12, 12), (2, 24, 6, 6))
    assert [value.shape[1] for value in logits] == [576, 8, 25]
    assert [value.shape[1] for value in residual] == [6, 1, 2]
    assert (config.rotations, config.translation_grid.cells) == (576, 5)


def test_a_new_network_leaves_the_coarse_pose_nearly_as_it_is() -> None:
    torch.manual_seed(0)
    network = MRCNet(tiny_config(depth_bins=100))
    image, rendering, index, aux = _random_inputs(2)
    with torch.no_grad():
        residual = network.regress(network.encode(image, index),
                                   network.encode(rendering, index), aux)
    np.testing.assert_allclose(rotation_from_6d(residual.rotation), np.eye(3)[None].repeat(
        2, axis=0), atol=0.1)
    assert residual.depth.abs().max() < 1e-4
    assert residual.xy.abs().max() < 0.5


def test_a_network_learns_two_samples_in_bfloat16() -> None:
    torch.manual_seed(0)
    network = MRCNet(tiny_config())
    image, rendering, index, aux = _random_inputs(2)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    bins = torch.tensor([7, 50])
    losses = []
    for _ in range(12):
        with torch.autocast('cpu', torch.bfloat16):
            real = network.encode(image, index)
            logits = network.classify(real, aux)
            residual = network.regress(real, network.encode(rendering, index), aux)
        assert {value.dtype for value in (*logits, *residual, real.mask)} == {torch.float32}
        loss = (F.cross_entropy(logits.rotation, bins) + F.cross_entropy(logits.depth, bins // 8)
                + F.cross_entropy(logits.xy, bins) + residual.rotation.square().mean()
                + (1e3 * residual.depth - 1).square().mean() + residual.xy.square().mean()
                + F.binary_cross_entropy_with_logits(real.mask, torch.ones_like(real.mask)))
        optimizer.zero_grad()
        loss.backward()
        # 0 and 2 are shown, 1 is not.
        assert network.decoder.last.weights.grad[1].abs().max() == 0
        assert all(parameter.grad is not None and parameter.grad.abs().max() > 0
                   for parameter in network.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_the_mask_channel_of_the_features_is_not_trained_by_the_pose() -> None:
    network, (image, _, index, aux) = tiny_network(), _random_inputs(2)
    logits = network.classify(network.encode(image, index), aux)
    logits.rotation.sum().backward()
    gradient = network.decoder.last.weights.grad
    assert gradient[:, -1].abs().max() == 0
    assert gradient[0, 0].abs().max() > 0


def test_only_chosen_scales_are_correlated() -> None:
    image, rendering, index, aux = _random_inputs(2)
    shifts = 25
    for levels in ((16,), (4, 8), (4, 8, 16)):
        network = tiny_network(levels=levels)
        assert list(network.regressor.correlations) == [str(level) for level in levels]
        assert network.regressor.from_4.conv.in_channels == 9 + shifts * (4 in levels)
        assert network.regressor.from_16.conv.in_channels == 48 + shifts * (16 in levels)
        with torch.no_grad():
            answers = _answers(network, image, rendering, index, aux)
            others = _answers(network, image, rendering.flip(3), index, aux)
        assert (answers[3] - others[3]).abs().max() > 1e-3


def test_a_parallel_regression_needs_no_rendering() -> None:
    network, (image, rendering, index, aux) = tiny_network(regression='parallel'), (
        _random_inputs(2))
    with torch.no_grad():
        real = network.encode(image, index)
        without = network.regress(real, None, aux)
        seen = network.regress(real, network.encode(rendering, index), aux)
    for one, other in zip(without, seen, strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=0)


@pytest.mark.parametrize('regression', ['none', 'sequential'])
def test_what_cannot_be_regressed_is_refused(regression: str) -> None:
    network, (image, _, index, aux) = tiny_network(regression=regression), _random_inputs(2)
    with torch.no_grad(), pytest.raises(ConfigurationError, match=regression):
        network.regress(network.encode(image, index), None, aux)


def test_a_configuration_survives_a_manifest() -> None:
    config = tiny_config(levels=(4, 16), norm='batch', regression='parallel')
    assert config.as_dict()['levels'] == [4, 16]
    assert MRCConfig.from_dict(config.as_dict()) == config


@pytest.mark.parametrize(('changes', 'message'), [
    ({'norm': 'layer'}, "no norm 'layer'"), ({'regression': 'twice'}, "no regression 'twice'"),
    ({'crop': 100}, 'a multiple of 32 pixels, not 3 and 100'), ({'objects': 0}, 'not 0 and 64'),
    ({'blocks': (3, 4, 6)}, 'four stages'), ({'levels': (4, 32)}, r'not \(4, 32\)')])
def test_what_no_network_can_be_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        tiny_config(**changes)
