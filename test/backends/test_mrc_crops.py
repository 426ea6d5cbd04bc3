"""Crops, box maps and auxiliary numbers of MRC-Net equal the published ones (spec 1.1)."""

from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.backends.mrc_crops import (
    QUARTER_TURNS,
    CropSquare,
    box_map,
    classifier_aux,
    color_input,
    crop_pixels,
    crop_square,
    crop_view,
    detection_box_map,
    published_inference_aux,
    quarter_turn,
    regressor_aux,
    rendering_box_map,
    rendering_input,
)
from pose_estimation_ros.core.errors import InvalidInputError

EXCERPT = np.load(Path(__file__).parents[1] / 'data' / 'mrc' / 'crops.npz')
WHOLE = Path(__file__).parents[2].parent / 'shared/specs/fixtures/rgb'
K = np.array([[600.0, 0.0, 320.0], [0.0, 610.0, 240.0], [0.0, 0.0, 1.0]])


def _published_view(turns):
    square = CropSquare(EXCERPT['center'], float(EXCERPT['side']), np.array([147.0, 147.0]))
    return crop_view(EXCERPT['K'], square, 256, turns)


@pytest.mark.parametrize('turns', range(QUARTER_TURNS))
def test_crops_at_four_rotations_equal_the_published_ones(turns):
    width, height = EXCERPT['image_size']
    image = np.zeros((height, width, 3), dtype=np.float32)
    (x, y), window = EXCERPT['window_offset'], EXCERPT['image_window']
    image[y:y + len(window), x:x + len(window)] = window
    view = _published_view(turns)

    crop = crop_pixels(image, view)

    rows, columns = EXCERPT[f'rows{turns}'], EXCERPT[f'columns{turns}']
    assert len(rows) > 300
    np.testing.assert_allclose(crop[rows, columns], EXCERPT[f'pixels{turns}'], atol=5e-3)
    np.testing.assert_allclose(view.K, EXCERPT[f'K{turns}'], atol=2e-3)


@pytest.mark.parametrize('side', [100.0, 130.0, 257.0, 330.0, 470.0])
@pytest.mark.parametrize('turns', [0, 1])
def test_a_spot_is_where_the_map_says_however_much_the_crop_shrinks(side, turns):
    x, y = np.meshgrid(np.arange(640), np.arange(480))
    image = np.exp(-((x - 333.3) ** 2 + (y - 251.6) ** 2) / (2 * 12.0 ** 2)).astype(np.float32)
    view = crop_view(K, CropSquare(np.array([330.0, 250.0]), side, np.ones(2)), 64, turns)
    crop = crop_pixels(np.where(image > 0.3, image - 0.3, 0.0), view).astype(float)
    rows, columns = np.indices(crop.shape)
    found = np.array([(crop * columns).sum(), (crop * rows).sum()]) / crop.sum()
    np.testing.assert_allclose(found, view.from_image @ [333.3, 251.6, 1.0], atol=0.05)


@pytest.mark.parametrize('side', [128.0, 200.0, 256.0])
def test_fine_stripes_become_grey_in_small_crops(side):
    image = np.zeros((400, 400), dtype=np.float32)
    image[:, ::2] = 200.0
    crop = crop_pixels(image, crop_view(K, CropSquare(np.full(2, 200.0), side, np.ones(2)), 64))
    # Bilinear samples alone range from 0 to 200.
    np.testing.assert_allclose(crop, 100.0, atol=40)
    assert crop.mean() == pytest.approx(100.0, abs=5)


@pytest.mark.skipif(not WHOLE.is_dir(), reason='the whole fixtures are not beside the repository')
def test_crops_and_box_maps_equal_the_whole_fixtures():
    geometry = np.load(WHOLE / 'mrcnet_geometry_fixture.npz')
    image = geometry['crop_im_full'].astype(np.float32)
    for turns in range(QUARTER_TURNS):
        crop = crop_pixels(image, _published_view(turns))
        np.testing.assert_allclose(crop[::4, ::4], geometry[f'crop_rot{turns}'].transpose(1, 2, 0),
                                   atol=3e-3)
    rendered = np.load(WHOLE / 'mrcnet_render_fixture.npz')
    for depth, expected in zip(rendered['depth'][..., 0], rendered['bbox_map'][:, 0], strict=True):
        np.testing.assert_array_equal(rendering_box_map(depth), expected)


@pytest.mark.parametrize('number', range(3))
def test_box_maps_equal_the_published_ones(number):
    *box, x_min, y_min, x_max, y_max = EXCERPT[f'box{number}']

    rows, columns = np.nonzero(box_map(np.array(box[:2]), np.array(box[2:]), 256))

    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (x_min, y_min, x_max, y_max)
    assert len(rows) == (x_max + 1 - x_min) * (y_max + 1 - y_min)


def test_the_square_is_half_as_large_again_as_the_box_without_its_fractions():
    square = crop_square([10.9, 20.2, 50.7, 40.9])
    np.testing.assert_allclose(square.center, [30.0, 30.0])
    np.testing.assert_allclose(square.box_size, [40.0, 20.0])
    assert square.side == 60.0


def test_a_square_of_training_is_moved_and_enlarged_but_never_larger_than_the_image():
    square = crop_square([10, 20, 50, 40], shift=[0.25, -0.5], zoom=0.2)
    np.testing.assert_allclose(square.center, [40.0, 20.0])
    assert square.side == pytest.approx(72.0)
    assert crop_square([0, 0, 500, 400], zoom=0.2, largest=640.0).side == 640.0


def test_a_box_without_extent_is_refused():
    with pytest.raises(InvalidInputError, match='0x0 pixels has no crop'):
        crop_square([10.1, 20.2, 10.9, 20.9])


@pytest.mark.parametrize('turns', range(QUARTER_TURNS))
def test_a_turned_pose_is_seen_where_the_turned_image_shows_it(turns):
    view = crop_view(K, crop_square([400, 300, 480, 360]), 128, turns)
    t = np.array([0.12, 0.09, 0.7])
    in_image = (K @ t)[:2] / t[2]

    turned = view.K @ view.R_turned_camera @ t

    np.testing.assert_allclose(turned[:2] / turned[2], view.from_image @ np.append(in_image, 1.0))
    np.testing.assert_allclose(np.linalg.det(view.R_turned_camera), 1.0)


def test_four_quarter_turns_are_none():
    np.testing.assert_array_equal(np.linalg.matrix_power(quarter_turn(1), 4), np.eye(3))
    np.testing.assert_array_equal(quarter_turn(3), quarter_turn(-1))


def test_the_camera_of_a_view_is_that_of_its_square():
    square = crop_square([400, 300, 480, 360])
    camera = crop_view(K, square, 128).K
    np.testing.assert_allclose(camera[:2, 2], (K[:2, 2] - square.center + 60.0) * 128 / 120)
    np.testing.assert_allclose(camera[:2, :2], K[:2, :2] * 128 / 120)


def test_the_box_map_of_a_turned_view_is_the_turned_map():
    square = crop_square([400, 300, 480, 340])
    upright = detection_box_map(crop_view(K, square, 64))
    turned = detection_box_map(crop_view(K, square, 64, 1))
    assert upright.sum() < 64 * 64 / 2
    np.testing.assert_array_equal(turned, upright.T)


def test_a_rendering_without_the_object_has_an_empty_box_map():
    assert not rendering_box_map(np.zeros((32, 32), np.float32)).any()


def test_network_inputs_are_blue_green_red_and_grey():
    rgb = np.zeros((8, 8, 3), np.float32)
    rgb[..., 0], rgb[..., 2] = 255.0, 51.0
    boxes = np.ones((8, 8), np.float32)

    crop = color_input(rgb, boxes)
    shade = rendering_input(np.full((8, 8), 0.7, np.float32), np.zeros((8, 8), np.float32))

    np.testing.assert_allclose(crop[:, 0, 0], [0.2, 0.0, 1.0, 1.0])
    np.testing.assert_allclose(shade[:, 0, 0], [0.7, 0.7, 0.7, 0.0])
    assert crop.dtype == shade.dtype == np.float32


def test_auxiliary_numbers_are_directions_and_the_width_seen_at_distance_one():
    view = crop_view(K, crop_square([400, 300, 480, 360]), 128)
    np.testing.assert_allclose(classifier_aux(view), [120 / 600, 90 / 610, 120 / 600], rtol=1e-6)
    np.testing.assert_allclose(regressor_aux(view, np.array([0.1, -0.2, 0.5])), [0.2, -0.4, 0.2],
                               rtol=1e-6)


def test_the_published_oversight_takes_the_box_centre_for_the_principal_point():
    square = crop_square([400, 300, 480, 360])
    upright, turned = crop_view(K, square, 128), crop_view(K, square, 128, 2)
    np.testing.assert_allclose(published_inference_aux(upright), [0.0, 0.0, 0.2])
    np.testing.assert_allclose(published_inference_aux(turned), [-240 / 600, -180 / 610, 0.2],
                               rtol=1e-6)
