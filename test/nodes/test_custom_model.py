"""A model of the user's own categories, made from meshes, in the running node."""

import sys
from pathlib import Path

import numpy as np
import pytest
from ros_harness import GREEN, RED, Client, Frame
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / 'synthetic'))

from mesh_files import save_boxes_and_tubes

from pose_estimation_ros.cli.main import app

pytest.importorskip('open3d', reason='meshes are rendered with Open3D, which is optional')
pytest.importorskip('torch', reason='PyTorch is for training, a node does not need it')


def command(*arguments):
    answer = CliRunner().invoke(app, [str(argument) for argument in arguments],
                                catch_exceptions=False)
    assert answer.exit_code == 0, answer.output


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    """Return the folder of a model of boxes and tubes, hardly trained."""
    root = tmp_path_factory.mktemp('custom')
    meshes = save_boxes_and_tubes(root / 'meshes')
    command('dataset', 'crops', root / 'crops', '--objects', meshes, '--count', 16,
            '--shard-size', 16, '--points', 256, '--processes', 1)
    command('dataset', 'priors', root / 'priors.npz', '--objects', meshes)
    command('train', 'spd-lite', '--data', root / 'crops', '--priors', root / 'priors.npz',
            '--out', root / 'run', '--steps', 2, '--batch', 4, '--device', 'cpu', '--threads', 1,
            '--workers', 0)
    command('export', 'spd-lite', '--checkpoint', root / 'run' / 'last.pt', '--out',
            root / 'my_model')
    return root / 'my_model'


def test_the_node_publishes_objects_of_the_users_categories(client: Client, node, model,
                                                            monkeypatch):
    monkeypatch.setenv('STAND_IN_LABELS', 'box,tube,spoon')
    node(backend='spd', model=model)
    client.wait_until_active()

    _, detections = client.result_of(
        Frame((((20, 30, 70, 80), RED), ((90, 30, 120, 90), GREEN)), depth=0.6))

    classes = [found.results[0].hypothesis.class_id for found in detections.detections]
    assert classes and set(classes) <= {'box', 'tube'}
    for found in detections.detections:
        size = found.bbox.size
        assert all(np.isfinite(value) and value > 0 for value in (size.x, size.y, size.z))
