
import cv2
import numpy as np
import pytest

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.segmentation.mask_refinement import MaskRefinement, refine_mask

SIZE = 120
CAMERA = CameraIntrinsics.pinhole(SIZE, SIZE, 500, 500, SIZE / 2, -150)


@pytest.fixture
def scene():
    """A box 0.16 m wide that stands on a table, seen from above at a slant."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    inverse = 0.6 + 0.006 * rows  # the table: inverse depth is linear in the image
    depth = (1 / inverse).astype(np.float32)
    truth = (abs(columns - 60) < 30) & (rows > 30) & (rows < 90)
    # The box's front rises from where it touches the table.
    depth[truth] = depth[90, 60]
    return truth, depth


def soft(mask, sigma=2.0):
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), sigma)


def iou(a, b):
    return np.count_nonzero(a & b) / np.count_nonzero(a | b)


def shifted(mask, pixels):
    return np.roll(mask, pixels, axis=1)


def test_a_mask_beside_the_object_snaps_to_its_edges(scene):
    truth, depth = scene
    probability = soft(shifted(truth, 3))
    before = iou(probability > 0.5, truth)
    after = iou(refine_mask(probability, depth, CAMERA, MaskRefinement()), truth)
    assert before < 0.92
    assert after > 0.95


def test_a_mask_that_bleeds_onto_the_background_is_cut_back(scene):
    truth, depth = scene
    wide = cv2.dilate(truth.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    refined = refine_mask(soft(wide), depth, CAMERA, MaskRefinement())
    upper = np.s_[:85]  # further down, object and table meet and depth cannot tell them apart
    assert np.count_nonzero(refined[upper] & ~truth[upper]) < 0.02 * truth.sum()
    assert np.count_nonzero(truth & ~refined) < 0.03 * truth.sum()


def test_an_eroded_mask_grows_to_the_edges(scene):
    truth, depth = scene
    narrow = cv2.erode(truth.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    refined = refine_mask(soft(narrow), depth, CAMERA, MaskRefinement())
    assert np.count_nonzero(narrow) < 0.82 * truth.sum()
    assert iou(refined, truth) > 0.92


def test_an_occluder_in_front_is_cut_out(scene):
    truth, depth = scene
    depth[:, 40:50] = 0.4
    refined = refine_mask(soft(truth), depth, CAMERA, MaskRefinement())
    assert not refined[:, 40:50].any()
    assert refined[40:80, 60:80].all()


@pytest.mark.parametrize('rows_per_pixel', [1, 4])
def test_an_occluder_close_before_the_object_is_cut_out_whatever_the_pixels_aspect(
        scene, rows_per_pixel):
    truth, depth = scene
    depth[:, 40:50] = depth[90, 60] - 0.2
    probability, depth = (image.repeat(rows_per_pixel, axis=0) for image in (soft(truth), depth))
    camera = CAMERA.resize(SIZE, rows_per_pixel * SIZE)
    assert not refine_mask(probability, depth, camera, MaskRefinement())[:, 40:50].any()


def test_holes_of_unknown_depth_are_filled(scene):
    truth, depth = scene
    depth[50:60, 50:60] = np.nan
    probability = soft(truth)
    probability[52:58, 52:58] = 0.2
    assert refine_mask(probability, depth, CAMERA, MaskRefinement())[50:60, 50:60].all()


def test_a_hole_through_which_the_background_is_seen_stays_open(scene):
    truth, depth = scene
    depth[48:62, 48:62] = 3.0
    refined = refine_mask(soft(truth), depth, CAMERA, MaskRefinement())
    assert not refined[50:60, 50:60].any()


def test_small_stray_pieces_are_dropped(scene):
    truth, depth = scene
    probability = soft(truth)
    probability[5:12, 5:12] = 0.9
    assert not refine_mask(probability, depth, CAMERA, MaskRefinement())[:20, :20].any()


@pytest.mark.parametrize('unknown', ['none', 'all nan'])
def test_without_depth_the_mask_is_only_cleaned(scene, unknown):
    truth, depth = scene
    depth = None if unknown == 'none' else np.full_like(depth, np.nan)
    np.testing.assert_array_equal(
        refine_mask(soft(truth, 0.5), depth, CAMERA, MaskRefinement()), truth)


def test_an_empty_mask_stays_empty(scene):
    _, depth = scene
    empty = np.zeros((SIZE, SIZE), np.float32)
    assert not refine_mask(empty, depth, CAMERA, MaskRefinement()).any()
