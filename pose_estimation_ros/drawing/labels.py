"""Text tags that do not cover each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.drawing.shapes import Color

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_PADDING = 3
_GAP = 2
_RIM: Color = (20, 20, 20)


@dataclass(frozen=True)
class Tag:
    """A text that belongs to an area of the image.

    Attributes:
        lines: The text, line by line.
        color: Background, RGB 0 to 255.
        box: (x_min, y_min, x_max, y_max) of what it names, pixels.
    """

    lines: tuple[str, ...]
    color: Color
    box: tuple[float, float, float, float]


def place_tags(tags: Sequence[Tag], sizes: Sequence[tuple[int, int]],
               image_size: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the top left pixel of each tag: near its box, inside the image, few overlaps.

    Each tag tries the places above, below, right and left of its box, then inside; the one that
    covers least of the tags and boxes placed so far wins, the first among equals.

    Args:
        tags: In the order of importance.
        sizes: (width, height) of each, pixels.
        image_size: (width, height) of the image.

    Returns:
        (x, y) per tag.
    """
    placed: list[tuple[float, float, float, float]] = []
    corners: list[tuple[int, int]] = []
    boxes = [tag.box for tag in tags]
    for index, (tag, size) in enumerate(zip(tags, sizes, strict=True)):
        others = boxes[:index] + boxes[index + 1:]
        candidates = _candidates(tag.box, size, image_size)
        best = min(candidates, key=lambda corner: _covered(corner, size, placed, others))
        corners.append(best)
        placed.append((*best, best[0] + size[0], best[1] + size[1]))
    return corners


def draw_tags(image: NDArray[np.uint8], tags: Sequence[Tag]) -> None:
    """Draw the tags on an (H, W, 3) uint8 RGB image, in place."""
    height, width = image.shape[:2]
    scale = max(0.4, 0.4 * width / 640)
    sizes = [_tag_size(tag, scale) for tag in tags]
    for tag, size, (x, y) in zip(tags, sizes, place_tags(tags, sizes, (width, height)),
                                 strict=True):
        _draw_leader(image, tag, (x, y), size)
        opposite = (x + size[0] - 1, y + size[1] - 1)
        cv2.rectangle(image, (x, y), opposite, tag.color, cv2.FILLED)
        cv2.rectangle(image, (x, y), opposite, _RIM, 1)
        ink = (0, 0, 0) if _luminance(tag.color) > 140 else (255, 255, 255)
        line_height = (size[1] - _PADDING) // len(tag.lines)
        for row, line in enumerate(tag.lines):
            baseline = y + (row + 1) * line_height - _PADDING // 2
            cv2.putText(image, line, (x + _PADDING, baseline), _FONT, scale, ink, 1, cv2.LINE_AA)


def _draw_leader(image: NDArray[np.uint8], tag: Tag, corner: tuple[int, int],
                 size: tuple[int, int]) -> None:
    """Join a tag that had to go away from its box with the box's nearest point."""
    middle = corner[0] + size[0] // 2, corner[1] + size[1] // 2
    nearest = (round(min(max(middle[0], tag.box[0]), tag.box[2])),
               round(min(max(middle[1], tag.box[1]), tag.box[3])))
    gap = max(abs(nearest[0] - middle[0]) - size[0] // 2,
              abs(nearest[1] - middle[1]) - size[1] // 2)
    if gap > 2 * _GAP:
        cv2.line(image, middle, nearest, _RIM, 3, cv2.LINE_AA)
        cv2.line(image, middle, nearest, tag.color, 1, cv2.LINE_AA)


def _tag_size(tag: Tag, scale: float) -> tuple[int, int]:
    sizes = [cv2.getTextSize(line, _FONT, scale, 1) for line in tag.lines]
    width = max(size[0][0] for size in sizes)
    line_height = max(size[0][1] + size[1] for size in sizes)
    return width + 2 * _PADDING, line_height * len(tag.lines) + _PADDING


def _candidates(box: tuple[float, float, float, float], size: tuple[int, int],
                image_size: tuple[int, int]) -> list[tuple[int, int]]:
    x_min, y_min, x_max, y_max = box
    width, height = size
    middle = (y_min + y_max - height) / 2
    corners = [(x_min, y_min - height - _GAP), (x_min, y_max + _GAP), (x_max + _GAP, middle),
               (x_min - width - _GAP, middle), (x_max - width, y_min - height - _GAP),
               (x_max - width, y_max + _GAP), (x_min, y_min), (x_min, y_max - height)]
    return [(round(min(max(x, 0), max(image_size[0] - width, 0))),
             round(min(max(y, 0), max(image_size[1] - height, 0)))) for x, y in corners]


def _covered(corner: tuple[int, int], size: tuple[int, int],
             tags: Sequence[tuple[float, float, float, float]],
             boxes: Sequence[tuple[float, float, float, float]]) -> float:
    """Return the covered area; an unreadable tag is worse than a covered object."""
    area = (*corner, corner[0] + size[0], corner[1] + size[1])
    return (10.0 * sum(_overlap(area, tag) for tag in tags)
            + sum(_overlap(area, box) for box in boxes))


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    return (max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
            * max(0.0, min(a[3], b[3]) - max(a[1], b[1])))


def _luminance(color: Color) -> float:
    return 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]
