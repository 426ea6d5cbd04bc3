"""Pictures for printed surfaces: labels, screens, keyboards. All (h, w, 3) float32 linear RGB."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.synthetic.colors import srgb_to_linear

FloatImage = NDArray[np.float32]
Palette = Callable[[np.random.Generator], FloatImage]

_LETTERS = 'ABCDEFGHIKLMNOPRSTUVXYZabcdefghiklmnoprstuvz0123456789%&'
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX,
          cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_SCRIPT_COMPLEX)


def label_picture(palette: Palette, generator: np.random.Generator) -> FloatImage:
    """Return a product label that goes around a body: (160, 384, 3)."""
    height, width = 160, 384
    paper, ink, accent = (palette(generator) for _ in range(3))
    picture = np.empty((height, width, 3), dtype=np.float32)
    picture[:] = paper
    if generator.random() < 0.35:
        _draw_bands(picture, palette, generator)
    if generator.random() < 0.3:
        _draw_photo(_random_part(picture, generator), palette, generator)
    # The front repeats on the back, as on most bottles and cans.
    front = picture[:, :width // 2].copy()
    for _ in range(int(generator.integers(0, 4))):
        _draw_shape(front, accent if generator.random() < 0.6 else palette(generator),
                    generator)
    _draw_words(front, ink, int(generator.integers(1, 4)), (0.7, 1.8), generator)
    if generator.random() < 0.7:
        _draw_small_print(front, ink, generator)
    picture[:, :width // 2] = front
    picture[:, width // 2:] = front
    if generator.random() < 0.5:
        _draw_bar_code(picture, generator)
    return np.asarray(np.roll(picture, int(generator.integers(width)), axis=1))


def screen_picture(palette: Palette, generator: np.random.Generator) -> FloatImage:
    """Return what a laptop shows, often nothing: (120, 192, 3)."""
    height, width = 120, 192
    picture = np.full((height, width, 3), generator.uniform(0.004, 0.02), dtype=np.float32)
    if generator.random() < 0.4:
        return picture
    kind = generator.random()
    if kind < 0.5:
        _draw_photo(picture, palette, generator)
    else:
        picture[:] = palette(generator)
    for _ in range(int(generator.integers(0, 4))):
        x, y = int(generator.integers(0, width - 60)), int(generator.integers(4, height - 50))
        w, h = int(generator.integers(50, width)), int(generator.integers(40, height))
        window = picture[y:y + h, x:x + w]
        dark = generator.random() < 0.4
        window[:] = 0.02 if dark else 0.85
        window[:6] = palette(generator)
        for row in range(10, window.shape[0] - 4, 5):
            end = int(generator.uniform(0.2, 0.95) * window.shape[1])
            window[row:row + 2, 4:end] = 0.5 if dark else 0.15
    picture[-7:] = generator.uniform(0.01, 0.6)
    return picture


def keyboard_picture(palette: Palette, generator: np.random.Generator) -> FloatImage:
    """Return a laptop's deck, hinge side first: keys, and a touch pad below: (140, 200, 3)."""
    height, width = 140, 200
    deck = palette(generator)
    dark_keys = generator.random() < 0.75
    key = np.full(3, generator.uniform(0.006, 0.04) if dark_keys else generator.uniform(0.4, 0.8),
                  dtype=np.float32)
    letter = 0.6 if dark_keys else 0.05
    picture = np.empty((height, width, 3), dtype=np.float32)
    picture[:] = deck
    rows, columns = int(generator.integers(5, 7)), int(generator.integers(12, 17))
    top, bottom = int(height * generator.uniform(0.04, 0.14)), int(
        height * generator.uniform(0.52, 0.64))
    left = int(width * generator.uniform(0.03, 0.14))
    pitch_x, pitch_y = (width - 2 * left) / columns, (bottom - top) / rows
    picture[top:bottom, left:width - left] = deck * generator.uniform(0.3, 1.0)
    for row in range(rows):
        for column in range(columns):
            if row == rows - 1 and 4 <= column < 9 and column > 4:
                continue
            span = 5 if row == rows - 1 and column == 4 else 1
            x, y = left + column * pitch_x, top + row * pitch_y
            end_x, end_y = int(x + span * pitch_x - 1), int(y + pitch_y - 1)
            picture[int(y) + 1:end_y, int(x) + 1:end_x] = key
            picture[int(y) + 4:int(y) + 6, int(x) + 4:int(x) + 7] = letter
    pad = int(width * generator.uniform(0.1, 0.2))
    pad_color = np.clip(deck * generator.uniform(0.6, 1.3), 0, 0.95).tolist()
    cv2.rectangle(picture, (width // 2 - pad, bottom + 6), (width // 2 + pad, height - 8),
                  pad_color, -1)
    return picture


def board_picture(palette: Palette, generator: np.random.Generator) -> FloatImage:
    """Return a board to put things on, with markers, a chessboard or prints: (384, 384, 3)."""
    side, cells = 384, int(generator.integers(5, 13))
    paper = np.full(3, generator.uniform(0.6, 0.95)) if generator.random() < 0.8 else palette(
        generator)
    ink = np.full(3, generator.uniform(0.01, 0.08)) if generator.random() < 0.8 else palette(
        generator)
    picture = np.empty((side, side, 3), dtype=np.float32)
    picture[:] = paper
    kind = generator.random()
    if kind < 0.15:
        index = np.arange(side) * cells // side
        picture[(index[:, None] + index) % 2 == 1] = ink
    elif kind < 0.3:
        for _ in range(int(generator.integers(2, 9))):
            _draw_shape(picture, palette(generator), generator)
    else:
        only_border = generator.random() < 0.6
        cell = side // cells
        for row, column in np.ndindex(cells, cells):
            if only_border and 0 < row < cells - 1 and 0 < column < cells - 1:
                continue
            start = np.array([row, column]) * cell + cell // 6
            _draw_marker(picture[start[0]:start[0] + 2 * cell // 3,
                                 start[1]:start[1] + 2 * cell // 3], ink, generator)
    return picture


def _draw_marker(picture: FloatImage, ink: NDArray[np.floating],
                 generator: np.random.Generator) -> None:
    """Fill a square with a random binary marker that has a border."""
    bits = np.pad(generator.random((4, 4)) < 0.5, 1, constant_values=True).astype(np.uint8)
    picture[cv2.resize(bits, picture.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0] = ink


def _draw_bands(picture: FloatImage, palette: Palette, generator: np.random.Generator) -> None:
    height = picture.shape[0]
    for _ in range(int(generator.integers(1, 4))):
        start = int(generator.uniform(0, height))
        picture[start:start + int(generator.uniform(4, height / 2))] = palette(generator)


def _draw_photo(picture: FloatImage, palette: Palette, generator: np.random.Generator) -> None:
    """Fill the picture with coloured fractal noise that looks like a photograph."""
    height, width = picture.shape[:2]
    base = np.stack([palette(generator) for _ in range(12)]).reshape(3, 4, 3)
    photo = cv2.resize(base, (width, height), interpolation=cv2.INTER_CUBIC)
    for cells in (8, 20):
        grain = generator.normal(0, 0.25, (cells, cells)).astype(np.float32)
        photo *= np.exp(cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC)
                        )[..., None]
    picture[:] = np.clip(photo, 0.005, 0.95)


def _random_part(picture: FloatImage, generator: np.random.Generator) -> FloatImage:
    """Return a view of a random rectangle of the picture."""
    height, width = picture.shape[:2]
    w = int(generator.uniform(0.15, 0.5) * width)
    h = int(generator.uniform(0.3, 1.0) * height)
    x, y = int(generator.uniform(0, width - w)), int(generator.uniform(0, height - h))
    return picture[y:y + h, x:x + w]


def _draw_shape(picture: FloatImage, color: FloatImage, generator: np.random.Generator) -> None:
    height, width = picture.shape[:2]
    centre = (int(generator.uniform(0.15, 0.85) * width), int(generator.uniform(0, 1) * height))
    radius = generator.uniform(0.08, 0.35, 2) * height
    tone = [float(value) for value in color]
    if generator.random() < 0.6:
        cv2.ellipse(picture, centre, (int(radius[0]) + 2, int(radius[1]) + 2),
                    generator.uniform(0, 180), 0, 360, tone,
                    -1 if generator.random() < 0.8 else 3)
    else:
        angles = np.sort(generator.uniform(0, 2 * np.pi, int(generator.integers(3, 8))))
        corners = np.stack([np.cos(angles), np.sin(angles)], 1) * radius * 1.3 + centre
        cv2.fillPoly(picture, [corners.astype(np.int32)], tone)


def _draw_words(picture: FloatImage, color: FloatImage, count: int, scale: tuple[float, float],
                generator: np.random.Generator) -> None:
    height, width = picture.shape[:2]
    for _ in range(count):
        letters = ''.join(generator.choice(list(_LETTERS), int(generator.integers(3, 9))))
        # OpenCV writes on 8-bit images only.
        stencil = np.zeros((height, width), dtype=np.uint8)
        cv2.putText(stencil, letters, (int(generator.uniform(-0.05, 0.4) * width),
                                       int(generator.uniform(0.2, 0.95) * height)),
                    _FONTS[int(generator.integers(len(_FONTS)))], generator.uniform(*scale), 255,
                    int(generator.integers(1, 5)), cv2.LINE_AA)
        picture += (stencil / np.float32(255))[..., None] * (color - picture)


def _draw_small_print(picture: FloatImage, color: FloatImage,
                      generator: np.random.Generator) -> None:
    height, width = picture.shape[:2]
    left, top = int(generator.uniform(0, 0.7) * width), int(generator.uniform(0.3, 0.8) * height)
    for row in range(top, min(top + int(generator.integers(10, 50)), height - 2), 4):
        for start in range(left, left + int(generator.uniform(20, 60)), 7):
            picture[row:row + 2, start:start + int(generator.integers(3, 7))] = color


def _draw_bar_code(picture: FloatImage, generator: np.random.Generator) -> None:
    height, width = picture.shape[:2]
    bars = (generator.random(30) < 0.5).astype(np.float32) * 0.8 + 0.02
    x, y = int(generator.uniform(0, width - 70)), int(generator.uniform(0.1, 0.6) * height)
    picture[y:y + 34, x:x + 68] = srgb_to_linear(np.array(0.95))
    picture[y + 3:y + 31, x + 4:x + 64] = np.repeat(bars, 2)[None, :, None]
