"""Mask faults: plausible in size, and sometimes none."""

import cv2
import numpy as np
import pytest

from pose_estimation_ros.synthetic.mask_errors import detector_mask


def disk(side=120, radius=45):
    mask = np.zeros((side, side), np.uint8)
    cv2.circle(mask, (side // 2, side // 2), radius, 1, -1)
    return mask.astype(bool)


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


@pytest.fixture(scope='module')
def predicted():
    generator = np.random.default_rng(0)
    nothing = np.zeros((120, 120), bool)
    return [detector_mask(disk(), nothing, generator) for _ in range(400)]


def test_one_mask_in_five_is_perfect(predicted):
    perfect = np.mean([np.array_equal(mask, disk()) for mask in predicted])
    assert perfect == pytest.approx(0.2, abs=0.06)


def test_masks_overlap_the_truth_as_those_of_a_good_detector(predicted):
    ious = [overlap(mask, disk()) for mask in predicted]
    assert 0.85 < np.median(ious) < 0.97
    assert np.percentile(ious, 5) < 0.8
    assert min(ious) > 0.3


def test_masks_both_bleed_and_erode(predicted):
    bled = [(mask & ~disk()).sum() for mask in predicted]
    lost = [(disk() & ~mask).sum() for mask in predicted]
    assert np.mean(np.array(bled) > 100) > 0.2
    assert np.mean(np.array(lost) > 100) > 0.2


def test_edge_errors_scale_with_the_object():
    nothing = np.zeros((400, 400), bool)
    small, large = disk(400, 20), disk(400, 160)
    generator = np.random.default_rng(1)
    means = [np.mean([overlap(detector_mask(mask, nothing, generator), mask)
                      for _ in range(150)]) for mask in (small, large)]
    assert abs(means[0] - means[1]) < 0.06


def test_handles_are_missed_now_and_then():
    handle = np.zeros((120, 120), bool)
    handle[:, 85:] = True
    handle &= disk()
    generator = np.random.default_rng(2)
    missing = sum(detector_mask(disk(), handle, generator)[handle].mean() < 0.4
                  for _ in range(400))
    assert 10 < missing < 120


def test_an_empty_mask_stays_empty():
    nothing = np.zeros((20, 20), bool)
    assert not detector_mask(nothing, nothing, np.random.default_rng(0)).any()
