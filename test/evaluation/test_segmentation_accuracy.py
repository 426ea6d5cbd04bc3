import numpy as np
import pytest

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame, ObjectAnnotation
from pose_estimation_ros.evaluation.detection_files import FrameDetections
from pose_estimation_ros.evaluation.segmentation_accuracy import (
    compare,
    detection_tables,
    frame_record,
)

BOTTLE, MUG = (10, 10, 50, 90), (60, 20, 100, 60)


def truth(mug_visibility: float = 1.0) -> AnnotatedFrame:
    instances = np.zeros((100, 120), np.int32)
    for number, (x0, y0, x1, y1) in enumerate((BOTTLE, MUG), start=1):
        instances[y0:y1, x0:x1] = number
    camera = CameraIntrinsics.pinhole(120, 100, 100, 100, 60, 50)
    frame = RGBDFrame(0, 'camera', np.zeros((100, 120, 3), np.uint8), None, camera)
    return AnnotatedFrame('a', frame, tuple(
        ObjectAnnotation(number, category, category, np.eye(4), np.ones(3), visibility=visibility)
        for number, category, visibility in ((1, 'bottle', 1.0), (2, 'mug', mug_visibility))),
        instances)


def detection(label: str, box: tuple[int, int, int, int]) -> Detection:
    x0, y0, x1, y1 = box
    return Detection(label, 0.9, np.array(box, float), np.ones((y1 - y0, x1 - x0), bool), (x0, y0))


def tables(*detections: Detection, frame: AnnotatedFrame | None = None) -> dict[str, dict]:
    """Return {table: {name of the row: {column: value}}}."""
    record = frame_record(truth() if frame is None else frame,
                          FrameDetections('a', detections, 0.02))
    return {report.name: {row[0]: dict(zip(report.columns, row, strict=True))
                          for row in report.rows}
            for report in detection_tables([record], {}).reports}


def found(*detections: Detection, frame: AnnotatedFrame | None = None) -> dict[str, dict]:
    return tables(*detections, frame=frame)['detection-recall']


def test_perfect_detections_give_perfect_numbers():
    perfect = tables(detection('bottle', BOTTLE), detection('mug', MUG))
    assert perfect['detection-recall']['all'] == {
        'objects': 'all', 'count': 2, 'found, %': 100.0, 'found as anything, %': 100.0,
        'mean mask IoU of found': 1.0, 'precision, %': 100.0, 'false': 0}
    assert perfect['detection-recall']['mug']['found, %'] == 100.0


def test_the_average_precision_of_boxes_and_masks_is_in_its_table():
    record = frame_record(truth(), FrameDetections('a', (detection('mug', MUG),), 0.02))
    report = detection_tables([record], {}).reports[2]
    assert report.name == 'detection-precision'
    rows = {row[:2]: row for row in report.rows}
    assert rows['mask', 'mug'][3] == pytest.approx(100.0)
    assert rows['box', 'bottle'][3] == pytest.approx(0.0)
    assert rows['box', 'mean'][3] == pytest.approx(50.0)


def test_a_wrong_label_is_found_but_not_right():
    confused = tables(detection('can', BOTTLE), detection('mug', MUG))
    row = confused['detection-recall']['all']
    assert (row['found, %'], row['found as anything, %'], row['precision, %']) == (50, 100, 50)
    assert confused['detection-confusion']['bottle']['can'] == 1
    assert confused['detection-confusion']['bottle']['missed'] == 0


def test_a_detection_on_nothing_costs_precision():
    detections = [detection('mug', MUG), detection('bowl', (100, 70, 118, 95))]
    assert compare(truth(), detections).false_detections == ('bowl',)
    rows = found(*detections)
    assert rows['all']['found, %'] == 50.0
    assert rows['all']['precision, %'] == 50.0
    assert rows['bowl']['false'] == 1


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
    row = found(detection('bottle', BOTTLE), frame=truth(visibility))['all']
    assert (row['count'], row['found, %']) == (1, 100.0)


def test_objects_of_unknown_visibility_have_to_be_found():
    row = found(detection('bottle', BOTTLE), frame=truth(float('nan')))['all']
    assert (row['count'], row['found, %']) == (2, 50.0)


def test_hardly_visible_objects_may_be_found_without_penalty():
    record = compare(truth(0.1), [detection('bottle', BOTTLE), detection('mug', MUG),
                                  detection('bowl', (90, 20, 105, 60))])
    assert record.false_detections == ()


def test_sizes_are_told_apart():
    # Both objects are large for a picture 120 pixels wide.
    rows = found()
    assert [rows[name]['count'] for name in ('small', 'medium', 'large')] == [0, 0, 2]
    assert rows['large']['found, %'] == 0.0
    assert np.isnan(rows['small']['found, %'])


def test_the_tables_hold_every_category():
    both = tables(detection('mug', MUG))
    assert both['detection-recall']['mug'] == {
        'objects': 'mug', 'count': 1, 'found, %': 100.0, 'found as anything, %': 100.0,
        'mean mask IoU of found': 1.0, 'precision, %': 100.0, 'false': 0}
    assert both['detection-confusion']['bottle']['missed'] == 1
    assert list(both['detection-confusion']) == ['bottle', 'bowl', 'camera', 'can', 'laptop',
                                                 'mug']


def test_objects_of_other_categories_get_their_own_rows():
    rows = found(detection('hammer', (100, 70, 118, 95)))
    assert list(rows) == ['all', 'bottle', 'hammer', 'mug', 'small', 'medium', 'large']


def test_the_tables_state_the_time_of_a_frame():
    record = frame_record(truth(), FrameDetections('a', (), 0.02))
    assert detection_tables([record], {}).reports[0].settings['median ms a frame'] == \
        pytest.approx(20.0)


def test_no_frames_give_empty_tables():
    reports = detection_tables([], {}).reports
    assert reports[0].rows[0][:2] == ('all', 0)
    assert reports[2].rows == [('box', 'mean', 0, *[pytest.approx(np.nan, nan_ok=True)] * 6),
                               ('mask', 'mean', 0, *[pytest.approx(np.nan, nan_ok=True)] * 6)]


def test_frames_without_masks_are_refused():
    frame = AnnotatedFrame('a', truth().frame, truth().objects)
    with pytest.raises(InvalidInputError, match='has no masks'):
        compare(frame, [])
