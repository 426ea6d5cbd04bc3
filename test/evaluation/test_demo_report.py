import numpy as np
import pytest

from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.evaluation.demo_report import (
    EstimatedObject,
    TrueObject,
    compare,
    estimates_table,
    summarize,
    summary_text,
    table,
)

SIZE = np.array([0.1, 0.1, 0.1])


def at(x, R=None):
    return make_transform(np.eye(3) if R is None else R, [x, 0.0, 0.8])


def true(name, category, x, seen=1.0, handle=float('nan')):
    return TrueObject(name, category, at(x), SIZE, seen, handle)


def estimated(category, x, R=None, size=SIZE):
    return EstimatedObject(f'{category}_1', category, at(x, R), np.zeros(3), size, 0.9)


def test_a_found_object_has_its_errors_in_degrees_and_centimetres():
    R = axis_rotation((1, 0, 0), np.radians(7))
    rows, false_objects = compare(4, [true('a', 'camera', 0.0)],
                                  [estimated('camera', 0.012, R)], 80.0)
    (row,) = rows
    assert false_objects == 0
    assert row.is_found
    assert row.rotation_error == pytest.approx(7.0)
    assert row.translation_error == pytest.approx(1.2)
    assert 0.6 < row.size_iou < 0.9
    assert (row.frame, row.latency) == (4, 80.0)


def test_the_turn_about_the_axis_of_a_can_is_no_error():
    turned = axis_rotation((0, 1, 0), 1.0)
    (row,), _ = compare(0, [true('a', 'can', 0.0)], [estimated('can', 0.0, turned)], 0.0)
    assert row.rotation_error == pytest.approx(0.0, abs=1e-6)
    assert row.size_iou == pytest.approx(1.0)


@pytest.mark.parametrize(('handle', 'error'), [(0.0, 0.0), (0.5, 60.0)])
def test_the_turn_of_a_mug_counts_only_if_its_handle_can_be_seen(handle, error):
    turned = axis_rotation((0, 1, 0), np.radians(60))
    (row,), _ = compare(0, [true('a', 'mug', 0.0, handle=handle)],
                        [estimated('mug', 0.0, turned)], 0.0)
    assert row.rotation_error == pytest.approx(error, abs=1e-6)


def test_each_object_takes_the_estimate_of_its_category_that_fits_all_best():
    truth = [true('a', 'can', 0.0), true('b', 'can', 0.07), true('c', 'bowl', 0.0)]
    rows, false_objects = compare(0, truth, [
        estimated('can', 0.05), estimated('can', 0.08), estimated('mug', 0.0)], 0.0)
    found = {row.identity: row.translation_error for row in rows if row.is_found}
    assert found == pytest.approx({'a': 5.0, 'b': 1.0})
    assert false_objects == 1


def test_an_estimate_far_away_is_a_false_object_and_a_miss():
    (row,), false_objects = compare(0, [true('a', 'can', 0.0)], [estimated('can', 0.1)], 0.0)
    assert not row.is_found
    assert false_objects == 1


def test_hidden_objects_are_listed_only_when_found_and_do_not_count():
    truth = [true('hidden', 'can', 0.0, seen=0.3), true('behind', 'can', 0.5, seen=0.0),
             true('seen', 'can', 1.0, seen=0.5)]
    rows, _ = compare(0, truth, [estimated('can', 0.0)], 10.0)
    assert [row.identity for row in rows] == ['hidden', 'seen']
    summary = summarize(rows, frames=1, false_objects=0, rate=5.0)
    assert (summary.visible, summary.found_share) == (1, 0.0)


def test_the_summary_counts_shares_and_medians_of_what_was_found():
    rows = []
    for k, degrees in enumerate((1, 4, 8, 20)):
        R = axis_rotation((1, 0, 0), np.radians(degrees))
        rows += compare(k, [true('a', 'camera', 0.0), true('b', 'can', 1.0)],
                        [estimated('camera', 0.01, R)], 50.0 + k)[0]
    summary = summarize(rows, frames=4, false_objects=3, rate=2.5)
    assert summary.visible == 8
    assert summary.found_share == 0.5
    assert summary.rotation_error == pytest.approx(6.0)
    assert summary.translation_error == pytest.approx(1.0)
    assert (summary.within_5deg_2cm, summary.within_10deg_5cm) == (0.5, 0.75)
    assert (summary.false_objects, summary.rate, summary.latency) == (3, 2.5, 51.5)
    text = summary_text(summary, rows)
    assert 'found with the right category    50.0%' in text
    assert 'camera     4 of   4 found' in text
    assert 'can        0 of   4 found' in text
    assert 'nan' not in text


def test_where_nothing_was_found_there_are_no_errors_to_tell():
    rows, _ = compare(0, [true('a', 'camera', 0.0)], [], 50.0)
    text = summary_text(summarize(rows, frames=1, false_objects=0, rate=2.5), rows)
    assert 'found with the right category     0.0%' in text
    assert 'camera     0 of   1 found' in text
    assert 'nan' not in text and 'error' not in text


def test_the_table_has_a_line_per_row_and_says_what_was_missed():
    rows, _ = compare(0, [true('a', 'can', 0.0), true('b', 'mug', 1.0)],
                      [estimated('can', 0.0)], 42.0)
    lines = table(rows).splitlines()
    assert len(lines) == 3
    assert ' yes ' in lines[1]
    assert '42 ms' in lines[1]
    assert lines[2].endswith('no')


def test_without_truth_every_estimate_is_listed_and_empty_frames_are_named():
    text = estimates_table({'first': ([estimated('mug', 0.05)], 30.0), 'second': ([], 31.0)})
    lines = text.splitlines()
    assert 'mug_1' in lines[1]
    assert '     5.0     0.0    80.0' in lines[1]
    assert 'nothing found' in lines[2]
