"""Time of the full MRC-Net per crop with a stubbed renderer, against a plain evaluation.

    python benchmarks/mrc_full_speed.py --threads 2

The plain evaluation is what the published code does: PyTorch, grouped convolutions with the
weights of each crop's object, normalisation by the statistics of the batch. Only the correlations
are sums of shifted products, which are faster than the published operator (`mrc_correlation.py`).
All give the same answers. Other load on the machine slows all ways down: CPU time suffers less of
it than wall time.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import torch
from measuring import milliseconds
from mrc_correlation import summed_shifts
from torch import Tensor
from torch.nn import functional
from whole_pipeline import publish

from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.networks import correlation
from pose_estimation_ros.networks.mrc import MRCConfig, MRCNet
from pose_estimation_ros.networks.object_decoder import ObjectConvolution, ObjectDecoder
from pose_estimation_ros.runtime.session import InferenceSession
from pose_estimation_ros.training.mrc_export import export_networks

_OBJECTS = 2
# Of the published code with 2 threads, spec section 6: wall and CPU milliseconds of a call with
# so many crops. Four crops are one object with test-time rotations.
_PUBLISHED = {1: (572.0, 1132.0), 4: (2305.0, 4511.0)}
_FEATURES = ('x4', 'x8', 'x16')
_PLAIN, _EXPORTED = 'plain', 'ours, exported'

Answer = list[Tensor]


def grouped(layer: ObjectConvolution, x: Tensor, index: Tensor) -> Tensor:
    """Return what a layer gives, by one convolution with a group for each crop."""
    weights, bias = layer.weights[index], layer.bias[index]
    y = functional.conv2d(x.flatten(0, 1)[None], weights.flatten(0, 1), bias.flatten(),
                          padding=weights.shape[-1] // 2, groups=len(x))
    return y.reshape(len(x), -1, *x.shape[2:])


def decoded(decoder: ObjectDecoder, quarter: Tensor, eighth: Tensor, sixteenth: Tensor,
            index: Tensor) -> Tensor:
    """Return what a decoder gives, by such convolutions of maps that are enlarged before."""
    x = functional.silu(grouped(decoder.coarse, sixteenth, index))
    for beside, layer, join in ((eighth, decoder.middle, decoder.join_middle),
                                (quarter, decoder.fine, decoder.join_fine)):
        enlarged = functional.interpolate(x, scale_factor=2.0, mode='bilinear',
                                          align_corners=False)
        x = torch.cat([enlarged, functional.silu(grouped(layer, beside, index))], dim=1)
        x = functional.silu(grouped(join, x, index))
    return grouped(decoder.last, x, index)


def in_pytorch(network: MRCNet, crop: Tensor, rendering: Tensor, index: Tensor,
               aux: Tensor) -> Answer:
    """Return logits and residuals."""
    with torch.inference_mode():
        real = network.encode(crop, index)
        return [*network.classify(real, aux),
                *network.regress(real, network.encode(rendering, index), aux)]


def plainly(network: MRCNet, crop: Tensor, rendering: Tensor, index: Tensor,
            aux: Tensor) -> Answer:
    """Return the same in the plain way."""
    with (patch.object(ObjectDecoder, 'forward', decoded),
          patch.object(correlation, 'window_correlation', summed_shifts)):
        return in_pytorch(network, crop, rendering, index, aux)


def in_onnx_runtime(sessions: tuple[InferenceSession, InferenceSession], crop: Tensor,
                    rendering: Tensor, index: Tensor, aux: Tensor) -> Answer:
    """Return the same by the exported networks."""
    classifier, regressor = sessions
    shared = {'index': index.numpy(), 'aux': aux.numpy()}
    coarse = classifier.run({'image': crop.numpy(), **shared})
    left = regressor.run({'image': rendering.numpy(), **shared,
                          **{name: coarse[name] for name in _FEATURES}})
    return [torch.from_numpy(values[name]) for values in (coarse, left)
            for name in ('rotation', 'depth', 'xy')]


def largest_difference(ours: Answer, theirs: Answer) -> float:
    """Return the largest difference of any number."""
    return max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True))


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--threads', type=int, default=2, help='of PyTorch and ONNX Runtime')
    parser.add_argument('--repeats', type=int, default=10)
    parser.add_argument('--crops', type=int, nargs='+', default=list(_PUBLISHED),
                        choices=list(_PUBLISHED), help='in a batch')
    parser.add_argument('--out', type=Path, help='write the table here as JSON and Markdown')
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    network = MRCNet(MRCConfig(_OBJECTS, norm='batch')).eval()
    with TemporaryDirectory() as folder:
        files = export_networks(network, Path(folder))
        sessions = (InferenceSession(files['classifier'], 'cpu', arguments.threads),
                    InferenceSession(files['regressor'], 'cpu', arguments.threads))
    rows: list[tuple[object, ...]] = []
    for crops in arguments.crops:
        inputs = (*torch.rand(2, crops, 4, 256, 256), torch.zeros(crops, dtype=torch.int64),
                  torch.randn(crops, 3))
        ways: dict[str, Callable[[], Answer]] = {
            _PLAIN: partial(plainly, network, *inputs),
            'ours in PyTorch': partial(in_pytorch, network, *inputs),
            _EXPORTED: partial(in_onnx_runtime, sessions, *inputs)}
        times = {'published, elsewhere': _PUBLISHED[crops],
                 **milliseconds(ways, arguments.repeats)}
        expected = ways[_PLAIN]()
        for name, (wall, cpu) in times.items():
            difference = (largest_difference(ways[name](), expected) if name in ways
                          else math.nan)
            rows.append((crops, name, wall / crops, cpu / crops, times[_PLAIN][1] / cpu,
                         difference))
    publish(Report('mrc_full_speed', (
        'crops', 'evaluation', 'wall, ms per crop', 'CPU, ms per crop',
        'times as fast as plain (CPU)', 'largest difference from plain'), rows,
        {'threads': arguments.threads, 'repeats': arguments.repeats}), arguments.out)


if __name__ == '__main__':
    main()
