"""Windows of pictures: where their pixels come from, and what fills what the picture lacks."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.training.neural_mesh_windows import (
    COVERED,
    STANDARD_WIDTH,
    WindowSettings,
    padding_textures,
    plain_window,
    random_window,
)
from pose_estimation_ros.training.object_pictures import ObjectPicture

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))
from box_pictures import HEIGHT, WIDTH, K, box_picture, standing_pose

PLAIN = WindowSettings(colors=0.0, patches=0.0)


def ramps():
    """Return a picture whose colours tell column and row, with an object in its middle."""
    box = box_picture(0, (0.1, 0.1, 0.1), standing_pose())
    columns, rows = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    rgb = np.stack([columns * 0.7, rows * 0.7, np.full_like(rows, 200)], axis=-1)
    return ObjectPicture(rgb.astype(np.uint8), box.object_map, K, box.objects)


@pytest.mark.parametrize('seed', range(4))
def test_pixels_come_from_where_the_map_says(seed):
    picture = ramps()
    window = random_window(picture, 0, PLAIN, np.random.default_rng(seed))
    inverse = np.linalg.inv(np.vstack([window.from_picture, [0, 0, 1]]))
    columns, rows = np.meshgrid(np.arange(224), np.arange(224))
    places = np.stack([columns, rows, np.ones_like(rows)], axis=-1) @ inverse[:2].T
    margin = 3
    inside = ((places > margin) & (places < np.array([WIDTH, HEIGHT]) - 1 - margin)).all(axis=2)
    assert inside.mean() > 0.2
    np.testing.assert_allclose(window.rgb[inside][:, :2], 0.7 * places[inside], atol=2.5)


def test_mirrored_windows_are_mirror_images():
    picture = ramps()
    plain, mirrored = (random_window(picture, 0, replace(PLAIN, mirrored=chance),
                                     np.random.default_rng(1)) for chance in (0.0, 1.0))
    assert mirrored.mirrored
    assert not plain.mirrored
    assert np.linalg.det(plain.from_picture[:, :2]) > 0 > np.linalg.det(
        mirrored.from_picture[:, :2])
    np.testing.assert_array_equal(mirrored.object_map, plain.object_map[:, ::-1])


def test_objects_are_within_the_wanted_sides():
    picture = ramps()
    for seed in range(5):
        window = random_window(picture, 0, replace(PLAIN, sides=(60.0, 70.0), turned=0.0,
                                                   shift=0.0), np.random.default_rng(seed))
        _, columns = np.nonzero(window.object_map == 3)
        rows, _ = np.nonzero(window.object_map == 3)
        assert 58 <= max(np.ptp(columns), np.ptp(rows)) + 1 <= 72


def test_what_lies_beyond_the_picture_is_a_texture():
    picture = ramps()
    window = random_window(picture, 0, replace(PLAIN, scales=(0.3, 0.3), sides=(5.0, 300.0),
                                               turned=0.0, shift=0.0),
                           np.random.default_rng(0))
    # The picture is 192 pixels wide here: its surroundings are neither black nor its border.
    border = window.rgb[:, :8].reshape(-1, 3)
    assert window.object_map[:, :8].max() == 0
    assert border.std(axis=0).max() > 1.0 or border.mean() > 10.0
    assert np.abs(border.astype(int) - [0, 80, 200]).max() > 40


def test_patches_cover_objects_in_the_map_as_well():
    picture = ramps()
    window = random_window(picture, 0, replace(PLAIN, patches=1.0), np.random.default_rng(2))
    assert (window.object_map == COVERED).sum() > 50


def test_a_plain_window_shows_the_picture_as_wide_as_is_usual():
    window = plain_window(ramps(), 0, PLAIN)
    assert window.scale == pytest.approx(STANDARD_WIDTH / WIDTH)
    assert not window.mirrored


def test_textures_are_the_same_each_time_and_of_many_kinds():
    textures = padding_textures()
    assert textures.shape[1:] == (96, 96, 3)
    flat = textures.reshape(len(textures), -1).astype(float)
    assert (flat.std(axis=1) > 3).sum() > len(textures) / 2
    assert np.ptp(flat.mean(axis=1)) > 60
