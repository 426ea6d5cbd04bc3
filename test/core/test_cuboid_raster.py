import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_estimation_ros.backends.neural_mesh_published import PUBLISHED
from pose_estimation_ros.core.cuboid_mesh import centered_cuboid
from pose_estimation_ros.core.cuboid_raster import rasterize
from pose_estimation_ros.core.rotation import axis_angle_to_matrix
from pose_estimation_ros.core.se3 import inverse, make_transform, transform_points
from test.core.strategies import rotations, sizes
from test.support.neural_mesh_fixture import EXCERPT, WHOLE, published_run

K = np.array([[90.0, 0.0, 31.0], [0.0, 95.0, 23.5], [0.0, 0.0, 1.0]])
SHAPE = (48, 64)


@pytest.mark.parametrize('kind', [EXCERPT, WHOLE])
def test_a_cuboid_is_rendered_as_by_the_published_rasteriser(kind):
    run = published_run(kind)

    for number in range(3):
        T = run.pose(number).T_camera_mesh[None]
        raster = rasterize(run.mesh, T, PUBLISHED.K, PUBLISHED.shape)
        picture = raster.images(raster.interpolate(run.vertices))[0]

        np.testing.assert_array_equal(raster.masks()[0], run.recorded[f'mask{number}'])
        published = run.recorded[f'map{number}_ch0_8']
        np.testing.assert_allclose(picture[..., :len(published)].transpose(2, 0, 1), published,
                                   atol=run.tolerance(4e-6, 2e-4))


@settings(max_examples=25)
@given(sizes(), rotations(), st.floats(2.0, 4.0))
def test_each_pixel_shows_the_point_of_the_surface_on_its_ray(size, R, distance):
    mesh = centered_cuboid(size, 200)
    T = make_transform(R, [0.05, -0.1, distance])

    raster = rasterize(mesh, T[None], K, SHAPE)

    # Interpolated positions are the points themselves, as they are linear on each triangle.
    points = raster.interpolate(mesh.vertices)
    np.testing.assert_allclose(points, raster.point.T, atol=1e-9)
    seen = transform_points(T, points)
    np.testing.assert_allclose(seen[:, 2], raster.depth)
    projected = seen @ K.T
    np.testing.assert_allclose(projected[:, :2] / projected[:, 2:],
                               np.stack(np.divmod(raster.pixel, SHAPE[1])[::-1], axis=1),
                               atol=1e-6)
    assert ((raster.weights >= -1e-9) & (raster.weights <= 1 + 1e-9)).all()
    towards = np.sign(inverse(T)[:3, 3])[raster.axis[2]]
    np.testing.assert_array_equal(np.sign(points[np.arange(len(points)), raster.axis[2]]),
                                  towards)


@settings(max_examples=25)
@given(sizes(), rotations(), st.integers(0, 5), st.integers(0, 100))
def test_values_move_with_the_pose_as_their_slopes_say(size, R, direction, seed):
    mesh = centered_cuboid(size, 100)
    stretch = np.array([[1.1, 0.9, 1.3]])
    T = make_transform(R, [0.02, 0.03, 4.0])
    values = np.random.default_rng(seed).standard_normal(len(mesh.vertices))
    twist = np.zeros(6)
    twist[direction] = 1e-7
    moved = make_transform(R @ axis_angle_to_matrix(twist[3:]), T[:3, 3] + R @ twist[:3])

    before, after = (rasterize(mesh, pose[None], K, SHAPE, stretch) for pose in (T, moved))

    value, slopes = before.sample(values[before.corners])
    later, _ = after.sample(values[after.corners])
    expected = np.einsum('sn,sn->n', slopes, before.motion(mesh)[:, direction])
    _, rows, later_rows = np.intersect1d(before.pixel, after.pixel, return_indices=True)
    same = (before.corners[rows] == after.corners[later_rows]).all(axis=1)
    assert same.sum() >= 0.9 * rows.size
    change = (later[later_rows] - value[rows])[same] / 1e-7
    np.testing.assert_allclose(change, expected[rows][same], rtol=2e-4,
                               atol=2e-4 * np.abs(expected).max(initial=1.0))


def test_a_stretched_cuboid_is_one_with_those_extents():
    mesh, stretch = centered_cuboid([0.2, 0.3, 0.25], 100), np.array([1.5, 0.5, 1.2])
    T = make_transform(axis_angle_to_matrix([0.4, -0.7, 0.2]), [0.0, 0.1, 1.0])
    longer = type(mesh)(mesh.lower * stretch, mesh.upper * stretch, mesh.counts)

    stretched = rasterize(mesh, T[None], K, SHAPE, stretch[None])

    own = rasterize(longer, T[None], K, SHAPE)
    np.testing.assert_array_equal(stretched.pixel, own.pixel)
    np.testing.assert_array_equal(stretched.corners, own.corners)
    np.testing.assert_allclose(stretched.weights, own.weights, atol=1e-9)
    np.testing.assert_allclose(stretched.depth, own.depth)
    np.testing.assert_allclose(stretched.motion(mesh), own.motion(longer), rtol=1e-9, atol=1e-9)


def test_poses_of_a_batch_are_rendered_as_each_alone_even_where_nothing_is_seen():
    mesh = centered_cuboid([0.2, 0.3, 0.25], 100)
    poses = make_transform(np.eye(3), [[0.0, 0.1, 1.0], [0.0, 0.0, -1.0], [9.0, 0.0, 1.0],
                                       [0.3, 0.0, 0.8], [0.0, 0.0, 0.0]])

    together = rasterize(mesh, poses, K, SHAPE)

    for number, pose in enumerate(poses):
        alone = rasterize(mesh, pose[None], K, SHAPE)
        np.testing.assert_array_equal(together.masks()[number], alone.masks()[0])
    assert [int(mask.sum() > 0) for mask in together.masks()] == [1, 0, 0, 1, 0]


def test_a_cuboid_that_reaches_behind_the_camera_is_seen_where_it_is_before_it():
    mesh = centered_cuboid([0.2, 0.2, 4.0], 100)
    # The camera is beside the long cuboid and looks along it.
    T = make_transform(np.eye(3), [0.3, 0.0, 0.0])

    mask = rasterize(mesh, T[None], K, SHAPE).masks()[0]

    columns = np.flatnonzero(mask.any(axis=0))
    # Its near side is at x = 0.2, its far end at z = 2.
    assert columns[0] == np.ceil(90 * 0.2 / 2.0 + 31.0)
    assert columns[-1] == SHAPE[1] - 1
