"""Time of the full CR-Net per object, against the plain evaluation of the same weights.

python benchmarks/crnet_full_speed.py --threads 2

The plain evaluation is what the published code does: the whole image is enlarged and convolved,
the heads answer for all categories, and matrices are formed before they are multiplied.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from whole_pipeline import publish

from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.networks.category_head import CATEGORY_COUNT, CategoryHead
from pose_estimation_ros.networks.crnet import CRNet
from pose_estimation_ros.networks.pspnet import PSPNet, Upsampling

_CROP, _POINTS, _MAP = 192, 1024, 24
# Of the published code on 2 vCPU, spec section 6; seconds per object at batch 1 and 4.
_PUBLISHED = {1: 0.479, 4: 0.790}


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


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--threads', type=int, default=2, help='of PyTorch')
    parser.add_argument('--repeats', type=int, default=10)
    parser.add_argument('--out', type=Path, help='write the table here as JSON and Markdown')
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    network, rows = CRNet().eval(), []
    for objects, published in _PUBLISHED.items():
        inputs = _inputs(objects)
        plain, ours = partial(plain_crnet, network, *inputs), partial(network.last_stage, *inputs)
        with torch.inference_mode():
            worst = max(float((a - b).abs().max()) for a, b in zip(plain(), ours(), strict=True))
            times = [_milliseconds(answer, arguments.repeats) / objects
                     for answer in (plain, ours)]
        rows.append((objects, 1e3 * published, *times, worst))
    publish(Report('crnet_full_speed', (
        'objects', 'published code elsewhere, ms/object', 'plain evaluation, ms/object',
        'ours, ms/object', 'largest difference'), rows,
        {'threads': arguments.threads, 'repeats': arguments.repeats}), arguments.out)


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


def _milliseconds(run: Callable[[], object], repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return 1e3 * statistics.median(seconds)


if __name__ == '__main__':
    main()
