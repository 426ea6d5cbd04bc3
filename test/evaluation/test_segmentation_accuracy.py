import numpy as np
import pytest

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.evaluation.segmentation_accuracy import compare, markdown, summarize
from pose_estimation_ros.synthetic.synthetic_frame import Instance, SyntheticFrame

BOTTLE, MUG = (10, 10, 50, 90), (60, 20, 100, 60)


def truth(mug_visibility: float = 1.0) -> SyntheticFrame:
    instances = np.zeros((100, 120), np.int16)
    for number, (x0, y0, x1, y1) in enumerate((BOTTLE, MUG), start=1):
        instances[y0:y1, x0:x1] = number
    camera = CameraIntrinsics.pinhole(120, 100, 100, 100, 60, 50)
    frame = RGBDFrame(0, 'camera', np.zeros((100, 120, 3), np.uint8), None, camera)
    return SyntheticFrame(frame, None, instances, tuple(
        Instance(number, category, category, np.eye(4), np.ones(3), visibility, {},
                 np.array(box, float), 1.0)
        for number, category, visibility, box in (
            (1, 'bottle', 1.0, BOTTLE), (2, 'mug', mug_visibility, MUG))))


def detection(label: str, box: tuple[int, int, int, int]) -> Detection:
    x0, y0, x1, y1 = box
    return Detection(label, 0.9, np.array(box, float), np.ones((y1 - y0, x1 - x0), bool), (x0, y0))


def test_perfect_detections_give_perfect_numbers():
    summary = summarize([compare(truth(), [detection('bottle', BOTTLE), detection('mug', MUG)])])
    assert summary['overall'] == {'objects': 2, 'found': 1.0, 'found_any_label': 1.0,
                                  'mask_iou': 1.0, 'precision': 1.0, 'false': 0}
    assert summary['by_category']['mug']['found'] == 1.0


def test_a_wrong_label_is_found_but_not_right():
    summary = summarize([compare(truth(), [detection('can', BOTTLE), detection('mug', MUG)])])
    assert summary['overall']['found'] == 0.5
    assert summary['overall']['found_any_label'] == 1.0
    assert summary['overall']['precision'] == 0.5
    assert summary['confusion']['bottle'] == {'can': 1}


def test_a_detection_on_nothing_costs_precision():
    record = compare(truth(), [detection('mug', MUG), detection('bowl', (100, 70, 118, 95))])
    assert record.false_detections == ('bowl',)
    summary = summarize([record])
    assert summary['overall']['found'] == 0.5
    assert summary['overall']['precision'] == 0.5
    assert summary['by_category']['bowl']['false'] == 1


def test_an_object_counts_once_however_often_it_is_found():
    record = compare(truth(), [detection('mug', MUG), detection('mug', (60, 20, 100, 55))])
    assert record.objects[1].iou == 1.0
    assert record.false_detections == ('mug',)


def test_a_mask_that_overlaps_too_little_is_a_miss():
    record = compare(truth(), [detection('mug', (60, 20, 100, 39))])
    assert record.objects[1].found_as == ''
    assert record.false_detections == ('mug',)


@pytest.mark.parametrize('visibility', [0.1, 0.3])
def test_hidden_objects_need_not_be_found(visibility: float):
    summary = summarize([compare(truth(visibility), [detection('bottle', BOTTLE)])])
    assert summary['overall']['objects'] == 1
    assert summary['overall']['found'] == 1.0


def test_hardly_visible_objects_may_be_found_without_penalty():
    record = compare(truth(0.1), [detection('bottle', BOTTLE), detection('mug', MUG),
                                  detection('bowl', (90, 20, 105, 60))])
    assert record.false_detections == ()


def test_sizes_are_told_apart():
    # Both objects are large for a picture 120 pixels wide.
    sizes = summarize([compare(truth(), [])])['by_size']
    assert [sizes[name]['objects'] for name in ('small', 'medium', 'large')] == [0, 0, 2]
    assert sizes['large']['found'] == 0.0


def test_the_table_holds_every_category():
    table = markdown(summarize([compare(truth(), [detection('mug', MUG)])]))
    assert '| mug | 1 | 100.0% | 100.0% | 1.000 | 100.0% | 0 |' in table
    assert '| bottle | 0 | 0 | 0 | 0 | 0 | 0 | 1 |' in table


def test_no_frames_give_an_empty_summary():
    assert summarize([])['overall']['objects'] == 0
