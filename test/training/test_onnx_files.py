"""ONNX files with weights in half precision are half as large and compute nearly the same."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from pose_estimation_ros.runtime.session import InferenceSession
from pose_estimation_ros.training.onnx_files import halve_weights, write_onnx


def test_halved_weights_answer_as_the_rounded_network_does(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 64, 5), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU(),
                            nn.Flatten(), nn.LazyLinear(8)).eval()
    image = torch.rand(2, 3, 12, 12)
    network(image)
    path = tmp_path / 'network.onnx'
    write_onnx(network, {'image': image}, ['answer'], path, {'image': {0: 'images'}})
    whole = path.stat().st_size

    halve_weights(path)

    assert path.stat().st_size < 0.55 * whole
    assert [file.name for file in tmp_path.iterdir()] == ['network.onnx']
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.numel() >= 4096:
                parameter.copy_(parameter.half().float())
        expected = network(image)
    answer = InferenceSession(path, 'cpu', threads=1).run({'image': image.numpy()})['answer']
    np.testing.assert_allclose(answer, expected, atol=1e-5)
