"""What MRC-Net is told of a crop's camera, for the ablation of perspective correction."""

import pytest
import torch

from pose_estimation_ros.core.errors import ConfigurationError
from test.support.mrc_networks import tiny_config, tiny_network


@pytest.mark.parametrize(('camera', 'matters'), [('told', True), ('hidden', False)])
def test_answers_depend_on_the_camera_unless_it_is_hidden(camera, matters):
    network = tiny_network(camera=camera)
    image, index = torch.rand(2, 4, 64, 64), torch.tensor([0, 2])
    here, there = torch.zeros(2, 3), torch.full((2, 3), 0.5)
    with torch.no_grad():
        features = network.encode(image, index)
        rotations = [network.classify(features, aux).rotation for aux in (here, there)]
        rests = [network.regress(features, features, aux).rotation for aux in (here, there)]
    for first, second in (rotations, rests):
        assert torch.equal(first, second) != matters


def test_the_camera_is_told_or_hidden():
    with pytest.raises(ConfigurationError, match='camera'):
        tiny_config(camera='guessed')
