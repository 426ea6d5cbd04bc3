"""Crops, points and pixels are those of the published data preparation."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pose_estimation_ros.backends.spd_preprocessing import (
    box_centre,
    crop_pixel_index,
    crop_window,
    first_of_each_pixel,
    normalized_image,
    object_input,
    resized_crop,
)
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.frame import RGBDFrame

EXCERPT = Path(__file__).parents[1] / 'data/spd/preprocessing_excerpt.npz'
WHOLE = Path(__file__).parents[2].parent / 'shared/specs/fixtures/spd'

REAL_CAMERA = CameraIntrinsics.pinhole(640, 480, 591.0125, 590.16775, 322.525, 244.11084)
SYNTHETIC_CAMERA = CameraIntrinsics.pinhole(640, 480, 577.5, 577.5, 319.5, 239.5)


@pytest.fixture(scope='module')
def excerpt() -> dict[str, np.ndarray]:
    with np.load(EXCERPT) as file:
        return {name: file[name] for name in file.files}


def _frame(
    rgb: np.ndarray, depth_millimetres: np.ndarray, intrinsics: CameraIntrinsics
) -> RGBDFrame:
    depth = np.where(depth_millimetres > 0, depth_millimetres / 1000.0, np.nan)
    return RGBDFrame(0, 'camera', np.ascontiguousarray(rgb), depth.astype(np.float32), intrinsics)


def _detection(box_y1x1y2x2: np.ndarray, mask: np.ndarray) -> Detection:
    y1, x1, y2, x2 = box_y1x1y2x2
    return Detection('can', 1.0, np.array([x1, y1, x2, y2], dtype=np.float64), mask)


def _check_object(
    frame: RGBDFrame, detection: Detection, points: np.ndarray, choose: np.ndarray,
    image_probe: np.ndarray,
) -> None:
    """Compare with a recorded object, whose subset of pixels was drawn by another generator."""
    ours = object_input(frame, detection, int(detection.mask.sum()), np.random.default_rng(0))
    distances = np.linalg.norm(points[:, None] - ours.points[None], axis=2)
    nearest = distances.argmin(axis=1)
    assert distances.min(axis=1).max() < 5e-7
    assert (np.diff(nearest) >= 0).all(), 'points are in raster order'
    np.testing.assert_array_equal(ours.pixel_index[nearest], choose)
    np.testing.assert_allclose(ours.image[:, ::4, ::4], image_probe, atol=1e-6)


def test_crop_windows_equal_the_405_recorded_ones(excerpt: dict[str, np.ndarray]) -> None:
    for (y1, x1, y2, x2), expected in zip(excerpt['bbox_in'], excerpt['bbox_out'], strict=True):
        window = crop_window((x1, y1, x2, y2), 480, 640)
        ours = (window.y, window.y + window.size, window.x, window.x + window.size)
        assert ours == tuple(expected)


@pytest.mark.parametrize('index', [0, 1, 2, 3])
def test_an_object_becomes_the_recorded_points_pixels_and_crop(
    excerpt: dict[str, np.ndarray], index: int
) -> None:
    frame = _frame(excerpt['color'], excerpt['depth'], REAL_CAMERA)
    mask = excerpt['mask'] == excerpt['instance_ids'][index]
    detection = _detection(excerpt['boxes'][index], mask)
    _check_object(frame, detection, *(excerpt[f'{index}_{name}']
                                      for name in ('points', 'choose', 'rgb_sub')))


@pytest.mark.parametrize('number', range(6))
def test_the_whole_synthetic_fixture_agrees(number: int) -> None:
    if not (WHOLE / 'dataset_parity.npz').is_file():
        pytest.skip('the whole fixtures are not beside this clone')
    folder = WHOLE / 'synth_data/CAMERA/train/00000'
    bgr = cv2.imread(str(folder / '0000_color.png'))
    ids = cv2.imread(str(folder / '0000_mask.png'))[:, :, 2]
    with np.load(WHOLE / 'dataset_parity.npz') as file:
        index = int(file[f'CAMERA_{number}_inst'])
        mask = ids == file['CAMERA_label_instance_ids'][index]
        detection = _detection(file['CAMERA_label_bboxes'][index], mask)
        frame = _frame(bgr[:, :, ::-1], file['CAMERA_depth'], SYNTHETIC_CAMERA)
        _check_object(frame, detection, *(file[f'CAMERA_{number}_{name}']
                                          for name in ('points', 'choose', 'rgb_sub')))


def test_a_window_is_larger_than_its_box_and_inside_images_of_any_size() -> None:
    assert crop_window((300, 200, 340, 240), 480, 640).size == 80
    whole = crop_window((0, 0, 1920, 1080), 1080, 1920)
    assert (whole.size, whole.y) == (1040, 20)
    corner = crop_window((1900.2, 1060.7, 1920, 1080), 1080, 1920)
    assert (corner.x, corner.y, corner.size) == (1880, 1040, 40)


def test_an_image_without_room_for_a_window_is_refused() -> None:
    with pytest.raises(InvalidInputError, match='40x40'):
        crop_window((0, 0, 10, 10), 40, 40)


def test_too_few_pixels_give_no_input(excerpt: dict[str, np.ndarray]) -> None:
    frame = _frame(excerpt['color'], excerpt['depth'], REAL_CAMERA)
    observed = (excerpt['mask'] == excerpt['instance_ids'][0]) & (excerpt['depth'] > 0)
    rows, columns = np.nonzero(observed)
    generator = np.random.default_rng(0)
    for count in (31, 32):
        mask = np.zeros((480, 640), dtype=bool)
        mask[rows[:count], columns[:count]] = True
        ours = object_input(frame, _detection(excerpt['boxes'][0], mask), 100, generator)
        assert (ours is None) == (count < 32)
    # Fewer pixels than points are repeated cyclically.
    np.testing.assert_array_equal(ours.points[:32], ours.points[32:64])
    np.testing.assert_array_equal(ours.pixel_index[:4], ours.pixel_index[96:])


def test_only_the_first_point_of_each_pixel_is_kept() -> None:
    np.testing.assert_array_equal(first_of_each_pixel(np.array([7, 3, 7, 5, 3])), [1, 3, 0])


def test_the_crop_pixel_is_the_scaled_position_rounded_down() -> None:
    index = crop_pixel_index(np.array([0, 79, 40]), np.array([0, 79, 1]), 80)
    np.testing.assert_array_equal(index, [0, 189 * 192 + 189, 96 * 192 + 2])


def test_the_crop_is_normalised_red_first() -> None:
    red = np.zeros((80, 80, 3), dtype=np.uint8)
    red[:, :, 0] = 255
    image = normalized_image(resized_crop(red, crop_window((30, 30, 40, 40), 80, 80)))
    assert image.shape == (3, 192, 192)
    np.testing.assert_allclose(image[:, 96, 96], [(1 - 0.485) / 0.229, -0.456 / 0.224,
                                                  -0.406 / 0.225], rtol=1e-6)


def test_the_box_centre_of_a_recentred_mug_lies_on_its_handle_side() -> None:
    cup = np.array([[-0.3, -0.2, -0.3], [0.3, 0.2, 0.3], [0.5, 0.0, 0.0]])
    np.testing.assert_allclose(box_centre(cup), [0.1, 0.0, 0.0], atol=1e-12)
