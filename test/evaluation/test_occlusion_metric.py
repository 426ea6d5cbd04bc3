import json
from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Y_AXIS_SYMMETRY
from pose_estimation_ros.datasets.annotated_frame import ObjectAnnotation
from pose_estimation_ros.evaluation.occlusion_metric import (
    GradedErrors,
    GradedObject,
    figures,
    graded_errors,
    graded_objects,
    surface_points,
)
from pose_estimation_ros.evaluation.predictions import (
    FramePredictions,
    FrameTruth,
    Prediction,
)
from pose_estimation_ros.synthetic.object_model import make_object

SIZE = np.array([0.06, 0.12, 0.08])
CORNERS = np.stack(np.meshgrid(*np.stack([-SIZE / 2, SIZE / 2], 1)), -1).reshape(-1, 3)


def points(_):
    return CORNERS


def pose(x, degrees=0.0, axis=(0, 1, 0), z=1.0):
    return make_transform(axis_rotation(axis, np.radians(degrees)), [x, 0.0, z])


def true(number, label, x, symmetry=NO_SYMMETRY, handle_visible=True):
    return ObjectAnnotation(number, label, f'model_{number}', pose(x), SIZE, symmetry, 0.5,
                            handle_visible)


def answer(label, score, *args, **named):
    return Prediction(label, score, pose(*args, **named), SIZE)


def errors_of(truth, *answers, wanted=None):
    graded = [GradedObject('0', entry.instance_id, entry.label, 'L2') for entry in truth
              if wanted is None or entry.instance_id in wanted]
    return graded_errors(graded, [FrameTruth('0', tuple(truth))],
                         [FramePredictions('0', answers)], points)


def test_an_error_is_modulo_the_symmetry_and_the_plain_one_is_not():
    found = errors_of([true(1, 'can', 0.0, Y_AXIS_SYMMETRY)],
                      answer('can', 0.5, 0.0, 100.0))
    np.testing.assert_allclose(found.rotation, [0.0], atol=1e-6)
    np.testing.assert_allclose(np.degrees(found.plain), [100.0])
    np.testing.assert_allclose(found.add, [0.0], atol=1e-6)


def test_a_mug_whose_handle_is_hidden_is_round():
    for visible, degrees in ((True, 50.0), (False, 0.0)):
        found = errors_of([true(1, 'mug', 0.0, handle_visible=visible)],
                          answer('mug', 0.5, 0.0, 50.0))
        np.testing.assert_allclose(np.degrees(found.rotation), [degrees], atol=1e-5)


def test_the_mean_distance_is_in_shares_of_the_diagonal():
    diagonal = np.linalg.norm(SIZE)
    found = errors_of([true(1, 'camera', 0.0)], answer('camera', 0.5, 0.0, z=1.0 + diagonal / 4))
    np.testing.assert_allclose(found.add, [0.25])


def test_a_pose_that_points_elsewhere_or_has_another_label_finds_nothing():
    truth = [true(1, 'mug', 0.0)]
    assert np.isinf(errors_of(truth, answer('mug', 0.9, 0.1)).rotation[0])
    assert np.isinf(errors_of(truth, answer('can', 0.9, 0.0)).rotation[0])
    assert np.isinf(errors_of(truth).add[0])
    assert np.isfinite(errors_of(truth, answer('mug', 0.9, 0.05)).rotation[0])


def test_higher_scores_choose_first_and_take_the_nearest_free_object():
    truth = [true(1, 'mug', 0.0), true(2, 'mug', 0.06)]
    found = errors_of(truth, answer('mug', 0.4, 0.005, 20.0), answer('mug', 0.9, 0.01, 5.0),
                      wanted=(1, 2))
    # The second best is nearer to the first object, which is taken.
    np.testing.assert_allclose(np.degrees(found.rotation), [5.0, 20.0])
    alone = errors_of(truth, answer('mug', 0.4, 0.005, 20.0), answer('mug', 0.9, 0.01, 5.0),
                      wanted=(2,))
    np.testing.assert_allclose(np.degrees(alone.rotation), [20.0])


def test_figures_count_the_missed():
    errors = GradedErrors(
        (GradedObject('0', 1, 'mug', 'L1'), GradedObject('0', 2, 'mug', 'L1'),
         GradedObject('1', 1, 'can', 'L1'), GradedObject('1', 2, 'can', 'L3')),
        np.array([np.radians(5.0), np.radians(20.0), np.inf, 0.0]),
        np.array([np.radians(5.0), np.radians(40.0), np.inf, 0.0]),
        np.array([0.1, 0.3, np.inf, 0.0]))
    count, found, coarse, fine, median, add, plain_coarse, plain_fine, plain = figures(
        errors.of('L1'))
    assert count == 3
    np.testing.assert_allclose([found, coarse, fine], [200 / 3, 200 / 3, 100 / 3])
    np.testing.assert_allclose([median, add], [20.0, 30.0])
    np.testing.assert_allclose([plain_coarse, plain_fine, plain], [100 / 3, 100 / 3, 40.0])
    assert figures(errors.of('L1', 'can'))[0] == 1
    assert np.isnan(figures(errors.of('L2'))[1])


def test_a_graded_object_must_be_in_the_truth():
    with pytest.raises(InvalidInputError, match='frame 7 has no object 3'):
        graded_errors([GradedObject('7', 3, 'mug', 'L1')], [FrameTruth('7', ())], [], points)


def test_surface_points_are_those_of_the_named_object():
    model = make_object('mug', 19, 'primary')
    found = surface_points(model.name)
    np.testing.assert_allclose(np.ptp(found, axis=0), np.ptp(model.mesh.vertices, axis=0),
                               rtol=0.1)
    with pytest.raises(InvalidInputError, match="'duck' is not the name"):
        surface_points('duck')


def instance(number, category, visibility, in_image=1.0, distance=1.0):
    return {'id': number, 'category': category, 'name': 'any', 'size': SIZE.tolist(),
            'T_camera_object': pose(0.0, z=distance).tolist(), 'visibility': visibility,
            'part_visibility': {}, 'box': [10, 10, 40, 40], 'in_image': in_image}


def test_whole_objects_are_graded_by_what_covers_them(tmp_path: Path):
    instances = [
        instance(1, 'mug', 1.0), instance(2, 'mug', 0.7), instance(3, 'mug', 0.5),
        instance(4, 'mug', 0.3), instance(5, 'mug', 0.9), instance(6, 'mug', 0.1),
        instance(7, 'mug', 0.7, in_image=0.8), instance(8, 'mug', 0.7, distance=3.0),
        instance(9, 'mug', 0.65), instance(10, 'can', 0.65)]
    blank = np.zeros((4, 4), np.uint8)
    np.savez(tmp_path / 'shard_00000.npz', rgb_0=np.zeros((4, 4, 3), np.uint8), depth_0=blank,
             instances_0=blank, truth=json.dumps([{'K': np.diag([600.0, 600.0, 1.0]).tolist(),
                                                   'instances': instances}]))
    (tmp_path / 'description.json').write_text(json.dumps({'kind': 'frames', 'shard_size': 1}))
    graded = graded_objects(tmp_path, most=1)
    assert [(entry.instance_id, entry.category, entry.level) for entry in graded] == [
        (1, 'mug', 'L0'), (2, 'mug', 'L1'), (3, 'mug', 'L2'), (4, 'mug', 'L3'),
        (10, 'can', 'L1')]
    assert [entry.instance_id for entry in graded_objects(tmp_path, most=2)] == [
        1, 2, 3, 4, 9, 10]
