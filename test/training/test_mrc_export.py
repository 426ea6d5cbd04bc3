"""Trained MRC-Nets become model folders whose two networks compute the same as the one."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))

from mrc_networks import tiny_network

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Symmetry
from pose_estimation_ros.networks.mrc import MRCNet
from pose_estimation_ros.rendering.mesh_archive import read_mesh_archive
from pose_estimation_ros.rendering.primitives import box, ellipsoid
from pose_estimation_ros.runtime.model_store import ModelStore
from pose_estimation_ros.runtime.session import InferenceSession
from pose_estimation_ros.training.checkpoints import TrainingState, save_checkpoint
from pose_estimation_ros.training.export import ExportRequest, export
from pose_estimation_ros.training.mrc_export import export_networks, write_mrc_model
from pose_estimation_ros.training.mrc_objects import (
    CadObject,
    objects_as_notes,
    objects_from_notes,
)

HALF_TURN = Symmetry(discrete=((-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0),))
OBJECTS = [CadObject('brick', box((0.2, 0.1, 0.06)), HALF_TURN),
           CadObject('can', box((0.07, 0.07, 0.12)), Symmetry(axis=(0.0, 0.0, 1.0))),
           CadObject('tool', box((0.3, 0.02, 0.02)), NO_SYMMETRY)]


def _save(network: MRCNet, path: Path, name: str = 'mrc-lite') -> Path:
    save_checkpoint(path, TrainingState(network, {}, step=7, notes={
        'network': name, 'config': network.config.as_dict(), 'objects': objects_as_notes(OBJECTS),
        'images': 28}))
    return path


@pytest.mark.parametrize('changes', [
    {}, {'norm': 'batch'}, {'regression': 'parallel'}, {'levels': (8,)},
    {'encoder': 'detector', 'cells': 16, 'cells_from': 'map'}],
    ids=['group', 'batch', 'parallel', 'one-scale', 'lite'])
def test_the_exported_networks_compute_the_same_for_any_number_of_crops(
        changes: dict[str, object], tmp_path: Path) -> None:
    network = tiny_network(**changes)
    files = export_networks(network, tmp_path)
    classifier, regressor = (InferenceSession(files[role], 'cpu', threads=1)
                             for role in ('classifier', 'regressor'))

    for crops in (1, 4):
        image, rendering = torch.rand(2, crops, 4, 64, 64)
        index, aux = torch.arange(crops) * 2 % 3, torch.randn(crops, 3)
        given = classifier.run({'image': image.numpy(), 'index': index.numpy(),
                                'aux': aux.numpy()})
        rendered = {'image': rendering.numpy(), 'index': index.numpy()}
        left = regressor.run({
            **(rendered if changes.get('regression') != 'parallel' else {}),
            **{name: given[name] for name in ('x4', 'x8', 'x16')}, 'aux': -aux.numpy()})

        with torch.no_grad():
            real = network.encode(image, index)
            expected = {**network.classify(real, aux)._asdict(), **real._asdict()}
            residual = network.regress(real, network.encode(rendering, index), -aux)
        assert set(given) == set(expected)
        for name, value in expected.items():
            np.testing.assert_allclose(given[name], value, atol=1e-4, rtol=1e-4)
        for name, value in residual._asdict().items():
            np.testing.assert_allclose(left[name], value, atol=1e-4, rtol=1e-4)
        assert residual.rotation.std() > 1e-2


def test_a_checkpoint_becomes_a_model_with_meshes_and_symmetries(tmp_path: Path) -> None:
    network = tiny_network()
    export('mrc-lite', ExportRequest(_save(network, tmp_path / 'last.pt'),
                                     tmp_path / 'models' / 'mine', training={'note': 'tiny'}))

    model = ModelStore([tmp_path / 'models']).find('mine', task='pose')
    manifest = model.manifest
    assert (manifest.backend, manifest.size) == ('mrc', 'lite')
    assert manifest.categories == ('brick', 'can', 'tool')
    assert manifest.parameters == network.config.as_dict()
    assert manifest.symmetry_of('brick') == HALF_TURN
    assert manifest.symmetry_of('can').axis == (0.0, 0.0, 1.0)
    assert manifest.training == {'steps': 7, 'samples': 28, 'note': 'tiny'}
    meshes = read_mesh_archive(model.file('meshes'))
    np.testing.assert_array_equal(meshes['brick'].vertices, OBJECTS[0].mesh.vertices)
    spec = {entry.name: entry.shape for entry in InferenceSession(model.file('classifier')).inputs}
    assert spec['image'] == (None, 4, 64, 64)


def test_large_meshes_are_shown_with_fewer_triangles_and_rendered_as_they_are(
        tmp_path: Path) -> None:
    ball = ellipsoid((0.1, 0.1, 0.1), segments=60)
    manifest = write_mrc_model(tiny_network(), [CadObject('ball', ball, NO_SYMMETRY),
                                                *OBJECTS[1:]], 'lite', tmp_path / 'mine', {}, {})
    files = {role: read_mesh_archive(tmp_path / 'mine' / manifest.files[role].path)
             for role in ('meshes', 'shown_meshes')}
    np.testing.assert_array_equal(files['meshes']['ball'].faces, ball.faces)
    assert len(ball.faces) > 2000 >= len(files['shown_meshes']['ball'].faces) > 1500
    np.testing.assert_array_equal(files['shown_meshes']['can'].faces, OBJECTS[1].mesh.faces)


def test_without_regression_there_is_one_network(tmp_path: Path) -> None:
    assert set(export_networks(tiny_network(regression='none'), tmp_path)) == {'classifier'}
    assert [path.name for path in tmp_path.iterdir()] == ['mrc_classifier.onnx']


def test_notes_keep_the_objects(tmp_path: Path) -> None:
    path = tmp_path / 'notes.pt'
    torch.save(objects_as_notes(OBJECTS), path)
    kept = objects_from_notes(torch.load(path, weights_only=True))
    assert [entry.name for entry in kept] == ['brick', 'can', 'tool']
    assert [entry.symmetry for entry in kept] == [entry.symmetry for entry in OBJECTS]
    np.testing.assert_array_equal(kept[2].mesh.faces, OBJECTS[2].mesh.faces)


def test_the_wrong_number_of_objects_is_refused(tmp_path: Path) -> None:
    checkpoint = _save(tiny_network(objects=2), tmp_path / 'last.pt')
    with pytest.raises(ModelError, match='2 decoders, but 3 objects are named'):
        export('mrc-lite', ExportRequest(checkpoint, tmp_path / 'mine'))
    assert not (tmp_path / 'mine').exists()


def test_the_checkpoint_of_another_configuration_is_refused(tmp_path: Path) -> None:
    network = tiny_network()
    path = tmp_path / 'last.pt'
    save_checkpoint(path, TrainingState(network, {}, notes={
        'network': 'mrc-lite', 'config': {**network.config.as_dict(), 'width': 12},
        'objects': objects_as_notes(OBJECTS)}))
    with pytest.raises(ModelError, match='is not one of the present mrc-lite'):
        export('mrc-lite', ExportRequest(path, tmp_path / 'mine'))
