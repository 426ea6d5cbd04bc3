"""The task of neural meshes: it learns, resumes, begins with a detector, and becomes a model."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pose_estimation_ros.backends.neural_mesh_archive import read_category_meshes
from pose_estimation_ros.core.categories import CATEGORIES
from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError, ModelError
from pose_estimation_ros.networks.neural_mesh import NeuralMeshConfig
from pose_estimation_ros.training import neural_mesh_export
from pose_estimation_ros.training.batch_plan import BatchRequest
from pose_estimation_ros.training.export import ExportRequest, export
from pose_estimation_ros.training.loop import run
from pose_estimation_ros.training.neural_mesh_batches import focus_weights
from pose_estimation_ros.training.neural_mesh_shapes import (
    CategoryShape,
    category_shapes,
    turned_extents,
)
from pose_estimation_ros.training.neural_mesh_training import make_neural_mesh_task
from pose_estimation_ros.training.neural_mesh_validation import validation_rows, vertex_errors
from pose_estimation_ros.training.object_pictures import PictureShards
from pose_estimation_ros.training.stages import StageSettings
from pose_estimation_ros.training.task import TrainingData, TrainingSettings
from test.training.tiny_tasks import BOX_SIZES as SIZES
from test.training.tiny_tasks import TINY_NEURAL_MESH as TINY
from test.training.tiny_tasks import write_box_pictures

NETWORK = 'neural_mesh-lite'
SETTINGS = TrainingSettings(stages=(StageSettings(4, 2e-3),), batch=2, seed=3, threads=1,
                            device='cpu', average=0.9, log_every=1, save_every=1e9,
                            validate_every=4)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('pictures') / 'train'
    write_box_pictures(folder)
    return TrainingData((str(folder),), folder / 'cache', str(folder))


def first_rows(path, name):
    lines = (path / 'train.csv').read_text().splitlines()
    column = lines[0].split(',').index(name)
    return [float(line.split(',')[column]) for line in lines[1:]]


def test_a_resumed_run_is_that_of_an_uninterrupted_one(data, tmp_path):
    whole = run(make_neural_mesh_task(NETWORK, data, TINY), SETTINGS, tmp_path / 'whole')
    parts = replace(SETTINGS, stages=(StageSettings(2, 2e-3),))
    run(make_neural_mesh_task(NETWORK, data, TINY), parts, tmp_path / 'parts')
    resumed = run(make_neural_mesh_task(NETWORK, data, TINY), SETTINGS, tmp_path / 'parts')
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(resumed.model.state_dict()[name], value, rtol=0, atol=0)
    assert first_rows(tmp_path / 'parts', 'contrast') == first_rows(tmp_path / 'whole', 'contrast')


def test_a_batch_follows_from_the_request_alone(data):
    first, second = (make_neural_mesh_task(NETWORK, data, TINY).batch(BatchRequest(5, 5, 3, 1))
                     for _ in range(2))
    torch.testing.assert_close(first.image, second.image)
    torch.testing.assert_close(first.vertex, second.vertex)
    assert first.image.shape == (3, 3, 96, 96)
    assert (first.category.diff() >= 0).all()
    assert first.cell.max() < 3 * 24 * 24


def test_windows_that_are_seen_again_are_learnt(data):
    torch.manual_seed(0)
    task = make_neural_mesh_task(NETWORK, data, TINY)
    model = task.new_model()
    optimizer = task.players(model)[0].optimizer
    for group in optimizer.param_groups:
        group['lr'] = 3e-3
    batch = task.batch(BatchRequest(0, 0, 4))
    found = []
    for _ in range(30):
        losses = model(batch)
        optimizer.zero_grad()
        losses['total'].backward()
        optimizer.step()
        found.append({name: value.item() for name, value in losses.items()})
    assert found[-1]['contrast'] < 0.6 * found[0]['contrast']
    assert found[-1]['view'] < 0.8 * found[0]['view']
    np.testing.assert_allclose(model.bank.vertices.norm(dim=1), 1, atol=1e-5)


def test_validation_counts_shares(data):
    task = make_neural_mesh_task(NETWORK, data, TINY)
    values = task.validate(task.new_model().eval())
    assert set(values) == {'error', 'own', 'clutter', 'rotation_30', 'rotation_10'}
    assert all(0 <= value <= 1 for value in values.values())
    assert values['rotation_10'] <= values['rotation_30']


def test_perfect_features_are_found_to_be_so(data):
    pictures = PictureShards(Path(data.sources[0]))
    recipe = replace(TINY, vertices=1000, network=replace(TINY.network, features=64))
    model = make_neural_mesh_task(NETWORK, data, recipe).new_model().eval()
    shapes = category_shapes(pictures.categories, pictures.objects.category,
                             pictures.objects.size, recipe.vertices)
    rows = [row for row in validation_rows(pictures, 12)
            if pictures.objects.category[row] == 5]
    shape, bank = shapes[5], model.bank

    def features_of(image):
        """Return of each cell the feature of the vertex whose place its colour tells."""
        cells = image.float().permute(0, 2, 3, 1)[:, 1::4, 1::4].reshape(-1, 3)
        place = (cells / 255 - 0.2) / 0.6 - 0.5
        wanted = torch.from_numpy(shape.mesh.vertices / shape.mesh.extents).float()
        nearest = torch.cdist(place, wanted).argmin(dim=1)
        found = bank.vertices[bank.of_category(5)][nearest].clone()
        found[cells.sum(dim=1) == 0] = bank.clutter_center
        return found

    model.cells = features_of
    values = vertex_errors(model, pictures, rows, shapes, recipe)
    assert values['error'] < 0.2
    assert values['rotation_10'] == 1.0
    # Textures beside the picture have colours of boxes.
    assert values['clutter'] > 0.8


def test_a_detector_gives_its_backbone(data, tmp_path):
    recipe = replace(TINY, network=NeuralMeshConfig())
    task = make_neural_mesh_task(NETWORK, data, recipe)
    backbone = task.new_model().extractor.pyramid.backbone.state_dict()
    detector = {f'backbone.{name}': torch.full_like(value, 0.5)
                for name, value in backbone.items()}
    stem = detector['backbone.stem.0.0.weight']
    detector['backbone.stem.0.0.weight'] = torch.cat([stem, stem[:, :2] + 7], dim=1)
    content = {'notes': {'network': 'maskrcnn'}, 'model': detector, 'step': 0}
    begun = task.first_weights(content, tmp_path)
    assert (begun['extractor.pyramid.backbone.stem.0.0.weight'] == 0.5).all()
    assert begun['extractor.project.weight'].std() > 0
    with pytest.raises(ModelError, match='not a checkpoint'):
        make_neural_mesh_task(NETWORK, data, TINY).first_weights(content, tmp_path)


def test_vertices_of_another_cuboid_begin_as_the_nearest_of_the_old_one(data, tmp_path):
    before = make_neural_mesh_task(NETWORK, data, TINY)
    model = before.new_model()
    # Vertices of two faces that meet would begin alike.
    model.bank.vertices.copy_(torch.randn_like(model.bank.vertices))
    content = {'notes': {'network': NETWORK, **before.notes()}, 'model': model.state_dict()}
    task = make_neural_mesh_task(NETWORK, data, replace(TINY, vertices=150))
    begun = task.first_weights(content, tmp_path)
    after = task.new_model()
    after.load_state_dict(begun)
    old, new = (CategoryShape.from_plain(one.notes()['shapes'][4]) for one in (before, task))
    assert len(new.mesh.vertices) > 1.5 * len(old.mesh.vertices)
    distance = np.linalg.norm((new.mesh.vertices / new.extents)[:, None]
                              - old.mesh.vertices / old.extents, axis=2)
    distance[new.mesh.face_of_vertex[:, None] != old.mesh.face_of_vertex] = np.inf
    taken = torch.cdist(after.bank.vertices[after.bank.of_category(4)],
                        model.bank.vertices[model.bank.of_category(4)]).argmin(dim=1).numpy()
    np.testing.assert_allclose(distance[np.arange(len(taken)), taken], distance.min(axis=1))

    content['notes']['shapes'] = content['notes']['shapes'][:4]
    with pytest.raises(ModelError, match='no laptop; begin with a detector'):
        task.first_weights(content, tmp_path)


def test_a_trained_network_becomes_a_model(data, tmp_path, monkeypatch):
    run(make_neural_mesh_task(NETWORK, data, TINY), SETTINGS, tmp_path / 'run')
    monkeypatch.setattr(neural_mesh_export, '_WINDOWS', 96)
    monkeypatch.setitem(neural_mesh_export.RECIPES, NETWORK, TINY)
    request = ExportRequest(tmp_path / 'run' / 'last.pt', tmp_path / 'mesh', data=data.sources)
    export(NETWORK, request)
    manifest = (tmp_path / 'mesh' / 'model.yaml').read_text()
    assert 'size_spread' in manifest
    assert 'steps: 4' in manifest
    meshes = read_category_meshes(tmp_path / 'mesh' / 'meshes.npz')
    assert tuple(meshes) == tuple(category.name for category in CATEGORIES)
    length = np.linalg.norm(meshes['mug'].features, axis=1)
    assert set(np.round(length, 4)) <= {0.0, 1.0}
    assert 0 < (length > 0).mean() < 1
    np.testing.assert_allclose(meshes['mug'].extents, 1.05 * SIZES[5], rtol=1e-6)
    with pytest.raises(ConfigurationError, match='--data'):
        export(NETWORK, replace(request, data=()))


def test_cuboids_have_the_mean_size_and_typical_ones_of_its_volume():
    generator = np.random.default_rng(0)
    size = SIZES[[5]] * np.exp(0.2 * generator.standard_normal((40, 3)))
    shape, = category_shapes(CATEGORIES[5:], np.zeros(40, dtype=np.int64), size, 1000)
    np.testing.assert_allclose(shape.extents, size.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(shape.aspects[0], shape.extents)
    np.testing.assert_allclose(shape.aspects.prod(axis=1), shape.extents.prod(), rtol=1e-9)
    assert len(shape.aspects) == 7
    again = CategoryShape.from_plain(shape.as_plain())
    np.testing.assert_allclose(again.mesh.vertices, shape.mesh.vertices)
    np.testing.assert_allclose(turned_extents(np.array([0.1, 0.3, 0.2])), [0.15, 0.3, 0.15])
    with pytest.raises(InvalidInputError, match='mug'):
        category_shapes(CATEGORIES[5:], np.ones(40, dtype=np.int64), size, 1000)


def test_windows_are_drawn_around_all_categories_equally(data):
    pictures = PictureShards(Path(data.sources[0]))
    weights = focus_weights(pictures, lying=0.0)
    share = np.bincount(pictures.objects.category, weights)
    np.testing.assert_allclose(share, 1.0)
