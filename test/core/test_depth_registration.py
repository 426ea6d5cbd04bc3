"""Registered depth against surfaces whose depth is known in both cameras."""

import numpy as np
import pytest

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.depth_registration import DepthRegistration
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import inverse, make_transform

DEPTH_CAMERA = CameraIntrinsics.pinhole(160, 120, 130.0, 132.0, 78.0, 61.0)
COLOR_CAMERA = CameraIntrinsics.pinhole(200, 150, 190.0, 188.0, 101.0, 73.0)
# The depth camera of a RealSense sits 15 mm beside the colour camera, a little turned.
T_COLOR_DEPTH = make_transform(axis_rotation((0.2, 1.0, 0.1), np.radians(1.5)),
                               np.array([0.015, -0.002, 0.001]))


def plane_depth(camera, normal, offset, distorted=False):
    """Return the depth of the plane normal @ point = offset, camera's frame, at every pixel."""
    pixels = np.stack(np.meshgrid(np.arange(camera.width), np.arange(camera.height)), axis=-1)
    rays = camera.back_project(pixels.astype(float), np.ones((camera.height, camera.width)))
    return (offset / (rays @ normal)).astype(np.float32)


def in_depth_frame(normal, offset):
    """Return a plane of the colour camera's frame in the depth camera's."""
    T = T_COLOR_DEPTH
    return T[:3, :3].T @ normal, offset - normal @ T[:3, 3]


@pytest.mark.parametrize('color_camera', [
    COLOR_CAMERA, CameraIntrinsics.pinhole(80, 60, 70.0, 70.0, 40.0, 30.0),
    CameraIntrinsics.pinhole(640, 480, 600.0, 600.0, 320.0, 240.0),
    CameraIntrinsics.pinhole(1600, 1200, 1200.0, 1200.0, 800.0, 600.0),
    CameraIntrinsics(200, 150, COLOR_CAMERA.K, 'rational_polynomial',
                     np.array([0.4, -0.3, 0.001, -0.0005, 0.05, 0.38, -0.28, 0.04])),
], ids=['larger', 'smaller', 'four times as large', 'nine times as large', 'distorted'])
@pytest.mark.parametrize('normal', [(0.0, 0.0, 1.0), (0.3, -0.5, 0.8)], ids=['wall', 'slanted'])
def test_a_plane_has_its_depth_in_the_colour_image_without_cracks(color_camera, normal):
    normal = np.array(normal) / np.linalg.norm(normal)
    seen = plane_depth(DEPTH_CAMERA, *in_depth_frame(normal, 0.6))
    registered = DepthRegistration(DEPTH_CAMERA, color_camera, T_COLOR_DEPTH).register(seen)
    true = plane_depth(color_camera, normal, 0.6)
    assert registered.shape == true.shape
    assert registered.dtype == np.float32
    # Both cameras see the middle.
    rows, columns = (slice(int(0.15 * n), int(0.8 * n)) for n in true.shape)
    assert np.isfinite(registered[rows, columns]).mean() > 0.99
    error = np.abs(registered - true)[np.isfinite(registered)]
    # One pixel of the depth camera, on the slanted plane, is 5 mm deep.
    assert np.quantile(error, 0.99) < (0.001 if normal[2] == 1.0 else 0.012)


def test_depth_at_pixels_beyond_the_lens_model_is_left_out_and_not_misplaced():
    K = np.array([[70.0, 0.0, 79.5], [0.0, 70.0, 59.5], [0.0, 0.0, 1.0]])
    depth_camera = CameraIntrinsics(160, 120, K, 'plumb_bob',
                                    np.array([-0.36, 0.16, 0.0, 0.0, -0.035]))
    angles = np.linspace(0.0, 1.0, 1000)
    rays = np.stack([np.tan(angles), np.zeros(1000), np.ones(1000)], axis=1)
    farthest = depth_camera.project(rays)[:, 0].max() - 79.5
    rows, columns = np.mgrid[:120, :160]
    beyond = np.hypot(columns - 79.5, rows - 59.5) > farthest + 1.0
    seen = np.where(beyond, 0.5, 1.0).astype(np.float32)
    wide = CameraIntrinsics.pinhole(400, 300, 20.0, 20.0, 200.0, 150.0)
    registered = DepthRegistration(depth_camera, wide, np.eye(4)).register(seen)
    assert beyond.any()
    assert np.nanmin(registered) == 1.0


def test_an_object_in_front_hides_what_is_behind_it():
    seen = np.full((120, 160), 1.0, np.float32)
    seen[40:80, 60:100] = 0.4
    registered = DepthRegistration(DEPTH_CAMERA, COLOR_CAMERA, T_COLOR_DEPTH).register(seen)
    corners = DEPTH_CAMERA.back_project(np.array([[62.0, 42.0], [97.0, 77.0]]), np.full(2, 0.4))
    moved = corners @ T_COLOR_DEPTH[:3, :3].T + T_COLOR_DEPTH[:3, 3]
    (left, top), (right, bottom) = np.rint(COLOR_CAMERA.project(moved)).astype(int)
    np.testing.assert_allclose(registered[top:bottom, left:right], 0.4, atol=0.02)


def test_the_same_camera_gives_the_same_depth():
    depth = np.random.default_rng(0).uniform(0.5, 0.51, (120, 160)).astype(np.float32)
    depth[10:20, 30:40] = np.nan
    registered = DepthRegistration(DEPTH_CAMERA, DEPTH_CAMERA, np.eye(4)).register(depth)
    np.testing.assert_array_equal(np.isnan(registered), np.isnan(depth))
    np.testing.assert_allclose(registered, depth, rtol=1e-6)


def test_what_is_behind_the_colour_camera_is_not_seen():
    T = inverse(make_transform(np.eye(3), np.array([0.0, 0.0, 2.0])))
    seen = np.full((120, 160), 0.6, np.float32)
    assert np.isnan(DepthRegistration(DEPTH_CAMERA, COLOR_CAMERA, T).register(seen)).all()


def test_unknown_depth_stays_unknown():
    seen = np.full((120, 160), np.nan, np.float32)
    registered = DepthRegistration(DEPTH_CAMERA, COLOR_CAMERA, np.eye(4)).register(seen)
    assert np.isnan(registered).all()


def test_depth_of_another_size_than_its_camera_is_refused():
    registration = DepthRegistration(DEPTH_CAMERA, COLOR_CAMERA, np.eye(4))
    with pytest.raises(InvalidInputError, match='depth image is 80x60 but its camera_info says'):
        registration.register(np.ones((60, 80), np.float32))
