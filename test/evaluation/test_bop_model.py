import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets.bop_dataset import BopDataset
from pose_estimation_ros.evaluation.bop_matching import listed_targets
from pose_estimation_ros.evaluation.bop_model import cad_models

sys.path.insert(0, str(Path(__file__).parent))

from known_objects import SIZE, model, write_data_set

TARGETS = 'test_targets_bop19.json'


def test_a_written_data_set_brings_its_models_and_targets(tmp_path: Path):
    write_data_set(tmp_path)
    dataset = BopDataset(tmp_path, 'test', TARGETS)
    models, targets = cad_models(dataset), listed_targets(dataset)
    assert targets == {dataset.frame_name(index): {'carton': 1, 'tin': 2} for index in range(2)}
    assert len(models['carton'].symmetries) == 1
    assert len(models['tin'].symmetries) == 315
    assert models['tin'].is_symmetric
    assert models['tin'].diameter == pytest.approx(np.linalg.norm(SIZE))
    np.testing.assert_allclose(np.ptp(models['tin'].points, axis=0), SIZE, atol=1e-6)


def test_objects_of_one_label_cannot_be_told_apart(tmp_path: Path):
    write_data_set(tmp_path, 'box', 'box')
    with pytest.raises(InvalidInputError, match="objects 3 and 7 .* both labelled 'box'.*catego"):
        cad_models(BopDataset(tmp_path, 'test'))


def test_a_model_reaches_another_process_without_its_search_tree():
    sent = model()
    assert sent.caster is sent.caster
    received = pickle.loads(pickle.dumps(sent))
    assert 'caster' not in vars(received)
    np.testing.assert_array_equal(received.points, sent.points)
    assert received.diameter == sent.diameter
