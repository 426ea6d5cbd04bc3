import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Y_AXIS_SYMMETRY
from pose_estimation_ros.datasets.bop_dataset import BopDataset
from pose_estimation_ros.datasets.bop_writer import BopWriter
from pose_estimation_ros.evaluation.bop_average_recall import average_recall, frame_errors
from pose_estimation_ros.evaluation.bop_matching import listed_targets
from pose_estimation_ros.evaluation.bop_model import cad_models
from pose_estimation_ros.evaluation.predictions import FramePredictions, Prediction
from pose_estimation_ros.rendering.primitives import box

sys.path.insert(0, str(Path(__file__).parent))

from known_objects import SIZE, at, frame, model

from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame, ObjectAnnotation

MODELS = {'carton': 3, 'tin': 7}


def written(root: Path, labels: dict[str, str]) -> BopDataset:
    """Write a data set with one frame of a carton and two tins, and open it."""
    writer = BopWriter(root, 'test', MODELS)
    mesh = box(SIZE)
    for name, symmetry in (('carton', NO_SYMMETRY), ('tin', Y_AXIS_SYMMETRY)):
        writer.add_model(name, labels[name], mesh.vertices, mesh.faces, symmetry)
    objects = tuple(ObjectAnnotation(number, labels[name], name, at(x), SIZE, visibility=1.0)
                    for number, (name, x) in enumerate(
                        (('carton', -0.1), ('tin', 0.0), ('tin', 0.1)), start=1))
    instances = np.zeros((120, 160), np.int32)
    instances[50:70, 50:60], instances[50:70, 75:85], instances[50:70, 100:110] = 1, 2, 3
    with writer.scene(1) as scene:
        scene.write(AnnotatedFrame('a', frame().frame, objects, instances))
    writer.finish()
    return BopDataset(root, 'test', 'test_targets_bop19.json')


def test_a_written_data_set_is_evaluated_with_its_own_models_and_targets(tmp_path: Path):
    dataset = written(tmp_path, {'carton': 'carton', 'tin': 'tin'})
    models, targets = cad_models(dataset), listed_targets(dataset)
    assert targets == {dataset.frame_name(0): {'carton': 1, 'tin': 2}}
    assert len(models['carton'].symmetries) == 1
    assert len(models['tin'].symmetries) == 315
    assert models['tin'].is_symmetric
    assert models['tin'].diameter == pytest.approx(np.linalg.norm(SIZE))
    np.testing.assert_allclose(np.ptp(models['tin'].points, axis=0), SIZE, atol=1e-6)
    truth = dataset[0]
    found = FramePredictions(truth.name, tuple(
        Prediction(o.label, 1.0, o.T_camera_object, SIZE) for o in truth.objects[:2]))
    recall = average_recall(frame_errors(truth, found, targets[truth.name], models))
    assert recall.score() == pytest.approx(2 / 3)
    assert recall.score('tin') == pytest.approx(1 / 2)


def test_objects_of_one_label_cannot_be_told_apart(tmp_path: Path):
    with pytest.raises(InvalidInputError, match="objects 3 and 7 .* both labelled 'box'.*catego"):
        cad_models(written(tmp_path, {'carton': 'box', 'tin': 'box'}))


def test_a_model_reaches_another_process_without_its_search_tree():
    sent = model()
    assert sent.caster is sent.caster
    received = pickle.loads(pickle.dumps(sent))
    assert 'caster' not in vars(received)
    np.testing.assert_array_equal(received.points, sent.points)
    assert received.diameter == sent.diameter
