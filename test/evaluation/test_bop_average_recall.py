import sys
from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.evaluation.bop_average_recall import (
    AverageRecall,
    AverageRecallSettings,
    average_recall,
    frame_errors,
)
from pose_estimation_ros.evaluation.bop_matching import candidates, match, visible_targets
from pose_estimation_ros.evaluation.bop_symmetries import SymmetryTransforms
from pose_estimation_ros.evaluation.predictions import FramePredictions, FrameTruth

sys.path.insert(0, str(Path(__file__).parent))

from known_objects import (
    CAMERA,
    DIAMETER,
    FRAME,
    HALF_TURN,
    annotation,
    at,
    frame,
    model,
    prediction,
    predictions,
)

MODELS = {'obj_000001': model(), 'obj_000002': model(SymmetryTransforms.of(HALF_TURN[None], []))}
ALL_PARTS = AverageRecallSettings()
SURFACE_ONLY = AverageRecallSettings(parts=('MSSD',))


def recall_of(truth, estimates, settings=ALL_PARTS) -> AverageRecall:
    targets = visible_targets(FrameTruth.of(truth))
    return average_recall(frame_errors(truth, estimates, targets, MODELS, settings))


def test_true_poses_have_an_average_recall_of_one():
    truth = frame(annotation(at(0.0)), annotation(at(0.15), label='obj_000002'))
    recall = recall_of(truth, predictions(prediction(at(0.0)),
                                          prediction(at(0.15), label='obj_000002')))
    assert recall.score() == 1.0
    assert [recall.part(part) for part in ('VSD', 'MSSD', 'MSPD')] == [1.0, 1.0, 1.0]


def test_missing_poses_have_an_average_recall_of_zero():
    assert recall_of(frame(annotation(at(0.0))), predictions()).score() == 0.0


def test_the_recall_of_mssd_counts_the_thresholds_above_the_error():
    # Moved by 0.22 diameters: below 0.25, 0.30, ... 0.50, which are 6 of 10 thresholds.
    recall = recall_of(frame(annotation(at(0.0))),
                       predictions(prediction(at(0.22 * DIAMETER))), SURFACE_ONLY)
    assert recall.part('MSSD') == pytest.approx(0.6)
    assert recall.score() == pytest.approx(0.6)


def test_the_recall_of_mspd_counts_pixels_of_an_image_640_wide():
    # At the front face, 0.55 m away, 4 mm are 1.0909 px of 160, that is 4.36 px of 640.
    # At 8 mm they are 8.73 px: below 10, 15, ... 50.
    settings = AverageRecallSettings(parts=('MSPD',))
    truth = frame(annotation(at(0.0)))
    assert CAMERA.width == 160
    assert recall_of(truth, predictions(prediction(at(0.004))), settings).score() == 1.0
    assert recall_of(truth, predictions(prediction(at(0.008))), settings).score() == \
        pytest.approx(0.9)


def test_the_recall_of_vsd_is_the_mean_over_tolerances_and_thresholds():
    # 20 mm further away, every pixel of both is off by 20 to 21 mm: 0.14 to 0.15 diameters. From
    # tau = 0.15 on all are right, before all are wrong, and the outline grows by a few pixels.
    recall = recall_of(frame(annotation(at(0.0))), predictions(prediction(at(0.0, 0.62))),
                       AverageRecallSettings(parts=('VSD',)))
    by_tolerance = recall.recall('VSD').mean(axis=1)
    np.testing.assert_array_equal(by_tolerance[:2], 0.0)
    np.testing.assert_array_equal(by_tolerance[3:], by_tolerance[3])
    assert by_tolerance[3] > 0.7


def test_a_symmetric_object_may_be_turned():
    truth = frame(annotation(at(0.0), label='obj_000002'))
    turned = predictions(prediction(at(0.0) @ HALF_TURN, label='obj_000002'))
    assert recall_of(truth, turned).score() == 1.0
    unsymmetric = recall_of(frame(annotation(at(0.0))),
                            predictions(prediction(at(0.0) @ HALF_TURN)), SURFACE_ONLY)
    assert unsymmetric.score() == 0.0


def test_objects_are_pooled_not_averaged_by_label():
    truth = frame(annotation(at(-0.1)), annotation(at(0.0)), annotation(at(0.1)),
                  annotation(at(0.2), label='obj_000002'))
    recall = recall_of(truth, predictions(prediction(at(-0.1)), prediction(at(0.0)),
                                          prediction(at(0.1))), SURFACE_ONLY)
    assert recall.score() == pytest.approx(3 / 4)
    assert recall.score('obj_000001') == 1.0
    assert recall.score('obj_000002') == 0.0


def test_only_as_many_estimates_as_targets_count_those_of_highest_score():
    truth = frame(annotation(at(0.0)))
    right, wrong = prediction(at(0.0), score=0.2), prediction(at(0.3), score=0.8)
    assert recall_of(truth, predictions(right, wrong), SURFACE_ONLY).score() == 0.0
    right = prediction(at(0.0), score=0.9)
    assert recall_of(truth, predictions(wrong, right), SURFACE_ONLY).score() == 1.0


def test_hardly_visible_objects_are_no_targets():
    truth = frame(annotation(at(0.0)), annotation(at(0.2), visibility=0.09),
                  annotation(at(-0.2), visibility=float('nan')))
    assert visible_targets(FrameTruth.of(truth)) == {'obj_000001': 2}


def test_the_targets_are_the_most_visible_objects():
    truth = frame(annotation(at(0.0), visibility=0.3), annotation(at(0.2), visibility=0.9),
                  annotation(at(-0.2), visibility=0.6))
    chosen, = candidates(FrameTruth.of(truth), predictions(), {'obj_000001': 2})
    np.testing.assert_array_equal(chosen.truths[:, 0, 3], [0.2, -0.2])


def test_estimates_of_what_is_not_asked_for_are_left_out():
    truth = frame(annotation(at(0.0)))
    recall = recall_of(truth, predictions(prediction(at(0.0)),
                                          prediction(at(0.0), label='obj_000002')), SURFACE_ONLY)
    assert recall.score() == 1.0
    assert set(recall.targets) == {'obj_000001'}


def test_matching_is_greedy_by_score():
    # The first estimate takes the nearer object though the second one could only have had that.
    errors = np.array([[[0.1, 0.2], [0.15, 0.9]]])
    assert match(errors, np.array([0.5])).tolist() == [[[0, -1]]]
    # Below 0.18 it is the same, below 0.12 the second object is missed as well.
    assert match(errors, np.array([0.18, 0.12])).tolist() == [[[0, -1], [0, -1]]]
    # The second one takes what is left.
    errors = np.array([[[0.3, 0.2], [0.4, 0.1]]])
    assert match(errors, np.array([0.5])).tolist() == [[[1, 0]]]


def test_matching_is_strict_at_the_threshold():
    errors = np.array([[[0.25]]])
    assert match(errors, np.array([0.25, 0.2500001])).tolist() == [[[-1], [0]]]


def test_matching_keeps_thresholds_and_kinds_apart():
    generator = np.random.default_rng(1)
    errors, thresholds = generator.random((3, 4, 5)), np.linspace(0.1, 0.9, 7)
    together = match(errors, thresholds)
    for kind in range(3):
        for index, threshold in enumerate(thresholds):
            expected, free = [-1] * 5, set(range(5))
            for estimate in range(4):
                open_ = [g for g in free if errors[kind, estimate, g] < threshold]
                if open_:
                    best = min(open_, key=lambda g: errors[kind, estimate, g])
                    expected[best] = estimate
                    free.remove(best)
            assert together[kind, index].tolist() == expected


def test_a_label_without_a_model_is_refused():
    truth = frame(annotation(at(0.0), label='obj_000007'))
    with pytest.raises(InvalidInputError, match="'obj_000007'.*no CAD model.*'obj_000001'"):
        recall_of(truth, predictions())
    with pytest.raises(InvalidInputError, match="'7'"):
        recall_of(frame(annotation(at(0.0))), predictions(prediction(at(0.0), label='7')))


def test_targets_that_the_frame_does_not_have_are_refused():
    with pytest.raises(InvalidInputError, match=f"2 objects .* '{FRAME}', which has 1"):
        frame_errors(frame(annotation(at(0.0))), FramePredictions(FRAME, ()),
                     {'obj_000001': 2}, MODELS)


def test_the_table_has_the_pooled_row_first():
    recall = recall_of(frame(annotation(at(0.0))), predictions(prediction(at(0.0))))
    report = recall.report('average_recall', {})
    assert report.columns == ('object', 'targets', 'AR, %', 'AR without VSD, %', 'AR_VSD, %',
                              'AR_MSSD, %', 'AR_MSPD, %')
    assert report.rows == [('all', 1, *[100.0] * 5), ('obj_000001', 1, *[100.0] * 5)]
    assert [panel.title for panel in recall.panels()] == ['VSD', 'MSSD', 'MSPD']


def test_without_depth_the_score_is_that_of_the_other_two_parts():
    half = AverageRecall({'can': 2}, {
        part: {'can': np.full((1, 10), count)}
        for part, count in (('VSD', 0), ('MSSD', 2), ('MSPD', 1))})
    (row, _) = half.report('average_recall', {}).rows
    assert row == ('all', 2, pytest.approx(50.0), pytest.approx(75.0), 0.0, 100.0, 50.0)


def test_nothing_to_find_has_no_recall():
    recall = recall_of(frame(), predictions())
    assert recall.targets == {}
    assert np.isnan(recall.score())
