"""Time of the published encoder of DISP6D per crop, with random weights: PyTorch and exported.

    python benchmarks/disp6d_encoder.py --threads 2

The published network (TensorFlow) was measured elsewhere, specs/mrc_c2f_disp6d.md section 6.
"""

from __future__ import annotations

import argparse
import math
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from measuring import COLUMNS, in_turn
from torch import Tensor, nn
from whole_pipeline import publish

from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.networks.disp6d import Disp6d, Disp6dConfig
from pose_estimation_ros.runtime import InferenceSession
from pose_estimation_ros.training.onnx_files import write_onnx

_PUBLISHED = {1: 17.9, 4: 57.6}


class _Encoder(nn.Module):
    def __init__(self, network: Disp6d) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.network.encode(image))


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--threads', type=int, default=2, help='of PyTorch and ONNX Runtime')
    parser.add_argument('--repeats', type=int, default=15)
    parser.add_argument('--out', type=Path, help='write the table here as JSON and Markdown')
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    config = Disp6dConfig()
    encoder = _Encoder(Disp6d(config).eval())
    with TemporaryDirectory() as folder:
        path = Path(folder) / 'encoder.onnx'
        write_onnx(encoder, {'image': torch.zeros(2, 3, config.crop, config.crop)},
                   ('shape', 'pose'), path, {name: {0: 'crops'}
                                             for name in ('image', 'shape', 'pose')})
        session = InferenceSession(path, 'cpu', arguments.threads)
    rows: list[tuple[object, ...]] = []
    for crops, published in _PUBLISHED.items():
        image = torch.rand(crops, 3, config.crop, config.crop)
        ways = {'PyTorch': torch.inference_mode()(partial(encoder, image)),
                'ours, exported': partial(session.run, {'image': image.numpy()})}
        times = in_turn(ways, arguments.repeats)
        rows.append((crops, 'published code, elsewhere', published / crops, math.nan, math.nan))
        rows += [(crops, name, *taken.columns(crops)) for name, taken in times.items()]
    publish(Report('disp6d_encoder', (
        'crops', 'evaluation', *(f'{head} per crop' for head in COLUMNS)), rows,
        {'threads': arguments.threads, 'repeats': arguments.repeats}), arguments.out)


if __name__ == '__main__':
    main()
