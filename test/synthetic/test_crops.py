"""Pose samples: geometry, balance, storage."""

from collections import Counter
from dataclasses import fields
from itertools import islice

import numpy as np
import pytest

from pose_estimation_ros.core.categories import CATEGORIES
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.se3 import is_rigid
from pose_estimation_ros.synthetic.crop_samples import PackedCrops
from pose_estimation_ros.synthetic.crops import (
    Crops,
    iterate_crops,
    read_crop_shard,
    write_crop_shards,
)
from pose_estimation_ros.synthetic.splits import split_of_seed


@pytest.fixture(scope='module', params=['primary', 'second'])
def samples(request):
    return list(islice(iterate_crops(request.param, 'val', 0, point_count=512), 60))


def test_samples_have_the_stated_shapes_and_are_finite(samples):
    for sample in samples:
        assert sample.points.shape == sample.nocs.shape == (512, 3)
        assert sample.points.dtype == sample.nocs.dtype == np.float32
        assert sample.inlier.shape == (512,)
        assert sample.model_points.shape == (1024, 3)
        assert np.isfinite(sample.points).all()
        assert np.isfinite(sample.nocs).all()
        assert is_rigid(sample.T_camera_object)
        assert 0.12 <= sample.visibility <= 1.0


def test_inliers_are_where_pose_and_nocs_coordinates_say(samples):
    for sample in samples:
        diagonal = np.linalg.norm(sample.size)
        placed = (sample.nocs * diagonal) @ sample.T_camera_object[:3, :3].T
        placed += sample.T_camera_object[:3, 3]
        error = np.linalg.norm(placed - sample.points, axis=1)[sample.inlier]
        # A measured depth moves the point along its ray, so a little farther than in depth.
        assert error.size == 0 or error.max() < 0.13 * diagonal
    medians = [np.median(np.linalg.norm(
        (s.nocs * np.linalg.norm(s.size)) @ s.T_camera_object[:3, :3].T
        + s.T_camera_object[:3, 3] - s.points, axis=1)[s.inlier]) for s in samples
        if s.inlier.any()]
    assert np.median(medians) < 0.006


def test_nocs_of_inliers_lie_within_the_box(samples):
    for sample in samples:
        half = sample.size / np.linalg.norm(sample.size) / 2
        assert (np.abs(sample.nocs[sample.inlier]) <= half + 1e-3).all()
        assert (np.abs(sample.model_points) <= half + 1e-5).all()


def test_most_points_are_inliers_but_not_all(samples):
    shares = np.array([sample.inlier.mean() for sample in samples])
    assert np.median(shares) > 0.85
    assert (shares < 0.98).any()


def test_categories_are_balanced(samples):
    counts = Counter(sample.category for sample in samples)
    assert set(counts) == set(range(6))
    assert max(counts.values()) - min(counts.values()) <= 8


def test_names_tell_the_category_and_only_mugs_have_handle_visibility(samples):
    for sample in samples:
        category = CATEGORIES[sample.category].name
        assert f'_{category}_' in sample.name
        assert split_of_seed(int(sample.name.rsplit('_', 1)[1])) == 'val'
        if category != 'mug':
            assert np.isnan(sample.handle_visibility)


def test_workers_see_different_scenes_and_the_same_worker_repeats():
    first, again, other = (next(iterate_crops('primary', 'train', 3, worker, 2, 64))
                           for worker in (0, 0, 1))
    np.testing.assert_array_equal(first.points, again.points)
    assert first.name != other.name


def test_shards_keep_samples_to_a_tenth_of_a_millimetre(tmp_path):
    paths = write_crop_shards(tmp_path, 12, 'primary', 'val', seed=1, point_count=256,
                              shard_size=12)
    stored = read_crop_shard(paths[0])
    truth = Crops.stack(list(islice(iterate_crops('primary', 'val', 1, 0, 1 << 14, 256), 12)))
    assert len(stored) == 12
    near = np.abs(truth.points - truth.points.mean(axis=1, keepdims=True)).max(axis=(1, 2)) < 0.2
    assert near.any()
    np.testing.assert_allclose(stored.points[near], truth.points[near], atol=1e-4)
    np.testing.assert_allclose(stored.nocs, np.clip(truth.nocs, -3.2, 3.2), atol=1e-4)
    np.testing.assert_array_equal(stored.member, truth.member)
    np.testing.assert_array_equal(stored.category, truth.category)
    np.testing.assert_array_equal(stored.T_camera_object, truth.T_camera_object)
    np.testing.assert_array_equal(stored.shape, truth.shape)
    assert stored.name.tolist() == truth.name.tolist()


def test_packed_samples_are_those_of_their_shards(tmp_path):
    paths = write_crop_shards(tmp_path / 'plain', 8, 'primary', 'val', point_count=64,
                              shard_size=4)
    paths += write_crop_shards(tmp_path / 'colored', 4, 'primary', 'val', seed=1, point_count=64,
                               shard_size=4, colored=True)
    packed, shards = PackedCrops(paths), [read_crop_shard(path) for path in paths]
    assert len(packed) == 12
    chosen = np.array([9, 0, 6, 6, 11])
    taken = packed.take(chosen)
    for field in fields(Crops):
        joined = np.concatenate([getattr(shard, field.name) for shard in shards])
        np.testing.assert_array_equal(getattr(taken, field.name), joined[chosen])

    other = write_crop_shards(tmp_path / 'other', 4, 'primary', 'val', point_count=32,
                              shard_size=4)
    with pytest.raises(ConfigurationError, match='32 and 64 points'):
        PackedCrops(paths + other)


def test_colours_come_with_the_same_points_and_are_those_of_the_object(tmp_path):
    plain = list(islice(iterate_crops('primary', 'val', 2, point_count=256), 24))
    colored = list(islice(iterate_crops('primary', 'val', 2, point_count=256, colored=True), 24))
    for without, given in zip(plain, colored, strict=True):
        np.testing.assert_array_equal(without.points, given.points)
        assert without.color is None
        assert given.color.shape == (256, 9)
        assert given.color.dtype == np.uint8
    # The blurred colours are those around the sharp ones, and objects differ.
    colors = np.stack([sample.color for sample in colored]).astype(float)
    assert np.median(np.abs(colors[..., :3] - colors[..., 3:6])) < 12
    assert colors[..., :3].mean(axis=1).std(axis=0).min() > 15

    path = write_crop_shards(tmp_path, 6, 'primary', 'val', point_count=64, shard_size=6,
                             colored=True)[0]
    assert read_crop_shard(path).colored.all()
    with pytest.raises(ConfigurationError, match='holds other data'):
        write_crop_shards(tmp_path, 6, 'primary', 'val', point_count=64, shard_size=6)


def test_the_share_of_objects_that_lie_can_be_chosen():
    def standing(lying):
        samples = islice(iterate_crops('primary', 'val', 3, point_count=64, lying=lying), 80)
        return np.mean([sample.T_camera_object[:3, 1] @ sample.up > 0.98 for sample in samples])

    assert standing(0.0) == 1.0
    assert 0.6 < standing(None) < 0.95
    assert standing(0.8) < 0.45


def test_a_second_call_makes_only_what_is_missing(tmp_path):
    def write(count):
        return write_crop_shards(tmp_path, count, 'primary', 'val', point_count=64, shard_size=4)

    first = write(4)[0]
    before = first.stat().st_mtime_ns
    paths = write(8)
    assert len(paths) == 2
    assert all(path.exists() for path in paths)
    assert first.stat().st_mtime_ns == before
    assert not list(tmp_path.glob('*.partial'))


def test_a_folder_of_other_data_is_refused(tmp_path):
    write_crop_shards(tmp_path, 2, 'primary', 'val', point_count=64, shard_size=2)
    with pytest.raises(ConfigurationError, match='holds other data'):
        write_crop_shards(tmp_path, 2, 'second', 'val', point_count=64, shard_size=2)
