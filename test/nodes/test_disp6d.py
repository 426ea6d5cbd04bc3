"""Known objects that come and go while the node runs, without restart."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))
pytest.importorskip('onnx', reason='models are written with onnx, which a node does not need')
pytest.importorskip('open3d', reason='objects are drawn with Open3D, which is optional')

from disp6d_models import make_view_model
from disp6d_objects import colored_box
from geometry_msgs.msg import PoseStamped
from ros_harness import BLUE, RED, Client, Frame, K, position
from std_srvs.srv import Trigger
from typer.testing import CliRunner

from pose_estimation_ros.cli.main import app
from pose_estimation_ros.datasets.mesh_files import write_ply
from pose_estimation_ros.nodes.conversions import stamp_to_ns

DRILL_BOX = (60, 40, 100, 68)
SCENE = Frame(((DRILL_BOX, RED), ((130, 90, 150, 110), BLUE)))
SCENE.with_depth = False


@pytest.fixture(autouse=True)
def labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red areas are drills, blue ones cups."""
    monkeypatch.setenv('STAND_IN_LABELS', 'drill,nothing,cup')


@pytest.fixture(scope='module')
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_view_model(tmp_path_factory.mktemp('models') / 'views', splits=1, turns=12)


@pytest.fixture(scope='module')
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('cad') / 'drill.ply'
    shape, colors = colored_box()
    write_ply(path, shape.vertices, shape.faces, 0.001, colors)
    return path


def command(*arguments: object) -> str:
    """Run `pose-estimation models` and return what it prints."""
    answer = CliRunner().invoke(app, ['models', *map(str, arguments)], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def labels_seen(client: Client) -> set[str]:
    """Return the labels of the poses of the newest result."""
    newest = client.received['object_detections'][-1:]
    return {entry.results[0].hypothesis.class_id
            for message in newest for entry in message.detections}


def test_objects_come_and_go_while_the_node_runs(client: Client, node, model: Path, mesh: Path,
                                                 tmp_path: Path) -> None:
    folder = tmp_path / 'objects'
    place = ('--model', model, '--folder', folder)
    client.listen(PoseStamped, 'object_poses/drill')
    process = node(backend='disp6d', model=model, disp6d__objects=folder, publish_per_label=True,
                   disp6d__refinement='none')
    client.wait_until_active(with_depth=False)
    client.forget()
    stamp, detections = client.result_of(SCENE)
    assert not detections.detections

    # Added.
    assert 'drill: 504 views' in command('add-object', mesh, '--name', 'drill', '--unit', 'mm',
                                         '--threads', 1, *place)
    client.wait_for(lambda: labels_seen(client) == {'drill'}, 'a pose of the drill',
                    meanwhile=lambda: client.send(SCENE))
    stamp = stamp_to_ns(client.received['object_detections'][-1].header.stamp)
    (pose,) = client.with_stamp('object_poses', stamp, 1)
    x, y, z = position(pose.pose)
    x_min, y_min, x_max, y_max = DRILL_BOX
    # The frame of the CAD file is 6 cm beside the middle of the box, the drill 11 cm long.
    pixel = (K @ [x / z, y / z, 1.0])[:2]
    assert np.linalg.norm(pixel - [(x_min + x_max) / 2, (y_min + y_max) / 2]) < 40
    assert 0.15 < z < 0.6
    client.wait_for(lambda: client.received['object_poses/drill'], 'poses on the topic of drills',
                    meanwhile=lambda: client.send(SCENE))
    client.wait_for(lambda: client.facts('model').get('pose.objects') == 'drill', 'diagnostics')

    # A second one, and a file that is not whole.
    command('add-object', mesh, '--name', 'tool', '--unit', 'mm', '--detected-as', 'cup', *place)
    (folder / 'broken.npz').write_bytes((folder / 'drill.npz').read_bytes()[:5000])
    answer = client.call(Trigger, 'pose_estimator/reload_objects', Trigger.Request())
    assert not answer.success
    assert answer.message.startswith('2 objects: drill, tool. ')
    assert 'broken.npz is not the whole file of an object' in answer.message
    client.wait_for(lambda: labels_seen(client) == {'drill', 'tool'}, 'poses of both',
                    meanwhile=lambda: client.send(SCENE))
    client.wait_for(lambda: 'add it again' in client.facts('model').get(
        'pose.refused broken', ''), 'the refusal in diagnostics')

    # Removed.
    (folder / 'broken.npz').unlink()
    command('remove-object', 'drill', *place)
    client.wait_for(lambda: labels_seen(client) == {'tool'}, 'the end of the drill',
                    meanwhile=lambda: client.send(SCENE))
    answer = client.call(Trigger, 'pose_estimator/reload_objects', Trigger.Request())
    assert (answer.success, answer.message) == (True, '1 objects: tool')
    assert process.process.poll() is None


@pytest.mark.fault('a file that is slow to read')
def test_a_file_of_an_object_that_cannot_be_read_at_once_stops_no_answers(
        client: Client, node, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / 'objects'
    folder.mkdir()
    node(backend='disp6d', model=model, disp6d__objects=folder, disp6d__refinement='none')
    client.wait_until_active(with_depth=False)
    client.result_of(SCENE)
    slow = folder / 'slow.npz'
    os.mkfifo(slow)  # Whoever reads it waits for a writer.
    client.wait_for(lambda: 'at_work.segment' in client.facts('processing'), 'a look at the file',
                    meanwhile=lambda: client.send(SCENE))
    assert client.set_parameter('min_score', 0.1).successful
    service = client.node.create_client(Trigger, 'pose_estimator/reload_objects')
    client.wait_for(service.service_is_ready, 'the service')
    asked = service.call_async(Trigger.Request())
    assert client.state() == 'active'
    assert not asked.done()

    slow.open('wb').close()
    client.wait_for(asked.done, 'an answer')
    client.node.destroy_client(service)
    assert 'slow.npz is not the whole file of an object' in asked.result().message
    client.forget()
    client.result_of(SCENE)


def test_a_backend_without_such_objects_says_so(client: Client, node) -> None:
    node()
    client.wait_until_active()
    answer = client.call(Trigger, 'pose_estimator/reload_objects', Trigger.Request())
    assert not answer.success
    assert 'stand_in takes no objects while it runs' in answer.message


def test_without_a_model_the_node_lives_and_tells_the_cure(client: Client, node,
                                                           monkeypatch: pytest.MonkeyPatch,
                                                           tmp_path: Path) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    node(backend='disp6d', model=tmp_path / 'missing')
    client.wait_for_sentence('model', 'missing')
    answer = client.call(Trigger, 'pose_estimator/reload_objects', Trigger.Request())
    assert not answer.success
    assert answer.message.startswith('not active: ')
