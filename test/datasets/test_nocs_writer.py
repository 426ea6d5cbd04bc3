"""What is written in the NOCS layout is what is read again, and nothing else is left behind."""

import json
import pickle
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from nocs_scenes import (
    CAMERA,
    DISTRACTOR,
    SIZES,
    add_models,
    annotation,
    default_objects,
    make_frame,
    model_points,
    write_dataset,
)

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.categories import CATEGORIES, Category
from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.core.symmetry import Symmetry
from pose_estimation_ros.datasets import open_frames
from pose_estimation_ros.datasets.nocs_dataset import NocsDataset
from pose_estimation_ros.datasets.nocs_layout import SUBSETS
from pose_estimation_ros.datasets.nocs_models import centred_extent
from pose_estimation_ros.datasets.nocs_writer import NocsWriter


def by_label(frame):
    return {item.label: item for item in frame.objects}


@pytest.mark.parametrize('subset', SUBSETS)
def test_a_frame_comes_back_as_it_was_written(tmp_path, subset):
    first, second = make_frame(), make_frame(default_objects()[:2])
    write_dataset(tmp_path, NocsWriter, subset, [first, second])
    dataset = NocsDataset(tmp_path, subset)
    assert len(dataset) == 2
    split, folder = subset.split('_')[1], '00004' if subset.startswith('camera') else 'scene_4'
    assert dataset.frame_names == tuple(f'{split}/{folder}/{i:04d}' for i in range(2))
    for written, read in zip((first, second), dataset, strict=True):
        np.testing.assert_array_equal(read.frame.rgb, written.frame.rgb)
        np.testing.assert_array_equal(read.frame.intrinsics.K, CAMERA.K)
        np.testing.assert_array_equal(read.instance_map, written.instance_map)
        depth = np.where(written.frame.depth > 32, 32.0, written.frame.depth)
        np.testing.assert_allclose(read.frame.depth, depth, atol=5.1e-4)
        np.testing.assert_allclose(read.nocs_map, written.nocs_map, atol=0.51 / 255)
        objects = by_label(read)
        assert sorted(objects) == sorted(item.label for item in written.objects)
        for item in written.objects:
            again = objects[item.label]
            np.testing.assert_allclose(again.T_camera_object, item.T_camera_object, atol=1e-6)
            np.testing.assert_allclose(again.size, item.size, atol=1e-9)
            assert (again.instance_id, again.model, again.symmetry, again.handle_visible) == (
                item.instance_id, item.model, item.symmetry, item.handle_visible)
            np.testing.assert_equal(again.visibility, item.visibility)


def test_files_have_the_published_forms(tmp_path):
    write_dataset(tmp_path, NocsWriter, 'camera_val')
    write_dataset(tmp_path, NocsWriter, 'real_train')
    camera, real = tmp_path / 'CAMERA/val/00004', tmp_path / 'Real/train/scene_4'
    depth = cv2.imread(str(camera / '0000_depth.png'), cv2.IMREAD_UNCHANGED)
    single = cv2.imread(str(real / '0000_depth.png'), cv2.IMREAD_UNCHANGED)
    assert (depth.shape, depth.dtype) == ((120, 160, 3), np.uint8)
    assert (single.shape, single.dtype) == ((120, 160), np.uint16)
    np.testing.assert_array_equal(depth[..., 1].astype(int) * 256 + depth[..., 2], single)
    for folder in (camera, real):
        mask = cv2.imread(str(folder / '0000_mask.png'))[..., 2]
        assert set(np.unique(mask)) == {1, 3, 7, DISTRACTOR, 255}
    assert (camera / '0000_meta.txt').read_text().splitlines() == [
        '1 6 03797390 mug_model', '3 1 02876657 bottle_model', '7 5 03642806 laptop_model',
        '9 0 00000000 distractor']
    assert (real / '0000_meta.txt').read_text().splitlines() == [
        '1 6 mug_model', '3 1 bottle_model', '7 5 laptop_model', '9 0 distractor']
    assert (tmp_path / 'CAMERA/val_list.txt').read_text() == 'val/00004/0000\n'
    truth = pickle.loads((tmp_path / 'gts/val/results_val_00004_0000.pkl').read_bytes())
    assert truth['gt_class_ids'].tolist() == [6, 1, 5]
    assert truth['handle_visibility'].tolist() == [0, 1, 1]
    np.testing.assert_allclose(truth['gt_scales'][0] * np.cbrt(np.linalg.det(
        truth['gt_RTs'][0, :3, :3])), SIZES['mug'], atol=1e-9)


def test_the_z_axis_of_stored_coordinates_points_the_other_way(tmp_path):
    frame, = write_dataset(tmp_path, NocsWriter, 'camera_train')
    coord = cv2.imread(str(tmp_path / 'CAMERA/train/00004/0000_coord.png'))[..., ::-1] / 255.0
    mask = frame.instance_map == 3
    expected = frame.nocs_map[mask] * (1, 1, -1) + 0.5
    np.testing.assert_allclose(coord[mask], expected, atol=0.51 / 255)


def test_labels_and_models_are_in_the_frames_of_the_spd_family(tmp_path):
    frame, = write_dataset(tmp_path, NocsWriter, 'camera_train')
    models = pickle.loads((tmp_path / 'obj_models/camera_train.pkl').read_bytes())
    (mug, (shift, scale)), = pickle.loads(
        (tmp_path / 'obj_models/mug_meta.pkl').read_bytes()).items()
    assert mug == 'mug_model'
    points, unit = model_points('mug'), np.linalg.norm(SIZES['mug'])
    np.testing.assert_allclose(shift, [(0.13 - 0.09) / 2 / unit, 0, 0], atol=1e-6)
    np.testing.assert_allclose(models['mug_model'], scale * (points + shift), atol=1e-6)
    assert np.linalg.norm(centred_extent(models['mug_model'])) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(models['bottle_model'], model_points('bottle'), atol=1e-7)

    label = pickle.loads((tmp_path / 'CAMERA/train/00004/0000_label.pkl').read_bytes())
    index = label['model_list'].index('mug_model')
    truth = by_label(frame)['mug']
    s, t, R = (label[key][index] for key in ('scales', 'translations', 'rotations'))
    # A point of the mug lies in the same place whichever frame it is told in.
    metres = truth.T_camera_object[:3, :3] @ (unit * points[0]) + truth.T_camera_object[:3, 3]
    np.testing.assert_allclose(s * R @ models['mug_model'][0] + t, metres, atol=1e-6)
    np.testing.assert_allclose(label['poses'][index, :3, :3], s * R, atol=1e-7)
    np.testing.assert_allclose(label['size'][index], centred_extent(models['mug_model']),
                               atol=1e-6)


def test_small_objects_stay_in_the_mask_without_a_label(tmp_path):
    far = annotation(5, 'bottle', (0.0, 0.0, 2.35))
    near = annotation(6, 'laptop', (0.3, 0.0, 1.0))
    frame = make_frame((far, near))
    assert 0 < (frame.instance_map == 5).sum() < 64
    write_dataset(tmp_path, NocsWriter, 'camera_train', [frame, make_frame((far,))])
    dataset = NocsDataset(tmp_path, 'camera_train')
    assert dataset.frame_names == ('train/00004/0000',), 'the second frame has no label at all'
    assert len((tmp_path / 'CAMERA/train_list_all.txt').read_text().split()) == 2
    assert [item.label for item in dataset[0].objects] == ['laptop']
    np.testing.assert_array_equal(dataset[0].instance_map, frame.instance_map)
    (tmp_path / 'CAMERA/train_list.txt').unlink()
    both = NocsDataset(tmp_path, 'camera_train')
    assert [len(read.objects) for read in both] == [1, 0]


def test_an_instance_may_have_the_number_of_the_masks_background(tmp_path):
    frame = make_frame((annotation(255, 'laptop', (0.0, 0.0, 0.9)),))
    write_dataset(tmp_path, NocsWriter, 'real_test', [frame])
    read = NocsDataset(tmp_path, 'real_test')[0]
    np.testing.assert_array_equal(read.instance_map, frame.instance_map)
    assert [item.instance_id for item in read.objects] == [255]


def test_a_lens_and_the_published_camera_are_kept_in_the_folder(tmp_path):
    bent = CameraIntrinsics(160, 120, CAMERA.K, D=np.array([0.1, -0.02, 0.001, 0.0, 0.0]))
    write_dataset(tmp_path, NocsWriter, 'camera_val', [make_frame(camera=bent)])
    np.testing.assert_array_equal(NocsDataset(tmp_path, 'camera_val')[0].frame.intrinsics.D,
                                  bent.D)
    replayed = open_frames(tmp_path / 'CAMERA/val').load(0)
    np.testing.assert_array_equal(replayed.intrinsics.K, CAMERA.K)


def test_own_categories_are_described_beside_the_data(tmp_path):
    tool = Category('tool', Symmetry(discrete=((-1, 0, 0, 0, 1, 0, 0, 0, -1),)))
    writer = NocsWriter(tmp_path, 'camera_train', (CATEGORIES[0], tool))
    SIZES['tool'] = (0.2, 0.1, 0.1)
    try:
        add_models(writer, ('bottle', 'tool'))
        frame = make_frame((annotation(1, 'tool', (0.0, 0.0, 0.9)),))
        with writer.scene(0) as scene:
            scene.write(frame)
        writer.finish()
    finally:
        del SIZES['tool']
    item, = NocsDataset(tmp_path, 'camera_train')[0].objects
    assert (item.label, item.symmetry) == ('tool', tool.symmetry)
    with pytest.raises(ConfigurationError, match='describes other categories'):
        NocsWriter(tmp_path, 'camera_val')


def test_several_writers_fill_one_data_set_and_a_stopped_one_goes_on(tmp_path):
    one, two = NocsWriter(tmp_path, 'camera_train'), NocsWriter(tmp_path, 'camera_train')
    add_models(one)
    add_models(two)
    with one.scene(0) as here, two.scene(1) as there:
        there.write(make_frame())
        here.write(make_frame())
    with pytest.raises(RuntimeError), one.scene(2) as scene:
        scene.write(make_frame())
        raise RuntimeError
    assert [one.is_written(number) for number in range(3)] == [True, True, False]
    with pytest.raises(InvalidInputError, match='is written already'), one.scene(1):
        pass
    with one.scene(2) as scene:
        scene.write(make_frame())
    two.finish()
    assert NocsDataset(tmp_path, 'camera_train').frame_names == tuple(
        f'train/{number:05d}/0000' for number in range(3))


def test_half_written_folders_are_neither_read_nor_left(tmp_path):
    write_dataset(tmp_path, NocsWriter, 'camera_train')
    (tmp_path / 'CAMERA/train_list.txt').unlink()
    whole = tmp_path / 'CAMERA/train/00004'
    killed = tmp_path / 'CAMERA/train/.00005.77.partial'
    killed.mkdir()
    for path in whole.iterdir():
        (killed / path.name).write_bytes(path.read_bytes())
    assert NocsDataset(tmp_path, 'camera_train').frame_names == ('train/00004/0000',)
    writer = NocsWriter(tmp_path, 'camera_train')
    writer.finish()
    assert not killed.exists()
    assert not list(tmp_path.rglob('*.partial'))


def changed_object(**changes):
    return replace(make_frame(), objects=(replace(default_objects()[0], **changes),))


@pytest.mark.parametrize(('frame', 'reason'), [
    (replace(make_frame(), nocs_map=None), 'lacks depth, instance map or NOCS map'),
    (replace(make_frame(), instance_map=make_frame().instance_map * 40), 'a mask of 8 bits'),
    (changed_object(label='tripod'), "'tripod' .instance 3. is none of the categories"),
    (changed_object(model='other'), "the model 'other' is not known; call add_model"),
    (changed_object(T_camera_object=2 * np.eye(4)), 'is not rigid'),
])
def test_a_frame_that_cannot_be_kept_is_refused_whole(tmp_path, frame, reason):
    writer = NocsWriter(tmp_path, 'camera_train')
    add_models(writer)
    with pytest.raises(InvalidInputError, match=reason), writer.scene(0) as scene:
        scene.write(frame)
    assert not writer.is_written(0)


def test_a_folder_has_one_camera_and_at_least_one_frame(tmp_path):
    writer = NocsWriter(tmp_path, 'camera_train')
    add_models(writer)
    other = CameraIntrinsics.pinhole(160, 120, 140.0, 140.0, 80.0, 60.0)
    with pytest.raises(InvalidInputError, match='a folder has one camera'), \
            writer.scene(0) as scene:
        scene.write(make_frame())
        scene.write(make_frame(camera=other))
    with pytest.raises(InvalidInputError, match='has no frame'), writer.scene(0):
        pass
    with pytest.raises(InvalidInputError, match='write one before finish'):
        writer.finish()


@pytest.mark.parametrize(('name', 'category', 'points', 'reason'), [
    ('my mug', 'mug', model_points('mug'), 'neither blanks nor slashes'),
    ('mug', 'spoon', model_points('mug'), "unknown category 'spoon'"),
    ('mug', 'mug', 200 * model_points('mug'), 'divide by its diagonal'),
    ('mug', 'mug', model_points('mug')[:100], r'\(100, 3\)'),
    ('mug', 'mug', np.full((1024, 3), np.nan), 'within ±nan'),
])
def test_a_model_that_cannot_be_used_is_refused(tmp_path, name, category, points, reason):
    with pytest.raises(InvalidInputError, match=reason):
        NocsWriter(tmp_path, 'camera_train').add_model(name, category, points)


def test_the_scene_camera_is_plain_json(tmp_path):
    write_dataset(tmp_path, NocsWriter, 'real_train')
    content = json.loads((tmp_path / 'Real/train/scene_4/camera.json').read_text())
    assert content == {'K': CAMERA.K.tolist(), 'D': []}
