"""The object's pixels in a box, from depth and colours."""

from __future__ import annotations

import numpy as np
import pytest

from pose_estimation_ros.backends.box_foreground import has_no_mask, with_mask
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.frame import RGBDFrame

CAMERA = CameraIntrinsics.pinhole(160, 120, 140.0, 140.0, 80.0, 60.0)
BOX = np.array([50.0, 30.0, 110.0, 90.0])


def scene(seed: int = 0) -> tuple[RGBDFrame, np.ndarray]:
    """Return a red ball at 0.6 m before a wall at 1 m, beside a blue bar as near; and its mask."""
    rows, columns = np.mgrid[:120, :160]
    ball = (columns + 0.5 - 80) ** 2 + (rows + 0.5 - 60) ** 2 < 30 ** 2
    bar = (columns >= 92) & ~ball & (rows > 70)
    depth = np.full((120, 160), 1.0, np.float32)
    depth[bar], depth[ball] = 0.62, 0.6
    rgb = np.full((120, 160, 3), (120, 110, 100), np.float64)
    rgb[bar], rgb[ball] = (30, 40, 200), (200, 40, 30)
    rgb += np.random.default_rng(seed).normal(0, 8, rgb.shape)
    return RGBDFrame(0, 'camera', rgb.clip(0, 255).astype(np.uint8), depth, CAMERA), ball


def boxed(box: np.ndarray = BOX) -> Detection:
    """Return a mere box, as its window."""
    width, height = np.rint(box[2:] - box[:2]).astype(int)
    return Detection('ball', 0.9, box, np.ones((height, width), bool),
                     (round(box[0]), round(box[1])))


def overlap(detection: Detection, mask: np.ndarray) -> float:
    found = detection.full_mask(*mask.shape)
    return float((found & mask).sum() / (found | mask).sum())


@pytest.mark.parametrize('seed', range(3))
def test_depth_and_colours_find_the_object(seed: int) -> None:
    frame, ball = scene(seed)
    found = with_mask(frame, boxed(), 0.26)
    assert overlap(found, ball) > 0.95
    assert (found.label, found.score) == ('ball', 0.9)
    np.testing.assert_array_equal(found.box, BOX)
    again = with_mask(frame, boxed(), 0.26)
    np.testing.assert_array_equal(again.mask, found.mask)


def test_without_colours_depth_alone_tells() -> None:
    frame, ball = scene()
    grey = RGBDFrame(0, 'camera', np.full_like(frame.rgb, 100), frame.depth, CAMERA)
    found = with_mask(grey, boxed(), 0.26)
    assert overlap(found, ball) > 0.8
    assert found.full_mask(120, 160)[ball].mean() > 0.95


def test_where_depth_has_holes_colours_tell() -> None:
    frame, ball = scene()
    holes = np.where(np.random.default_rng(1).random((120, 160)) < 0.7, frame.depth, np.nan)
    holes[50:60, 70:90] = np.nan
    found = with_mask(RGBDFrame(0, 'camera', frame.rgb, holes.astype(np.float32), CAMERA), boxed(),
                      0.26)
    assert overlap(found, ball) > 0.95


@pytest.mark.parametrize('box', [(-20.0, -10.0, 60.0, 70.0), (140.2, 100.7, 175.0, 130.0),
                                 (0.0, 0.0, 160.0, 120.0), (10.0, 10.0, 11.0, 12.0),
                                 (200.0, 10.0, 220.0, 30.0)])
def test_boxes_may_leave_the_image_or_fill_it(box: tuple[float, ...]) -> None:
    frame, _ = scene()
    detection = boxed(np.array(box))
    found = with_mask(frame, detection, 0.26)
    if found is not detection:
        rows, columns = found.pixels()
        assert rows.min() >= 0 and columns.min() >= 0 and rows.max() < 120 and columns.max() < 160


def test_an_object_whose_box_leaves_the_image_gets_its_mask() -> None:
    frame, ball = scene()
    camera = CameraIntrinsics.pinhole(95, 120, 140.0, 140.0, 15.0, 60.0)
    seen = RGBDFrame(0, 'camera', np.ascontiguousarray(frame.rgb[:, 65:]),
                     np.ascontiguousarray(frame.depth[:, 65:]), camera)
    found = with_mask(seen, boxed(BOX - [65, 0, 65, 0]), 0.26)
    assert overlap(found, ball[:, 65:]) > 0.9


def test_the_wall_behind_a_hole_is_not_taken_for_the_object() -> None:
    frame, _ = scene()
    rows, columns = np.mgrid[:120, :160]
    hoop = np.maximum(abs(columns + 0.5 - 80), abs(rows + 0.5 - 60)) < 30
    hoop &= np.maximum(abs(columns + 0.5 - 80), abs(rows + 0.5 - 60)) > 23
    depth = np.where(hoop, 0.6, 1.0).astype(np.float32)
    rgb = np.where(hoop[..., None], (200, 40, 30), frame.rgb[5, 5]).astype(np.uint8)
    found = with_mask(RGBDFrame(0, 'camera', rgb, depth, CAMERA), boxed(), 0.26)
    assert found.full_mask(120, 160)[hoop].all()


def test_a_box_half_before_and_half_behind_is_never_empty() -> None:
    frame, _ = scene()
    depth = np.where(np.arange(160)[None] < 80, 0.4, 1.6) * np.ones((120, 1))
    found = with_mask(RGBDFrame(0, 'camera', frame.rgb, depth.astype(np.float32), CAMERA), boxed(),
                      0.26)
    assert found.mask.any()


def test_without_enough_depth_it_stays_a_box() -> None:
    frame, _ = scene()
    nothing = np.full((120, 160), np.nan, np.float32)
    little = np.where(np.arange(160)[None] < 70, frame.depth, np.nan).astype(np.float32)
    for depth in (None, nothing, little):
        detection = boxed()
        assert with_mask(RGBDFrame(0, 'camera', frame.rgb, depth, CAMERA), detection,
                         0.26) is detection


def test_a_mask_that_is_its_box_is_none() -> None:
    _, ball = scene()
    assert has_no_mask(boxed())
    whole = np.zeros((120, 160), bool)
    whole[30:90, 50:110] = True
    assert has_no_mask(Detection('ball', 0.9, BOX, whole))
    assert not has_no_mask(Detection('ball', 0.9, BOX, ball))
    # Corners between pixels, and a box that leaves the image with a mask that does not.
    assert has_no_mask(Detection('ball', 0.9, np.array([10.6, 10.6, 20.4, 20.4]),
                                 np.ones((11, 11), bool), (10, 10)))
    assert has_no_mask(Detection('ball', 0.9, np.array([-20.0, -10.0, 60.0, 70.0]),
                                 np.ones((70, 60), bool)))
    assert not has_no_mask(Detection('ball', 0.9, BOX, np.zeros((120, 160), bool)))
