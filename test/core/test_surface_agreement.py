"""The check of poses against depth, on rendered spheres and boxes whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.core.surface_agreement import AgreementCheck, surface_points
from pose_estimation_ros.core.symmetry import NO_SYMMETRY

CAMERA = CameraIntrinsics.pinhole(160, 120, 150.0, 150.0, 79.5, 59.5)
RADIUS = 0.05
CENTER = np.array([0.02, -0.01, 0.5])
WALL = 0.7
_DIRECTIONS = np.random.default_rng(0).normal(size=(800, 3))
SPHERE = (RADIUS * _DIRECTIONS / np.linalg.norm(_DIRECTIONS, axis=1, keepdims=True)
          ).astype(np.float32)
CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32) * 0.04
CUBE_FACES = np.array([[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
                       [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]],
                      np.int32)


def sphere_scene(center=CENTER):
    """Return a frame of a sphere in front of a wall, and the sphere's mask."""
    pixels = np.stack(np.meshgrid(np.arange(160.0), np.arange(120.0)), axis=-1)
    rays = CAMERA.back_project(pixels, np.ones((120, 160)))
    squared = (rays ** 2).sum(axis=2)
    along = rays @ center
    root = along ** 2 - squared * (center @ center - RADIUS ** 2)
    mask = root > 0
    depth = np.where(mask, (along - np.sqrt(np.maximum(root, 0))) / squared, WALL)
    return frame_of(depth), mask


def frame_of(depth):
    return RGBDFrame(0, 'camera', np.zeros((120, 160, 3), np.uint8), depth.astype(np.float32),
                     CAMERA)


def pose_at(center, mask, **changes):
    detection = Detection('ball', 1.0, np.array([0.0, 0, 160, 120]), mask)
    fields = {'points': SPHERE, 'size': np.full(3, 2 * RADIUS)} | changes
    return ObjectPose('ball', 0.9, make_transform(np.eye(3), center), fields.pop('size'),
                      NO_SYMMETRY, 'test', detection=detection, **fields)


def agreement(frame, pose):
    return AgreementCheck().agreement(frame, pose)


def test_the_true_pose_agrees_nearly_everywhere():
    frame, mask = sphere_scene()
    assert agreement(frame, pose_at(CENTER, mask)) > 0.9


@pytest.mark.parametrize('shift', [(0.0, 0.0, 0.05), (0.0, 0.0, -0.05), (0.08, 0.0, 0.0)],
                         ids=['behind', 'in front', 'beside'])
def test_a_pose_half_an_object_off_hardly_agrees(shift):
    frame, mask = sphere_scene()
    assert agreement(frame, pose_at(CENTER + shift, mask)) < 0.35


@settings(max_examples=25, deadline=None)
@given(st.floats(0.0, 1.0), st.floats(0.0, 2 * np.pi), st.floats(-1.0, 1.0))
def test_a_pose_further_off_never_agrees_more_than_the_true_one(reach, angle, height):
    frame, mask = sphere_scene()
    flat = np.sqrt(1 - height ** 2)
    shift = 0.1 * reach * np.array([flat * np.cos(angle), flat * np.sin(angle), height])
    true = agreement(frame, pose_at(CENTER, mask))
    assert agreement(frame, pose_at(CENTER + shift, mask)) <= true + 0.05


@pytest.mark.parametrize('origin', [(0.0, 0.0, 0.0), (0.04, 0.04, 0.04), (0.0, 0.0, 0.3)],
                         ids=['middle', 'corner', 'outside'])
def test_where_the_origin_of_a_mesh_lies_does_not_matter(origin):
    depth = np.full((120, 160), WALL)
    columns, rows = np.rint(CAMERA.project(np.array([[-0.04, -0.04, 0.5],
                                                     [0.04, 0.04, 0.5]]))).astype(int).T
    mask = np.zeros(depth.shape, bool)
    mask[rows[0]:rows[1], columns[0]:columns[1]] = True
    depth[mask] = 0.5
    vertices = CUBE - np.float32(origin)
    for shift, least, most in ((0.0, 0.8, 1.0), (0.01, 0.0, 0.2)):
        pose = pose_at(np.array([0.0, 0.0, 0.54 + shift]) + origin, mask, points=vertices,
                       faces=CUBE_FACES, size=2.0 * np.abs(vertices).max(axis=0))
        assert least <= agreement(frame_of(depth), pose) <= most


@pytest.mark.parametrize(('down', 'across'), [(3, 1), (1, 3)])
def test_pixels_that_are_not_square_change_nothing(down, across):
    frame, mask = sphere_scene()
    stretched = replace(frame, rgb=stretch(frame.rgb, down, across),
                        depth=stretch(frame.depth, down, across),
                        intrinsics=CAMERA.resize(160 * across, 120 * down))
    for shift in ((0.0, 0.0, 0.0), (0.02, 0.0, 0.0), (0.0, 0.02, 0.0), (0.0, 0.0, 0.01)):
        expected = agreement(frame, pose_at(CENTER + shift, mask))
        pose = pose_at(CENTER + shift, stretch(mask, down, across))
        assert agreement(stretched, pose) == pytest.approx(expected, abs=0.04)


def stretch(image, down, across):
    return image.repeat(down, axis=0).repeat(across, axis=1)


def test_an_object_that_another_hides_by_half_still_agrees():
    frame, mask = sphere_scene()
    depth = frame.depth.copy()
    depth[:, :85] = 0.3
    visible = mask.copy()
    visible[:, :85] = False
    assert agreement(replace(frame, depth=depth), pose_at(CENTER, visible)) > 0.85


def test_the_surface_of_another_thing_is_no_agreement():
    frame, mask = sphere_scene()
    assert agreement(frame, pose_at(CENTER, np.roll(mask, 60, axis=1))) < 0.1


def test_holes_in_the_depth_image_say_nothing():
    frame, mask = sphere_scene()
    depth = frame.depth.copy()
    depth[::2] = np.nan
    assert agreement(replace(frame, depth=depth), pose_at(CENTER, mask)) > 0.9


def test_nothing_is_known_without_depth_or_with_too_little_of_it():
    frame, mask = sphere_scene()
    pose = pose_at(CENTER, mask)
    assert np.isnan(agreement(replace(frame, depth=None), pose))
    assert np.isnan(agreement(frame_of(np.full((120, 160), np.nan)), pose))
    assert np.isnan(agreement(frame, replace(pose, detection=None)))


def test_a_pose_around_the_camera_or_outside_the_image_does_not_agree():
    frame, mask = sphere_scene()
    assert agreement(frame, pose_at(np.array([0.0, 0.0, 0.02]), mask)) == 0.0
    beside = agreement(frame, pose_at(CENTER + (2.0, 0.0, 0.0), mask))
    assert np.isnan(beside)


def test_masks_in_a_window_are_those_of_the_whole_image():
    frame, mask = sphere_scene()
    rows, columns = np.nonzero(mask)
    top, left = rows.min(), columns.min()
    window = mask[top:rows.max() + 1, left:columns.max() + 1]
    pose = pose_at(CENTER, mask)
    cut = replace(pose, detection=Detection('ball', 1.0, np.array([0.0, 0, 160, 120]), window,
                                            (int(left), int(top))))
    assert agreement(frame, cut) == agreement(frame, pose)


def test_a_box_agrees_as_far_as_it_holds_what_is_seen():
    frame, mask = sphere_scene()
    assert agreement(frame, pose_at(CENTER, mask, points=None)) > 0.95
    assert agreement(frame, pose_at(CENTER + (0.0, 0.0, 0.2), mask, points=None)) < 0.05
    half = agreement(frame, pose_at(CENTER + (0.05, 0.0, 0.0), mask, points=None))
    assert 0.3 < half < 0.8


def test_points_on_a_mesh_cover_its_faces_evenly_not_its_vertices():
    pose = pose_at(CENTER, np.ones((120, 160), bool), points=CUBE, faces=CUBE_FACES,
                   size=np.full(3, 0.08))
    points = surface_points(pose)
    assert points.shape == (1024, 3)
    np.testing.assert_allclose(np.abs(points).max(axis=1), 0.04, atol=1e-6)
    on_face = np.abs(points) > 0.04 - 1e-6
    # Each pair of faces has a third of the area.
    np.testing.assert_allclose(on_face.mean(axis=0), 1 / 3, atol=0.07)
    np.testing.assert_array_equal(surface_points(pose), points)


def test_the_side_of_a_cube_that_faces_away_is_not_compared():
    depth = np.full((120, 160), WALL)
    T = make_transform(axis_rotation((0.0, 1.0, 0.0), 0.0), np.array([0.0, 0.0, 0.5]))
    corners = np.array([[-0.04, -0.04, 0.46], [0.04, 0.04, 0.46]])
    (left, top), (right, bottom) = np.rint(CAMERA.project(corners)).astype(int)
    depth[top:bottom + 1, left:right + 1] = 0.46
    mask = depth < WALL
    detection = Detection('box', 1.0, np.array([0.0, 0, 160, 120]), mask)
    pose = ObjectPose('box', 0.9, T, np.full(3, 0.08), NO_SYMMETRY, 'test', detection=detection,
                      points=CUBE, faces=CUBE_FACES)
    assert agreement(frame_of(depth), pose) > 0.75
