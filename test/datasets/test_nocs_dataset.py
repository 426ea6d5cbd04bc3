"""Frames of CAMERA and REAL: published labels exactly, and what misleads readers of the format."""

import pickle
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from nocs_scenes import DISTRACTOR, SIZES, make_frame, write_dataset

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets import open_frames
from pose_estimation_ros.datasets.nocs_dataset import NocsDataset
from pose_estimation_ros.datasets.nocs_images import depth_as_counts, read_depth
from pose_estimation_ros.datasets.nocs_writer import NocsWriter

EXCERPT = Path(__file__).parents[1] / 'data/spd/nocs'
SOURCES = {'camera_train': 'CAMERA', 'real_train': 'Real'}


@pytest.fixture(scope='module')
def parity():
    with np.load(EXCERPT / 'parity.npz') as file:
        return {name: file[name] for name in file.files}


def published(parity, subset, key):
    return parity[f'{SOURCES[subset]}_label_{key}']


def change_pickle(path, change):
    content = pickle.loads(path.read_bytes())
    change(content)
    path.write_bytes(pickle.dumps(content))


@pytest.mark.parametrize('subset', SOURCES)
def test_labels_made_from_raw_data_are_the_published_ones(parity, subset):
    dataset = NocsDataset(EXCERPT, subset)
    labels = dataset.raw_labels(dataset.frame_names[0])
    assert [label.model for label in labels] == list(published(parity, subset, 'model_list'))
    for i, label in enumerate(labels):
        category = dataset.categories[label.class_id - 1].name
        scale, t = dataset.models.recentring(label.model, category).similarity(
            label.scale, label.R, label.t)
        assert label.class_id == published(parity, subset, 'class_ids')[i]
        assert label.instance_id == published(parity, subset, 'instance_ids')[i]
        np.testing.assert_array_equal(label.box, published(parity, subset, 'bboxes')[i])
        assert scale == pytest.approx(published(parity, subset, 'scales')[i], abs=1e-7)
        np.testing.assert_allclose(label.R, published(parity, subset, 'rotations')[i], atol=2e-7)
        np.testing.assert_allclose(t, published(parity, subset, 'translations')[i], atol=2e-7)


@pytest.mark.parametrize('subset', SOURCES)
def test_a_frame_in_the_published_convention_has_the_published_poses_and_sizes(parity, subset):
    dataset = NocsDataset(EXCERPT, subset, convention='spd')
    frame = dataset[0]
    for i, item in enumerate(frame.objects):
        np.testing.assert_allclose(item.T_camera_object[:3, 3],
                                   published(parity, subset, 'translations')[i], atol=1e-7)
        extent = 2 * np.abs(dataset.models.points(item.model)).max(axis=0)
        np.testing.assert_allclose(item.size, published(parity, subset, 'scales')[i] * extent,
                                   rtol=1e-6)


def test_a_frame_in_the_plain_convention_has_mugs_in_their_boxes_centre(parity):
    frame = NocsDataset(EXCERPT, 'real_train')[0]
    mug = next(item for item in frame.objects if item.label == 'mug')
    index = list(parity['Real_label_model_list']).index(mug.model)
    # The label comes from coordinates in steps of 1/255.
    np.testing.assert_allclose(mug.T_camera_object[:3, 3], parity['Real_true_t'][index],
                               atol=3e-4)
    moved = NocsDataset(EXCERPT, 'real_train', 'spd')[0].objects[index]
    distance = np.linalg.norm(mug.T_camera_object - moved.T_camera_object)
    shift, _ = pickle.loads((EXCERPT / 'obj_models/mug_meta.pkl').read_bytes())[mug.model]
    assert distance == pytest.approx(parity['Real_true_scale'][index] * np.linalg.norm(shift),
                                     rel=1e-3)


@pytest.mark.parametrize('subset', SOURCES)
@pytest.mark.parametrize('convention', ['nocs', 'spd'])
def test_pose_and_coordinates_of_every_object_agree_with_its_depth(subset, convention):
    dataset = NocsDataset(EXCERPT, subset, convention)
    frame = dataset[0]
    labels = {label.instance_id: label for label in dataset.raw_labels(frame.name)}
    for item in frame.objects:
        rows, columns = np.nonzero(frame.mask(item) & np.isfinite(frame.frame.depth))
        seen = frame.frame.intrinsics.back_project(
            np.stack([columns, rows], axis=1).astype(float), frame.frame.depth[rows, columns])
        scale = labels[item.instance_id].scale
        if convention == 'spd':
            scale /= dataset.models.recentring(item.model, item.label).scale
        T = item.T_camera_object
        expected = scale * frame.nocs_map[rows, columns] @ T[:3, :3].T + T[:3, 3]
        # Depth is in millimetres and coordinates in steps of 1/255 of 15 to 35 cm.
        assert np.abs(seen - expected).max() < 4e-3


def test_what_is_no_object_has_no_coordinates_and_no_instance():
    frame = NocsDataset(EXCERPT, 'camera_train')[0]
    assert set(np.unique(frame.instance_map)) == {0, 1, 2, 3, 4}
    assert np.isnan(frame.nocs_map[frame.instance_map == 0]).all()
    assert np.abs(frame.nocs_map[frame.instance_map > 0]).max() <= 0.5


def test_names_cameras_and_symmetries_are_those_of_the_data_set():
    camera, real = (NocsDataset(EXCERPT, subset) for subset in SOURCES)
    assert (camera.name, real.name) == ('CAMERA-train', 'REAL-train')
    assert (camera[0].name, real[0].name) == ('train/00000/0000', 'train/scene_1/0000')
    assert (camera[0].frame.intrinsics.fx, real[0].frame.intrinsics.fx) == (577.5, 591.0125)
    assert [item.symmetry.axis for item in camera[0].objects] == [(0, 1, 0), None, None, (0, 1, 0)]
    assert len(camera) == len(list(camera)) == 1
    with pytest.raises(IndexError):
        camera[1]


def test_both_forms_of_depth_files_and_both_marks_of_unknown_depth(tmp_path):
    counts = np.array([[0, 32001, 700, 65535]], np.uint16)
    split = np.zeros((1, 4, 3), np.uint8)
    split[..., 1], split[..., 2] = counts // 256, counts % 256
    cv2.imwrite(str(tmp_path / 'one.png'), counts)
    cv2.imwrite(str(tmp_path / 'three.png'), split)
    for name in ('one', 'three'):
        depth = read_depth(tmp_path / f'{name}.png', 0.001)
        np.testing.assert_array_equal(depth, np.float32([[np.nan, np.nan, 0.7, 65.535]]))


def test_replayed_frames_know_both_marks_of_unknown_depth(tmp_path):
    cv2.imwrite(str(tmp_path / '0000_color.png'), np.zeros((1, 4, 3), np.uint8))
    cv2.imwrite(str(tmp_path / '0000_depth.png'), np.array([[0, 32001, 700, 900]], np.uint16))
    depth = open_frames(tmp_path).load(0).depth
    np.testing.assert_allclose(depth, [[np.nan, np.nan, 0.7, 0.9]], rtol=1e-6)


def test_written_depth_is_never_the_count_that_means_unknown():
    counts = depth_as_counts(np.float32([[32.001, 0.7004, np.nan, 70.0, -1.0, np.inf]]))
    np.testing.assert_array_equal(counts, [[32000, 700, 0, 0, 0, 0]])


def test_distractors_small_objects_and_improper_meshes_have_no_annotation(tmp_path):
    write_dataset(tmp_path, NocsWriter, 'camera_train')
    folder = tmp_path / 'CAMERA/train/00004'
    (folder / '0000_label.pkl').unlink()
    dataset = NocsDataset(tmp_path, 'camera_train')
    assert {item.label for item in dataset[0].objects} == {'bottle', 'mug', 'laptop'}
    assert (dataset[0].instance_map == DISTRACTOR).sum() == 200
    mask = cv2.imread(str(folder / '0000_mask.png'))
    rows, columns = np.nonzero(mask[..., 2] == 3)
    for i, pixels in ((0, 64), (1, 63)):
        mask[rows[pixels:], columns[pixels:]] = 255
        cv2.imwrite(str(folder / '0000_mask.png'), mask)
        assert ('bottle' in {item.label for item in dataset[0].objects}) == (i == 0)
    meta = (folder / '0000_meta.txt').read_text()
    improper = meta.replace('laptop_model', 'b9be7cfe653740eb7633a2dd89cec754')
    (folder / '0000_meta.txt').write_text(improper)
    assert [item.label for item in dataset[0].objects] == ['mug']


def test_an_object_as_large_as_the_image_drops_all_labels(tmp_path):
    write_dataset(tmp_path, NocsWriter, 'camera_train')
    folder = tmp_path / 'CAMERA/train/00004'
    (folder / '0000_label.pkl').unlink()
    mask = cv2.imread(str(folder / '0000_mask.png'))
    dataset = NocsDataset(tmp_path, 'camera_train')
    # 150 of 160 columns is the published 600 of 640.
    for columns, objects in ((150, 2), (151, 0)):
        mask[60:62, :columns] = 7
        mask[mask[..., 2] == 3] = 255
        cv2.imwrite(str(folder / '0000_mask.png'), mask)
        assert len(dataset[0].objects) == objects


def test_depth_with_the_real_background_is_read_on_request(tmp_path):
    write_dataset(tmp_path, NocsWriter, 'camera_val')
    composed = tmp_path / 'camera_full_depths/val/00004/0000_composed.png'
    composed.parent.mkdir(parents=True)
    cv2.imwrite(str(composed), np.full((120, 160), 1234, np.uint16))
    for choice, expected in (('composed', 1.234), ('objects', 2.5)):
        frame = NocsDataset(tmp_path, 'camera_val', depth=choice)[0]
        assert frame.frame.depth[5, 5] == np.float32(expected)


def test_labels_of_camera_survive_a_third_of_wrong_coordinates(tmp_path):
    frame, = write_dataset(tmp_path, NocsWriter, 'camera_train')
    folder = tmp_path / 'CAMERA/train/00004'
    (folder / '0000_label.pkl').unlink()
    coord = cv2.imread(str(folder / '0000_coord.png'))
    generator = np.random.default_rng(0)
    wrong = generator.random(coord.shape[:2]) < 1 / 3
    coord[wrong] = generator.integers(0, 256, (wrong.sum(), 3))
    cv2.imwrite(str(folder / '0000_coord.png'), coord)
    labels = {item.label: item for item in NocsDataset(tmp_path, 'camera_train')[0].objects}
    for truth in frame.objects:
        found = labels[truth.label].T_camera_object
        np.testing.assert_allclose(found[:3, 3], truth.T_camera_object[:3, 3], atol=0.01)
        np.testing.assert_allclose(found[:3, :3], truth.T_camera_object[:3, :3], atol=0.1)


@pytest.mark.parametrize('subset', ['camera_val', 'real_test'])
def test_test_poses_are_those_that_nocs_published(tmp_path, subset):
    frame, = write_dataset(tmp_path, NocsWriter, subset)
    dataset = NocsDataset(tmp_path, subset)
    dataset.layout.file(dataset.frame_names[0], 'label.pkl').unlink()
    objects = {item.label: item for item in dataset[0].objects}
    assert len(objects) == 3
    for truth in frame.objects:
        np.testing.assert_allclose(objects[truth.label].T_camera_object, truth.T_camera_object,
                                   atol=1e-9)
        np.testing.assert_allclose(objects[truth.label].size, truth.size, atol=1e-9)
        assert objects[truth.label].handle_visible == truth.handle_visible


def test_poses_of_the_real_test_set_are_found_under_the_released_and_our_former_name(tmp_path):
    write_dataset(tmp_path, NocsWriter, 'real_test')
    dataset = NocsDataset(tmp_path, 'real_test')
    dataset.layout.file(dataset.frame_names[0], 'label.pkl').unlink()
    released = tmp_path / 'gts/real_test/results_real_test_scene_4_0000.pkl'
    hidden = [item.handle_visible for item in dataset[0].objects]
    assert not all(hidden), 'which only the file tells'
    released.rename(released.with_name('results_test_scene_4_0000.pkl'))
    assert [item.handle_visible for item in dataset[0].objects] == hidden


def test_boxes_may_differ_by_five_pixels_from_those_of_nocs(tmp_path):
    write_dataset(tmp_path, NocsWriter, 'camera_val')
    dataset = NocsDataset(tmp_path, 'camera_val')
    dataset.layout.file(dataset.frame_names[0], 'label.pkl').unlink()
    truth = dataset.layout.gts_file(dataset.frame_names[0])

    def move(content):
        content['gt_bboxes'] = content['gt_bboxes'] + [[2, 0, 1, 2]]

    change_pickle(truth, move)
    assert len(dataset[0].objects) == 3
    change_pickle(truth, move)
    with pytest.raises(InvalidInputError, match='has no counterpart among the 3 published poses'):
        dataset[0]


def test_truth_without_classes_is_matched_by_pose_and_result_pickles_tell_more(tmp_path):
    frame, = write_dataset(tmp_path, NocsWriter, 'real_test')
    dataset = NocsDataset(tmp_path, 'real_test')
    name = dataset.frame_names[0]
    dataset.layout.file(name, 'label.pkl').unlink()
    results, _, gts, _ = dataset.layout.truth_files(name)
    results.parent.mkdir(parents=True)
    complete = pickle.loads(gts.read_bytes())
    gts.write_bytes(pickle.dumps({'gt_RTs': complete['gt_RTs'][::-1]}))

    by_pose = {item.label: item for item in dataset[0].objects}
    for truth in frame.objects:
        np.testing.assert_allclose(by_pose[truth.label].T_camera_object, truth.T_camera_object,
                                   atol=1e-9)
    assert by_pose['mug'].handle_visible, 'the file does not tell'

    results.write_bytes(pickle.dumps(complete))
    assert not {item.label: item for item in dataset[0].objects}['mug'].handle_visible


def test_without_published_poses_the_least_squares_fit_they_came_from_is_used(tmp_path):
    frame, = write_dataset(tmp_path, NocsWriter, 'real_test')
    dataset = NocsDataset(tmp_path, 'real_test')
    dataset.layout.file(dataset.frame_names[0], 'label.pkl').unlink()
    dataset.layout.gts_file(dataset.frame_names[0]).unlink()
    objects = {item.label: item for item in dataset[0].objects}
    for truth in frame.objects:
        np.testing.assert_allclose(objects[truth.label].T_camera_object, truth.T_camera_object,
                                   atol=0.02)


def test_without_a_list_all_complete_frames_are_read(tmp_path):
    write_dataset(tmp_path, NocsWriter, 'camera_train', [make_frame(), make_frame()])
    (tmp_path / 'CAMERA/train_list.txt').unlink()
    (tmp_path / 'CAMERA/train/00004/0000_mask.png').unlink()
    assert NocsDataset(tmp_path, 'camera_train').frame_names == ('train/00004/0001',)


@pytest.mark.parametrize(('subset', 'file', 'text'), [
    ('camera_train', 'train/03642806/laptop_model/bbox.txt', '0.3 0.2 0.2\n-0.3 -0.2 -0.2\n'),
    ('real_train', 'real_train/laptop_model.txt', '0.15\n0.10\n0.10\n'),
])
def test_the_box_of_an_object_is_that_of_its_mesh_where_a_file_tells(tmp_path, subset, file, text):
    write_dataset(tmp_path, NocsWriter, subset)
    dataset = NocsDataset(tmp_path, subset)
    change_pickle(dataset.layout.file(dataset.frame_names[0], 'label.pkl'),
                  lambda content: content.pop('box_sizes'))

    def laptop():
        return next(item for item in dataset[0].objects if item.label == 'laptop')

    np.testing.assert_allclose(laptop().size, SIZES['laptop'], rtol=1e-6)  # from the points
    path = tmp_path / 'obj_models' / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    extent = np.array([3.0, 2.0, 2.0]) / np.sqrt(17.0)
    np.testing.assert_allclose(laptop().size, np.linalg.norm(SIZES['laptop']) * extent, rtol=1e-6)
    path.write_text('0.1 0.2\n')
    with pytest.raises(InvalidInputError, match='must hold three lengths or two corners'):
        laptop()
