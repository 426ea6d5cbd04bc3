from __future__ import annotations

import numpy as np
import pytest

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.categories import CATEGORY_NAMES, category_named
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.symmetry import NO_SYMMETRY

CAMERA = CameraIntrinsics.pinhole(8, 6, 10.0, 10.0, 3.5, 2.5)
RGB = np.zeros((6, 8, 3), np.uint8)


def test_a_frame_whose_image_and_camera_differ_in_size_names_both() -> None:
    with pytest.raises(InvalidInputError, match='4x6.*8x6'):
        RGBDFrame(0, 'camera', RGB[:, :4], None, CAMERA)


def test_a_frame_whose_depth_differs_in_size_names_the_cure() -> None:
    with pytest.raises(InvalidInputError, match='align_depth'):
        RGBDFrame(0, 'camera', RGB, np.zeros((3, 4), np.float32), CAMERA)


def test_depth_in_millimetre_integers_is_refused() -> None:
    with pytest.raises(InvalidInputError, match='float32'):
        RGBDFrame(0, 'camera', RGB, np.zeros((6, 8), np.uint16), CAMERA)


def test_a_cropped_mask_covers_its_pixels_in_the_full_image() -> None:
    mask = np.array([[True, False], [True, True]])
    detection = Detection('mug', 0.9, np.array([3.0, 2, 5, 4]), mask, offset=(3, 2))

    full = detection.full_mask(6, 8)

    assert sorted(zip(*np.nonzero(full), strict=True)) == [(2, 3), (3, 3), (3, 4)]


def test_a_mask_reaching_over_the_border_is_cut_off() -> None:
    detection = Detection('mug', 0.9, np.array([7.0, 5, 9, 7]), np.ones((2, 2), bool), (7, 5))

    assert detection.full_mask(6, 8).sum() == 1


@pytest.mark.parametrize('box', [[0, 0, 1], [5, 0, 1, 1], [0, 0, np.nan, 1]])
def test_malformed_boxes_are_refused(box: list[float]) -> None:
    with pytest.raises(InvalidInputError, match='box'):
        Detection('mug', 0.5, np.array(box, dtype=float), np.ones((1, 1), bool))


@pytest.mark.parametrize('size', [[0.1, 0.1, 0.0], [0.1, 0.1, np.nan], [0.1, 0.1]])
def test_a_pose_without_a_positive_size_is_refused(size: list[float]) -> None:
    with pytest.raises(InvalidInputError, match='size'):
        ObjectPose('mug', 1.0, np.eye(4), np.array(size), NO_SYMMETRY, 'spd')


def test_a_pose_that_is_not_rigid_is_refused() -> None:
    with pytest.raises(InvalidInputError, match='rigid'):
        ObjectPose('mug', 1.0, 2 * np.eye(4), np.ones(3), NO_SYMMETRY, 'spd')


def test_the_six_categories_keep_the_order_of_nocs() -> None:
    assert CATEGORY_NAMES == ('bottle', 'bowl', 'camera', 'can', 'laptop', 'mug')
    assert category_named('bowl').symmetry.axis == (0.0, 1.0, 0.0)
    assert category_named('fork') is None
