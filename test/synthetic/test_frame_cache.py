"""Stored frames come back as they were rendered."""

import shutil

import numpy as np
import pytest

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.synthetic.frame_cache import (
    FrameShards,
    list_shards,
    read_frames,
    write_frame_shards,
)
from pose_estimation_ros.synthetic.scene import SCENES_PER_POOL, SceneGenerator
from pose_estimation_ros.synthetic.scene_renderer import render_frame


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp('frames')
    write_frame_shards(path, 12, 'primary', 'val', (80, 60), shard_size=6)
    return path


@pytest.mark.parametrize('content', [b'', b'no archive', b'PK\x03\x04cut off'])
def test_a_damaged_shard_is_named(folder, tmp_path, content):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / 'shard_00001.npz').write_bytes(content)
    frames = FrameShards(tmp_path)
    assert len(frames[5].instances) == len(FrameShards(folder)[5].instances)
    with pytest.raises(InvalidInputError, match='shard_00001.npz is damaged .* delete it'):
        frames[6]


def test_shards_of_something_else_are_refused(folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / 'description.json').write_text('{"kind": "crops"}')
    with pytest.raises(ConfigurationError, match='holds crops, but frames are needed'):
        FrameShards(tmp_path)
    (tmp_path / 'description.json').unlink()
    with pytest.raises(ConfigurationError, match='description.json does not say what'):
        FrameShards(tmp_path)
    (tmp_path / 'description.json').write_text('{"kind": "frames", "shard_size": 6}')
    np.savez(tmp_path / 'shard_00000.npz', depth=np.zeros(1))
    with pytest.raises(InvalidInputError, match="shard_00000.npz is damaged .*'?truth"):
        FrameShards(tmp_path)[0]


def test_stored_frames_equal_rendered_ones(folder):
    stored = FrameShards(folder)
    assert len(stored) == 12
    scene = SceneGenerator('primary', 'val').scene(SCENES_PER_POOL + 1)
    truth, found = render_frame(scene, (80, 60)), stored[7]
    np.testing.assert_array_equal(found.frame.rgb, truth.frame.rgb)
    np.testing.assert_array_equal(found.instance_map, truth.instance_map)
    np.testing.assert_array_equal(np.isnan(found.frame.depth), np.isnan(truth.frame.depth))
    known = np.isfinite(truth.frame.depth)
    np.testing.assert_allclose(found.frame.depth[known], truth.frame.depth[known], atol=6e-5)
    np.testing.assert_array_equal(found.frame.intrinsics.K, truth.frame.intrinsics.K)
    for one, other in zip(found.instances, truth.instances, strict=True):
        np.testing.assert_array_equal(one.T_camera_object, other.T_camera_object)
        assert (one.id, one.category, one.visibility, one.in_image) == (
            other.id, other.category, other.visibility, other.in_image)


def test_reading_in_order_gives_the_same_frames(folder):
    shards = list_shards(folder)
    in_order = [frame for shard in shards for frame in read_frames(shard)]
    assert len(in_order) == 12
    np.testing.assert_array_equal(in_order[7].frame.rgb, FrameShards(folder)[7].frame.rgb)


def test_a_stored_frame_says_that_it_has_no_nocs_map(folder):
    with pytest.raises(InvalidInputError, match='no clean depth'):
        FrameShards(folder)[0].nocs_map()


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(InvalidInputError, match='holds no frame shards'):
        FrameShards(tmp_path)
