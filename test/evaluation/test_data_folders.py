"""Data sets by their folder: our frame shards, and choices that do not fit a layout."""

import numpy as np
import pytest

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.evaluation.data_folders import Data
from pose_estimation_ros.synthetic.frame_cache import FrameShards, write_frame_shards


@pytest.fixture(scope='module')
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp('primary') / 'test'
    write_frame_shards(folder, 2, 'primary', 'test', (80, 60), shard_size=2)
    return folder


def test_shards_are_annotated_frames(shards):
    data = Data(shards).open()
    stored = FrameShards(shards)
    assert (len(data), data.name.endswith('-test')) == (2, True)
    assert [frame.name for frame in data] == ['000000', '000001']
    for index in range(2):
        assert [entry.label for entry in data[index].objects] == [
            instance.category for instance in stored[index].instances]
        np.testing.assert_array_equal(data[index].instance_map, stored[index].instance_map)


def test_no_more_frames_are_taken_than_there_are(shards):
    assert Data(shards, frames=1).resolved().frames == 1
    assert Data(shards, frames=9).resolved().frames == 2


@pytest.mark.parametrize(('choice', 'words'), [
    ({'split': 'real_test'}, "split 'real_test' is for published layouts"),
    ({'targets': 'test_targets_bop19.json'}, 'are for BOP data'),
    ({'convention': 'spd'}, 'is for NOCS data')])
def test_a_choice_that_shards_do_not_know_is_refused(choice, words, shards):
    with pytest.raises(ConfigurationError, match=words):
        Data(shards, **choice).open()


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InvalidInputError, match='nowhere is no folder'):
        Data(tmp_path / 'nowhere').open()
