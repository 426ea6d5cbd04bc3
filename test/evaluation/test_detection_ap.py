import numpy as np
import pytest

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame, ObjectAnnotation
from pose_estimation_ros.evaluation.detection_ap import (
    COLUMNS,
    detection_precision,
    frame_outlines,
    precision_table,
)

HEIGHT, WIDTH = 200, 300
Box = tuple[int, int, int, int]
# Medium: 40 x 50 = 2000 pixels, between 32² and 96².
MUG, SECOND = (10, 10, 50, 60), (100, 10, 140, 60)


def frame(*objects: tuple[str, Box], visibility: float = 1.0, masks: bool = True
          ) -> AnnotatedFrame:
    camera = CameraIntrinsics.pinhole(WIDTH, HEIGHT, 200, 200, 150, 100)
    instances = np.zeros((HEIGHT, WIDTH), np.int32)
    for number, (_, (x0, y0, x1, y1)) in enumerate(objects, start=1):
        instances[y0:y1, x0:x1] = number
    return AnnotatedFrame(
        'a', RGBDFrame(0, 'camera', np.zeros((HEIGHT, WIDTH, 3), np.uint8), None, camera),
        tuple(ObjectAnnotation(number, label, '', np.eye(4), np.ones(3), visibility=visibility)
              for number, (label, _) in enumerate(objects, start=1)),
        instances if masks else None)


def detection(label: str, box: Box, score: float = 0.9, rows: int | None = None) -> Detection:
    """Return a detection whose mask fills its box, or only the uppermost rows of it."""
    x0, y0, x1, y1 = box
    mask = np.ones((y1 - y0, x1 - x0), bool)
    mask[rows:] &= rows is None
    return Detection(label, score, np.array(box, float), mask, (x0, y0))


def figures(*frames) -> dict[tuple[str, str], dict[str, float]]:
    """Return {(compared, category): {column: figure}}."""
    rows = precision_table(detection_precision(frames), 'ap', {}).rows
    return {row[:2]: dict(zip(COLUMNS, row, strict=True)) for row in rows}


def test_perfect_detections_have_an_average_precision_of_100():
    table = figures(frame_outlines(frame(('mug', MUG), ('can', SECOND)),
                                   [detection('mug', MUG), detection('can', SECOND)]))
    assert set(table) == {(kind, name) for kind in ('box', 'mask')
                          for name in ('mean', 'mug', 'can')}
    for row in table.values():
        assert row['AP, %'] == row['AP50, %'] == row['AP75, %'] == pytest.approx(100.0)
        assert row['AP medium, %'] == pytest.approx(100.0)
        assert np.isnan(row['AP small, %'])
        assert np.isnan(row['AP large, %'])
    assert table['mask', 'mean']['objects'] == 2


def test_an_overlap_of_72_percent_counts_at_the_first_five_of_ten_limits():
    # 36 of 50 rows: IoU 0.72, which is at least 0.50, 0.55, ... 0.70.
    x0, y0, x1, _ = MUG
    table = figures(frame_outlines(frame(('mug', MUG)),
                                   [detection('mug', (x0, y0, x1, y0 + 36))]))
    for kind in ('box', 'mask'):
        assert table[kind, 'mug']['AP, %'] == pytest.approx(50.0)
        assert table[kind, 'mug']['AP50, %'] == pytest.approx(100.0)
        assert table[kind, 'mug']['AP75, %'] == pytest.approx(0.0)


def test_boxes_and_masks_are_compared_apart():
    table = figures(frame_outlines(frame(('mug', MUG)), [detection('mug', MUG, rows=30)]))
    assert table['box', 'mug']['AP, %'] == pytest.approx(100.0)
    # 0.6: at least 0.50, 0.55 and 0.60.
    assert table['mask', 'mug']['AP, %'] == pytest.approx(30.0)


def test_a_false_detection_of_higher_score_halves_the_precision():
    table = figures(frame_outlines(
        frame(('mug', MUG)), [detection('mug', SECOND, 0.95), detection('mug', MUG, 0.5)]))
    assert table['mask', 'mug']['AP, %'] == pytest.approx(50.0)


def test_a_false_detection_of_lower_score_costs_nothing_once_all_is_found():
    table = figures(frame_outlines(
        frame(('mug', MUG)), [detection('mug', SECOND, 0.5), detection('mug', MUG, 0.95)]))
    assert table['mask', 'mug']['AP, %'] == pytest.approx(100.0)


def test_a_missed_object_ends_the_recall_at_a_half():
    table = figures(frame_outlines(frame(('mug', MUG), ('mug', SECOND)), [detection('mug', MUG)]))
    # 51 of the 101 recalls from 0 to 1 are reached.
    assert table['mask', 'mug']['AP, %'] == pytest.approx(100 * 51 / 101)


def test_frames_are_pooled():
    found = frame_outlines(frame(('mug', MUG)), [detection('mug', MUG)])
    missed = frame_outlines(frame(('mug', MUG)), [])
    table = figures(found, missed)
    assert table['mask', 'mug']['objects'] == 2
    assert table['mask', 'mug']['AP, %'] == pytest.approx(100 * 51 / 101)


def test_a_wrong_label_is_a_miss_and_the_mean_is_over_categories_with_objects():
    table = figures(frame_outlines(frame(('mug', MUG), ('can', SECOND)),
                                   [detection('mug', MUG), detection('bowl', SECOND)]))
    assert table['mask', 'mug']['AP, %'] == pytest.approx(100.0)
    assert table['mask', 'can']['AP, %'] == pytest.approx(0.0)
    assert np.isnan(table['mask', 'bowl']['AP, %'])
    assert table['mask', 'mean']['AP, %'] == pytest.approx(50.0)


def test_hardly_visible_objects_may_be_found_or_not():
    hidden = frame(('mug', MUG), visibility=0.1)
    seen = frame_outlines(frame(('mug', SECOND)), [detection('mug', SECOND, 0.5)])
    for detections in ([], [detection('mug', MUG, 0.9)]):
        table = figures(seen, frame_outlines(hidden, detections))
        assert table['mask', 'mug']['objects'] == 1
        assert table['mask', 'mug']['AP, %'] == pytest.approx(100.0)


def test_sizes_are_told_apart_by_area():
    small, large = (0, 0, 20, 20), (100, 50, 250, 150)
    table = figures(frame_outlines(frame(('mug', small), ('mug', large)),
                                   [detection('mug', large)]))
    assert table['box', 'mug']['AP large, %'] == pytest.approx(100.0)
    assert table['box', 'mug']['AP small, %'] == pytest.approx(0.0)
    assert np.isnan(table['box', 'mug']['AP medium, %'])


def test_objects_that_nobody_can_see_are_no_objects():
    nothing = frame(('mug', (0, 0, 0, 0)))
    assert frame_outlines(nothing, []).truths == ()
    assert figures(frame_outlines(nothing, []))['mask', 'mean']['objects'] == 0


def test_the_curve_falls_where_recall_ends():
    box, mask = detection_precision([frame_outlines(frame(('mug', MUG), ('mug', SECOND)),
                                                    [detection('mug', MUG)])])
    curve = mask.panel().curves['mug']
    assert curve[50] == pytest.approx(100.0)
    assert curve[51] == 0.0
    assert box.panel().title == 'box, IoU 0.5'


def test_frames_without_masks_are_refused():
    with pytest.raises(InvalidInputError, match='has no masks'):
        frame_outlines(frame(('mug', MUG), masks=False), [])


def test_the_tool_stays_silent(capsys):
    figures(frame_outlines(frame(('mug', MUG)), [detection('mug', MUG)]))
    assert capsys.readouterr().out == ''
