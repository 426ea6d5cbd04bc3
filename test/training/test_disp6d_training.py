"""Training of DISP6D on tiny data: what is learnt, validated, resumed and exported."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))
pytest.importorskip('open3d', reason='objects are rendered with Open3D, which is optional')

from disp6d_networks import tiny_config
from disp6d_views import store_turned, turned_objects

from pose_estimation_ros.backends.disp6d_crops import CropSettings
from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.core.hyperspherical_harmonics import encode_rotations
from pose_estimation_ros.runtime.model_store import ModelStore
from pose_estimation_ros.training.batch_plan import BatchRequest
from pose_estimation_ros.training.disp6d_augmentation import ViewAugmentation, changed
from pose_estimation_ros.training.disp6d_batches import plain_view, training_view
from pose_estimation_ros.training.disp6d_recipes import CATEGORY, PARTS, VARIANTS
from pose_estimation_ros.training.disp6d_training import (
    Disp6dTask,
    found_among_anchors,
    make_disp6d_task,
    nearest_rotations,
)
from pose_estimation_ros.training.export import ExportRequest, export
from pose_estimation_ros.training.loop import run
from pose_estimation_ros.training.mrc_augmentation import AugmentationSettings
from pose_estimation_ros.training.registry import network_named
from pose_estimation_ros.training.stages import StageSettings
from pose_estimation_ros.training.task import TrainingData, TrainingSettings

TINY = tiny_config()
RECIPE = replace(CATEGORY, network=TINY, crops=CropSettings(crop=32, background='white'))
SETTINGS = TrainingSettings((StageSettings(2, 1e-3),), batch=4, threads=1, validate_every=2,
                            log_every=1, average=0.9)
NOTHING = ViewAugmentation(0.0, 1.0, 0.0, 0.0, 0.0, 0.0, AugmentationSettings(
    background=0.0, colors=0.0))


@pytest.fixture(scope='module')
def views(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return store_turned(tmp_path_factory.mktemp('turned') / 'stored')


def _task(folder: Path, recipe=RECIPE) -> Disp6dTask:
    return make_disp6d_task('disp6d-category',
                            TrainingData((str(folder),), folder, str(folder)), recipe)


def test_a_plain_crop_is_what_the_run_time_sees() -> None:
    item = turned_objects(1)[0]
    batch = plain_view(item, 5, RECIPE.crops, 'quaternion')
    assert batch.image.shape == (1, 3, 32, 32) and batch.label.tolist() == [5]
    assert (batch.image[0, :, 0, 0] == 1).all()
    assert (batch.depth[0, 0, 0, 0], batch.color[0, 0, 0, 0]) == (1, 0)
    np.testing.assert_allclose(batch.rotation[0, 0], encode_rotations(item.R, 'quaternion'),
                               atol=1e-6)
    other = turned_objects(1)[1]
    unchanged = training_view(item, 5, other, RECIPE.crops, 'quaternion', NOTHING,
                              np.random.default_rng(0))
    torch.testing.assert_close(unchanged.image, batch.image, atol=0, rtol=0)


def test_changes_leave_most_of_the_object_in_its_box() -> None:
    item, other = turned_objects(1)
    settings = ViewAugmentation(masked=0.5, coarse=1.0, occluders=1.0, mask_errors=1.0,
                                clutter=1.0)
    known = 0
    for seed in range(24):
        picture = changed(item.rgb, item.mask, item.box, other.rgb, settings,
                          np.random.default_rng(seed))
        middle = np.abs(picture.box - item.box).max() / (item.box[2:] - item.box[:2]).max()
        assert middle <= 0.13
        if picture.mask is not None:
            known += 1
            kept = (picture.mask & item.mask).sum() / item.mask.sum()
            assert 0.2 < kept <= 1 and picture.mask.sum() < 1.6 * item.mask.sum()
    assert 4 < known < 20


def test_every_part_of_the_network_learns_and_codes_follow(views: Path) -> None:
    task = _task(views)
    torch.manual_seed(0)
    model = task.new_model()
    module = task.players(model)[0].module
    before = model.codes.codes.clone()
    batch = task.batch(BatchRequest(0, 0, 6))
    losses = task.losses({'': module}, '', batch)
    assert set(losses) == {'total', 'color', 'depth', 'pose', 'shape', 'choice'}
    expected = (losses['color'] + losses['depth'] + 0.004 * losses['shape']
                + 0.001 * losses['pose'] + 0.2 * losses['choice'])
    torch.testing.assert_close(losses['total'], expected)
    losses['total'].backward()
    assert not [name for name, parameter in model.named_parameters()
                if parameter.grad is None or not parameter.grad.any()]
    assert set(batch.label.tolist()) <= {0, 1}
    assert (model.codes.codes - before).abs().max() > 0


def test_without_the_metric_loss_shapes_are_not_told_apart(views: Path) -> None:
    recipe = replace(RECIPE, weights=VARIANTS['no-metric'].weights)
    task = _task(views, recipe)
    model = task.new_model()
    losses = task.losses({'': model}, '', task.batch(BatchRequest(0, 0, 6)))
    torch.testing.assert_close(
        losses['total'], losses['color'] + losses['depth'] + 0.001 * losses['pose']
        + 0.2 * losses['choice'])


def test_without_the_choice_nothing_is_compared(views: Path) -> None:
    recipe = replace(RECIPE, weights=VARIANTS['no-choice'].weights)
    task = _task(views, recipe)
    batch = task.batch(BatchRequest(0, 0, 6))
    assert batch.rivals.shape == (6, 0, 164)
    assert 'choice' not in task.losses({'': task.new_model()}, '', batch)
    # What is left is the same picture by picture, so that an ablation compares like with like.
    whole = _task(views).batch(BatchRequest(0, 0, 6))
    torch.testing.assert_close(batch.image, whole.image, atol=0, rtol=0)
    assert whole.rivals.shape == (6, 96, 164) and whole.share.argmax(dim=1).tolist() == [0] * 6


def test_the_nearest_of_some_rotations_is_found(views: Path) -> None:
    network = _task(views).new_model().network.eval()
    image = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        codes = network.encode(image)
        encoded = torch.randn(40, 164)
        found = nearest_rotations(network, image, encoded)
        cosine = torch.nn.functional.cosine_similarity(
            network.condition(codes.shape, encoded), codes.pose[:, None], dim=2)
    torch.testing.assert_close(found, cosine.argmax(dim=1))


def test_a_run_is_validated_resumed_and_exported(views: Path, tmp_path: Path) -> None:
    run(_task(views), SETTINGS, tmp_path / 'run')
    longer = replace(SETTINGS, stages=(StageSettings(4, 1e-3),))
    run(_task(views), longer, tmp_path / 'run')
    run(_task(views), longer, tmp_path / 'whole')
    states = [torch.load(tmp_path / name / 'last.pt', weights_only=True)['model']
              for name in ('run', 'whole')]
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name], atol=1e-6, rtol=1e-5)
    with torch.no_grad():
        values = _task(views).validate(_task(views).new_model().eval())
    assert set(values) == {'reconstruction', 'error', 'within_10', 'within_20', 'within_30'}
    assert 0 <= values['within_10'] <= values['within_30'] <= 1 and 0 < values['error'] <= 180

    export('disp6d-category', ExportRequest(tmp_path / 'run' / 'last.pt',
                                            tmp_path / 'models' / 'mine'))
    manifest = ModelStore([tmp_path / 'models']).find('mine', task='pose').manifest
    assert (manifest.backend, manifest.size) == ('disp6d', 'lite')
    assert manifest.categories == ('mug', 'camera')
    assert (manifest.parameters['crop'], manifest.parameters['background']) == (32, 'white')
    assert set(manifest.files) == {'encoder', 'conditioned_codes', 'color_decoder',
                                   'depth_decoder'}
    with pytest.raises(ModelError, match='is a checkpoint of disp6d-category'):
        export('disp6d-parts', ExportRequest(tmp_path / 'run' / 'last.pt', tmp_path / 'other'))


def test_parts_are_judged_by_which_of_their_views_are_found(tmp_path: Path) -> None:
    task = _task(store_turned(tmp_path / 'parts', ()), replace(
        RECIPE, augmentation=PARTS.augmentation, together=4))
    assert task.figure == 'error'
    model = task.new_model()
    with torch.no_grad():
        found = task.validate(model.eval())
    assert set(found) == {'reconstruction', 'error', 'found'}
    assert found['found'] == pytest.approx(1 - found['error'])
    assert task.notes()['categories'] == []
    batch = task.batch(BatchRequest(0, 0, 8))
    assert torch.isfinite(batch.image).all() and batch.image.max() <= 1
    # Two objects in four pictures each, every one of which is right for itself.
    assert batch.label.tolist() == sorted(batch.label.tolist(), key=batch.label.tolist().index)
    assert len(set(batch.label[:4].tolist())) == len(set(batch.label[4:].tolist())) == 1
    assert batch.anchors.shape == batch.image.shape and batch.rivals.shape == (8, 0, 164)
    assert (batch.share.diagonal() >= batch.share.amax(dim=1) - 1e-6).all()
    losses = task.losses({'': model.train()}, '', batch)
    losses['choice'].backward()
    assert all(parameter.grad is not None for name, parameter
               in model.network.encoder.named_parameters() if 'pose' in name)


def test_groups_of_one_object_come_from_every_source_in_its_share(tmp_path: Path) -> None:
    sources = tuple(str(store_turned(tmp_path / name, (), names=(name,))) for name in 'ab')
    task = make_disp6d_task('disp6d-parts', TrainingData(sources, None),
                            replace(RECIPE, augmentation=PARTS.augmentation, together=4))
    labels = [task.batch(BatchRequest(step, step, 8, ratio=(1, 3))).label.tolist()
              for step in range(2)]
    shown = [label for batch in labels for label in batch]
    assert (shown.count(0), shown.count(1)) == (4, 12)


def test_pictures_that_are_their_own_views_are_found(views: Path) -> None:
    recipe = replace(RECIPE, crops=replace(RECIPE.crops, background='black'))
    network = _task(views, recipe).new_model().network.eval()
    items = [replace(item, rgb=np.repeat(item.target.shade[..., None], 3, axis=2),
                     mask=(item.target.depth < 255).astype(np.uint8), box=_box_of(item))
             for item in turned_objects(4)]
    assert found_among_anchors(network, items, recipe).all()
    swapped = [replace(item, target=items[place ^ 1].target) for place, item in enumerate(items)]
    assert not found_among_anchors(network, swapped, recipe).any()


def _box_of(item) -> np.ndarray:
    rows, columns = np.nonzero(item.target.depth < 255)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], dtype=float)


def test_data_of_two_kinds_are_refused(views: Path, tmp_path: Path) -> None:
    parts = store_turned(tmp_path / 'parts', ())
    with pytest.raises(ConfigurationError, match='is of mug, camera, but .* of parts'):
        make_disp6d_task('disp6d-category', TrainingData((str(views), str(parts)), views), RECIPE)


@pytest.mark.parametrize('name', ['disp6d-category', 'disp6d-parts'])
def test_networks_are_found_by_name(name: str, views: Path) -> None:
    network = network_named(name)
    task = network.make_task(TrainingData((str(views),), views), network.defaults())
    assert task.network == name
