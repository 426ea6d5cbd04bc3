"""Crops of DISP6D: as the published code cuts them, and as ours are cut."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pose_estimation_ros.backends.disp6d_crops import CropSettings, encoder_input, object_crop
from pose_estimation_ros.core.errors import ModelError

PUBLISHED = np.load(Path(__file__).parents[1] / 'data/disp6d/translation.npz')
IMAGE = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)


@pytest.mark.parametrize('number', [0, 1, 2])
def test_stretched_crops_equal_the_published_ones(number: int) -> None:
    x, y, width, height = PUBLISHED[f'crop_bb{number}'].tolist()
    crop = object_crop(PUBLISHED['crop_im'], np.array([x, y, x + width, y + height], float), None,
                       CropSettings(border='stretched', interpolation='linear'))
    np.testing.assert_array_equal(crop, PUBLISHED[f'crop{number}'])


def test_what_lies_outside_the_image_is_padded() -> None:
    crop = object_crop(IMAGE, np.array([-10.0, 20.0, 10.0, 40.0]), None,
                       CropSettings(crop=24, margin=1.2, interpolation='linear'))
    np.testing.assert_array_equal(crop[:, :12], 0)
    np.testing.assert_array_equal(crop[:, 12:], IMAGE[18:42, :12])


@pytest.mark.parametrize(('background', 'value'), [('white', 255), ('black', 0)])
def test_what_is_not_the_object_gets_the_colour_of_the_background(
        background: str, value: int) -> None:
    mask = np.zeros((60, 80), np.bool_)
    mask[25:35, 35:45] = True
    crop = object_crop(IMAGE, np.array([30.0, 20.0, 50.0, 40.0]), mask,
                       CropSettings(crop=24, background=background))
    np.testing.assert_array_equal(crop[7:17, 7:17], IMAGE[25:35, 35:45])
    outside = np.ones((24, 24), np.bool_)
    outside[7:17, 7:17] = False
    np.testing.assert_array_equal(crop[outside], value)


def test_a_box_beside_the_image_gives_a_crop_all_the_same() -> None:
    for border in ('stretched', 'padded'):
        crop = object_crop(IMAGE, np.array([200.0, 200.0, 210.0, 220.0]), None,
                           CropSettings(crop=24, border=border))
        assert crop.shape == (24, 24, 3)


def test_the_encoder_gets_planes_of_shares() -> None:
    images = encoder_input(IMAGE[None, :32, :32], CropSettings(crop=32))
    assert images.shape == (1, 3, 32, 32)
    np.testing.assert_allclose(images[0, 2, 5, 7], IMAGE[5, 7, 2] / 255, rtol=1e-6)


def test_equalised_crops_use_the_whole_range_of_brightness() -> None:
    dull = (100 + IMAGE[None, :32, :32] // 16).astype(np.uint8)
    settings = CropSettings(crop=32, equalized=True)
    bright = np.round(255 * encoder_input(dull, settings)[0]).astype(np.uint8)
    luminance = cv2.cvtColor(np.moveaxis(bright, 0, -1), cv2.COLOR_BGR2YUV)[..., 0]
    assert luminance.min() < 5
    assert luminance.max() > 250


@pytest.mark.parametrize(('entry', 'value'), [
    ('background', 'green'), ('border', 1), ('margin', 'wide'), ('crop', 0), ('equalized', 'no')])
def test_a_manifest_with_another_value_is_refused(entry: str, value: object) -> None:
    with pytest.raises(ModelError, match=f"model 'mine'.*{entry} = {value!r}"):
        CropSettings.of('mine', {entry: value})
