"""Ray casting against shapes whose answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.rotation import random_rotation
from pose_estimation_ros.core.se3 import inverse, make_transform
from pose_estimation_ros.rendering.open3d_renderer import Open3DRayCaster
from pose_estimation_ros.rendering.primitives import box, ellipsoid, rectangle
from pose_estimation_ros.rendering.renderer import Rays, Window, camera_rays

CAMERA = CameraIntrinsics.pinhole(64, 48, 60.0, 61.0, 31.0, 24.5)


def test_distance_along_a_camera_ray_is_depth_along_z():
    wall = rectangle((-5, -5, 2), (10, 0, 0), (0, 10, 0))
    depth = Open3DRayCaster([wall]).distances(camera_rays(CAMERA, np.eye(4)))
    np.testing.assert_allclose(depth, 2.0, atol=1e-5)


def test_rays_that_miss_give_infinity_and_no_mesh():
    hits = Open3DRayCaster([box((0.1, 0.1, 0.1))]).cast(
        Rays(np.float32([[0, 0, -1], [1, 0, -1]]), np.float32([[0, 0, 1], [0, 0, 1]])))
    assert hits.distance[0] == pytest.approx(0.95)
    assert np.isinf(hits.distance[1])
    assert hits.mesh.tolist() == [0, -1]


def test_hits_name_the_nearest_mesh_and_its_outward_normal():
    near = box((0.2, 0.2, 0.2)).transformed(make_transform(np.eye(3), [0, 0, 1]))
    far = box((2, 2, 0.2)).transformed(make_transform(np.eye(3), [0, 0, 2]))
    hits = Open3DRayCaster([far, near]).cast(camera_rays(CAMERA, np.eye(4)))
    assert hits.mesh[24, 31] == 1
    assert hits.mesh[2, 2] == 0
    np.testing.assert_allclose(hits.normal[24, 31], [0, 0, -1], atol=1e-6)


def test_hit_points_from_barycentric_weights_equal_points_along_the_ray():
    ball = ellipsoid((0.4, 0.5, 0.6))
    rays = camera_rays(CAMERA, make_transform(np.eye(3), [0.02, 0.01, -1.0]))
    hits = Open3DRayCaster([ball]).cast(rays)
    on = hits.mesh == 0
    u, v = hits.barycentric[on].T
    weights = np.stack([1 - u - v, u, v], axis=1)
    surface = np.einsum('nc,ncx->nx', weights, ball.vertices[ball.faces[hits.face[on]]])
    np.testing.assert_allclose(rays.at(hits.distance)[on], surface, atol=1e-5)
    assert on.sum() > 300


def test_occlusion_ends_at_the_tip_of_the_direction():
    caster = Open3DRayCaster([rectangle((-1, -1, 1), (2, 0, 0), (0, 2, 0))])
    origins = np.zeros((2, 3), np.float32)
    blocked = caster.occluded(Rays(origins, np.float32([[0, 0, 0.99], [0, 0, 1.01]])))
    assert blocked.tolist() == [False, True]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_camera_rays_pass_through_the_points_they_are_projected_from(seed):
    generator = np.random.default_rng(seed)
    T_world_camera = make_transform(random_rotation(generator), generator.normal(size=3))
    rays = camera_rays(CAMERA, T_world_camera)
    depth = generator.uniform(0.3, 3.0, (48, 64)).astype(np.float32)
    in_camera = rays.at(depth) @ inverse(T_world_camera)[:3, :3].T + inverse(
        T_world_camera)[:3, 3]
    v, u = np.indices((48, 64))
    np.testing.assert_allclose(in_camera[..., 2], depth, atol=1e-5)
    np.testing.assert_allclose(CAMERA.project(in_camera), np.stack([u, v], -1), atol=1e-2)


def test_a_strided_window_samples_pixels_of_the_full_image():
    window = Window(10, 6, 15, 12, 3)
    full = camera_rays(CAMERA, np.eye(4)).directions
    part = camera_rays(CAMERA, np.eye(4), window).directions
    np.testing.assert_allclose(part, full[6:6 + 36:3, 10:10 + 45:3], atol=1e-6)


def test_the_camera_of_a_window_sees_the_same_directions():
    window = Window(10, 6, 15, 12, 3)
    own = camera_rays(window.intrinsics(CAMERA), np.eye(4)).directions
    np.testing.assert_allclose(own, camera_rays(CAMERA, np.eye(4), window).directions, atol=1e-6)
