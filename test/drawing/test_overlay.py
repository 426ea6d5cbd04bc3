import numpy as np
import pytest

from pose_estimation_ros.core.boxes import box_corners
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.categories import category_named
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.drawing import OverlayStyle, draw_overlay
from pose_estimation_ros.drawing.labels import Tag, place_tags
from pose_estimation_ros.drawing.overlay import label_color
from pose_estimation_ros.drawing.shapes import (
    AXIS_COLORS,
    draw_axes,
    draw_box,
    draw_mask,
    draw_outline,
    draw_segment,
)

CAMERA = CameraIntrinsics.pinhole(320, 240, 300.0, 300.0, 159.5, 119.5)
SIZE = np.array([0.1, 0.15, 0.12])
T = make_transform(axis_rotation((1, 2, 3), 0.6), [0.02, -0.01, 0.6])


def blank():
    return np.zeros((240, 320, 3), np.uint8)


def test_the_box_goes_through_its_projected_corners_and_nowhere_else():
    image = blank()
    draw_box(image, CAMERA, T, SIZE, (255, 0, 0), thickness=1)
    corners = CAMERA.project(box_corners(T, SIZE))
    for u, v in np.rint(corners).astype(int):
        assert image[v - 1:v + 2, u - 1:u + 2].max() > 100
    rows, columns = np.nonzero(image.max(axis=2))
    assert rows.min() >= corners[:, 1].min() - 3
    assert rows.max() <= corners[:, 1].max() + 3
    assert columns.min() >= corners[:, 0].min() - 3
    assert columns.max() <= corners[:, 0].max() + 3


def test_each_axis_ends_where_its_direction_points():
    image = blank()
    draw_axes(image, CAMERA, T, 0.1, thickness=2)
    for axis, color in enumerate(AXIS_COLORS):
        # A little before the end, where no other axis is near.
        u, v = np.rint(CAMERA.project(T[:3, 3] + 0.095 * T[:3, axis])).astype(int)
        assert tuple(image[v, u]) == color


@pytest.mark.parametrize('end', [[0.1, 0.0, -1.0], [0.0, 0.1, 0.0]])
def test_a_line_is_cut_off_where_it_passes_the_camera(end):
    image = blank()
    start = np.array([0.05, 0.0, 0.5])
    draw_segment(image, CAMERA, start, np.array(end), (255, 255, 255), 1)
    u, v = np.rint(CAMERA.project(start)).astype(int)
    assert image[v, u].max() > 100


def test_a_line_behind_the_camera_is_not_drawn():
    image = blank()
    draw_segment(image, CAMERA, np.array([0.0, 0.0, -0.5]), np.array([0.1, 0.0, -2.0]),
                 (9, 9, 9), 1)
    assert not image.any()


def test_a_mask_tints_its_pixels_only_and_may_hang_over_the_border():
    image = np.full((240, 320, 3), 100, np.uint8)
    mask = np.ones((20, 30), bool)
    draw_mask(image, Detection('mug', 1.0, np.array([0, 0, 20, 10]), mask, (-10, -10)),
              (200, 0, 0), opacity=0.5)
    assert tuple(image[3, 5]) == (150, 50, 50)
    assert (image[13:, :] == 100).all()
    assert (image[:, 23:] == 100).all()
    outside = image.copy()
    draw_mask(image, Detection('mug', 1.0, np.array([0, 0, 1, 1]), mask, (400, 10)),
              (200, 0, 0))
    np.testing.assert_array_equal(image, outside)


def tag(box):
    return Tag(('text',), (0, 0, 0), box)


def overlap(a, b):
    return (max(0, min(a[2], b[2]) - max(a[0], b[0]))
            * max(0, min(a[3], b[3]) - max(a[1], b[1])))


def test_tags_of_neighbours_do_not_cover_each_other_and_stay_inside():
    tags = [tag((50 + 8 * k, 60, 90 + 8 * k, 110)) for k in range(4)]
    places = place_tags(tags, [(60, 14)] * 4, (320, 240))
    areas = [(x, y, x + 60, y + 14) for x, y in places]
    for i, a in enumerate(areas):
        assert a[0] >= 0 and a[1] >= 0 and a[2] <= 320 and a[3] <= 240
        assert all(overlap(a, b) == 0 for b in areas[i + 1:])


def test_a_tag_of_an_object_at_the_border_is_moved_inside():
    ((x, y),) = place_tags([tag((-30, -20, 20, 15))], [(60, 14)], (320, 240))
    assert (x >= 0, y >= 0, x + 60 <= 320, y + 14 <= 240) == (True,) * 4


def test_the_overlay_leaves_the_input_alone_and_draws_in_the_category_colour():
    rgb = blank()
    pose = ObjectPose('mug', 0.9, T, SIZE, category_named('mug').symmetry, 'test', track_id=3)
    image = draw_overlay(rgb, CAMERA, [pose], style=OverlayStyle(mask_opacity=0.0))
    assert not rgb.any()
    found = (image == np.array(label_color('mug'))).all(axis=2)
    assert found.sum() > 200


def test_an_unknown_label_is_grey_and_an_object_behind_the_camera_breaks_nothing():
    behind = make_transform(np.eye(3), [0, 0, -0.5])
    pose = ObjectPose('thing', 0.9, behind, SIZE, category_named('mug').symmetry, 'test')
    assert not draw_overlay(blank(), CAMERA, [pose]).any()
    assert len(set(label_color('thing'))) == 1


def test_edges_behind_a_box_are_thinner_than_those_in_front():
    image = blank()
    draw_box(image, CAMERA, make_transform(np.eye(3), [0, 0, 0.6]), SIZE, (255, 0, 0), thickness=3)

    def width_across(point):
        u, v = np.rint(CAMERA.project(np.array(point))).astype(int)
        return (image[v - 6:v + 7, u].max(axis=1) > 120).sum()

    # Halfway along the lower edge of the near and of the far side.
    half = SIZE / 2
    near = width_across([0.01, -half[1], 0.6 - half[2]])
    far = width_across([0.01, -half[1], 0.6 + half[2]])
    assert near >= 3
    assert 1 <= far < near


def test_a_gripper_is_drawn_over_its_dark_rim():
    image = np.full((240, 320, 3), 200, np.uint8)
    segments = np.array([[[-0.05, 0.0, 0.5], [0.05, 0.0, 0.5]],
                         [[0.0, 0.0, 0.5], [0.0, 0.05, 0.5]]])
    draw_outline(image, CAMERA, segments, (10, 250, 20), thickness=2)
    for end in segments.reshape(-1, 3):
        inside = end * 0.9 + segments[0].mean(axis=0) * 0.1
        u, v = np.rint(CAMERA.project(inside)).astype(int)
        assert image[v, u, 1] > 200 and image[v, u, 0] < 60
    assert (image.max(axis=2) < 100).sum() > 50
