from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.datasets.annotated_frame import ObjectAnnotation
from pose_estimation_ros.datasets.pascal3d_layout import CadModels
from pose_estimation_ros.datasets.pascal3d_viewpoint import Viewpoint
from pose_estimation_ros.evaluation.pascal3d_metric import (
    CategoryErrors,
    accuracy_panel,
    accuracy_table,
    category_errors,
    model_points,
    pascal3d_tables,
    share_below,
)
from pose_estimation_ros.evaluation.predictions import FramePredictions, FrameTruth, Prediction

FIXTURE = np.load(Path(__file__).parents[1] / 'data' / 'rgb' / 'pascal3d_pose_errors.npz')
SIZE = np.array([0.9, 0.4, 0.3])


def pose(degrees: float = 0.0, position: tuple[float, float, float] = (0.0, 0.0, 5.0)
         ) -> np.ndarray:
    return make_transform(axis_rotation((0, 0, 1), np.radians(degrees)), position)


def annotation(T: np.ndarray, category: str = 'car') -> ObjectAnnotation:
    return ObjectAnnotation(1, category, f'{category}_01', T, SIZE)


def prediction(T: np.ndarray, score: float = 0.5, category: str = 'car') -> Prediction:
    return Prediction(category, score, T, SIZE)


def single(true: np.ndarray, *found: Prediction, points=None) -> CategoryErrors:
    answer, = category_errors([FrameTruth('a', (annotation(true),))],
                              [FramePredictions('a', found)], points)
    return answer


def test_the_rotation_error_is_that_of_the_published_code():
    rows = range(len(FIXTURE['pe']))
    poses = {key: [make_transform(Viewpoint(*FIXTURE[key][row], 5.0, (0, 0), 3000.0).rotation,
                                  (0, 0, 5)) for row in rows] for key in ('pe_a', 'pe_b')}
    errors, = category_errors(
        [FrameTruth(str(row), (annotation(poses['pe_a'][row]),)) for row in rows],
        [FramePredictions(str(row), (prediction(poses['pe_b'][row]),)) for row in rows])
    np.testing.assert_allclose(errors.rotation, FIXTURE['pe'], atol=1e-9)


def test_accuracy_is_strict_at_its_limit():
    assert share_below(np.array([np.pi / 6]), np.pi / 6) == 0.0
    assert share_below(np.array([np.nextafter(np.pi / 6, 0.0)]), np.pi / 6) == 1.0
    assert np.isnan(share_below(np.zeros(0), 1.0))


def test_the_table_pools_all_objects_and_averages_the_precision():
    truth = [FrameTruth(name, (annotation(pose(), 'car'),)) for name in 'abc']
    truth.append(FrameTruth('d', (annotation(pose(), 'bus'),)))
    found = [FramePredictions('a', (prediction(pose(5.0)),)),
             FramePredictions('b', (prediction(pose(25.0)),)),
             FramePredictions('c', (prediction(pose(50.0)),))]
    report = accuracy_table({'L1': category_errors(truth, found)}, 'pascal3d', {})
    rows = {row[1]: dict(zip(report.columns, row, strict=True)) for row in report.rows}
    assert list(rows) == ['all', 'bus', 'car']
    assert rows['all']['occlusion'] == 'L1'
    assert rows['all']['objects'] == 4
    assert rows['all']['found, %'] == 75.0
    assert rows['all']['error < pi/6, %'] == 50.0
    assert rows['all']['error < pi/18, %'] == 25.0
    assert rows['all']['median error, rad'] == pytest.approx(np.radians(37.5))
    assert rows['car']['median error, rad'] == pytest.approx(np.radians(25.0))
    assert rows['bus']['median error, rad'] == np.inf
    assert rows['car']['AP (pi/3, 5.0), %'] == pytest.approx(100.0)
    assert rows['all']['AP (pi/3, 5.0), %'] == pytest.approx(50.0)
    assert np.isnan(rows['all']['median ADD'])


def test_levels_of_occlusion_stand_below_each_other():
    errors = [CategoryErrors('car', np.array([0.1]), np.array([0.2]), 1.0)]
    report = accuracy_table({'L0': errors, 'L1': errors}, 'pascal3d', {})
    assert [row[:2] for row in report.rows] == [('L0', 'all'), ('L0', 'car'), ('L1', 'all'),
                                                ('L1', 'car')]


def test_add_is_the_mean_distance_of_the_points_in_units_of_the_model():
    points = {'car_01': np.array([[0.0, 0, 0], [1.0, 0, 0]])}
    # Turned by 60 degrees, the outer point moves by 1 and the inner one not at all.
    assert single(pose(), prediction(pose(60.0)), points=points).add[0] == pytest.approx(0.5)
    moved = prediction(pose(0.0, (0.3, 0.4, 5.0)))
    assert single(pose(), moved, points=points).add[0] == pytest.approx(0.5)
    assert single(pose(), points=points).add[0] == np.inf


def test_a_model_without_points_is_named():
    with pytest.raises(InvalidInputError, match="'car_01' for ADD .*begin with 'car_02'"):
        single(pose(), prediction(pose()), points={'car_02': np.zeros((1, 3))})


def test_the_prediction_of_the_highest_score_answers_for_an_object():
    errors = single(pose(), prediction(pose(), 0.2), prediction(pose(40.0), 0.9))
    assert errors.rotation[0] == pytest.approx(np.radians(40.0))


def test_of_several_objects_the_one_in_the_nearest_direction_is_answered_for():
    left, right = pose(0.0, (-1.0, 0.0, 5.0)), pose(20.0, (1.0, 0.0, 8.0))
    truth = [FrameTruth('a', (annotation(left), annotation(right)))]
    # The rotations would fit the other way round, and so would the distances from the camera.
    found = [FramePredictions('a', (prediction(pose(20.0, (-1.2, 0.0, 8.0))),
                                    prediction(pose(0.0, (0.8, 0.0, 5.0)))))]
    errors, = category_errors(truth, found)
    np.testing.assert_allclose(errors.rotation, np.radians([20.0, 20.0]))


def test_precision_needs_rotation_and_translation_both_strictly():
    def precision(found):
        return single(pose(), prediction(found)).precision

    assert precision(pose(59.9, (0.0, 0.0, 9.9))) == 1.0
    assert precision(pose(60.1)) == 0.0
    assert precision(pose(0.0, (0.0, 0.0, 10.0))) == 0.0


def test_precision_falls_with_wrong_predictions_of_higher_score():
    errors = single(pose(), prediction(pose(90.0), 0.9), prediction(pose(), 0.8))
    assert errors.precision == pytest.approx(0.5)


def test_the_curve_ends_at_the_share_below_60_degrees():
    panel = accuracy_panel([CategoryErrors('car', np.radians([10.5, 70.0]), np.zeros(2), 1.0)])
    assert panel.curves['car'][-1] == 50.0
    assert panel.curves['car'][panel.x <= 10.0].max() == 0.0
    assert set(panel.curves) == {'car', 'all'}


def test_nothing_annotated_gives_an_empty_row():
    report = accuracy_table({'': category_errors([], [])}, 'pascal3d', {})
    assert report.rows[0][:3] == ('', 'all', 0)
    assert np.isnan(report.rows[0][3])


def test_the_points_of_the_models_that_occur_are_read(tmp_path: Path):
    (tmp_path / 'car').mkdir()
    (tmp_path / 'car' / '03.off').write_text('OFF\n3 1 0\n0 0 0\n1 0 0\n0 2 0\n3 0 1 2\n')
    truth = [FrameTruth('a', (ObjectAnnotation(1, 'car', 'car/03', pose(), SIZE),))]
    points = model_points(CadModels(tmp_path), truth)
    assert list(points) == ['car/03']
    np.testing.assert_array_equal(points['car/03'], [[0, 0, 0], [1, 0, 0], [0, 2, 0]])


def test_every_level_has_its_own_curves():
    errors = [CategoryErrors('car', np.array([0.1]), np.array([0.2]), 1.0)]
    tables = pascal3d_tables({'L0': errors, 'L3': errors}, {'method': 'x'})
    assert [panel.title for panel in tables.panels['pascal3d-accuracy']] == ['rotation L0',
                                                                             'rotation L3']
    assert tables.reports[0].settings == {'method': 'x'}
