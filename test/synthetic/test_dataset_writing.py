"""Synthetic frames in the layouts of NOCS and BOP: exact, resumable, of one description."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from mesh_files import save_boxes_and_tubes

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.se3 import transform_points
from pose_estimation_ros.datasets.bop_dataset import BopDataset
from pose_estimation_ros.datasets.nocs_dataset import NocsDataset
from pose_estimation_ros.synthetic.annotation import annotated_frame, full_masks
from pose_estimation_ros.synthetic.dataset_writing import generate_frames, write_bop, write_nocs
from pose_estimation_ros.synthetic.mesh_objects import open_mesh_folder
from pose_estimation_ros.synthetic.object_source import FewObjects, procedural_objects
from pose_estimation_ros.synthetic.recipe import FrameRecipe
from pose_estimation_ros.synthetic.scene_renderer import render_frame
from pose_estimation_ros.synthetic.shard_files import Workers

SIZE = (96, 72)


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    pytest.importorskip('open3d', reason='meshes are rendered with Open3D, which is optional')
    return open_mesh_folder(save_boxes_and_tubes(tmp_path_factory.mktemp('meshes')))


@pytest.fixture(scope='module')
def recipe(source):
    return FrameRecipe('primary', 'val', source, 3, SIZE)


@pytest.fixture(scope='module')
def bop(recipe, tmp_path_factory):
    root = tmp_path_factory.mktemp('bop')
    assert write_bop(root, 3, recipe, scene_size=2) == 4
    return root


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob('*'))
            if path.is_file()}


def test_annotated_frames_are_consistent(recipe):
    scene = next(recipe.scenes(0, 1))
    synthetic = render_frame(scene, SIZE)
    frame = annotated_frame('a', synthetic, recipe.source.categories)
    assert {item.label for item in frame.objects} <= {'box', 'tube'}
    for item in frame.objects:
        assert len(item.symmetry.rotations) == {'box': 4, 'tube': 2}[item.label]
        rows, columns = np.nonzero(frame.mask(item))
        points = transform_points(item.T_camera_object,
                                  frame.nocs_map[rows, columns] * item.diagonal)
        np.testing.assert_allclose(points[:, 2], synthetic.clean_depth[rows, columns], atol=1e-5)
        pixels = frame.frame.intrinsics.project(points)
        np.testing.assert_allclose(pixels, np.stack([columns, rows], axis=1), atol=1e-3)


def test_full_masks_hold_the_visible_ones_and_what_is_covered(recipe):
    covered = 0
    for scene in recipe.scenes(0, 4):
        synthetic = render_frame(scene, SIZE)
        masks = full_masks(scene, synthetic)
        assert set(masks) == {instance.id for instance in synthetic.instances}
        for instance in synthetic.instances:
            visible, full = synthetic.instance_map == instance.id, masks[instance.id]
            assert not (visible & ~full).any()
            if full.sum() > 200:
                assert visible.sum() / full.sum() == pytest.approx(instance.visibility, abs=0.06)
            covered += int(full.sum() > 1.2 * visible.sum())
    assert covered > 0


def test_a_bop_split_is_what_was_rendered(recipe, bop):
    stored = BopDataset(bop, 'val')
    assert len(stored) == 4
    for number, (frame, scene) in enumerate(zip(stored, recipe.scenes(0, 4), strict=True)):
        assert frame.name == f'{number // 2:06d}/{number % 2:06d}'
        synthetic = render_frame(scene, SIZE)
        truth = annotated_frame('', synthetic, recipe.source.categories)
        np.testing.assert_array_equal(frame.frame.rgb, truth.frame.rgb)
        np.testing.assert_allclose(frame.frame.depth, truth.frame.depth, atol=1.1e-4)
        assert [item.label for item in frame.objects] == [item.label for item in truth.objects]
        for found, wanted in zip(frame.objects, truth.objects, strict=True):
            np.testing.assert_allclose(found.T_camera_object, wanted.T_camera_object, atol=1e-9)
            np.testing.assert_allclose(found.size, wanted.size, atol=1e-6)
            assert found.symmetry.axis == wanted.symmetry.axis
            np.testing.assert_allclose(found.symmetry.rotations, wanted.symmetry.rotations,
                                       atol=1e-6)
            np.testing.assert_array_equal(frame.mask(found), truth.mask(wanted))


def test_a_scene_that_is_missing_is_made_again_the_same(recipe, bop, tmp_path):
    root = tmp_path / 'copy'
    shutil.copytree(bop, root)
    before = files_of(root)
    shutil.rmtree(root / 'val' / '000001')
    kept = (root / 'val' / '000000' / 'rgb' / '000000.png').stat().st_mtime_ns
    seen = []
    write_bop(root, 4, recipe, 2, Workers(report=lambda done, total: seen.append((done, total))))
    assert seen == [(1, 2), (2, 2)]
    assert files_of(root) == before
    assert (root / 'val' / '000000' / 'rgb' / '000000.png').stat().st_mtime_ns == kept


def test_all_splits_of_a_bop_data_set_number_their_models_alike(source, bop, tmp_path):
    write_bop(bop, 2, FrameRecipe('primary', 'train', source, 0, SIZE), scene_size=2)
    names = json.loads((bop / 'object_names.json').read_text())
    infos = json.loads((bop / 'models' / 'models_info.json').read_text())
    assert set(names) == set(infos)
    # Eight meshes in all: four boxes, whose widths differ, and four equal tubes.
    assert {int(number) for number in names} <= set(range(1, 9))
    for number, label in names.items():
        assert label == ('box' if infos[number]['size_z'] < 51 else 'tube')


def test_other_data_in_the_same_folder_is_refused(recipe, source, bop):
    with pytest.raises(ConfigurationError, match=r'holds other data.*seed \(3 there, 4 asked'):
        write_bop(bop, 2, replace(recipe, seed=4), scene_size=2)
    with pytest.raises(ConfigurationError, match='generated_models'):
        write_bop(bop, 2, FrameRecipe('primary', 'test', procedural_objects('primary'), 0, SIZE),
                  scene_size=2)


def test_objects_without_end_are_no_bop_models(tmp_path):
    with pytest.raises(ConfigurationError, match='limit the instances'):
        write_bop(tmp_path, 2, FrameRecipe('primary', 'val', procedural_objects('primary')))


def test_few_objects_are_the_first_ones():
    source = FewObjects(procedural_objects('primary', ['can']), 2)
    assert source.count('can', 'train') == 2
    assert source.model('can', 'train', 1).name == procedural_objects('primary').model(
        'can', 'train', 1).name
    assert source.describe()['instances'] == 2


def test_a_nocs_subset_is_what_was_rendered(recipe, source, tmp_path):
    generate_frames(tmp_path, 'nocs', 10, recipe)
    stored = NocsDataset(tmp_path, 'camera_val')
    # Tables must not call them what the papers call their data.
    assert stored.name == f'{tmp_path.name}-camera_val'
    assert (tmp_path / 'CAMERA' / 'val' / '00000' / '0009_color.png').is_file()
    camera = CameraIntrinsics(640, 480, np.array([[577.5, 0, 319.5], [0, 577.5, 239.5],
                                                  [0, 0, 1]]))
    scenes = list(replace(recipe, intrinsics=camera).scenes(0, 10))
    assert 0 < len(stored) <= 10
    for frame in stored:
        scene = scenes[int(frame.name.split('/')[-1])]
        truth = annotated_frame('', render_frame(scene, SIZE), source.categories)
        np.testing.assert_array_equal(frame.frame.rgb, truth.frame.rgb)
        by_id = {item.instance_id: item for item in truth.objects}
        for item in frame.objects:
            wanted = by_id[item.instance_id]
            assert (item.label, item.model) == (wanted.label, wanted.model)
            np.testing.assert_allclose(item.T_camera_object, wanted.T_camera_object, atol=1e-6)
            np.testing.assert_array_equal(frame.mask(item), truth.mask(wanted))
            mask = frame.mask(item)
            np.testing.assert_allclose(frame.nocs_map[mask], truth.nocs_map[mask], atol=4e-3)


def test_the_nocs_layout_wants_one_camera(recipe, tmp_path):
    with pytest.raises(ConfigurationError, match='one camera'):
        write_nocs(tmp_path, 10, recipe)


def test_an_unknown_layout_is_named(recipe, tmp_path):
    with pytest.raises(ConfigurationError, match="unknown layout 'coco'"):
        generate_frames(tmp_path, 'coco', 10, recipe)
