"""Model folders of neural meshes become checkpoints that a training can begin with."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from pose_estimation_ros.backends.neural_mesh_archive import CategoryMesh
from pose_estimation_ros.cli.main import app
from pose_estimation_ros.core.categories import CATEGORIES
from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.networks.neural_mesh import NeuralMeshConfig
from pose_estimation_ros.runtime.model_store import Model, ModelStore
from pose_estimation_ros.synthetic.shard_files import write_shards
from pose_estimation_ros.training import neural_mesh_export
from pose_estimation_ros.training.batch_plan import BatchRequest
from pose_estimation_ros.training.checkpoints import read_checkpoint
from pose_estimation_ros.training.neural_mesh_checkpoint import write_neural_mesh_checkpoint
from pose_estimation_ros.training.neural_mesh_export import write_neural_mesh_model
from pose_estimation_ros.training.neural_mesh_model import NeuralMeshModel
from pose_estimation_ros.training.neural_mesh_recipes import LITE
from pose_estimation_ros.training.neural_mesh_training import make_neural_mesh_task
from pose_estimation_ros.training.object_pictures import KIND, pack_pictures
from pose_estimation_ros.training.task import TrainingData

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))
from box_pictures import box_picture, standing_pose

RECIPE = replace(LITE, vertices=60, windows=replace(LITE.windows, width=96, height=96))
SIZES = np.array([(0.1, 0.25, 0.1), (0.16, 0.07, 0.16), (0.1, 0.09, 0.13), (0.07, 0.1, 0.07),
                  (0.25, 0.2, 0.3), (0.11, 0.1, 0.08)])


@pytest.fixture(scope='module')
def pictures(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp('pictures') / 'train'
    shown = [box_picture(number, size, standing_pose(1.0)) for number, size in enumerate(SIZES)]
    write_shards(folder, 1, {'kind': KIND, 'categories': [
        category.as_plain() for category in CATEGORIES]}, lambda _: pack_pictures(shown))
    return str(folder)


@pytest.fixture(autouse=True)
def small_meshes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(neural_mesh_export.RECIPES, 'neural_mesh-lite', RECIPE)


def exported(pictures: str, folder: Path) -> tuple[Model, NeuralMeshModel]:
    """Return a model folder, and its network, whose normalisations differ from each other."""
    task = make_neural_mesh_task('neural_mesh-lite', TrainingData((pictures,), folder), RECIPE)
    torch.manual_seed(3)
    network = task.new_model()
    assert isinstance(network, NeuralMeshModel)
    with torch.no_grad():
        for name, value in network.extractor.state_dict().items():
            if name.endswith('running_var'):
                value.uniform_(0.5, 2.0)
            elif value.is_floating_point():
                value.add_(0.05 * torch.randn_like(value))
    meshes = {}
    for number, plain in enumerate(task.notes()['shapes']):
        features = network.bank.vertices[network.bank.of_category(number)].numpy().copy()
        features[::7] = 0.0
        counts = network.bank.clutter_center.numpy()[None]
        extents = np.array(plain['extents'])
        shape = neural_mesh_export.CategoryShape.from_plain(plain)
        meshes[plain['category']['name']] = CategoryMesh(
            np.array(plain['aspects']), shape.mesh.counts, features, counts)
        np.testing.assert_allclose(shape.extents, extents)
    write_neural_mesh_model(network.extractor, meshes, folder / 'models' / 'mine', {}, {}, {}, {})
    return ModelStore([folder / 'models']).find('mine', 'pose'), network.eval()


def test_the_network_of_the_checkpoint_computes_what_the_model_does(pictures: str, tmp_path: Path
                                                                    ) -> None:
    model, network = exported(pictures, tmp_path)
    path = write_neural_mesh_checkpoint(model, [pictures], tmp_path / 'run' / 'start.pt')
    task = make_neural_mesh_task('neural_mesh-lite', TrainingData((pictures,), tmp_path), RECIPE)
    again = task.new_model()
    again.load_state_dict(task.first_weights(read_checkpoint(path), path))
    assert isinstance(again, NeuralMeshModel)
    again.eval()

    image = torch.randint(0, 256, (2, 3, 96, 128), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(again.cells(image), network.cells(image), atol=2e-4, rtol=1e-3)
    rows = network.bank.of_category(4)
    known = [row for row in range(rows.stop - rows.start) if row % 7]
    torch.testing.assert_close(again.bank.vertices[rows][known],
                               network.bank.vertices[rows][known])
    assert (again.bank.vertices.norm(dim=1) > 0.99).all()
    torch.testing.assert_close(again.bank.clutter_center, network.bank.clutter_center)


def test_normalisations_know_what_they_see(pictures: str, tmp_path: Path) -> None:
    model, _ = exported(pictures, tmp_path)
    path = write_neural_mesh_checkpoint(model, [pictures], tmp_path / 'start.pt')
    again = NeuralMeshModel(replace(RECIPE, network=NeuralMeshConfig(), view=0.0), [
        neural_mesh_export.CategoryShape.from_plain(plain)
        for plain in read_checkpoint(path)['notes']['shapes']])
    again.load_state_dict(read_checkpoint(path)['model'])
    norm = again.extractor.pyramid.last[1]
    seen: list[torch.Tensor] = []
    norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    task = make_neural_mesh_task('neural_mesh-lite', TrainingData((pictures,), tmp_path), RECIPE)
    with torch.no_grad():
        again.eval().cells(task.batch(BatchRequest(0, 0, 32)).image)
    batch = seen[0].movedim(1, 0).flatten(1)
    deviation = norm.running_var.sqrt()
    assert ((batch.mean(dim=1) - norm.running_mean).abs() < 0.3 * deviation).float().mean() > 0.9
    torch.testing.assert_close(batch.std(dim=1), deviation, rtol=0.4, atol=1e-3)


def test_a_mesh_of_another_version_is_refused(pictures: str, tmp_path: Path,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = exported(pictures, tmp_path)
    monkeypatch.setitem(neural_mesh_export.RECIPES, 'neural_mesh-lite',
                        replace(RECIPE, vertices=200))
    with pytest.raises(ModelError, match='the mesh of bottle has .* made by another version'):
        write_neural_mesh_checkpoint(model, [pictures], tmp_path / 'start.pt')
    assert not (tmp_path / 'start.pt').exists()


def test_a_model_with_another_pyramid_is_refused_for_what_it_is(pictures: str, tmp_path: Path
                                                               ) -> None:
    model, _ = exported(pictures, tmp_path)
    model.manifest.parameters['pyramid'] = 'published'
    with pytest.raises(ModelError, match="has the pyramid 'published'.*train neural_mesh-lite"):
        write_neural_mesh_checkpoint(model, [pictures], tmp_path / 'start.pt')


def test_the_command_asks_for_pictures(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ['models', 'make-checkpoint', 'neural_mesh', '--out',
                                      str(tmp_path / 'start.pt')])
    assert isinstance(answer.exception, ConfigurationError)
    assert 'dataset pictures' in str(answer.exception)
