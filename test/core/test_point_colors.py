"""Colours of points: known pictures, borders, tiny boxes, and the same object at two sizes."""

import cv2
import numpy as np
import pytest

from pose_estimation_ros.core.point_colors import point_colors


def _noise(height: int = 120, width: int = 160) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _grid(*sides: slice) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.mgrid[sides]
    return rows.ravel(), columns.ravel()


def test_a_flat_picture_has_one_color_at_every_level_and_at_its_borders() -> None:
    flat = np.full((40, 50, 3), (255, 128, 0), np.uint8)
    rows, columns = _grid(slice(0, 40), slice(0, 50))
    colors = point_colors(flat, (0, 0, 50, 40), rows, columns)
    assert colors.dtype == np.float32
    np.testing.assert_allclose(colors, np.tile([1.0, 128 / 255, 0.0], (2000, 3)), atol=1e-6)


def test_the_first_level_is_the_pixel_and_the_others_are_box_filters() -> None:
    rgb = _noise()
    rows, columns = _grid(slice(20, 92), slice(30, 102))
    # 72 pixels: filters of 3 and 9 pixels, which OpenCV knows as well.
    colors = point_colors(rgb, (30, 20, 102, 92), rows, columns).reshape(-1, 3, 3)
    for level, width in enumerate((1, 3, 9)):
        blurred = cv2.blur(rgb.astype(np.float64), (width, width)) / 255.0
        np.testing.assert_allclose(colors[:, level], blurred[rows, columns], atol=1e-6)


def test_beyond_the_image_its_border_is_repeated() -> None:
    rgb = _noise(72, 72)
    rows, columns = _grid(slice(0, 72), slice(0, 72))
    colors = point_colors(rgb, (0, 0, 72, 72), rows, columns)
    blurred = cv2.blur(rgb.astype(np.float64), (9, 9), borderType=cv2.BORDER_REPLICATE) / 255.0
    np.testing.assert_allclose(colors[:, 6:], blurred[rows, columns], atol=1e-6)


def test_a_filter_may_be_a_fraction_of_a_pixel_wider() -> None:
    line = np.zeros((9, 9, 3), np.uint8)
    line[:, 5] = 255
    # 16 pixels: the widest filter spans 2, half a pixel of the line beside the middle one.
    (color,) = point_colors(line, (0, 0, 16, 4), np.array([4]), np.array([4]))
    np.testing.assert_allclose(color.reshape(3, 3), [[0.0] * 3, [0.0] * 3, [0.25] * 3], atol=1e-6)


@pytest.mark.parametrize('box', [(7, 5, 8, 6), (7, 5, 7, 5)])
def test_in_a_box_of_a_pixel_all_levels_are_that_pixel(box: tuple[int, ...]) -> None:
    rgb = _noise()
    colors = point_colors(rgb, box, np.array([5]), np.array([7]))
    np.testing.assert_allclose(colors, np.tile(rgb[5, 7] / 255.0, 3)[None], atol=1e-6)


def test_twice_as_near_an_object_keeps_its_colors() -> None:
    small = cv2.GaussianBlur(_noise(), (0, 0), 2.5)
    large = cv2.resize(small, None, fx=2.0, fy=2.0, interpolation=cv2.INTER_LINEAR)
    rows, columns = _grid(slice(20, 100, 4), slice(30, 130, 4))
    box = np.array([30.0, 20.0, 130.0, 100.0])
    near = point_colors(large, 2.0 * box, 2 * rows, 2 * columns)
    far = point_colors(small, box, rows, columns)
    # The nearest pixel of the large picture lies a quarter of a pixel off.
    np.testing.assert_allclose(near[:, :3], far[:, :3], atol=0.05)
    np.testing.assert_allclose(near[:, 3:], far[:, 3:], atol=0.01)
    assert np.ptp(far[:, 3:6]) > 0.2


def test_pixels_outside_the_box_have_colors_too_and_no_pixels_none() -> None:
    rgb = _noise()
    rows, columns = np.array([0, 119]), np.array([159, 0])
    colors = point_colors(rgb, (60, 50, 84, 74), rows, columns)
    np.testing.assert_allclose(colors[:, :3], rgb[rows, columns] / 255.0, atol=1e-6)
    assert np.isfinite(colors).all()
    none = np.empty(0, np.intp)
    assert point_colors(rgb, (60, 50, 84, 74), none, none).shape == (0, 9)
