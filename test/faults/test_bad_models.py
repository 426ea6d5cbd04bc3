"""Damaged model files: the node says which file and how to get it back, and lives."""

import pytest
from ros_harness import STAND_IN, Client, Frame, NodeProcess

from pose_estimation_ros.runtime.manifest import ModelFile, ModelManifest, write_manifest


@pytest.fixture
def model_folder(tmp_path):
    folder = tmp_path / 'detector'
    folder.mkdir()
    network = folder / 'network.onnx'
    network.write_bytes(b'not a network' * 100)
    write_manifest(ModelManifest(
        name='detector', task='segmentation', backend='maskrcnn', size='lite',
        files={'network': ModelFile.of(network, folder)}, categories=('mug',)), folder)
    return folder


def spoil_nothing(path):
    """A whole file that is no network."""


def spoil_by_removal(path):
    path.unlink()


def spoil_by_cutting(path):
    path.write_bytes(path.read_bytes()[:100])


def spoil_by_change(path):
    path.write_bytes(path.read_bytes().replace(b'not', b'NOT'))


@pytest.fixture(scope='module')
def waiting_node(client: Client, tmp_path_factory):
    """Start a node that waits for its manager."""
    process = NodeProcess('pose_estimator', tmp_path_factory.mktemp('waiting') / 'log',
                          STAND_IN | {'autostart': False})
    try:
        client.wait_for_sentence('model', 'not active')
        yield process
    finally:
        assert process.stop() == 0


@pytest.mark.parametrize(('spoil', 'sentence'), [
    pytest.param(spoil, sentence, id=spoil.__name__, marks=pytest.mark.fault(kind))
    for spoil, kind, sentence in (
        (spoil_by_removal, 'model file missing', 'network.onnx is missing'),
        (spoil_by_cutting, 'model file cut short',
         'network.onnx has 100 bytes instead of 1300'),
        (spoil_by_change, 'model file with another hash', 'its content was altered'),
        (spoil_nothing, 'model file that is no network', 'network.onnx cannot be loaded'))])
def test_a_damaged_model_is_named_and_another_one_can_be_chosen(
        client: Client, waiting_node: NodeProcess, model_folder, spoil, sentence):
    spoil(model_folder / 'network.onnx')
    assert client.set_parameter('segmentation.method', 'mask_rcnn').successful
    assert client.set_parameter('segmentation.model', str(model_folder)).successful
    assert not client.transition('configure')
    told = client.wait_for_sentence('model', sentence)
    assert told in waiting_node.log
    assert client.state() == 'unconfigured'
    assert client.set_parameter('segmentation.method', 'stand_in').successful
    assert client.transition('configure')
    assert client.transition('activate')
    client.wait_until_active()
    client.forget()
    _, detections = client.result_of(Frame())
    assert len(detections.detections) == 1
    assert client.transition('deactivate')
    assert client.transition('cleanup')
    assert 'Traceback' not in waiting_node.log
