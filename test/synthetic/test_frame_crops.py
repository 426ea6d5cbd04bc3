"""Samples cut out of frames: points, coordinates and colours are those of frame and pose."""

import dataclasses
import json

import numpy as np
import pytest

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.synthetic import frame_crops as frame_crops_module
from pose_estimation_ros.synthetic.crop_samples import read_crop_shard
from pose_estimation_ros.synthetic.frame_cache import FrameShards, write_frame_shards
from pose_estimation_ros.synthetic.frame_crops import frame_crops, write_frame_crops
from pose_estimation_ros.synthetic.shard_files import read_description

POINTS = 128


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp('frames')
    write_frame_shards(path, 4, 'primary', 'val', (240, 180), shard_size=2)
    return path


@pytest.fixture(scope='module')
def frames(folder):
    return list(FrameShards(folder))


def cut(truth, seed=0):
    return list(frame_crops(truth, POINTS, np.random.default_rng(seed)))


@pytest.fixture(scope='module')
def cuts(frames):
    """Return the samples with the frame that each is from."""
    return [(truth, sample) for truth in frames for sample in cut(truth)]


def pixels_of(truth, points):
    projected = truth.frame.intrinsics.project(points.astype(np.float64))
    columns, rows = np.round(projected).astype(int).T
    return rows, columns


def instance_of(truth, sample):
    return next(entry for entry in truth.instances
                if np.array_equal(entry.T_camera_object, sample.T_camera_object))


def test_an_object_of_which_enough_is_seen_becomes_a_sample(frames):
    for truth in frames:
        cut_up = {sample.name for sample in cut(truth)}
        assert cut_up <= {entry.name for entry in truth.instances if entry.visibility >= 0.12}
        large = {entry.name for entry in truth.instances if entry.in_image > 0.99
                 and np.isfinite(truth.frame.depth[truth.instance_map == entry.id]).sum() > 500}
        assert large <= cut_up


def test_points_are_measured_pixels(cuts):
    for truth, sample in cuts:
        rows, columns = pixels_of(truth, sample.points)
        depth = truth.frame.depth[rows, columns]
        np.testing.assert_allclose(sample.points[:, 2], depth, atol=1e-6)


def test_coordinates_and_points_agree_with_the_pose(cuts):
    for _, sample in cuts:
        metric = sample.nocs * np.linalg.norm(sample.size)
        T = sample.T_camera_object
        placed = metric @ T[:3, :3].T + T[:3, 3]
        np.testing.assert_allclose(placed, sample.points, atol=1e-5)


def test_inliers_are_on_the_object_and_near_its_surface(cuts):
    outside = 0
    for truth, sample in cuts:
        rows, columns = pixels_of(truth, sample.points)
        on_object = truth.instance_map[rows, columns] == instance_of(truth, sample).id
        assert on_object[sample.inlier].all()
        distance = np.linalg.norm(sample.nocs[:, None] - sample.model_points, axis=2).min(axis=1)
        np.testing.assert_array_equal(sample.inlier, on_object & (distance < 0.1))
        outside += np.count_nonzero(~on_object)
    # Masks are a detector's: some points are of what lies around the object.
    assert outside > 0


def test_the_first_colors_are_those_of_the_pixels(cuts):
    for truth, sample in cuts:
        rows, columns = pixels_of(truth, sample.points)
        np.testing.assert_array_equal(sample.color[:, :3], truth.frame.rgb[rows, columns])
        smooth = sample.color[:, 6:].astype(float)
        assert smooth.std(axis=0).sum() <= sample.color[:, :3].astype(float).std(axis=0).sum()


def test_a_folder_of_frames_becomes_a_folder_of_samples(folder, cuts, tmp_path):
    paths = write_frame_crops(tmp_path, folder, POINTS)
    assert len(paths) == 2
    crops = [read_crop_shard(path) for path in paths]
    assert {name for shard in crops for name in shard.name} == {
        sample.name for _, sample in cuts}
    assert all(shard.colored.all() for shard in crops)
    assert crops[0].points.shape[1:] == (POINTS, 3)
    description = read_description(tmp_path, 'crops')
    assert (description['domain'], description['split']) == ('primary', 'val')


def test_a_folder_without_frames_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match='holds no frame shards; make some with'):
        write_frame_crops(tmp_path / 'out', tmp_path)


def test_frames_that_show_too_little_of_every_object_are_refused(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(frame_crops_module, '_MIN_VISIBILITY', 1.1)
    with pytest.raises(InvalidInputError, match=r'shard_00000.* shows no object of which enough'):
        write_frame_crops(tmp_path, folder, POINTS)


def test_frames_of_other_objects_are_refused(folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    stated = json.loads((folder / 'description.json').read_text())
    (tmp_path / 'description.json').write_text(json.dumps({**stated, 'categories': []}))
    with pytest.raises(InvalidInputError, match='only frames of the six generated categories'):
        write_frame_crops(tmp_path / 'out', tmp_path)


def test_an_object_that_is_made_otherwise_now_is_refused(frames):
    truth = next(entry for entry in frames if cut(entry))
    name = cut(truth)[0].name
    renamed = tuple(dataclasses.replace(entry, name=name.replace('primary', 'second', 1))
                    if entry.name == name else entry for entry in truth.instances)
    changed = dataclasses.replace(truth, instances=renamed)
    with pytest.raises(InvalidInputError, match='make the frames again'):
        cut(changed)
