import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fake_data import annotated_frame

from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.evaluation.detection_files import (
    FrameDetections,
    read_detections,
    write_detections,
)
from pose_estimation_ros.evaluation.detection_sources import (
    MasksWithErrors,
    StoredDetections,
    TrueBoxes,
    TrueMasks,
    open_source,
)

FRAME = annotated_frame(5)


class Evil:
    def __reduce__(self):
        return (print, ('code of a stranger',))


def test_true_masks_are_the_pixels_of_the_objects():
    mug, can = TrueMasks()(FRAME)
    assert (mug.label, can.label) == ('mug', 'can')
    np.testing.assert_array_equal(can.mask, FRAME.instance_map == 2)
    np.testing.assert_array_equal(can.box, [49, 20, 61, 32])


def test_true_boxes_hold_more_than_the_object():
    _, can = TrueBoxes()(FRAME)
    np.testing.assert_array_equal(can.box, [49, 20, 61, 32])
    inside = np.zeros_like(can.mask)
    inside[20:32, 49:61] = True
    np.testing.assert_array_equal(can.mask, inside)


def test_mask_errors_depend_on_seed_and_object_only():
    first, again, other = (MasksWithErrors(seed)(FRAME) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first[1].mask, again[1].mask)
    frames = [annotated_frame(index) for index in range(12)]
    changed = sum(not np.array_equal(a.mask, b.mask) for frame in frames for a, b in
                  zip(MasksWithErrors(0)(frame), TrueMasks()(frame), strict=True))
    assert 12 <= changed < 24
    assert any(not np.array_equal(a.mask, b.mask) for a, b in zip(first, other, strict=True))


def test_detections_survive_their_file(tmp_path):
    mask = np.random.default_rng(0).random((7, 5)) < 0.5
    detection = Detection('mug', 0.25, np.array([1.5, 2, 6.5, 9]), mask, (2, 3))
    path = tmp_path / 'deep' / 'detections.jsonl'
    write_detections(path, [FrameDetections('a/0', (detection,), 0.5), FrameDetections('a/1', ())])
    first, second = read_detections(path)
    (read,) = first.detections
    np.testing.assert_array_equal(read.mask, mask)
    np.testing.assert_array_equal(read.box, detection.box)
    assert (read.label, read.score, read.offset) == ('mug', 0.25, (2, 3))
    assert first.seconds == 0.5
    assert np.isnan(second.seconds)
    assert second.detections == ()


def test_a_broken_line_is_named(tmp_path):
    path = tmp_path / 'detections.jsonl'
    write_detections(path, [FrameDetections('a/0', ())])
    path.write_text(path.read_text() + '{"name": "a/1"}\n')
    with pytest.raises(InvalidInputError, match="line 2 of .*detections.jsonl .*'seconds'"):
        read_detections(path)


def test_stored_detections_of_other_data_are_refused(tmp_path):
    path = tmp_path / 'detections.jsonl'
    write_detections(path, [FrameDetections('elsewhere/0', ())])
    with pytest.raises(InvalidInputError, match="no detections of frame 'scene/0005', .* "
                                                "begins with 'elsewhere/0'"):
        StoredDetections(path)(FRAME)


def nocs_pickle(folder, **changes):
    masks = np.zeros((64, 96, 1), bool)
    masks[10:20, 30:50, 0] = True
    content = {'rois': np.array([[10, 30, 20, 50]], np.int32), 'masks': masks,
               'class_ids': np.array([6], np.int32), 'scores': np.array([0.75], np.float32)}
    (folder / 'results_scene_0005.pkl').write_bytes(pickle.dumps({**content, **changes},
                                                                 protocol=2))


def test_published_pickles_of_the_nocs_detector_are_read(tmp_path):
    nocs_pickle(tmp_path)
    (found,) = open_source(str(tmp_path), seed=0)(FRAME)
    assert (found.label, found.score) == ('mug', 0.75)
    np.testing.assert_array_equal(found.box, [30, 10, 50, 20])
    assert found.mask.sum() == 200


@pytest.mark.parametrize(('changes', 'fault'), [
    ({'class_ids': np.array([0])}, 'holds class 0; classes are 1 to 6'),
    ({'class_ids': np.array([7])}, 'holds class 7; classes are 1 to 6'),
    ({'scores': np.array([0.1, 0.2])}, r': rois must be \(2, 4\)')])
def test_pickles_of_something_else_are_refused(tmp_path, changes, fault):
    nocs_pickle(tmp_path, **changes)
    with pytest.raises(InvalidInputError, match=f'results_scene_0005.pkl ?{fault}'):
        open_source(str(tmp_path), seed=0)(FRAME)


def test_a_pickle_cannot_run_code(tmp_path, capsys):
    nocs_pickle(tmp_path, rois=Evil())
    with pytest.raises(InvalidInputError, match='wants to call .*print'):
        open_source(str(tmp_path), seed=0)(FRAME)
    assert capsys.readouterr().out == ''


def test_a_missing_pickle_is_named(tmp_path):
    with pytest.raises(InvalidInputError, match=r'results_scene_0005.pkl is missing'):
        open_source(str(tmp_path), seed=0)(FRAME)


def test_an_unknown_source_is_refused():
    with pytest.raises(InvalidInputError, match="masks 'thruth' is none of model, truth, boxes"):
        open_source('thruth', seed=0)
