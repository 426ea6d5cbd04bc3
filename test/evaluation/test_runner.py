import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fake_data import FakeDataset, true_pose, use_fakes

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.evaluation import methods, runner
from pose_estimation_ros.evaluation.data_folders import Data
from pose_estimation_ros.evaluation.detection_files import read_detections
from pose_estimation_ros.evaluation.methods import Method
from pose_estimation_ros.evaluation.predictions import read_predictions
from pose_estimation_ros.evaluation.runner import (
    Workers,
    check_labels,
    read_truth,
    run_detections,
    run_poses,
)


@pytest.fixture
def data(tmp_path, monkeypatch):
    use_fakes(monkeypatch, tmp_path / 'data', FakeDataset(20))
    return Data(tmp_path / 'data')


def test_every_frame_gets_its_predictions_in_order(data, tmp_path):
    frames = run_poses(data, Method(masks='truth'), tmp_path / 'run')

    assert [frame.name for frame in frames] == [f'scene/{index:04d}' for index in range(20)]
    assert {len(frame.predictions) for frame in frames} == {1}
    mug = frames[7].predictions[0]
    np.testing.assert_allclose(mug.T_camera_object, true_pose(0.07))
    np.testing.assert_array_equal(mug.box, [11, 20, 23, 32])
    assert frames[7].seconds > 0
    stored = read_predictions(tmp_path / 'run' / 'predictions.jsonl')
    assert [frame.name for frame in stored] == [frame.name for frame in frames]


def test_an_interrupted_run_goes_on_and_makes_only_what_is_missing(data, tmp_path, monkeypatch):
    run_poses(data, Method(masks='truth'), tmp_path)
    (tmp_path / 'shards' / 'poses_00001.jsonl').unlink()
    made = []
    estimate = methods.FrameEstimator.estimate
    monkeypatch.setattr(methods.FrameEstimator, 'estimate',
                        lambda self, frame: made.append(frame.name) or estimate(self, frame))

    frames = run_poses(data, Method(masks='truth'), tmp_path)

    assert made == [f'scene/{index:04d}' for index in range(16, 20)]
    assert len(frames) == 20


def test_a_frame_that_fails_leaves_no_shard_behind(data, tmp_path, monkeypatch):
    def fails(self, frame):
        raise InvalidInputError(f'frame {frame.name}: it is broken')

    monkeypatch.setattr(methods.FrameEstimator, 'estimate', fails)
    with pytest.raises(InvalidInputError, match='scene/0000: it is broken'):
        run_poses(data, Method(masks='truth'), tmp_path)
    assert not list((tmp_path / 'shards').glob('*.jsonl'))
    assert not (tmp_path / 'predictions.jsonl').exists()


def test_a_folder_of_another_run_is_refused_with_what_differs(data, tmp_path):
    run_poses(data, Method(masks='truth'), tmp_path)
    with pytest.raises(ConfigurationError, match="method was .*'seed': 0.*and is now.*'seed': 1"):
        run_poses(data, Method(masks='truth', seed=1), tmp_path)


def test_a_run_is_not_continued_on_data_that_were_made_anew(data, tmp_path):
    (tmp_path / 'data' / 'description.json').write_text('{"kind": "frames", "seed": 0}')
    run_poses(data, Method(masks='truth'), tmp_path / 'run')
    run_poses(data, Method(masks='truth'), tmp_path / 'run')

    (tmp_path / 'data' / 'description.json').write_text('{"kind": "frames", "seed": 1}')

    with pytest.raises(ConfigurationError, match='another run: description.json sha256 was'):
        run_poses(data, Method(masks='truth'), tmp_path / 'run')


def test_a_run_is_not_continued_where_the_backend_is_another(data, tmp_path, monkeypatch):
    """Such as without an optional library, or with other known objects."""
    run_poses(data, Method(masks='truth'), tmp_path / 'same')
    monkeypatch.setattr(runner, 'described_by', lambda _: {'fitted to': 'colour'})
    with pytest.raises(ConfigurationError, match="holds another run: described was .*'model'.* "
                                                 "and is now {'fitted to': 'colour'}"):
        run_poses(data, Method(masks='truth'), tmp_path / 'same')

    found = iter([{'fitted to': 'depth'}, {'fitted to': 'colour'}])
    monkeypatch.setattr(runner, 'described_by', lambda _: next(found))
    with pytest.raises(ConfigurationError, match='install the same packages and models on all'):
        run_poses(data, Method(masks='truth'), tmp_path / 'worker')


def test_other_threads_continue_the_same_run(data, tmp_path):
    run_poses(data, Method(masks='truth'), tmp_path)
    assert len(run_poses(data, Method(masks='truth', threads=3), tmp_path)) == 20


def test_the_detector_finds_what_the_backend_estimates(data, tmp_path):
    frames = run_poses(data, Method(masks='model'), tmp_path)
    assert [len(frame.predictions) for frame in frames] == [1] * 20


def test_stored_detections_give_the_poses_of_the_detector(data, tmp_path):
    found = run_detections(data, Method(), tmp_path / 'found')
    assert found[3].detections[0].offset == (11, 20)
    path = tmp_path / 'found' / 'detections.jsonl'
    assert read_detections(path)[3].detections[0].mask.sum() == 144

    stored = run_poses(data, Method(masks=str(path)), tmp_path / 'stored')
    direct = run_poses(data, Method(), tmp_path / 'direct')
    for one, other in zip(stored, direct, strict=True):
        np.testing.assert_array_equal(one.predictions[0].box, other.predictions[0].box)


def test_detections_that_changed_in_their_file_are_another_run(data, tmp_path):
    path = tmp_path / 'detections.jsonl'
    run_detections(data, Method(), tmp_path / 'found')
    path.write_bytes((tmp_path / 'found' / 'detections.jsonl').read_bytes())
    run_poses(data, Method(masks=str(path)), tmp_path / 'out')
    path.write_text(path.read_text().replace('0.7', '0.6'))
    with pytest.raises(ConfigurationError, match='masks sha256 was .* and is now'):
        run_poses(data, Method(masks=str(path)), tmp_path / 'out')


def test_paths_are_told_to_workers_as_they_are_from_anywhere(data, tmp_path, monkeypatch):
    run_detections(data, Method(), tmp_path / 'found')
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'truth').mkdir()
    run_poses(data, Method(masks='found/detections.jsonl'), tmp_path / 'out')
    run_poses(data, Method(masks='truth'), tmp_path / 'true')
    stored, true = (json.loads((tmp_path / name / 'run.json').read_text())['method']['masks']
                    for name in ('out', 'true'))
    assert (stored, true) == (str(tmp_path / 'found' / 'detections.jsonl'), 'truth')


def test_why_detections_got_no_pose_is_kept(data, tmp_path):
    run_poses(data, Method(masks='truth'), tmp_path)
    refused = json.loads((tmp_path / 'refused.json').read_text())
    assert refused['scene/0003'] == ['can: no']
    assert runner.refused_by(tmp_path) == 20


def test_a_cluster_gives_what_this_process_gives(data, tmp_path):
    distributed = pytest.importorskip('distributed', reason='Dask, an option, is not installed')
    here = run_poses(data, Method(masks='errors'), tmp_path / 'here')
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False,
                                  dashboard_address=None) as cluster:
        there = run_poses(data, Method(masks='errors'), tmp_path / 'there',
                          Workers(cluster.scheduler_address))
    assert [frame.name for frame in there] == [frame.name for frame in here]
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one.predictions[0].box, other.predictions[0].box)


def test_only_the_wanted_frames_are_run(data, tmp_path):
    assert len(run_poses(Data(data.folder, frames=3), Method(masks='truth'), tmp_path)) == 3


def test_truth_is_read_without_images(data):
    truth = read_truth(data)
    assert [frame.name for frame in truth][:2] == ['scene/0000', 'scene/0001']
    assert [entry.label for entry in truth[0].objects] == ['mug', 'can']


def test_data_without_truth_are_refused(tmp_path, monkeypatch):
    use_fakes(monkeypatch, tmp_path, FakeDataset(3, objects=0))
    with pytest.raises(InvalidInputError, match='none of the 3 frames .* annotated object'):
        read_truth(Data(tmp_path))


def test_data_without_frames_are_refused(tmp_path, monkeypatch):
    use_fakes(monkeypatch, tmp_path, FakeDataset(0))
    with pytest.raises(InvalidInputError, match='holds no frames'):
        read_truth(Data(tmp_path))


def test_labels_that_the_model_does_not_know_are_counted(data):
    truth = read_truth(data)
    assert check_labels(truth, ('mug', 'bowl'), 'some_model') == {'can': 20}
    with pytest.raises(InvalidInputError, match='some_model knows bowl, .* hold only can, mug'):
        check_labels(truth, ('bowl',), 'some_model')


def test_the_run_says_what_was_run(data, tmp_path):
    run_poses(data, Method(masks='truth', seed=4), tmp_path)
    content = json.loads((tmp_path / 'run.json').read_text())
    assert content['frames'] == 20
    assert content['method']['seed'] == 4
    assert content['models'] == {'knowledge': 'unknown'}
    assert runner.commit_of(tmp_path) == content['commit']
