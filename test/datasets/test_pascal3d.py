import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import floats
from numpy.testing import assert_allclose

sys.path.insert(0, str(Path(__file__).parent))

from pascal3d_files import (
    EMPTY,
    IMAGE,
    VIEW,
    entry,
    without,
    write_image,
    write_objectnet3d,
    write_pascal3d,
    write_record,
    write_text,
)

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import angle_between
from pose_estimation_ros.core.se3 import is_rigid, transform_points
from pose_estimation_ros.datasets.pascal3d import Pascal3dDataset
from pose_estimation_ros.datasets.pascal3d_record import read_record
from pose_estimation_ros.datasets.pascal3d_viewpoint import Viewpoint

PUBLISHED = Path(__file__).parents[1] / 'data' / 'rgb' / 'pascal3d_projection.npz'


def project_as_specified(points, view):
    """Project as spec 5 states it: an affine chain in degrees, written out again."""
    a, e, theta = np.radians([view['azimuth'], view['elevation'], view['theta']])
    d = view['distance']
    C = d * np.array([np.cos(e) * np.sin(a), -np.cos(e) * np.cos(a), np.sin(e)])
    phi = -(np.pi / 2 - e)
    Rx = np.array([[1, 0, 0], [0, np.cos(phi), -np.sin(phi)], [0, np.sin(phi), np.cos(phi)]])
    Rz = np.array([[np.cos(-a), -np.sin(-a), 0], [np.sin(-a), np.cos(-a), 0], [0, 0, 1]])
    X = (points - C) @ (Rx @ Rz).T
    u, v = 3000 * X[:, 0] / -X[:, 2], 3000 * X[:, 1] / -X[:, 2]
    turned_u = np.cos(theta) * u - np.sin(theta) * v
    turned_v = np.sin(theta) * u + np.cos(theta) * v
    return np.stack([view['px'] + turned_u, view['py'] - turned_v], axis=1)


def viewpoint(view=VIEW):
    return Viewpoint(*np.radians([view['azimuth'], view['elevation'], view['theta']]),
                     view['distance'], (view['px'], view['py']),
                     view['focal'] * view['viewport'])


@given(azimuth=floats(0, 360), elevation=floats(-90, 90), theta=floats(-180, 180),
       distance=floats(1.5, 40), px=floats(-100, 600))
def test_a_pinhole_camera_projects_as_the_released_tools(azimuth, elevation, theta, distance, px):
    view = VIEW | {'azimuth': azimuth, 'elevation': elevation, 'theta': theta,
                   'distance': distance, 'px': px}
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (50, 3))
    camera = viewpoint(view).own_camera(48, 32)
    T = viewpoint(view).pose((view['px'], view['py']))
    assert is_rigid(T, 1e-12)
    assert_allclose(camera.project(transform_points(T, points)),
                    project_as_specified(points, view), atol=1e-7)


def test_in_the_camera_of_the_image_the_origin_is_where_it_is_annotated():
    T = viewpoint().pose((24.0, 16.0))
    camera = viewpoint().own_camera(48, 32)
    pixel = 3000.0 * T[:2, 3] / T[2, 3] + (24.0, 16.0)
    assert_allclose(pixel, [VIEW['px'], VIEW['py']], atol=1e-12)
    assert T[2, 3] == VIEW['distance']
    assert_allclose(T[:3, :3], viewpoint().pose((camera.cx, camera.cy))[:3, :3])


def test_rotations_and_their_errors_are_the_published_ones():
    data = np.load(PUBLISHED)
    R_a, R_b = (np.array([Viewpoint(*angles, 1.0, (0.0, 0.0), 3000.0).rotation
                          for angles in data[key]]) for key in ('angles_a', 'angles_b'))
    assert_allclose(np.diag([1.0, -1.0, -1.0]) @ R_a, data['R_a'], atol=1e-12)
    assert_allclose(angle_between(R_a, R_b), data['error'], atol=1e-9)


def test_projections_are_the_published_ones():
    data = np.load(PUBLISHED)
    for (azimuth, elevation, theta, distance), pixels in zip(data['poses'].astype(float),
                                                             data['pixels'], strict=True):
        view = Viewpoint(azimuth, elevation, theta, distance, (0.0, 0.0), 3000.0)
        found = view.own_camera(448, 320).project(
            transform_points(view.pose((0.0, 0.0)), data['points']))
        # The published numbers are float32.
        assert_allclose(found, pixels, atol=2e-3)


def test_a_frame_has_no_depth_and_its_camera_looks_at_the_middle(tmp_path):
    dataset = Pascal3dDataset(write_pascal3d(tmp_path), 'imagenet_val')
    frame = dataset[1]
    assert (len(dataset), dataset.name) == (2, 'PASCAL3D+-imagenet_val')
    assert frame.name == 'car_imagenet/n01_2'
    assert frame.frame.depth is None
    assert frame.instance_map is None
    assert np.abs(frame.frame.rgb.astype(int) - IMAGE).max() <= 3
    assert_allclose(frame.frame.intrinsics.K, [[3000, 0, 24], [0, 3000, 16], [0, 0, 1]])
    (item,) = frame.objects
    assert (item.label, item.model, item.instance_id) == ('car', 'car/02', 1)
    assert_allclose(item.size, [0.8, 0.4, 0.2], atol=1e-12)
    assert_allclose(item.T_camera_object, viewpoint().pose((24.0, 16.0)))


def test_a_record_keeps_boxes_flags_and_key_points(tmp_path):
    dataset = Pascal3dDataset(write_pascal3d(tmp_path), 'imagenet_val')
    (item,) = dataset.record(0).objects
    assert item.box == (4.0, 5.0, 40.0, 28.0)
    assert (item.is_truncated, item.is_occluded, item.is_difficult) == (False, True, False)
    assert item.cad_index == 2
    assert [(point.name, point.location, point.is_visible) for point in item.keypoints] == [
        ('left_wheel', (3.5, 7.25), True), ('right_wheel', (9.0, 8.0), False)]


def test_coarse_angles_stand_in_for_missing_fine_ones(tmp_path):
    write_record(tmp_path / 'a.mat', [
        entry(view=without(VIEW, 'azimuth')), entry(view=VIEW | {'elevation': EMPTY})])
    first, second = read_record(tmp_path / 'a.mat', {'car'}).objects
    assert_allclose(np.degrees([first.viewpoint.azimuth, first.viewpoint.elevation]), [40, 12])
    assert_allclose(np.degrees([second.viewpoint.azimuth, second.viewpoint.elevation]), [30, 10])


@pytest.mark.parametrize(('bad', 'reason'), [
    (entry(view=EMPTY), 'no viewpoint'),
    (entry(view=VIEW | {'distance': 0.0}), 'distance is 0 or missing'),
    (entry(view=without(VIEW, 'distance')), 'distance is 0 or missing'),
    (entry(view=VIEW | {'theta': EMPTY}), 'an angle, the principal point or the focal length'),
    (entry(view=without(VIEW, 'azimuth', 'azimuth_coarse')), 'an angle, the principal point'),
    (entry(view=VIEW | {'px': np.nan}), 'NaN or infinite'),
    (entry(view=VIEW | {'distance': np.nan}), 'NaN or infinite'),
    (entry(view=VIEW | {'distance': -2.0}), 'negative'),
    (entry(cad_index=EMPTY), 'no CAD model'),
    (entry(bbox=EMPTY), 'no box'),
    (entry(category='bus'), 'of another class'),
    (entry(view=VIEW | {'viewport': 2000.0}), 'another focal length'),
])
def test_an_object_without_a_usable_pose_is_left_out_with_its_reason(tmp_path, bad, reason):
    write_record(tmp_path / 'a.mat', [entry(), bad, entry(cad_index=1)])
    record = read_record(tmp_path / 'a.mat', {'car'})
    assert [item.index for item in record.objects] == [0, 2]
    (skipped,) = record.skipped
    assert (skipped.index, skipped.path) == (1, tmp_path / 'a.mat')
    assert reason in skipped.reason


def test_skipped_objects_are_counted_by_reason(tmp_path):
    root = write_pascal3d(tmp_path, entries=[entry(view=EMPTY), entry(category='bus'),
                                             entry(view=EMPTY)])
    dataset = Pascal3dDataset(root, 'imagenet_val')
    assert dataset.count_skipped() == Counter({'no viewpoint': 4, 'of another class': 2})
    assert dataset[0].objects == ()
    assert dataset[0].frame.intrinsics.fx == 3000.0


def test_instance_ids_tell_the_place_in_the_record(tmp_path):
    root = write_pascal3d(tmp_path, entries=[entry(view=EMPTY), entry()])
    (item,) = Pascal3dDataset(root, 'imagenet_val')[0].objects
    assert item.instance_id == 2


def test_the_pascal_part_is_listed_by_voc_with_the_images_of_all_classes(tmp_path):
    root = write_pascal3d(tmp_path)
    write_text(root / 'PASCAL/VOCdevkit/VOC2012/ImageSets/Main/val.txt',
               '2008_000001\n2008_000002\n')
    write_record(root / 'Annotations' / 'car_pascal' / '2008_000002.mat', [entry()])
    write_image(root / 'Images' / 'car_pascal' / '2008_000002.jpg')
    dataset = Pascal3dDataset(root, 'pascal_val')
    assert [frame.name for frame in dataset] == ['car_pascal/2008_000002']


def test_objectnet3d_has_all_classes_in_one_record(tmp_path):
    root = write_objectnet3d(tmp_path, [entry('cup'), entry('car'), entry('sofa')])
    dataset = Pascal3dDataset(root, 'test')
    frame = dataset[0]
    assert dataset.name == 'ObjectNet3D-test'
    assert dataset.categories == ('car', 'cup')
    assert [item.label for item in frame.objects] == ['cup', 'car']
    assert frame.name == 'n02_7'
    only = Pascal3dDataset(root, 'test', categories=('cup',))
    assert [item.label for item in only[0].objects] == ['cup']


@pytest.mark.parametrize(('missing', 'message'), [
    ('Annotations/car_imagenet/n01_1.mat', 'n01_1.mat is missing'),
    ('Images/car_imagenet/n01_1.JPEG', 'n01_1 .* is missing'),
    ('CAD/car/02.off', "02.off is missing: class 'car' has the models .1.;"),
    ('Image_sets/car_imagenet_val.txt', 'car_imagenet_val.txt is missing'),
])
def test_a_missing_file_is_named(tmp_path, missing, message):
    root = write_pascal3d(tmp_path)
    (root / missing).unlink()
    with pytest.raises(InvalidInputError, match=message):
        Pascal3dDataset(root, 'imagenet_val')[0]


def test_a_split_a_class_or_a_layout_that_is_not_there_is_named(tmp_path):
    root = write_pascal3d(tmp_path)
    with pytest.raises(InvalidInputError, match='beside it are car_imagenet_val.txt'):
        Pascal3dDataset(root, 'imagenet_test')
    with pytest.raises(InvalidInputError, match='no classes bus; it has car'):
        Pascal3dDataset(root, 'imagenet_val', categories=('bus',))
    with pytest.raises(InvalidInputError, match='neither PASCAL3D'):
        Pascal3dDataset(root / 'CAD', 'imagenet_val')


def test_a_damaged_annotation_is_named(tmp_path):
    path = tmp_path / 'a.mat'
    path.write_bytes(b'not a mat file at all' * 20)
    with pytest.raises(InvalidInputError, match='a.mat is no annotation of PASCAL3D'):
        read_record(path, {'car'})
