import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bop_scenes import COUNTS, GT, MODEL_INFO, RGB, K, write_dataset, write_image, write_json

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.se3 import is_rigid
from pose_estimation_ros.datasets.bop_dataset import BopDataset, BopTarget, list_splits


def change_truth(scene, index=0, **values):
    content = json.loads((scene / 'scene_gt.json').read_text())
    content['17'][index] |= values
    write_json(scene / 'scene_gt.json', content)


def test_a_frame_is_in_metres_with_its_own_camera(tmp_path):
    write_dataset(tmp_path)
    dataset = BopDataset(tmp_path, 'test')
    frame = dataset[1]
    assert len(dataset) == 2
    assert dataset.name == f'{tmp_path.name}-test'
    assert frame.name == '000003/000020'
    np.testing.assert_array_equal(frame.frame.rgb, RGB)
    expected = np.where(COUNTS == 0, np.nan, COUNTS * 0.0001)
    np.testing.assert_allclose(frame.frame.depth, expected, rtol=1e-6)
    np.testing.assert_array_equal(frame.frame.intrinsics.K.ravel(), [520.0, *K[1:]])
    assert frame.frame.stamp_ns == 1_000_000_000


def test_objects_have_the_pose_size_and_visibility_of_the_files(tmp_path):
    write_dataset(tmp_path)
    first, second = BopDataset(tmp_path, 'test')[0].objects
    np.testing.assert_allclose(first.T_camera_object[:3, 3], [0.01, -0.02, 0.7], atol=1e-12)
    np.testing.assert_allclose(first.T_camera_object[:3, :3],
                               [[1, 0, 0], [0, 0, -1], [0, 1, 0]], atol=1e-12)
    np.testing.assert_allclose(first.size, [0.1, 0.08, 0.06])
    assert (first.label, first.model, first.instance_id) == ('obj_000004', 'obj_000004', 1)
    assert (second.label, second.instance_id, second.visibility) == ('obj_000002', 2, 0.0)
    assert first.visibility == 0.75


def test_the_instance_map_is_made_of_the_visible_masks(tmp_path):
    write_dataset(tmp_path)
    frame = BopDataset(tmp_path, 'test')[0]
    expected = np.zeros((6, 8), int)
    expected[2:5, 1:4] = 1
    np.testing.assert_array_equal(frame.instance_map, expected)
    assert frame.mask(frame.objects[0]).sum() == 9


def test_boxes_are_corners_and_unknown_where_nothing_is_visible(tmp_path):
    write_dataset(tmp_path)
    truth = BopDataset(tmp_path, 'test').truth(0)
    np.testing.assert_array_equal(truth.visible_boxes, [[1, 2, 4, 5], [np.nan] * 4])
    np.testing.assert_array_equal(truth.boxes, [[1, 2, 5, 5], [4, 0, 6, 2]])


def test_names_of_objects_come_from_a_file_of_ours(tmp_path):
    write_dataset(tmp_path)
    write_json(tmp_path / 'object_names.json', {'4': 'mug'})
    first, second = BopDataset(tmp_path, 'test')[0].objects
    assert (first.label, first.model) == ('mug', 'obj_000004')
    assert second.label == 'obj_000002'


def test_targets_choose_the_images(tmp_path):
    write_dataset(tmp_path)
    write_json(tmp_path / 'test_targets_bop19.json',
               [{'scene_id': 3, 'im_id': 20, 'obj_id': 4, 'inst_count': 1},
                {'scene_id': 3, 'im_id': 20, 'obj_id': 2, 'inst_count': 2}])
    dataset = BopDataset(tmp_path, 'test', targets='test_targets_bop19.json')
    assert [frame.name for frame in dataset] == ['000003/000020']
    assert dataset.targets[1] == BopTarget(3, 20, 2, 2)


def test_targets_of_bop24_have_no_objects(tmp_path):
    write_dataset(tmp_path)
    write_json(tmp_path / 'targets.json', [{'scene_id': 3, 'im_id': 17}])
    dataset = BopDataset(tmp_path, 'test', targets='targets.json')
    assert dataset.targets == (BopTarget(3, 17),)


def test_missing_targets_are_named_with_those_that_are_there(tmp_path):
    write_dataset(tmp_path)
    write_json(tmp_path / 'test_targets_bop19.json', [{'scene_id': 3, 'im_id': 17}])
    with pytest.raises(InvalidInputError, match='none.json.* has test_targets_bop19.json'):
        BopDataset(tmp_path, 'test', targets='none.json')


def test_targets_of_another_split_are_named(tmp_path):
    write_dataset(tmp_path)
    write_json(tmp_path / 'targets.json', [{'scene_id': 3, 'im_id': 18}])
    with pytest.raises(InvalidInputError, match='scene 3 image 18'):
        BopDataset(tmp_path, 'test', targets='targets.json')


def test_grey_images_have_three_equal_channels(tmp_path):
    scene = write_dataset(tmp_path)
    shutil.rmtree(scene / 'rgb')
    for i in (17, 20):
        write_image(scene / 'gray' / f'{i:06d}.tif', RGB[..., 0])
    rgb = BopDataset(tmp_path, 'test')[0].frame.rgb
    np.testing.assert_array_equal(rgb, np.repeat(RGB[..., :1], 3, axis=2))


def test_depth_masks_and_visibility_may_be_missing(tmp_path):
    scene = write_dataset(tmp_path)
    shutil.rmtree(scene / 'depth')
    shutil.rmtree(scene / 'mask_visib')
    (scene / 'scene_gt_info.json').unlink()
    frame = BopDataset(tmp_path, 'test')[0]
    assert frame.frame.depth is None
    assert frame.instance_map is None
    assert np.isnan(frame.objects[0].visibility)


def test_an_image_may_show_no_object(tmp_path):
    scene = write_dataset(tmp_path)
    for name in ('scene_gt.json', 'scene_gt_info.json'):
        write_json(scene / name, {'17': [], '20': []})
    frame = BopDataset(tmp_path, 'test')[0]
    assert frame.objects == ()
    assert frame.instance_map.max() == 0


def test_rotations_of_few_digits_become_rigid(tmp_path):
    scene = write_dataset(tmp_path)
    change_truth(scene, cam_R_m2c=[0.99999, 0, 0, 0, 0.8, -0.60003, 0, 0.60001, 0.8])
    T = BopDataset(tmp_path, 'test')[0].objects[0].T_camera_object
    assert is_rigid(T, 1e-12)
    np.testing.assert_allclose(T[1, 1:3], [0.8, -0.60002], atol=3e-5)


def test_splits_are_listed_where_the_asked_one_is_missing(tmp_path):
    write_dataset(tmp_path)
    write_dataset(tmp_path, scene='train_pbr/000000')
    assert list_splits(tmp_path) == ['test', 'train_pbr']
    with pytest.raises(InvalidInputError, match="no split 'val'; it has test, train_pbr"):
        BopDataset(tmp_path, 'val')


@pytest.mark.parametrize(('values', 'message'), [
    ({'cam_t_m2c': [0, float('nan'), 1]}, 'object 4 is not finite'),
    ({'cam_R_m2c': [2, 0, 0, 0, 1, 0, 0, 0, 1]}, 'is no rotation'),
    ({'cam_R_m2c': [-1, 0, 0, 0, 1, 0, 0, 0, 1]}, 'is no rotation'),
    ({'cam_t_m2c': [0, 1]}, 'it needs obj_id'),
    ({'obj_id': 9}, r'no object 9 in .*models_info.json; it has \[2, 4\]'),
])
def test_an_annotation_that_cannot_be_used_is_named(tmp_path, values, message):
    scene = write_dataset(tmp_path)
    change_truth(scene, **values)
    with pytest.raises(InvalidInputError, match=message) as error:
        BopDataset(tmp_path, 'test')[0]
    assert str(scene) in str(error.value)
    assert 'image 17' in str(error.value)


@pytest.mark.parametrize(('missing', 'message'), [
    ('models/models_info.json', 'models_info.json is missing'),
    ('test/000003/scene_camera.json', 'no scene folder'),
    ('test/000003/scene_gt.json', 'annotations of some test splits are not public'),
    ('test/000003/rgb/000017.png', 'no image 000017 in rgb/ or gray/'),
    ('test/000003/mask_visib/000017_000001.png', '000017_000001.png is missing'),
])
def test_a_missing_file_is_named(tmp_path, missing, message):
    write_dataset(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(InvalidInputError, match=message):
        BopDataset(tmp_path, 'test')[0]


def test_annotations_and_their_info_must_belong_together(tmp_path):
    scene = write_dataset(tmp_path)
    write_json(scene / 'scene_gt.json', {'17': GT[:1], '20': GT})
    with pytest.raises(InvalidInputError, match='image 17 has 2 entries, scene_gt.json has 1'):
        BopDataset(tmp_path, 'test')[0]


def test_a_mask_of_another_size_is_named(tmp_path):
    scene = write_dataset(tmp_path)
    write_image(scene / 'mask_visib' / '000017_000000.png', np.zeros((3, 4), np.uint8))
    with pytest.raises(InvalidInputError, match='is 4x3, its image is 8x6'):
        BopDataset(tmp_path, 'test')[0]


def test_models_in_metres_are_refused(tmp_path):
    write_dataset(tmp_path)
    in_metres = {key: value / 1000 for key, value in MODEL_INFO.items()}
    write_json(tmp_path / 'models' / 'models_info.json', {'2': in_metres})
    with pytest.raises(InvalidInputError, match='object 2.*0.00012 m large.*probably in metres'):
        BopDataset(tmp_path, 'test')
