"""Pictures come back from shards as they were, but for what JPEG loses."""

import sys
from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.core.categories import CATEGORIES
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.synthetic.shard_files import write_shards
from pose_estimation_ros.training.object_pictures import (
    KIND,
    PictureShards,
    object_picture,
    pack_pictures,
)

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))
from box_pictures import box_picture, standing_pose
from mrc_views import K, spotted_frame

SHARDS = [[box_picture(5, (0.1, 0.1, 0.1), standing_pose(0.3)),
           box_picture(2, (0.1, 0.2, 0.1), standing_pose(1.3), standing=False)],
          [box_picture(0, (0.1, 0.1, 0.3), standing_pose(2.3))]]


@pytest.fixture
def folder(tmp_path):
    write_shards(tmp_path / 'pictures', 2, {'kind': KIND, 'categories': [
        category.as_plain() for category in CATEGORIES]},
        lambda number: pack_pictures(SHARDS[number]))
    return tmp_path / 'pictures'


def test_objects_are_found_with_their_pictures(folder):
    pictures = PictureShards(folder)
    assert len(pictures) == 3
    assert pictures.categories == CATEGORIES
    np.testing.assert_array_equal(pictures.picture, [0, 1, 2])
    np.testing.assert_array_equal(pictures.objects.category, [5, 2, 0])
    np.testing.assert_array_equal(pictures.objects.standing, [True, False, True])
    for row, original in enumerate([*SHARDS[0], *SHARDS[1]]):
        picture, focus = pictures.focus(row)
        assert focus == 0
        np.testing.assert_array_equal(picture.object_map, original.object_map)
        np.testing.assert_array_equal(picture.objects.T_camera_object,
                                      original.objects.T_camera_object)
        np.testing.assert_array_equal(picture.objects.box, original.objects.box)
        assert np.abs(picture.rgb.astype(int) - original.rgb).mean() < 3


def test_a_frame_becomes_a_picture_of_the_named_categories():
    frame = spotted_frame(visibility=0.6)
    picture = object_picture(frame, [frame.instances[0].category])
    assert len(picture.objects) == 1
    np.testing.assert_array_equal(picture.K, K)
    instance = frame.instances[0]
    assert picture.objects.visibility[0] == instance.visibility * instance.in_image
    np.testing.assert_array_equal(picture.objects.T_camera_object[0], instance.T_camera_object)
    assert len(object_picture(frame, ['nothing']).objects) == 0


def test_a_folder_without_pictures_says_how_to_make_them(tmp_path):
    write_shards(tmp_path, 0, {'kind': KIND, 'categories': []}, lambda _: {})
    with pytest.raises(ConfigurationError, match='dataset pictures'):
        PictureShards(tmp_path)
