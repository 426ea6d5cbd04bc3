"""Time of MRC-Net's correlation, against plainer ways to compute the same.

    python benchmarks/mrc_correlation.py --threads 2

The sizes are those of the full network's finest level with four crops. The published CPU operator
(Pytorch-Correlation-extension) is not part of this package. It was measured elsewhere in the same
sitting as a sum of shifted products, so its time on this machine follows from that of the sum.
Other load on the machine slows all ways down: CPU time suffers less of it than wall time.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path

import onnxruntime
import torch
from measuring import milliseconds
from torch import Tensor, nn
from torch.nn import functional
from whole_pipeline import publish

from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.networks.correlation import window_correlation

_CROPS, _CHANNELS, _SIDE, _RADIUS = 4, 64, 64, 5
# Of the published operator and of a sum of shifted products, 2 threads, spec section 6: wall and
# CPU milliseconds.
_PUBLISHED, _PUBLISHED_SUM = (352.0, 601.0), (38.5, 72.0)


def summed_shifts(center: Tensor, shifted: Tensor, radius: int) -> Tensor:
    """Return the correlation as a sum of products with the shifted map for every shift."""
    height, width = center.shape[2:]
    padded = functional.pad(shifted, (radius,) * 4)
    scaled = center / math.sqrt(center.shape[1])
    return torch.stack([(scaled * padded[:, :, dy:dy + height, dx:dx + width]).sum(dim=1)
                        for dy in range(2 * radius + 1) for dx in range(2 * radius + 1)], dim=1)


def unfolded(center: Tensor, shifted: Tensor, radius: int) -> Tensor:
    """Return the correlation as batched products with the unfolded neighbourhoods."""
    crops, channels, height, width = center.shape
    windows = functional.unfold(shifted, 2 * radius + 1, padding=radius)
    windows = windows.reshape(crops, channels, -1, height * width).permute(0, 3, 2, 1)
    scaled = (center / math.sqrt(channels)).flatten(2).transpose(1, 2)
    product = windows @ scaled[..., None]
    return product[..., 0].transpose(1, 2).reshape(crops, -1, height, width)


class _Exported(nn.Module):
    def forward(self, center: Tensor, shifted: Tensor) -> Tensor:
        return window_correlation(center, shifted, _RADIUS)


def in_onnx_runtime(center: Tensor, shifted: Tensor, threads: int) -> Callable[[], Tensor]:
    """Return a call of our correlation in ONNX Runtime."""
    file = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.onnx.export(_Exported(), (center, shifted), file, dynamo=False, opset_version=17,
                          input_names=['center', 'shifted'])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file.getvalue(), options)
    inputs = {'center': center.numpy(), 'shifted': shifted.numpy()}
    return lambda: torch.from_numpy(session.run(None, inputs)[0])


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--threads', type=int, default=2, help='of PyTorch and ONNX Runtime')
    parser.add_argument('--repeats', type=int, default=10)
    parser.add_argument('--out', type=Path, help='write the table here as JSON and Markdown')
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    center, shifted = torch.randn(2, _CROPS, _CHANNELS, _SIDE, _SIDE)
    ways = {'unfold and batched product': partial(unfolded, center, shifted, _RADIUS),
            'sum of shifted products': partial(summed_shifts, center, shifted, _RADIUS),
            'ours': partial(window_correlation, center, shifted, _RADIUS),
            'ours in ONNX Runtime': in_onnx_runtime(center, shifted, arguments.threads)}
    expected = ways['sum of shifted products']()
    times = milliseconds(ways, arguments.repeats)
    wall, cpu = (published * measured / elsewhere for published, measured, elsewhere in zip(
        _PUBLISHED, times['sum of shifted products'], _PUBLISHED_SUM, strict=True))
    rows = [('published operator, elsewhere', *_PUBLISHED, math.nan, math.nan),
            ('published operator, from the sum', wall, cpu, 1.0, math.nan)]
    rows += [(name, *times[name], cpu / times[name][1],
              float((run() - expected).abs().max())) for name, run in ways.items()]
    publish(Report('mrc_correlation', (
        'way', 'wall, ms', 'CPU, ms', 'times as fast as the published (CPU)',
        'largest difference'), rows, {
            'crops': _CROPS, 'channels': _CHANNELS, 'side': _SIDE, 'radius': _RADIUS,
            'threads': arguments.threads, 'repeats': arguments.repeats}), arguments.out)


if __name__ == '__main__':
    main()
