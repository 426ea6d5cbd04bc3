"""Cameras look where they should and stay within their ranges."""

import numpy as np
import pytest

from pose_estimation_ros.core.se3 import inverse, is_rigid, transform_points
from pose_estimation_ros.synthetic.viewpoints import VIEWPOINT_STYLES, look_at, sample_view


def test_a_camera_sees_its_target_on_the_optical_axis_and_up_is_up():
    T_world_camera = look_at((0.5, -0.6, 0.4), (0.1, 0.0, 0.05))
    assert is_rigid(T_world_camera)
    target = transform_points(inverse(T_world_camera), np.array([0.1, 0.0, 0.05]))
    np.testing.assert_allclose(target[:2], 0.0, atol=1e-12)
    assert target[2] == pytest.approx(np.linalg.norm([0.4, 0.6, 0.35]))
    # The image's y axis points down, so it has a negative world z; x is level.
    assert T_world_camera[2, 1] < 0
    assert T_world_camera[2, 0] == pytest.approx(0.0)


def test_a_camera_straight_above_has_a_valid_pose():
    T_world_camera = look_at((0.0, 0.0, 1.0), (0.0, 0.0, 0.0))
    assert is_rigid(T_world_camera)
    np.testing.assert_allclose(T_world_camera[:3, 2], [0, 0, -1], atol=1e-12)


@pytest.mark.parametrize('domain', ['primary', 'second'])
def test_sampled_cameras_keep_their_targets_in_the_image_mostly(domain):
    style = VIEWPOINT_STYLES[domain]
    generator = np.random.default_rng(0)
    target = np.array([[0.1, 0.2, 0.05]])
    inside, distances = 0, []
    for _ in range(200):
        view = sample_view(style, target, lambda point: bool(point[2] > 0.03), generator)
        seen = transform_points(inverse(view.T_world_camera), target[0])
        pixel = view.intrinsics.project(seen)
        inside += seen[2] > 0 and bool((pixel > 0).all() and (pixel < (640, 480)).all())
        distances.append(np.linalg.norm(seen))
        assert style.focal_length[0] <= view.intrinsics.fx <= style.focal_length[1]
    assert inside > 190
    assert min(distances) > style.distance[0] - 1e-9
    assert max(distances) < style.distance[1] + 1e-9


def test_a_resized_view_keeps_its_field_of_view():
    generator = np.random.default_rng(0)
    view = sample_view(VIEWPOINT_STYLES['primary'], np.zeros((1, 3)), lambda _: True, generator)
    small = view.resized(320, 240)
    assert small.intrinsics.fx * 2 == pytest.approx(view.intrinsics.fx)
    np.testing.assert_array_equal(small.T_world_camera, view.T_world_camera)
