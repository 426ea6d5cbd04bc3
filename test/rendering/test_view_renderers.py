"""Views of known objects: MRC-Net's published rendering, and shapes whose picture is known."""

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.core.rotation import axis_rotation, random_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.rendering.open3d_view_renderer import Open3DViewRenderer
from pose_estimation_ros.rendering.primitives import box, cylinder, ellipsoid, rectangle
from pose_estimation_ros.rendering.view_renderer import make_view_renderer, rendering_device
from pose_estimation_ros.rendering.warp_view_renderer import WarpViewRenderer

EXCERPT = Path(__file__).parents[1] / 'data' / 'mrc' / 'views.npz'
WHOLE = (Path(__file__).parents[2].parent
         / 'shared/specs/fixtures/rgb/mrcnet_render_fixture.npz')
MILLIMETRE = 1e-3
SIZE = 64
K = np.array([[80.0, 0, 32], [0, 80, 32], [0, 0, 1]])


def warp_on_cpu(meshes):
    return WarpViewRenderer(meshes, 'cpu')


every_renderer = pytest.mark.parametrize('renderer', [Open3DViewRenderer, warp_on_cpu],
                                         ids=['open3d', 'warp'])


class Published(NamedTuple):
    """Renderings of the published code, background depth 0."""

    meshes: list[Mesh]
    poses: np.ndarray
    cameras: np.ndarray
    shade: np.ndarray
    depth: np.ndarray

    @classmethod
    def of(cls, R, t, cameras, grey, depth, meshes):
        poses = np.stack([make_transform(*pose) for pose in zip(R, t * MILLIMETRE, strict=True)])
        return cls(meshes, poses, cameras, grey, np.maximum(depth, 0) * MILLIMETRE)


def excerpt():
    data = np.load(EXCERPT)
    meshes = [Mesh(data[f'V{i}'] * MILLIMETRE, data['F']) for i in range(2)]
    return Published.of(data['R'], data['t'], data['K'], data['grey'], data['depth'], meshes)


def whole():
    data = np.load(WHOLE)
    meshes = [Mesh(data[f'V{i}'] * MILLIMETRE, data[f'F{i}']) for i in range(4)]
    return Published.of(data['R'], data['t'], data['K'], data['rgb'][:, 0],
                        data['depth'][..., 0], meshes)


def assert_equals_published(renderer, published):
    count = len(published.meshes)
    views = renderer(published.meshes).render(range(count), published.poses, published.cameras,
                                              published.depth.shape[1])
    inside = published.depth > 0
    np.testing.assert_array_equal(views.depth > 0, inside)
    shade_error = np.abs(views.shade - published.shade)
    depth_error = np.abs(views.depth - published.depth)[inside] / MILLIMETRE
    # The published float32 loses digits where rays graze the surface, in some 20 pixels a view.
    assert np.quantile(shade_error[inside], 0.99) < 3e-6
    assert shade_error.max() < 1e-4
    assert np.quantile(depth_error, 0.99) < 2e-4
    assert depth_error.max() < 5e-3


@every_renderer
def test_views_equal_an_excerpt_of_the_published_renderings(renderer):
    assert_equals_published(renderer, excerpt())


@pytest.mark.skipif(not WHOLE.is_file(), reason='the fixtures are not beside the repository')
@every_renderer
def test_views_equal_the_published_renderings(renderer):
    assert_equals_published(renderer, whole())


def random_views(meshes, count):
    """Return objects, poses and cameras of views that show each object large."""
    generator = np.random.default_rng(7)
    objects = generator.integers(len(meshes), size=count)
    poses = np.stack([make_transform(random_rotation(generator), [
        *generator.uniform(-0.02, 0.02, 2), generator.uniform(0.3, 0.9)]) for _ in range(count)])
    cameras = np.tile(K, (count, 1, 1))
    cameras[:, 0, 0] = 200 * poses[:, 2, 3]
    cameras[:, 1, 1] = 190 * poses[:, 2, 3]
    return objects, poses, cameras


SOLIDS = [box((0.1, 0.2, 0.15)), cylinder(0.06, 0.2),
          ellipsoid((0.1, 0.15, 0.2)).transformed(make_transform(np.eye(3), [0.05, 0.02, -0.03])),
          box((0.2, 0.02, 0.1))]


def test_both_renderers_draw_the_same():
    arguments = *random_views(SOLIDS, 12), SIZE
    first = Open3DViewRenderer(SOLIDS).render(*arguments)
    second = warp_on_cpu(SOLIDS).render(*arguments)
    np.testing.assert_array_equal(first.depth > 0, second.depth > 0)
    assert (first.depth > 0).mean() > 0.1
    np.testing.assert_allclose(first.depth, second.depth, atol=1e-5)
    np.testing.assert_allclose(first.shade, second.shade, atol=2e-4)


@every_renderer
def test_a_view_does_not_depend_on_the_others_of_its_batch(renderer):
    objects, poses, cameras = random_views(SOLIDS, 6)
    drawing = renderer(SOLIDS)
    together = drawing.render(objects, poses, cameras, SIZE)
    for view in range(6):
        alone = drawing.render(*(part[view:view + 1] for part in (objects, poses, cameras)), SIZE)
        np.testing.assert_array_equal(alone.shade[0], together.shade[view])
        np.testing.assert_array_equal(alone.depth[0], together.depth[view])


@every_renderer
def test_other_meshes_of_a_renderer_are_never_seen(renderer):
    many = [ellipsoid((0.1 + 0.01 * i, 0.1, 0.2), 12) for i in range(20)]
    objects, poses, cameras = random_views(many, 20)
    together = renderer(many).render(objects, poses, cameras, 32)
    for view in range(20):
        alone = renderer([many[objects[view]]]).render(
            [0], poses[view:view + 1], cameras[view:view + 1], 32)
        np.testing.assert_allclose(alone.depth[0], together.depth[view], atol=2e-6)
        np.testing.assert_allclose(alone.shade[0], together.shade[view], atol=1e-4)


@every_renderer
def test_the_centre_of_pixel_i_is_at_i_plus_a_half(renderer):
    # Columns 22.4 to 42.6, rows 27.6 to 36.4: the centres of columns 22 to 42, rows 28 to 35.
    corner = np.array([(22.4 - 32) / 80, (27.6 - 32) / 80, 0])
    plate = rectangle(corner, (20.2 / 80, 0, 0), (0, 8.8 / 80, 0))
    views = renderer([plate]).render([0], [make_transform(np.eye(3), [0, 0, 1])], [K], SIZE)
    seen = np.zeros((SIZE, SIZE), dtype=bool)
    seen[28:36, 22:43] = True
    np.testing.assert_array_equal(views.depth[0] > 0, seen)
    np.testing.assert_allclose(views.depth[0][seen], 1.0, atol=1e-6)


@every_renderer
def test_a_plate_that_looks_at_the_camera_is_brightest_where_it_mirrors_the_light(renderer):
    # Both sides of a plate are drawn; this one's front looks along -z.
    plate = rectangle((-0.3, -0.3, 0), (0, 0.6, 0), (0.6, 0, 0))
    views = renderer([plate]).render([0], [make_transform(np.eye(3), [0, 0, 1])], [K], SIZE)
    tangent = (np.arange(SIZE) + 0.5 - 32) / 80
    inside = np.abs(tangent) < 0.3
    cosine = 1 / np.sqrt(1 + tangent[:, None] ** 2 + tangent ** 2)
    expected = 0.6 * (0.8 + 0.3) + 0.06 * cosine ** 10
    seen = inside[:, None] & inside
    np.testing.assert_allclose(views.shade[0][seen], expected[seen], atol=1e-6)
    assert (views.shade[0][~seen] == 0).all()


@every_renderer
def test_an_oblique_plate_gets_less_of_the_light(renderer):
    plate = rectangle((-0.3, -0.3, 0), (0, 0.6, 0), (0.6, 0, 0))
    T = make_transform(axis_rotation((0, 1, 0), np.radians(50)), [0, 0, 1])
    views = renderer([plate]).render([0], [T], [K], SIZE)
    mirrored = max(np.cos(np.radians(100)), 0)
    expected = 0.6 * (0.8 + 0.3 * np.cos(np.radians(50))) + 0.06 * mirrored ** 10
    assert views.shade[0, 32, 32] == pytest.approx(expected, abs=1e-5)


@every_renderer
def test_a_mesh_turned_inside_out_is_drawn_with_ambient_light_alone(renderer):
    solid = ellipsoid((0.2, 0.2, 0.2))
    inside_out = Mesh(solid.vertices, solid.faces[:, ::-1])
    T = np.stack([make_transform(np.eye(3), [0, 0, 0.5])] * 2)
    views = renderer([solid, inside_out]).render([0, 1], T, [K, K], SIZE)
    np.testing.assert_array_equal(views.depth[0] > 0, views.depth[1] > 0)
    middle = views.depth[1] > 0
    middle[[0, -1]] = False
    assert views.shade[1, 32, 32] == pytest.approx(0.48, abs=1e-6)
    assert views.shade[0, 32, 32] > 0.65


@every_renderer
def test_degenerate_faces_and_unused_vertices_change_nothing(renderer):
    solid = box((0.1, 0.1, 0.1))
    odd = Mesh(np.concatenate([solid.vertices, [[0, 0, 0.01]]]),
               np.concatenate([solid.faces, [[0, 0, 1], [2, 2, 2], [0, 1, 0]]]))
    T = np.stack([make_transform(axis_rotation((1, 1, 0), 0.7), [0, 0, 0.4])] * 2)
    views = renderer([solid, odd]).render([0, 1], T, [K, K], SIZE)
    assert (views.depth[0] > 0).sum() > 200
    np.testing.assert_allclose(views.depth[0], views.depth[1], atol=1e-6)
    np.testing.assert_allclose(views.shade[0], views.shade[1], atol=1e-4)


@every_renderer
def test_a_mesh_of_degenerate_faces_alone_is_drawn_as_nothing(renderer):
    point = Mesh(np.zeros((3, 3)), [[0, 1, 2]])
    views = renderer([point]).render([0], [make_transform(np.eye(3), [0, 0, 1])], [K], SIZE)
    assert not views.depth.any()
    assert not views.shade.any()


@every_renderer
@pytest.mark.parametrize(('place', 'share'), [
    ((0, 0, -0.5), 0.0), ((0, 0, 0), 1.0), ((0, 0.4, 0.02), 0.0), ((0.3, 0, 0.5), 0.037)],
    ids=['behind', 'around', 'beside', 'at the edge'])
def test_objects_anywhere_about_the_camera_are_drawn_where_they_are_seen(renderer, place, share):
    T = make_transform(np.eye(3), place)
    views = renderer([box((0.2, 0.2, 0.2))]).render([0], [T], [K], SIZE)
    assert (views.depth > 0).mean() == pytest.approx(share, abs=0.005)
    assert np.isfinite(views.shade).all()
    assert views.depth.min() >= 0


@every_renderer
def test_no_views_are_an_empty_batch(renderer):
    views = renderer([box((1, 1, 1))]).render([], np.zeros((0, 4, 4)), np.zeros((0, 3, 3)), 8)
    assert views.shade.shape == views.depth.shape == (0, 8, 8)


@every_renderer
def test_what_cannot_be_drawn_is_refused(renderer):
    drawing = renderer([box((1, 1, 1))])
    T = np.eye(4)
    with pytest.raises(InvalidInputError, match=r'objects \[1\] .* there are 1 meshes'):
        drawing.render([1], [T], [K], 8)
    with pytest.raises(InvalidInputError, match=r'got \(1,\), \(2, 4, 4\)'):
        drawing.render([0], [T, T], [K], 8)
    with pytest.raises(InvalidInputError, match='of view 1 is not finite'):
        drawing.render([0, 0], [T, T * np.nan], [K, K], 8)
    with pytest.raises(InvalidInputError, match='focal lengths'):
        drawing.render([0], [T], [np.diag([0, 80, 1])], 8)
    with pytest.raises(InvalidInputError, match='mesh 1 has 0 faces'):
        renderer([box((1, 1, 1)), Mesh(np.zeros((3, 3)), np.zeros((0, 3)))])
    with pytest.raises(InvalidInputError, match='at least one mesh'):
        renderer([])


def test_the_cpu_is_rendered_on_with_open3d():
    assert isinstance(make_view_renderer([box((1, 1, 1))]), Open3DViewRenderer)


def test_an_unknown_device_is_refused_by_name():
    with pytest.raises(ConfigurationError, match="'tpu'.*'cpu' or 'cuda'"):
        make_view_renderer([box((1, 1, 1))], 'tpu')


def test_rendering_on_a_gpu_without_warp_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'warp', None)
    with pytest.raises(ConfigurationError, match='pip install warp-lang'):
        make_view_renderer([box((1, 1, 1))], 'cuda')


def test_without_warp_networks_on_a_gpu_have_their_views_drawn_on_the_cpu(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, 'warp', None)
    assert rendering_device('cuda:1') == 'cpu'
    (record,) = caplog.records
    assert 'though the networks run on cuda:1' in record.getMessage()
    assert 'pip install warp-lang' in record.getMessage()


def test_views_are_rendered_where_the_networks_run_if_that_can_be(caplog):
    assert [rendering_device(name) for name in ('cpu', 'cuda')] == ['cpu', 'cuda']
    assert not caplog.records


def test_a_device_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(ConfigurationError, match="no device 'cuda:99', only cpu"):
        make_view_renderer([box((1, 1, 1))], 'cuda:99')
