"""Pickles of detections and results as the published evaluations exchange them."""

import pickle

import numpy as np
import pytest

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.nocs_layout import NocsLayout
from pose_estimation_ros.datasets.nocs_results import (
    NocsResult,
    NocsTruth,
    read_detections,
    read_result,
    read_truth,
    write_result,
)

GENERATOR = np.random.default_rng(0)
POSES = GENERATOR.normal(size=(2, 4, 4))


def detections(**changes):
    masks = np.zeros((12, 16, 2), dtype=bool)
    masks[2:5, 3:9, 0] = masks[6:9, 1:4, 1] = True
    return {'rois': np.array([[2, 3, 5, 9], [6, 1, 9, 4]], np.int32),
            'class_ids': np.array([6, 1], np.int32),
            'scores': np.array([0.9, 0.25], np.float32), 'masks': masks} | changes


def test_detections_have_labels_and_boxes_of_this_package(tmp_path):
    path = tmp_path / 'results_test_scene_1_0000.pkl'
    path.write_bytes(pickle.dumps(detections()))
    mug, bottle = read_detections(path)
    assert (mug.label, bottle.label) == ('mug', 'bottle')
    assert mug.score == pytest.approx(0.9)
    np.testing.assert_array_equal(mug.box, [3, 2, 9, 5])
    rows, columns = bottle.pixels()
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (6, 8, 1, 3)


def test_a_frame_without_detections_gives_none(tmp_path):
    path = tmp_path / 'x.pkl'
    path.write_bytes(pickle.dumps(detections(
        rois=np.zeros((0, 4)), class_ids=np.zeros(0), scores=np.zeros(0),
        masks=np.zeros((12, 16, 0), bool))))
    assert read_detections(path) == ()


@pytest.mark.parametrize(('changes', 'reason'), [
    ({'class_ids': np.array([6, 0])}, 'x.pkl holds class 0; classes are 1 to 6'),
    ({'class_ids': np.array([6, 9])}, 'x.pkl holds class 9'),
    ({'masks': np.zeros((12, 16, 3), bool)}, r'masks must be \(H, W, 2\), it is \(12, 16, 3\)'),
    ({'rois': np.zeros((2, 3))}, r'rois must be \(2, 4\), it is \(2, 3\)'),
    ({'scores': np.array([np.nan, 1.0])}, 'scores holds NaN'),
])
def test_faulty_detections_are_named(tmp_path, changes, reason):
    path = tmp_path / 'x.pkl'
    path.write_bytes(pickle.dumps(detections(**changes)))
    with pytest.raises(InvalidInputError, match=reason):
        read_detections(path)


def test_a_result_is_read_as_it_was_written(tmp_path):
    truth = NocsTruth(POSES, np.array([6, 1]), np.arange(8).reshape(2, 4), np.full((2, 3), 0.5),
                      np.array([False, True]))
    result = NocsResult(truth, np.array([1]), np.array([[1, 2, 3, 4]]), np.array([0.5]), POSES[:1],
                        np.full((1, 3), 0.4))
    path = tmp_path / 'results_test_scene_1_0000.pkl'
    write_result(path, result)
    again = read_result(path)
    for name in ('class_ids', 'boxes', 'scores', 'sRT', 'sizes'):
        np.testing.assert_array_equal(getattr(again, name), getattr(result, name))
    for name in ('class_ids', 'boxes', 'sRT', 'sizes', 'handle_visible'):
        np.testing.assert_array_equal(getattr(again.truth, name), getattr(truth, name))
    assert list(pickle.loads(path.read_bytes())) == [
        'gt_class_ids', 'gt_bboxes', 'gt_RTs', 'gt_scales', 'gt_handle_visibility',
        'pred_class_ids', 'pred_bboxes', 'pred_scores', 'pred_RTs', 'pred_scales']


def test_a_result_without_the_classes_of_its_truth_cannot_be_written(tmp_path):
    result = NocsResult(NocsTruth(POSES), np.zeros(0, int), np.zeros((0, 4), int), np.zeros(0),
                        np.zeros((0, 4, 4)), np.zeros((0, 3)))
    with pytest.raises(InvalidInputError, match='needs the classes, boxes, sizes'):
        write_result(tmp_path / 'x.pkl', result)


@pytest.mark.parametrize('key', ['gt_handle_visibility', 'handle_visibility'])
def test_both_names_of_visible_handles_are_known(tmp_path, key):
    path = tmp_path / 'x.pkl'
    path.write_bytes(pickle.dumps({'gt_RTs': POSES, key: np.array([1, 0])}))
    truth = read_truth(path)
    np.testing.assert_array_equal(truth.handle_visible, [True, False])
    assert truth.class_ids is None
    assert truth.boxes is None


@pytest.mark.parametrize(('subset', 'frame', 'result', 'gts'), [
    ('camera_val', 'val/00012/0003', 'val/results_val_00012_0003.pkl',
     'val/results_val_00012_0003.pkl'),
    ('real_test', 'test/scene_1/0000', 'real_test/results_test_scene_1_0000.pkl',
     'real_test/results_real_test_scene_1_0000.pkl'),
])
def test_pickles_of_a_frame_have_the_published_names(tmp_path, subset, frame, result, gts):
    paths = NocsLayout(tmp_path / 'data', subset).truth_files(frame)
    assert paths[:3] == (tmp_path / 'data/results/nocs_results' / result,
                         tmp_path / 'results/nocs_results' / result, tmp_path / 'data/gts' / gts)
