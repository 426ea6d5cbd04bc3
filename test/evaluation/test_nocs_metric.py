from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.evaluation.category_pool import CategoryPool, categories_of, pool
from pose_estimation_ros.evaluation.nocs_iou import nocs_overlaps
from pose_estimation_ros.evaluation.nocs_metric import nocs_curves, nocs_errors, nocs_pose_errors
from pose_estimation_ros.evaluation.precision_curves import (
    CENTIMETRES,
    DEGREES,
    OVERLAPS,
    mean_of_categories,
)
from pose_estimation_ros.evaluation.predictions import FramePredictions, FrameTruth, Prediction
from test.evaluation.nocs_fixture import fixture_frames, published_tables

TABLES = published_tables()
FRAMES = fixture_frames()


@pytest.fixture(scope='module')
def pools() -> list[CategoryPool]:
    return [pool(FRAMES, category) for category in CATEGORY_NAMES]


def rigid(sRT: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scale = np.cbrt(np.linalg.det(sRT[:, :3, :3]))
    return (make_transform(sRT[:, :3, :3] / scale[:, None, None], sRT[:, :3, 3]),
            scale[:, None] * sizes)


def round_pairs() -> np.ndarray:
    category = TABLES['pair_cls']
    return np.isin(category, (1, 2, 4)) | ((category == 6) & (TABLES['pair_h'] == 0))


def test_thresholds_are_the_published_ones_to_the_last_bit() -> None:
    np.testing.assert_array_equal(DEGREES, TABLES['degree_thres'])
    np.testing.assert_array_equal(CENTIMETRES, TABLES['shift_thres'])
    np.testing.assert_array_equal(OVERLAPS, TABLES['iou_thres'])


@pytest.mark.parametrize(('name', 'gate'), [('spd', 0.1), ('nocs', 0.1), ('spd_nomatch', None)])
def test_tables_equal_the_published_evaluation(pools: list[CategoryPool], name: str,
                                               gate: float | None) -> None:
    curves = nocs_curves(pools, gate)

    for table, figures in (('iou_aps', curves.overlap_precision),
                           ('pose_aps', curves.pose_precision),
                           ('iou_acc', curves.overlap_accuracy),
                           ('pose_acc', curves.pose_accuracy)):
        if f'{name}_{table}' in TABLES:
            expected = TABLES[f'{name}_{table}']
            np.testing.assert_allclose(figures, expected[1:7], rtol=0, atol=1e-14)
            np.testing.assert_allclose(mean_of_categories(figures), expected[7], rtol=0,
                                       atol=1e-14)


def test_the_gate_leaves_misses_and_false_objects_out_of_the_pose_figures(
        pools: list[CategoryPool]) -> None:
    gated = mean_of_categories(nocs_curves(pools).pose_precision)
    honest = mean_of_categories(nocs_curves(pools, gate=None).pose_precision)

    assert gated[5, 10] == pytest.approx(0.2007, abs=5e-5)
    assert honest[5, 10] == pytest.approx(0.1479, abs=5e-5)
    assert gated[-1, -1] == 1.0


def test_overlaps_of_pairs_equal_the_published_ones() -> None:
    predicted, true = (rigid(TABLES[f'pair_M{i}'], TABLES[f'pair_s{i}']) for i in (1, 2))

    overlaps = nocs_overlaps(*predicted, *true, round_pairs())

    assert overlaps.dtype == np.float32
    np.testing.assert_allclose(overlaps, TABLES['pair_iou'], rtol=0, atol=6e-8)


def test_errors_of_pairs_equal_the_published_ones() -> None:
    (predicted, _), (true, _) = (rigid(TABLES[f'pair_M{i}'], TABLES[f'pair_s{i}']) for i in (1, 2))

    degrees, centimetres = nocs_pose_errors(predicted, true, round_pairs())

    # The arccosine turns a last bit near 1 into 1.2e-6 degrees.
    np.testing.assert_allclose(degrees, TABLES['pair_theta'], rtol=0, atol=3e-6)
    np.testing.assert_allclose(centimetres, TABLES['pair_shift_cm'], rtol=0, atol=1e-9)


def test_the_published_overlap_of_one_error_depends_on_the_distance() -> None:
    size = np.array([[0.34, 0.26, 0.39]])
    near, far = (nocs_overlaps(T, 1.1 * size, T, size, np.array([False]))[0]
                 for T in (make_transform(np.eye(3), [[0.1, 0.05, z]]) for z in (0.5, 2.0)))

    # The true overlap is 1.1 ** -3 = 0.751 at both.
    assert near < 0.6
    assert far > 0.85


def test_the_published_overlap_of_a_cube_on_the_diagonal_is_not_a_number_and_never_matches(
        ) -> None:
    T = make_transform(np.eye(3), (0.5, 0.5, 0.5))
    size = np.full(3, 0.1)
    truth, found = frames_with('camera', T, size)

    pooled = pool([(truth, found)], 'camera')
    curves = nocs_curves([pooled])

    assert np.isnan(nocs_errors(pooled).overlap).all()
    assert curves.overlap_precision.max() == 0.0
    # Nothing passes the gate, so that no pose counts.
    assert curves.pose_precision.max() == 0.0


def test_of_a_round_object_the_best_spin_that_can_be_told_counts() -> None:
    T = make_transform(np.eye(3), (0.5, 0.5, 0.5))
    truth, found = frames_with('can', T, np.full(3, 0.1))

    overlap = nocs_errors(pool([(truth, found)], 'can')).overlap

    assert 0.0 <= overlap[0] <= 1.0


def test_poses_at_a_threshold_count_and_overlaps_at_a_threshold_do_not() -> None:
    T = make_transform(np.eye(3), (0.1, 0.2, 0.8))
    moved = T.copy()
    moved[2, 3] += 0.03125
    truth, found = frames_with('camera', T, np.full(3, 0.25), moved)
    same = frames_with('camera', T, np.full(3, 0.25))

    curves = nocs_curves([pool([(truth, found)], 'camera')])
    exact = nocs_curves([pool([same], 'camera')])

    # 3.125 cm: within 3.5 cm, at no rotation error within 0 degrees.
    assert curves.pose_precision[0, 0, 6] == 0.0
    assert curves.pose_precision[0, 0, 7] == 1.0
    assert exact.pose_precision[0, 0, 0] == 1.0
    assert exact.overlap_precision[0, 99] == 1.0
    assert exact.overlap_precision[0, 100] == 0.0


def test_a_category_without_objects_is_not_a_number_and_left_out_of_the_mean() -> None:
    T = make_transform(np.eye(3), (0.1, 0.2, 0.8))
    truth, found = frames_with('camera', T, np.full(3, 0.25))
    stray = replace(found, predictions=(*found.predictions,
                                        Prediction('mug', 0.5, T, np.full(3, 0.1))))
    pairs = [(truth, stray)]

    rows = {row[0]: row[1:] for row in
            nocs_curves([pool(pairs, name) for name in categories_of(pairs)]).precision_rows()}

    assert rows['camera'] == (1, 1, *(100.0,) * 7)
    assert rows['mug'][:2] == (0, 1)
    assert np.isnan(rows['mug'][2:]).all()
    assert np.isnan(rows['bowl'][2:]).all()
    assert rows['mean'] == (1, 2, *(100.0,) * 7)


def frames_with(label: str, T: np.ndarray, size: np.ndarray, T_predicted: np.ndarray | None = None
                ) -> tuple[FrameTruth, FramePredictions]:
    annotation = replace(FRAMES[0][0].objects[0], label=label, T_camera_object=T, size=size)
    prediction = Prediction(label, 0.9, T if T_predicted is None else T_predicted, size)
    return FrameTruth('0', (annotation,)), FramePredictions('0', (prediction,))
