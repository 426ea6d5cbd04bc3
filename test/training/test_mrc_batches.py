"""Crops for MRC-Net: pixels, cameras and poses belong together after every change."""

import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch

from pose_estimation_ros.training import mrc_batches
from pose_estimation_ros.training.mrc_augmentation import (
    AugmentationSettings,
    changed_colors,
    patch_shape,
    with_background,
    with_occluder,
)
from pose_estimation_ros.training.mrc_batches import joined, plain_crop, training_crop
from pose_estimation_ros.training.mrc_views import object_views

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))
from mrc_views import K, spotted_frame

UNCHANGED = AugmentationSettings(background=0, occluders=0, colors=0)
CROP = 128


def view_of(frame, side=400):
    return next(object_views(frame, ['other', 'wedge'], side))


def spot_in(batch):
    """Return (column, row) of the middle of the bright spot of a batch of one."""
    brightness = batch.image[0, 1].double().numpy()
    weight = np.where(brightness > 0.4, brightness - 0.4, 0.0)
    rows, columns = np.indices(weight.shape)
    return np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()


def origin_in(batch):
    """Return where the crop's camera sees the object's origin."""
    pixel = batch.K_crop[0].double().numpy() @ batch.t[0].double().numpy()
    return pixel[:2] / pixel[2]


def test_a_view_keeps_camera_pose_and_what_is_seen():
    frame = spotted_frame(visibility=0.6)
    view = view_of(frame)
    instance = frame.instances[0]
    assert view.object == 1
    assert view.visibility == 0.6
    assert int(view.mask.sum()) == int((frame.instance_map == 3).sum())
    np.testing.assert_array_equal(view.T_camera_object, instance.T_camera_object)
    u, v = (K @ instance.T_camera_object[:3, 3])[:2] / instance.T_camera_object[2, 3]
    column, row = view.from_image @ [u, v, 1.0]
    np.testing.assert_allclose(
        np.unravel_index(view.rgb[..., 0].argmax(), view.mask.shape), [row, column], atol=0.6)


def test_hardly_visible_and_tiny_objects_are_left_out():
    assert not list(object_views(spotted_frame(visibility=0.05), ['wedge'], 192))
    assert not list(object_views(spotted_frame(half_size=4), ['wedge'], 192))
    assert not list(object_views(spotted_frame(), ['cup'], 192))
    assert len(list(object_views(spotted_frame(), ['wedge'], 192))) == 1


@pytest.mark.parametrize('side', [400, 48])
@pytest.mark.parametrize('seed', range(6))
def test_the_pose_of_a_jittered_and_turned_crop_is_where_its_pixels_are(side, seed):
    view = view_of(spotted_frame(), side)
    batch = training_crop(view, lambda _: view, CROP, 1.0, UNCHANGED,
                          np.random.default_rng(seed))
    np.testing.assert_allclose(spot_in(batch), origin_in(batch), atol=0.6)


def test_turned_crops_have_turned_rotations():
    view = view_of(spotted_frame())
    turns = set()
    for seed in range(12):
        batch = training_crop(view, lambda _: view, CROP, 1.0, UNCHANGED,
                              np.random.default_rng(seed))
        turn = batch.R[0].double().numpy() @ view.T_camera_object[:3, :3].T
        assert np.abs(turn - np.round(turn)).max() < 1e-6
        assert turn[2, 2] == pytest.approx(1.0, abs=1e-6)
        turns.add(tuple(np.round(turn[0, :2]).astype(int)))
    assert turns == {(1, 0), (0, -1), (-1, 0), (0, 1)}


def test_a_plain_crop_has_the_box_in_its_middle_and_the_mask_of_the_object():
    view = view_of(spotted_frame())
    batch = plain_crop(view, CROP)
    # The mask is the whole box, which spans 1 / 1.5 of the crop.
    assert float(batch.mask.mean()) == pytest.approx((1 / 1.5) ** 2, rel=0.1)
    middle = batch.mask[0, 0].nonzero().double().mean(dim=0)
    np.testing.assert_allclose(middle, [15.5, 15.5], atol=0.6)
    np.testing.assert_allclose(spot_in(batch), origin_in(batch), atol=0.6)
    assert batch.image.shape == (1, 4, CROP, CROP)
    assert batch.mask.shape == (1, 1, CROP // 4, CROP // 4)
    # A frame of width 160 counts four times, see MSPD.
    assert float(batch.pixel[0]) == pytest.approx(4 * 1.5 * 29 / CROP, rel=0.02)


def test_beyond_the_frame_all_is_black():
    view = view_of(spotted_frame((-0.12, -0.08, 0.5)))
    bright = AugmentationSettings(background=0, occluders=0, colors=1, dropout=0, noise=0, blur=0,
                                  brightness=0, inversion=1, tint=0, exposure=0, contrast=0,
                                  grey=0)
    batch = joined([training_crop(view, lambda _: view, CROP, 0.0, bright,
                                  np.random.default_rng(seed)) for seed in range(8)])
    camera = batch.K_crop[:, :2, 2] - torch.tensor(K[:2, 2]) * batch.K_crop[:, :1, 0] / K[0, 0]
    outside = int(camera.min(dim=1).values.max()) - 1
    assert outside > 2
    first = int(camera.min(dim=1).values.argmax())
    assert float(batch.image[first, :3, :outside, :outside].max()) == 0.0


def test_the_same_seed_gives_the_same_crop_and_another_one_another():
    view = view_of(spotted_frame())
    first, again, other = (
        training_crop(view, lambda _: view, CROP, 0.5, AugmentationSettings(),
                      np.random.default_rng(seed)).image for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_an_occluder_hides_what_it_covers():
    generator = np.random.default_rng(0)
    rgb = np.full((40, 40, 3), 50, dtype=np.uint8)
    mask = np.zeros((40, 40), dtype=np.uint8)
    mask[10:30, 10:30] = 1
    red = np.zeros((20, 20, 3), dtype=np.uint8) + np.array([250, 0, 0], dtype=np.uint8)
    pasted, left = with_occluder(rgb, mask, red, np.ones((20, 20), dtype=np.uint8), generator)
    hidden = (mask > 0) & (left == 0)
    assert hidden.sum() > 10
    assert (pasted[hidden][:, 0] > 140).all()
    assert (pasted[left > 0][:, 0] < 160).all()


def test_occluders_leave_enough_of_the_object():
    view = view_of(spotted_frame(visibility=0.3))
    always = AugmentationSettings(background=0, occluders=1, colors=0)
    shares = []
    for seed in range(20):
        batch = training_crop(view, lambda _: view, CROP, 0.0, always,
                              np.random.default_rng(seed))
        shares.append(float(batch.mask.sum()))
    plain = float(plain_crop(view, CROP).mask.sum())
    assert min(shares) > 0.2 * plain
    assert min(shares) < 0.85 * plain


def test_backgrounds_show_other_objects_only():
    view = view_of(spotted_frame())
    always = AugmentationSettings(background=1, occluders=0, colors=0, jitter=0)
    bright = replace(view, rgb=np.full_like(view.rgb, 255))
    same, other = (training_crop(view, lambda _, drawn=drawn: drawn, CROP, 0.0, always,
                                 np.random.default_rng(0)).image
                   for drawn in (bright, replace(bright, object=0)))
    plain = plain_crop(view, CROP).image
    assert torch.equal(same, plain)
    assert float((other - plain).abs().max()) > 0.5


def test_no_whole_copy_of_the_own_object_is_pasted_before_it():
    view = view_of(spotted_frame())
    always = AugmentationSettings(background=0, occluders=1, colors=0, jitter=0)
    # Without patches only cut-outs are pasted.
    with mock.patch.object(mrc_batches, 'patch_shape', return_value=np.zeros_like(view.mask)):
        masks = {number: [training_crop(view, lambda _, number=number: replace(
            view, object=number), CROP, 0.0, always, np.random.default_rng(seed)).mask
            for seed in range(6)] for number in (0, view.object)}
    plain = plain_crop(view, CROP).mask
    assert all(torch.equal(mask, plain) for mask in masks[view.object])
    assert any(not torch.equal(mask, plain) for mask in masks[0])


@pytest.mark.parametrize('jitter', [0.0, 0.1, 0.25])
def test_crops_are_shifted_as_far_as_is_asked(jitter):
    view = view_of(spotted_frame())
    settings = replace(UNCHANGED, jitter=jitter)
    middle = spot_in(plain_crop(view, CROP))
    shifts = [np.abs(spot_in(training_crop(view, lambda _: view, CROP, 0.0, settings,
                                           np.random.default_rng(seed))) - middle)
              for seed in range(20)]
    # In boxes; a crop is at least 1.5 (1 - jitter) of them wide.
    farthest = np.max(shifts) / CROP * 1.5 * (1 - jitter)
    assert farthest <= jitter + 0.02
    assert farthest >= 0.6 * jitter


def test_a_new_background_leaves_the_object():
    rgb = np.full((40, 40, 3), 50, dtype=np.uint8)
    mask = np.zeros((40, 40), dtype=np.uint8)
    mask[10:30, 10:30] = 1
    other = np.full((30, 50, 3), 220, dtype=np.uint8)
    found = with_background(rgb, mask, other, np.random.default_rng(0))
    assert (found[14:26, 14:26] == 50).all()
    assert (found[:6] == 220).all()


def test_dropped_blocks_are_no_object():
    rgb = np.full((128, 128, 3), 100, dtype=np.float32)
    dropout = AugmentationSettings(colors=1, dropout=1, noise=0, blur=0, brightness=0,
                                   inversion=0, tint=0, exposure=0, contrast=0, grey=0)
    shares = []
    for seed in range(10):
        changed, mask = changed_colors(rgb, np.ones((128, 128), dtype=np.float32), dropout,
                                       np.random.default_rng(seed))
        np.testing.assert_array_equal(changed[..., 0] == 0, mask == 0)
        shares.append((mask == 0).mean())
    assert 0.03 < np.mean(shares) < 0.2


def test_colors_stay_within_their_range():
    rgb = np.random.default_rng(0).uniform(0, 255, (32, 32, 3)).astype(np.float32)
    for seed in range(20):
        changed, _ = changed_colors(rgb, np.ones((32, 32), dtype=np.float32),
                                    AugmentationSettings(colors=1), np.random.default_rng(seed))
        assert changed.dtype == np.float32
        assert changed.min() >= 0
        assert changed.max() <= 255


def test_patches_fill_part_of_their_picture():
    shares = [patch_shape((30, 40), np.random.default_rng(seed)).mean() for seed in range(30)]
    assert min(shares) > 0.01
    assert max(shares) < 1.0
