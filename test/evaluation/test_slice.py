import shutil
from pathlib import Path

import pytest

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.evaluation import slice as slice_module
from pose_estimation_ros.evaluation.slice import (
    Figure,
    has_slice,
    judge,
    measure,
    moved,
    state,
    stated,
)
from pose_estimation_ros.runtime import ModelStore

SHIPPED = ModelStore([Path(__file__).resolve().parents[2] / 'models'])
BEFORE = (Figure('found', 60.0, 4.0), Figure('mask IoU', 50.0, 2.0))


def copy(tmp_path, name='spd_lite'):
    shutil.copytree(SHIPPED.find(name).folder, tmp_path / name)
    return ModelStore([tmp_path]).find(name)


def test_a_figure_may_move_by_its_tolerance_and_no_more():
    assert moved(BEFORE, (Figure('found', 64.0, 0.0), Figure('mask IoU', 48.0, 0.0))) == []
    assert moved(BEFORE, (Figure('found', 64.1, 9.0), Figure('mask IoU', 47.0, 9.0))) == [
        'found was 60.0 % and is 64.1 %, which is more than 4.0 points away',
        'mask IoU was 50.0 % and is 47.0 %, which is more than 2.0 points away']


def test_a_figure_that_is_no_number_has_moved():
    assert len(moved(BEFORE[:1], (Figure('found', float('nan'), 4.0),))) == 1


def test_a_stated_figure_that_is_no_longer_measured_has_moved():
    assert moved(BEFORE, BEFORE[:1]) == [
        'mask IoU was 50.0 % and is nan %, which is more than 2.0 points away']


def test_what_is_stated_is_read_back_and_replaces_what_was_there(tmp_path):
    model = copy(tmp_path)
    state(model, BEFORE)
    again = ModelStore([tmp_path]).find('spd_lite')
    assert stated(again) == BEFORE
    assert again.manifest.metrics['slice']['command'] == slice_module.COMMAND
    assert set(again.manifest.metrics) == set(model.manifest.metrics) | {'slice'}
    assert again.manifest.files == model.manifest.files


def test_a_manifest_without_figures_is_refused_with_the_cure(tmp_path):
    model = copy(tmp_path, 'shape_priors')
    with pytest.raises(ModelError, match=r"'shape_priors' has no metrics.slice; .* --write"):
        stated(model)


def test_only_detectors_and_pose_models_are_judged(tmp_path):
    model = SHIPPED.find('shape_priors')
    assert not has_slice(model)
    with pytest.raises(ModelError, match='is made for prior'):
        measure(model, [])


def test_judging_says_which_model_moved(tmp_path, monkeypatch, capsys):
    model = copy(tmp_path)
    state(model, BEFORE)
    monkeypatch.setattr(slice_module, 'measure', lambda model, frames: (
        Figure('found', 10.0, 4.0), Figure('mask IoU', 50.0, 2.0)))
    (fault,) = judge([ModelStore([tmp_path]).find('spd_lite')], [])
    assert fault.startswith('spd_lite: found was 60.0 % and is 10.0 %')
    assert 'spd_lite: found 10.0 % (±4.0), mask IoU 50.0 % (±2.0)' in capsys.readouterr().out
