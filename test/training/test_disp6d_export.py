"""The ONNX networks of DISP6D compute what the network computes, for any number of crops."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))

from disp6d_networks import tiny_network

from pose_estimation_ros.core.hyperspherical_harmonics import encoding_size
from pose_estimation_ros.networks.disp6d import ViewCodes
from pose_estimation_ros.runtime.session import InferenceSession
from pose_estimation_ros.training.disp6d_export import export_networks


@pytest.mark.parametrize('changes', [
    {}, {'norm': 'row', 'kernel': 5, 'contrast': 'stretched', 'encoding': 'published'},
    {'norm': 'none', 'code_length': 'free', 'decoded': ('color',)}, {'conditioning': 'none'}],
    ids=['lite', 'categories', 'cad', 'unconditioned'])
def test_the_exported_networks_compute_the_same(changes: dict[str, object], tmp_path: Path
                                                ) -> None:
    network = tiny_network(**changes)
    files = export_networks(network, tmp_path)
    sessions = {role: InferenceSession(path, 'cpu', threads=1) for role, path in files.items()}
    assert ('depth_decoder' in files) == ('depth' in network.config.decoded)

    for crops, rotations in ((1, 1), (3, 7)):
        image = torch.rand(crops, 3, 32, 32)
        encoding = torch.rand(rotations, encoding_size(network.config.encoding))
        codes = sessions['encoder'].run({'image': image.numpy()})
        conditioned = sessions['conditioned_codes'].run(
            {'z_obj': codes['z_obj'], 'encoding': encoding.numpy()})
        with torch.no_grad():
            expected = network.encode(image)
            np.testing.assert_allclose(codes['z_obj'], expected.shape, atol=1e-4, rtol=1e-4)
            np.testing.assert_allclose(codes['z_pose'], expected.pose, atol=1e-4, rtol=1e-4)
            given = ViewCodes(*map(torch.from_numpy, (codes['z_obj'], codes['z_pose'])))
            np.testing.assert_allclose(conditioned['codes'],
                                       network.condition(given.shape, encoding), atol=1e-4)
            for branch, image in network.decode(given).items():
                decoded = sessions[f'{branch}_decoder'].run(codes)[branch]
                np.testing.assert_allclose(decoded, image, atol=1e-4)
