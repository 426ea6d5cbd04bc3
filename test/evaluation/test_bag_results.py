"""The estimator's parameters of a recording and of files."""

from pathlib import Path

import pytest

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.datasets.bag import Bag, BagTopic
from pose_estimation_ros.evaluation.bag_results import parameter_values
from pose_estimation_ros.nodes.bag_topics import results_topic

BAG = Bag(Path('bag'), {}, {'pose_estimator.parameters': '{"seed": 7, "backend": "acr"}'}, 0, 0)


def topic(name: str, kind: str = 'vision_msgs/msg/Detection3DArray') -> BagTopic:
    return BagTopic(name, kind, 1)


def test_results_are_found_under_a_name_they_were_remapped_to() -> None:
    topics = {entry.name: entry for entry in (
        topic('/found'), topic('/ground_truth_poses'),
        topic('/segmentation', 'vision_msgs/msg/Detection2DArray'))}
    ours = Bag(Path('bag'), topics, BAG.notes, 0, 0)
    assert results_topic(ours) == '/found'
    # Of a bag that is not our recorder's nobody knows whose detections those are.
    assert not results_topic(Bag(Path('bag'), topics, {}, 0, 0))
    named = {**topics, '/object_detections': topic('/object_detections')}
    assert results_topic(Bag(Path('bag'), named, BAG.notes, 0, 0)) == '/object_detections'


def values_of(folder: Path, text: str) -> dict[str, object]:
    (folder / 'parameters.yaml').write_text(text, encoding='utf-8')
    return parameter_values(BAG, folder / 'parameters.yaml', ())


def test_a_file_counts_over_what_was_recorded_and_changes_over_both(tmp_path: Path) -> None:
    text = '/**/pose_estimator:\n  ros__parameters: {backend: crnet, sync.slop: 0.5}\n'
    found = values_of(tmp_path, text)
    assert (found['seed'], found['backend'], found['sync.slop']) == (7, 'crnet', 0.5)
    changed = parameter_values(BAG, tmp_path / 'parameters.yaml', ['sync.slop=0.25'])
    assert changed['sync.slop'] == 0.25


@pytest.mark.parametrize('text', [
    '/robot/pose_estimator:\n  ros__parameters: {depth: {register: true}}\n',
    '/robot:\n  pose_estimator:\n    ros__parameters: {depth.register: true}\n',
    '/**:\n  ros__parameters: {use_sim_time: true, depth.register: true}\n'])
def test_all_spellings_of_ros_are_read(tmp_path: Path, text: str) -> None:
    assert values_of(tmp_path, text)['depth.register'] is True


def test_parameters_of_other_nodes_are_not_the_estimators(tmp_path: Path) -> None:
    others = ('recorder:\n  ros__parameters: {compression: false}\n'
              '/**/replay_camera:\n  ros__parameters: {sync.slop: 0.5}\n')
    found = values_of(tmp_path, f'{others}/*:\n  ros__parameters: {{seed: 3}}\n')
    assert found == {**parameter_values(BAG, None, ()), 'seed': 3}
    assert values_of(tmp_path, f'{others}pose_estimator:\n  ros__parameters:\n')['seed'] == 7
    with pytest.raises(ConfigurationError, match='no section pose_estimator.*recorder, /'):
        values_of(tmp_path, others)


@pytest.mark.parametrize('text', ['- a\n', 'pose_estimator: 3\n', 'pose_estimator: [1]\n'])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match='parameters.yaml is not a parameter file'):
        values_of(tmp_path, text)


def test_an_unknown_parameter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match='the estimator has no parameter slop'):
        values_of(tmp_path, '/**:\n  ros__parameters: {slop: 0.5}\n')
