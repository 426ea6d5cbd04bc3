import numpy as np
import pytest

from pose_estimation_ros.segmentation.mask_pasting import paste_mask


def pasted(mask, box, image_size=(640, 480), scale=(1e-9, 1e-9), margin=0):
    return paste_mask(np.asarray(mask, np.float32), np.asarray(box, float), image_size, scale,
                      margin)


def test_a_full_mask_covers_its_box_and_not_the_margin():
    window = pasted(np.ones((28, 28)), (100, 50, 156, 106), margin=5)
    assert window.offset == (95, 45)
    assert window.probability.shape == (66, 66)
    assert (window.probability[5:61, 5:61] == 1).all()
    assert np.count_nonzero(window.probability[0] + window.probability[:, 0]) == 0


def test_a_half_mask_ends_in_the_middle_of_its_box():
    mask = np.zeros((28, 28))
    mask[:, :14] = 1
    window = pasted(mask, (10, 20, 66, 76))
    covered = (window.probability > 0.5).mean(axis=0)
    np.testing.assert_array_equal(covered, [1.0] * 28 + [0.0] * 28)


def test_the_training_shift_of_half_an_input_pixel_is_undone():
    mask = np.zeros((28, 28))
    mask[:14, :14] = 1
    window = pasted(mask, (0, 0, 56, 56), scale=(4.0, 2.0))
    inside = window.probability > 0.5
    assert inside[:, 0].sum() == 28 + 1
    assert inside[0].sum() == 28 + 2


def test_a_box_that_leaves_the_image_is_cut():
    window = pasted(np.ones((28, 28)), (600, 440, 700, 520))
    assert window.offset == (600, 440)
    assert window.probability.shape == (40, 40)


@pytest.mark.parametrize('box', [(700, 10, 720, 30), (10, 10, 10, 30), (5, 500, 60, 520)])
def test_a_box_without_pixels_in_the_image_gives_nothing(box):
    assert pasted(np.ones((28, 28)), box) is None
