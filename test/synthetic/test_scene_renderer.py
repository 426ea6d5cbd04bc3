"""Rendered frames agree with the truth they come with."""

from dataclasses import replace

import numpy as np
import pytest

from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform, transform_points
from pose_estimation_ros.rendering.primitives import box
from pose_estimation_ros.rendering.renderer import Window
from pose_estimation_ros.synthetic.object_model import make_object
from pose_estimation_ros.synthetic.scene import Body, SceneGenerator
from pose_estimation_ros.synthetic.scene_renderer import (
    cast_view,
    object_window,
    render_frame,
    share_in_image,
    view_light,
    visibility_of,
    window_rgb,
)
from pose_estimation_ros.synthetic.solids import Solid
from pose_estimation_ros.synthetic.viewpoints import View, look_at

RESOLUTION = (160, 120)


@pytest.fixture(scope='module')
def scenes():
    generator = SceneGenerator('primary', 'test')
    return [generator.scene(seed) for seed in range(5)]


@pytest.fixture(scope='module')
def frames(scenes):
    return [render_frame(scene, RESOLUTION) for scene in scenes]


def test_frames_have_the_asked_size_and_types(frames):
    for truth in frames:
        assert truth.frame.rgb.shape == (120, 160, 3)
        assert truth.frame.depth.dtype == np.float32
        assert truth.instance_map.dtype == np.int16
        assert truth.frame.intrinsics.width == 160


def test_nocs_coordinates_map_back_to_the_clean_depth(frames):
    checked = 0
    for truth in frames:
        nocs = truth.nocs_map()
        for instance in truth.instances:
            rows, columns = np.nonzero(truth.instance_map == instance.id)
            if not rows.size:
                continue
            own = nocs[rows, columns]
            assert (np.abs(own) * instance.diagonal <= instance.size / 2 + 1e-4).all()
            points = transform_points(instance.T_camera_object, own * instance.diagonal)
            pixels = truth.frame.intrinsics.project(points)
            np.testing.assert_allclose(pixels, np.stack([columns, rows], -1), atol=1e-3)
            np.testing.assert_allclose(points[:, 2], truth.clean_depth[rows, columns], atol=1e-5)
            checked += 1
    assert checked >= 5


def test_boxes_enclose_exactly_the_visible_pixels(frames):
    for truth in frames:
        for instance in truth.instances:
            rows, columns = np.nonzero(truth.instance_map == instance.id)
            if rows.size:
                assert instance.box.tolist() == [columns.min(), rows.min(), columns.max() + 1,
                                                 rows.max() + 1]
            else:
                assert instance.visibility == 0.0


def test_measured_depth_is_near_the_clean_depth_where_it_is_known(frames):
    for truth in frames:
        error = np.abs(truth.frame.depth - truth.clean_depth)
        assert np.nanmedian(error) < 0.02
        assert 0.2 < np.isfinite(truth.frame.depth).mean() <= 1.0


def test_the_same_exposure_repeats_and_the_next_differs_by_noise_only(scenes):
    first, again, later = (render_frame(scenes[0], RESOLUTION, n) for n in (0, 0, 1))
    np.testing.assert_array_equal(first.frame.rgb, again.frame.rgb)
    np.testing.assert_array_equal(first.frame.depth, again.frame.depth)
    np.testing.assert_array_equal(first.instance_map, later.instance_map)
    assert (first.frame.rgb != later.frame.rgb).any()
    difference = first.frame.rgb.astype(int) - later.frame.rgb
    assert np.abs(np.median(difference)) <= 2


LEVEL = look_at((0, -1, 0.05), (0, 0, 0.05))
CUBE = Solid.of_mesh('cube', 'clutter', box((0.1, 0.1, 0.1)))


def cube_scene(scene, *centers):
    """Return a scene of 10 cm cubes, seen level along the world's y axis from 1 m before 0."""
    bodies = tuple(Body(CUBE, make_transform(np.eye(3), center), 'primary', 1)
                   for center in centers)
    return replace(scene, bodies=bodies, instance_count=len(bodies),
                   view=View(scene.view.intrinsics, LEVEL))


def visibility(scene, index):
    window = object_window(scene.bodies[index], scene.view)
    surfaces = cast_view(scene, scene.view, window)
    return visibility_of(scene.bodies[index], surfaces, surfaces.hits.mesh == index).whole


def test_visibility_is_the_share_that_nothing_covers(scenes):
    behind, before = (0.0, 0.5, 0.05), (0.05, 0.25, 0.05)
    scene = cube_scene(scenes[0], behind, before)
    # The front cube covers x from 0 m on at 1.2 m: half of the face 1.45 m away, seen at 1.45 m.
    assert visibility(scene, 0) == pytest.approx(0.5, abs=0.02)
    assert visibility(scene, 1) == 1.0


def test_share_in_image_counts_what_is_outside_the_border(scenes):
    camera = scenes[0].view.intrinsics
    border = (639.5 - camera.cx) / camera.fx
    scene = cube_scene(scenes[0], (border, 0.0, 0.05), (0.0, 0.0, 0.05))
    assert share_in_image(scene.bodies[0], scene.view) == pytest.approx(0.5, abs=0.07)
    assert share_in_image(scene.bodies[1], scene.view) == 1.0


def test_a_body_behind_the_camera_has_no_window(scenes):
    scene = cube_scene(scenes[0], (0.0, -2.0, 0.05), (0.0, 0.0, 0.05))
    assert object_window(scene.bodies[0], scene.view) is None


def test_handle_visibility_falls_when_the_mug_turns_it_away(scenes):
    mug = Solid.of_model(make_object('mug', 10, 'primary'))
    shares = []
    for yaw in (0.0, np.pi):
        upright = axis_rotation((0, 0, 1), yaw - np.pi / 2) @ axis_rotation((1, 0, 0), np.pi / 2)
        body = Body(mug, make_transform(upright, (0, 0, 0.05)), 'primary', 1)
        scene = replace(cube_scene(scenes[0]), bodies=(body,), instance_count=1)
        surfaces = cast_view(scene, scene.view, object_window(body, scene.view))
        shares.append(visibility_of(body, surfaces, surfaces.hits.mesh == 0).parts['handle'])
    assert shares[0] > 0.8
    assert shares[1] < 0.2


@pytest.mark.parametrize('stride', [1, 2])
def test_windows_have_the_colours_of_the_whole_picture(scenes, stride):
    window = Window(200, 140, 240 // stride, 200 // stride, stride)
    for scene in scenes[:3]:
        # Noise of the sensor and of soft shadows differs, the picture does not.
        scene = replace(scene, color_camera=replace(
            scene.color_camera, read_noise=0.001, shot_noise=1e-5, jpeg_quality=0,
            motion=(0.0, 0.0), sharpening=0.0))
        whole = render_frame(scene).frame.rgb[140:340:stride, 200:440:stride].astype(float)
        light = view_light(scene, scene.view, np.random.default_rng(0))
        shown = window_rgb(scene, cast_view(scene, scene.view, window), light,
                           np.random.default_rng(1))
        assert shown.shape == whole.shape
        assert shown.dtype == np.uint8
        assert np.median(np.abs(shown - whole)) < 4
        assert abs(shown.mean() - whole.mean()) < 6
        # Something is to be seen that could differ.
        assert whole.std() > 15
