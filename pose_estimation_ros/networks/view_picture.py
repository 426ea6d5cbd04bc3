"""An object's points as a small picture, seen upright, and a convolutional network that reads it.

Which side of an object is down shows in shapes that neighbouring pixels form: an edge, a handle,
a lens. Points that meet only through a few latents tell that slowly. Here they are drawn into a
grid of cells as the camera saw them, turned so that up is up, whatever they lie on; convolutions
read it from fine to coarse, say what the object is like as a whole, and bring features back to
every point, as CR-Net and ACR-Pose take theirs from a colour image.

Drawing happens in the network, so that training and run time draw alike.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

# Cells along each side, and how far from its middle the picture reaches, in radii: most points
# are within one.
_CELLS = 32
_REACH = 1.1
# Channels at 32, 16, 8 and 4 cells.
_CHANNELS = (32, 64, 128, 256)
_CONTEXT = 64
# Channels of what is said of a point, and of the whole.
POINT_FEATURES, SUMMARY = 96, 256
# What a picture shows: coverage, place (3), depth, relief (2), whether colours are known, and
# the colours, sharp and blurred (6).
_SHOWN = 14
_COLORS = 6
# Depth relative to its surroundings of so many cells, and how much it is magnified: half
# precision would round the small differences that tell an edge.
_RELIEFS = ((3, 10.0), (7, 4.0))
_DEEPEST = 2.0


class Picture(NamedTuple):
    """What B objects look like.

    Attributes:
        channels: (B, 14, 32, 32).
        cell: (B, N) int64 the cell of each point, row by row.
        inside: (B, N) 1 for points in the picture, 0 for others, whose cell is at its border.
    """

    channels: Tensor
    cell: Tensor
    inside: Tensor


def draw_picture(points: Tensor, condition: Tensor, color: Tensor) -> Picture:
    """Draw points as seen by the camera, orthographically.

    Args:
        points: (B, N, 3) normalised points in the view frame, see `NormalizedPoints`.
        condition: (B, 3) of the same; its second column says how steeply the camera looks down.
        color: (B, N, 9) of `core.point_colors`, NaN where unknown.

    Returns:
        The picture; a cell shows the mean of its points.
    """
    sine = condition[:, 1:2]
    cosine = (1.0 - sine.square()).clamp(min=0.0).sqrt()
    x, y, z = points.unbind(dim=2)
    height, depth = y * cosine + z * sine, z * cosine - y * sine
    place = (torch.stack([height, x], dim=2) + _REACH) * (_CELLS / (2.0 * _REACH))
    row_column = place.floor().clamp(0, _CELLS - 1)
    inside = ((place >= 0) & (place < _CELLS)).all(dim=2).to(points.dtype)
    cell = (row_column[:, :, 0] * _CELLS + row_column[:, :, 1]).long()
    # NaN is a colour that is not known; products with NaN would spread it.
    known = (~torch.isnan(color[:, :, :1])).to(points.dtype)
    shade = (torch.nan_to_num(color[:, :, :_COLORS], nan=0.5) - 0.5) * known
    shown = torch.cat([torch.ones_like(known), points, depth[:, :, None], known, shade], dim=2)
    sums = torch.zeros(points.shape[0], _CELLS * _CELLS, shown.shape[2], dtype=points.dtype,
                       device=points.device)
    sums = sums.scatter_add(1, cell[:, :, None].expand(-1, -1, shown.shape[2]),
                            shown * inside[:, :, None])
    means = (sums / sums[:, :, :1].clamp(min=1.0)).transpose(1, 2).unflatten(2, (_CELLS, _CELLS))
    covered = means[:, :1]
    means = means[:, 1:]
    relief = [_relief(means[:, 3:4], covered, width, gain) for width, gain in _RELIEFS]
    return Picture(torch.cat([covered, means[:, :4], *relief, means[:, 4:]], dim=1), cell, inside)


def _relief(depth: Tensor, covered: Tensor, width: int, gain: float) -> Tensor:
    """Return (B, 1, H, W) how far each cell lies behind the mean of those around it."""
    def around(values: Tensor) -> Tensor:
        return functional.avg_pool2d(values, width, 1, width // 2)

    behind = (depth - around(depth * covered) / around(covered).clamp(min=1e-6)) * covered
    return (gain * behind).clamp(-_DEEPEST, _DEEPEST)


class ResidualBlock(nn.Module):
    """Two convolutions and their residual; a context shifts what is between them."""

    def __init__(self, given: int, out: int, stride: int = 1) -> None:
        """Create the layers; they start as no change."""
        super().__init__()
        self.first = _normalised(given, out, 3, stride)
        self.context = nn.Linear(_CONTEXT, out)
        self.second = _normalised(out, out, 3)
        self.skip = (nn.Identity() if given == out and stride == 1
                     else nn.Conv2d(given, out, 1, stride, bias=False))
        nn.init.zeros_(self.second[1].weight)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Map (B, C, H, W), given a (B, 64) context."""
        y = torch.relu(self.first(x) + self.context(context)[:, :, None, None])
        return torch.relu(self.skip(x) + self.second(y))


class PictureReader(nn.Module):
    """Draws objects and reads the pictures: what they are like as a whole, and at every point."""

    def __init__(self, categories: int) -> None:
        """Create the layers, for a number of categories."""
        super().__init__()
        fine, *coarser = _CHANNELS
        self.category = nn.Embedding(categories, _CONTEXT)
        self.condition = nn.Linear(3, _CONTEXT)
        self.stem = _convolution(_SHOWN, fine, 3)
        self.fine = ResidualBlock(fine, fine)
        self.coarser = nn.ModuleList(
            nn.ModuleList([ResidualBlock(above, below, 2), ResidualBlock(below, below)])
            for above, below in zip(_CHANNELS[:-1], coarser, strict=True))
        coarsest = (_CELLS >> len(coarser)) ** 2
        self.summary = nn.Sequential(nn.Flatten(), nn.Linear(_CHANNELS[-1] * coarsest, 512),
                                     nn.ReLU(), nn.Linear(512, SUMMARY), nn.ReLU())
        self.finer = nn.ModuleList(
            nn.Sequential(_convolution(below + above, above, 1), _convolution(above, above, 3))
            for above, below in zip(coarser[-2::-1], coarser[:0:-1], strict=True))
        self.finest = _convolution(coarser[0] + fine, POINT_FEATURES, 1)
        # Convolutions train faster so on a CPU.
        self.to(memory_format=torch.channels_last)

    def forward(self, points: Tensor, condition: Tensor, category: Tensor, color: Tensor,
                every: int = 1) -> tuple[Tensor, Tensor]:
        """Return (B, N / every, 96) features of points, and the (B, 256) summary.

        Args:
            points: (B, N, 3), all drawn; see `draw_picture`.
            condition: (B, 3).
            category: (B,) int64 category index.
            color: (B, N, 9).
            every: Features are returned of every so many points, from the first.
        """
        with torch.autocast(points.device.type, enabled=False):
            picture = draw_picture(points, condition, color)
        context = torch.relu(self.category(category) + self.condition(condition))
        x = self.fine(self.stem(picture.channels), context)
        levels = [x]
        for reduce, keep in self.coarser:
            x = keep(reduce(x, context), context)
            levels.append(x)
        summary = self.summary(levels.pop())
        for layers in [*self.finer, self.finest]:
            x = layers(torch.cat([functional.interpolate(x, scale_factor=2.0), levels.pop()],
                                 dim=1))
        rows = x.flatten(2).transpose(1, 2)
        cell = picture.cell[:, ::every, None].expand(-1, -1, rows.shape[2])
        return rows.gather(1, cell) * picture.inside[:, ::every, None].to(rows.dtype), summary


def _normalised(given: int, out: int, size: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(given, out, size, stride, size // 2, bias=False),
                         nn.BatchNorm2d(out))


def _convolution(given: int, out: int, size: int) -> nn.Sequential:
    return nn.Sequential(*_normalised(given, out, size), nn.ReLU())
