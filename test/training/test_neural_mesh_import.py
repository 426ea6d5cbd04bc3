"""Published neural meshes become models whose features and vertices are the published ones."""

import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))
sys.path.insert(0, str(Path(__file__).parents[1] / 'datasets'))

from neural_mesh_networks import published_state, tiny_extractor
from pascal3d_files import write_pascal3d

from pose_estimation_ros.backends.neural_mesh_archive import read_category_meshes
from pose_estimation_ros.backends.neural_mesh_model import NeuralMeshModel
from pose_estimation_ros.backends.neural_mesh_search_space import search_space
from pose_estimation_ros.cli.main import app
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.evaluation import runner
from pose_estimation_ros.evaluation.data_folders import Data
from pose_estimation_ros.evaluation.predictions import FramePredictions, Prediction
from pose_estimation_ros.networks.neural_mesh import full_config
from pose_estimation_ros.runtime.model_store import ModelStore
from pose_estimation_ros.training.cad_cuboids import published_cuboid
from pose_estimation_ros.training.neural_mesh_import import (
    import_neural_mesh,
    load_neural_mesh_checkpoint,
)
from pose_estimation_ros.training.neural_mesh_onnx import ExtractorGraph

TINY = full_config(width=2)
CAR_VERTICES, CLUTTER = 1024, 2560


def _content(**changes: Any) -> dict[str, Any]:
    """Return a checkpoint of cars: the features of a vertex begin with where it is."""
    memory = F.normalize(torch.randn(CAR_VERTICES + CLUTTER, 128), dim=1)
    memory[:CAR_VERTICES, :3] = torch.from_numpy(published_cuboid('car').vertices).float()
    memory[CAR_VERTICES:, 7] += 1.0
    return {'state': published_state(tiny_extractor()), 'memory': [memory], 'timestamp': 1663,
            'args': Namespace(mesh_path='CAD', num_noise=5, lr=1e-4), **changes}


def _save(content: Any, path: Path) -> Path:
    torch.save(content, path)
    return path


def test_a_published_checkpoint_becomes_a_model_that_computes_the_same(tmp_path: Path) -> None:
    checkpoint = _save(_content(), tmp_path / 'car.pth')

    manifest = import_neural_mesh(checkpoint, tmp_path / 'ours' / 'car', config=TINY)

    assert (manifest.backend, manifest.size, manifest.categories) == (
        'neural_mesh', 'full', ('car',))
    assert (manifest.licence, manifest.training['unit']) == ('NOASSERTION', 'CAD model')
    assert (manifest.parameters['stride'], manifest.parameters['bias']) == (8, 'training')
    space = search_space(manifest)
    assert (space.azimuths, space.elevations[2], space.thetas[2], space.distances[2]) == (
        24, 6, 6, 9)
    # As large in an image 448 pixels wide of 60 degrees as with a focal length of 3000 pixels.
    focal = 224 / np.tan(np.radians(30))
    np.testing.assert_allclose(focal / np.array(space.distances[:2]), [3000 / 4, 3000 / 20],
                               rtol=1e-3)
    model = ModelStore([tmp_path / 'ours']).find('car', task='pose')
    image = np.random.default_rng(1).integers(0, 256, (320, 448, 3), np.uint8)
    camera = CameraIntrinsics.pinhole(448, 320, 388, 388, 223.5, 159.5)
    answer = NeuralMeshModel(model, 'cpu', 1).extract(image, camera)
    with torch.no_grad():
        expected = ExtractorGraph(tiny_extractor())(torch.from_numpy(image).permute(2, 0, 1)[None])
    np.testing.assert_allclose(answer.features, expected[0], atol=1e-5)


def test_features_go_with_their_vertices_into_our_frame_and_size(tmp_path: Path) -> None:
    content = _content()
    memory = content['memory'][0]
    # Some programs save it without a list.
    checkpoint = _save({**content, 'memory': memory}, tmp_path / 'best.pth')

    manifest = import_neural_mesh(checkpoint, tmp_path / 'model', 'car', diagonal=4.8,
                                  config=TINY)

    mesh = read_category_meshes(tmp_path / 'model' / 'meshes.npz')['car']
    cuboid = published_cuboid('car')
    scale = 4.8 / np.linalg.norm(cuboid.extents)
    np.testing.assert_allclose(np.linalg.norm(mesh.extents), 4.8)
    np.testing.assert_allclose(search_space(manifest).distances[0], 4 * scale * 388 / 3000)
    # Ours has y up, z to the front, and is centred.
    x, y, z = (mesh.features[:, :3] - (cuboid.lower + cuboid.upper) / 2).T
    np.testing.assert_allclose(scale * np.stack([x, z, -y], axis=1), mesh.cuboid().vertices,
                               atol=1e-6)
    mean = memory[CAR_VERTICES:].mean(dim=0)
    np.testing.assert_allclose(mesh.clutter, mean[None] / mean.norm(), atol=1e-6)


def test_poses_are_judged_as_those_of_the_cad_models_that_truth_is_of(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import_neural_mesh(_save(_content(), tmp_path / 'car.pth'), tmp_path / 'car', diagonal=4.8,
                       config=TINY)
    cuboid = published_cuboid('car')
    scale = 4.8 / np.linalg.norm(cuboid.extents)
    T_cad_object = make_transform(np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
                                  (cuboid.lower + cuboid.upper) / 2)
    root = write_pascal3d(tmp_path / 'photos')
    exact = []
    for frame in runner.read_truth(Data(root)):
        T = frame.objects[0].T_camera_object @ T_cad_object
        T[:3, 3] *= scale
        exact.append(FramePredictions(frame.name, (Prediction('car', 0.9, T, np.ones(3)),), 0.1))
    for name, answer in (('run_poses', exact), ('refused_by', 0), ('commit_of', 'a')):
        monkeypatch.setattr(runner, name, lambda *_, answer=answer: answer)

    answer = CliRunner().invoke(app, [
        'evaluate', str(root), '--protocol', 'pascal3d', '--backend', 'neural_mesh', '--model',
        str(tmp_path / 'car'), '--device', 'cpu', '--out', str(tmp_path / 'out')])

    assert answer.exit_code == 0, answer.exception
    table = json.loads((tmp_path / 'out' / 'pascal3d-accuracy.json').read_text())
    row = next(row for row in table['rows'] if row['category'] == 'car')
    assert row['error < pi/18, %'] == 100.0
    assert row['mean ADD of found'] == pytest.approx(0.0, abs=1e-6)


def test_a_neural_mesh_that_does_not_tell_where_cad_models_are_is_not_judged_with_them(
        tmp_path: Path) -> None:
    root = write_pascal3d(tmp_path / 'photos')
    answer = CliRunner().invoke(app, ['evaluate', str(root), '--protocol', 'pascal3d',
                                      '--backend', 'neural_mesh', '--out', str(tmp_path / 'out')])
    assert isinstance(answer.exception, ConfigurationError)
    assert 'does not tell how the CAD models of PASCAL3D+ lie in there' in str(answer.exception)
    assert not (tmp_path / 'out').exists()


def test_files_of_early_versions_without_counters_are_read(tmp_path: Path) -> None:
    state = {name: value for name, value in published_state(tiny_extractor()).items()
             if not name.endswith('num_batches_tracked')}
    extractor, memory = load_neural_mesh_checkpoint(
        _save(_content(state=state), tmp_path / 'car.pth'), TINY)
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(extractor(image), tiny_extractor()(image))
    assert memory.shape == (CAR_VERTICES + CLUTTER, 128)


class _Evil:
    def __reduce__(self) -> tuple:
        return (exec, ('raise SystemExit(3)',))


@pytest.mark.parametrize(('changes', 'fault'), [
    ({'args': Namespace(hidden=_Evil())}, 'might run code and is refused'),
    ({'memory': []}, 'remembers no finite features of length 128, but list'),
    ({'memory': torch.zeros(2000, 64)}, r'of length 128, but \[2000, 64\]'),
    ({'memory': torch.full((2000, 128), torch.nan)}, 'no finite features'),
    ({'memory': torch.ones(CAR_VERTICES, 128)}, 'the mesh has 1024 vertices and clutter follows'),
    ({'state': {'module.psp.a': torch.zeros(1)}}, 'no checkpoint of a neural mesh but of SPD'),
    ({'state': {'net.upsample0.a': torch.zeros(1)}}, 'lacks 303 of the tensors')])
def test_other_checkpoints_are_refused_by_what_they_are(
        changes: dict[str, Any], fault: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=fault):
        import_neural_mesh(_save(_content(**changes), tmp_path / 'car.pth'), tmp_path / 'model',
                           config=TINY)
    assert not (tmp_path / 'model').exists()


def test_a_state_without_a_memory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="lacks 'state' or 'memory'"):
        load_neural_mesh_checkpoint(_save({'state': {}}, tmp_path / 'car.pth'), TINY)


@pytest.mark.parametrize('name', ['best.pth', 'scar.pth', 'car_and_bus.pth'])
def test_a_name_that_does_not_say_the_category_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match='name the category, such as aeroplane'):
        import_neural_mesh(tmp_path / name, tmp_path / 'model')


def test_the_command_line_names_what_is_missing(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ['import', 'neural_mesh', str(tmp_path / 'NeMo_car.pth'),
                                      '--diagonal', '4.8'])
    assert isinstance(answer.exception, ModelError)
    assert 'There is no checkpoint' in str(answer.exception)
    answer = CliRunner().invoke(app, ['import', 'neural_mesh', str(tmp_path / 'car.pth'),
                                      '--diagonal', '-1'])
    assert 'give a positive number of metres' in str(answer.exception)
