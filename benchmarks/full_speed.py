"""Time of the full SPD and CR-Net per object, against the plain evaluation of the same weights.

    python benchmarks/full_speed.py --threads 2

The plain evaluation is what the published code does: the whole image is enlarged and convolved,
the heads answer for all categories, and matrices are formed before they are multiplied. Besides,
ours as it is exported, in ONNX Runtime, and the shipped lite networks in the same turn. A share of
the machine's rate is that of the operations that are left after the savings, counted by PyTorch,
and of a product of large matrices by PyTorch, ONNX Runtime or NumPy (with as many threads as it
likes), whichever is faster here.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from measuring import COLUMNS, in_turn
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from whole_pipeline import publish

from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.networks.category_head import CATEGORY_COUNT, CategoryHead
from pose_estimation_ros.networks.crnet import CRNet, LastStage
from pose_estimation_ros.networks.pspnet import PSPNet, Upsampling
from pose_estimation_ros.networks.spd import SPD
from pose_estimation_ros.runtime import InferenceSession, ModelStore
from pose_estimation_ros.training.onnx_export import INPUT_NAMES, export_network
from pose_estimation_ros.training.onnx_files import write_onnx

_CROP, _POINTS, _MAP = 192, 1024, 24
_PLAIN, _PRODUCT = 'plain evaluation', 'product of large matrices'
_SIDE = 1536


def plain_features(network: PSPNet, image: Tensor, pixel_index: Tensor) -> Tensor:
    """Return the image features of chosen pixels, made for all of them."""
    whole = torch.cat([_resized(part, _MAP) for part in network.psp(network.feats(image))], dim=1)
    for layer in (network.up_1, network.up_2, network.up_3):
        whole = _plain_upsampling(layer, whole)
    whole = network.final(whole).flatten(2)
    return whole.gather(2, pixel_index[:, None].expand(-1, whole.shape[1], -1))


def plain_head(head: CategoryHead, feature: Tensor, category: Tensor) -> Tensor:
    """Return the (B, P, outputs) rows of the own category, of those of all."""
    for layer in head:
        feature = layer(feature)
    rows = feature.unflatten(1, (CATEGORY_COUNT, -1))
    return rows[torch.arange(len(category)), category].transpose(1, 2)


def plain_crnet(network: CRNet, points: Tensor, image: Tensor, pixel_index: Tensor,
                category: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits and deformation of the released network."""
    geometry = network.instance_geometry(points.transpose(1, 2))
    color = network.instance_color(plain_features(network.psp, image, pixel_index))
    from_color, from_geometry = network.transformer64(geometry, color)
    instance = network.instance_global(
        torch.cat([geometry + from_color, color + from_geometry], dim=1))
    shape_feature = network.category_global(network.category_local(prior.transpose(1, 2)))
    of_instance, of_shape = network.transformer128(instance, shape_feature)
    features = [instance + of_instance, shape_feature + of_shape]
    logits = plain_head(network.assignment, features[0], category)
    deformation = plain_head(network.deformation, features[1], category)
    for step in '01':
        local = getattr(network, f'category_local{step}')((prior + deformation).transpose(1, 2))
        deformed = getattr(network, f'category_global{step}')(local)
        features = [torch.cat([deformed, feature], dim=1) for feature in features]
        logits = logits @ plain_head(getattr(network, f'assignment{step}'), features[0], category)
        deformation = deformation + plain_head(getattr(network, f'deformation{step}'),
                                               features[1], category)
    return logits, deformation


def plain_spd(network: SPD, points: Tensor, image: Tensor, pixel_index: Tensor,
              category: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits and deformation of the released network."""
    color = network.instance_color(plain_features(network.psp, image, pixel_index))
    instance = torch.cat([network.instance_geometry(points.transpose(1, 2)), color], dim=1)
    shape = network.category_local(prior.transpose(1, 2))
    pooled = [layers(feature).mean(dim=2, keepdim=True).expand(-1, -1, feature.shape[2])
              for layers, feature in ((network.instance_global, instance),
                                      (network.category_global, shape))]
    logits = plain_head(network.assignment, torch.cat([instance, *pooled], dim=1), category)
    deformation = plain_head(network.deformation, torch.cat([shape, *pooled[::-1]], dim=1),
                             category)
    return logits, deformation


@dataclass(frozen=True)
class Full:
    """A full network, and how to evaluate it.

    Attributes:
        network: With random weights.
        plain: The plain evaluation.
        ours: Ours.
        published: Milliseconds per object of the published code by batch, spec section 6.
        lite: Name of the shipped lite model of the same backend.
    """

    network: nn.Module
    plain: Callable[..., tuple[Tensor, Tensor]]
    ours: nn.Module
    published: Mapping[int, float]
    lite: str


def networks() -> dict[str, Full]:
    """Return the full networks by name."""
    spd, crnet = SPD().eval(), CRNet().eval()
    return {'SPD': Full(spd, plain_spd, spd, {1: 165.0, 4: 222.0}, 'spd_lite'),
            'CR-Net': Full(crnet, plain_crnet, LastStage(crnet), {1: 479.0, 4: 790.0},
                           'crnet_lite')}


class Product(nn.Module):
    """A product of matrices."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Return a b."""
        return a @ b


def products(threads: int) -> dict[str, Callable[[], object]]:
    """Return ways to multiply large matrices."""
    a, b = torch.randn(2, _SIDE, _SIDE)
    with TemporaryDirectory() as folder:
        path = Path(folder) / 'product.onnx'
        write_onnx(Product(), {'a': a, 'b': b}, ['product'], path, {})
        session = InferenceSession(path, 'cpu', threads)
    return {f'{_PRODUCT}, PyTorch': lambda: a @ b,
            f'{_PRODUCT}, NumPy': partial(np.matmul, a.numpy(), b.numpy()),
            f'{_PRODUCT}, ONNX Runtime': partial(session.run, {'a': a.numpy(), 'b': b.numpy()})}


def operations(network: nn.Module, inputs: Sequence[Tensor]) -> float:
    """Return multiplications and additions of a call."""
    # Attention is counted only where it is written out.
    counter = FlopCounterMode(display=False)
    with sdpa_kernel(SDPBackend.MATH), counter, torch.inference_mode():
        network(*inputs)
    return float(counter.get_total_flops())


def exported(network: nn.Module, threads: int) -> InferenceSession:
    """Return a network as the run time sees it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / 'network.onnx'
        export_network(network, np.zeros((CATEGORY_COUNT, _POINTS, 3), np.float32), path)
        return InferenceSession(path, 'cpu', threads)


def lite_run(name: str, objects: int, threads: int) -> Callable[[], object]:
    """Return a call of a shipped lite network, of random points."""
    model = ModelStore().find(name)
    session = InferenceSession(model.file('network'), 'cpu', threads)
    inputs: dict[str, NDArray[np.generic]] = {}
    for spec in session.inputs:
        shape = tuple(objects if size is None else size for size in spec.shape)
        inputs[spec.name] = (np.zeros(shape, spec.dtype) if spec.dtype == np.int64 else
                             np.random.default_rng(0).random(shape).astype(spec.dtype))
    return lambda: session.run(inputs)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--threads', type=int, default=2, help='of PyTorch and ONNX Runtime')
    parser.add_argument('--repeats', type=int, default=7)
    parser.add_argument('--networks', nargs='+', default=['SPD', 'CR-Net'],
                        choices=('SPD', 'CR-Net'))
    parser.add_argument('--out', type=Path, help='write the table here as JSON and Markdown')
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    rows = [row for name, full in networks().items() if name in arguments.networks
            for row in _rows(name, full, arguments)]
    publish(Report('full_speed', (
        'network', 'objects', 'evaluation', *(f'{head} per object' for head in COLUMNS),
        'times as fast as plain', 'share of the matrix rate, %', 'largest difference from plain'),
        rows, {'threads': arguments.threads, 'repeats': arguments.repeats}), arguments.out)


def _rows(name: str, full: Full, arguments: argparse.Namespace) -> list[tuple[object, ...]]:
    session = exported(full.ours, arguments.threads)
    rows: list[tuple[object, ...]] = []
    for objects, published in full.published.items():
        inputs = _inputs(objects)
        tensors = {entry: tensor.numpy() for entry, tensor in zip(
            INPUT_NAMES, inputs, strict=False)}
        ways = {_PLAIN: _inference(partial(full.plain, full.network, *inputs)),
                'ours in PyTorch': _inference(partial(full.ours, *inputs)),
                'ours, exported': partial(session.run, tensors),
                f'{full.lite}, network': lite_run(full.lite, objects, arguments.threads),
                **products(arguments.threads)}
        times = in_turn(ways, arguments.repeats)
        # Best against best: what a core is given while others work changes the medians.
        rate = 2.0 * _SIDE ** 3 / min(min(taken.wall) for way, taken in times.items()
                                      if way.startswith(_PRODUCT))
        counted = operations(full.ours, inputs)
        difference = max(float((a - b).abs().max()) for a, b in zip(
            ways[_PLAIN](), ways['ours in PyTorch'](), strict=True))
        rows.append((name, objects, 'published code, elsewhere', published, math.nan, math.nan,
                     times[_PLAIN].median / objects / published, math.nan, math.nan))
        for way, taken in times.items():
            if way.startswith(_PRODUCT):
                continue
            is_ours = way.startswith('ours')
            rows.append((name, objects, way, *taken.columns(objects),
                         times[_PLAIN].median / taken.median,
                         100 * counted / min(taken.wall) / rate if is_ours else math.nan,
                         difference if way == 'ours in PyTorch' else math.nan))
    session.close()
    return rows


def _inference(run: Callable[[], tuple[Tensor, Tensor]]) -> Callable[[], tuple[Tensor, Tensor]]:
    return torch.inference_mode()(run)


def _plain_upsampling(layer: Upsampling, feature: Tensor) -> Tensor:
    convolution, activation = layer.conv
    enlarged = _resized(feature, 2 * feature.shape[2])
    return activation(functional.conv2d(enlarged, convolution.weight, convolution.bias, padding=1))


def _resized(feature: Tensor, size: int) -> Tensor:
    return functional.interpolate(feature, size=(size, size), mode='bilinear', align_corners=True)


def _inputs(objects: int) -> tuple[Tensor, ...]:
    return (0.1 * torch.randn(objects, _POINTS, 3), torch.randn(objects, 3, _CROP, _CROP),
            torch.randint(_CROP**2, (objects, _POINTS)),
            torch.arange(objects) % CATEGORY_COUNT, torch.rand(objects, _POINTS, 3) - 0.5)


if __name__ == '__main__':
    main()
