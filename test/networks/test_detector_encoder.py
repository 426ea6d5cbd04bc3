"""MRC-Net's encoder from a detector sees what the detector saw, and crops alone."""

import pytest
import torch

from pose_estimation_ros.core.color_normalization import COLOR_DEVIATION, COLOR_MEAN
from pose_estimation_ros.networks.detector_encoder import DetectorEncoder
from pose_estimation_ros.networks.detector_features import DetectorFeatures
from pose_estimation_ros.networks.mask_rcnn import MaskRCNN, MaskRCNNConfig


@pytest.fixture(scope='module')
def detector():
    torch.manual_seed(0)
    return MaskRCNN(MaskRCNNConfig(input_channels=8)).eval()


def images(count):
    return torch.rand(count, 4, 64, 64, generator=torch.Generator().manual_seed(1))


def test_maps_have_the_sizes_that_the_decoder_takes():
    quarter, eighth, sixteenth = DetectorEncoder(16)(images(2))
    assert quarter.shape == (2, 32, 16, 16)
    assert eighth.shape == (2, 64, 8, 8)
    assert sixteenth.shape == (2, 128, 4, 4)


def test_it_begins_with_the_pyramid_of_the_detector_on_colours(detector):
    encoder = DetectorEncoder(16)
    encoder.begin_with_detector(detector.state_dict())
    encoder.eval()
    image = images(1)
    seen = torch.zeros(1, 8, 64, 64)
    seen[:, :3] = (image[:, [2, 1, 0]] - COLOR_MEAN) / COLOR_DEVIATION
    with torch.no_grad():
        level = detector.backbone(seen)['P2']
        expected = torch.nn.functional.silu(encoder.levels[0](level.relu()))
        torch.testing.assert_close(encoder(image)[0], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('create', [lambda: DetectorEncoder(16), DetectorFeatures],
                         ids=['encoder', 'features'])
def test_weights_that_are_no_detector_s_are_refused_rather_than_left_out(detector, create):
    headless = {name: value for name, value in detector.state_dict().items()
                if 'stages.3' not in name}
    for weights in ({}, headless):
        with pytest.raises(RuntimeError, match='Missing key'):
            create().begin_with_detector(weights)


def test_an_answer_does_not_depend_on_the_other_crops_even_while_it_learns(detector):
    encoder = DetectorEncoder(16).train()
    encoder.begin_with_detector(detector.state_dict())
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    image = images(3)
    with torch.no_grad():
        together = encoder(image)
        alone = encoder(image[1:2])
    for whole, part in zip(together, alone, strict=True):
        torch.testing.assert_close(whole[1:2], part, atol=1e-4, rtol=1e-4)
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_the_map_of_the_box_is_seen():
    encoder = DetectorEncoder(16)
    image = images(1)
    other = image.clone()
    other[:, 3] = 1 - other[:, 3]
    assert (encoder(image)[2] - encoder(other)[2]).abs().max() > 1e-3
