import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bop_scenes import write_dataset
from pascal3d_files import entry, write_objectnet3d, write_occluded, write_pascal3d

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.datasets.bop_dataset import BopDataset
from pose_estimation_ros.datasets.nocs_dataset import NocsDataset
from pose_estimation_ros.datasets.open_dataset import open_dataset
from pose_estimation_ros.datasets.pascal3d import Pascal3dDataset
from pose_estimation_ros.datasets.pascal3d_occluded import OccludedPascal3dDataset


def test_bop_is_known_by_its_models_and_scenes(tmp_path):
    write_dataset(tmp_path)
    dataset = open_dataset(tmp_path)
    assert isinstance(dataset, BopDataset)
    assert dataset.split == 'test'
    assert dataset[0].name == '000003/000017'


def test_bop_may_have_models_of_another_kind_only(tmp_path):
    write_dataset(tmp_path)
    (tmp_path / 'models').rename(tmp_path / 'models_cad')
    assert open_dataset(tmp_path, 'test').models_folder == tmp_path / 'models_cad'


def test_one_of_several_splits_must_be_chosen(tmp_path):
    write_dataset(tmp_path)
    write_dataset(tmp_path, scene='train_pbr/000000')
    with pytest.raises(ConfigurationError, match='several splits; choose one of test, train_pbr'):
        open_dataset(tmp_path)
    with pytest.raises(ConfigurationError, match="no split 'L1'; choose one of test, train_pbr"):
        open_dataset(tmp_path, 'L1')
    assert open_dataset(tmp_path, 'train_pbr').split == 'train_pbr'


def test_nocs_is_known_by_its_folders(tmp_path):
    (tmp_path / 'Real' / 'test').mkdir(parents=True)
    dataset = open_dataset(tmp_path)
    assert isinstance(dataset, NocsDataset)
    assert (dataset.root, dataset.subset) == (tmp_path, 'real_test')
    (tmp_path / 'CAMERA' / 'val').mkdir(parents=True)
    with pytest.raises(ConfigurationError, match='choose one of camera_val, real_test'):
        open_dataset(tmp_path)
    assert open_dataset(tmp_path, 'camera_val').subset == 'camera_val'


def test_pascal3d_and_objectnet3d_are_known_by_their_annotations(tmp_path):
    dataset = open_dataset(write_pascal3d(tmp_path / 'a'), 'imagenet_val')
    assert isinstance(dataset, Pascal3dDataset)
    assert dataset.name == 'PASCAL3D+-imagenet_val'
    other = open_dataset(write_objectnet3d(tmp_path / 'b', [entry()]))
    assert other.name == 'ObjectNet3D-test'


def test_the_occluded_variant_finds_pascal3d_beside_it(tmp_path):
    write_occluded(tmp_path / 'occluded')
    with pytest.raises(InvalidInputError, match=r'put or link PASCAL3D\+_release1.1'):
        open_dataset(tmp_path / 'occluded')
    write_pascal3d(tmp_path / 'PASCAL3D+_release1.1')
    for level in ('', 'L1', 'FGL1_BGL1'):
        dataset = open_dataset(tmp_path / 'occluded', level)
        assert isinstance(dataset, OccludedPascal3dDataset)
        assert len(dataset[0].objects) == 1


def test_other_folders_are_refused_with_the_known_layouts(tmp_path):
    with pytest.raises(InvalidInputError, match='is no data set of a known layout. Known are'):
        open_dataset(tmp_path)
    with pytest.raises(InvalidInputError, match='is not a folder'):
        open_dataset(tmp_path / 'none')


def test_a_scene_instead_of_the_root_is_refused(tmp_path):
    scene = write_dataset(tmp_path)
    with pytest.raises(InvalidInputError, match='Give the root folder, not one of its splits'):
        open_dataset(scene)
