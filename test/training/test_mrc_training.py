"""Training of MRC-Net with rendering in the loop, on a tiny network and tiny views."""

import json
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.core.rotation import rotation_from_6d
from pose_estimation_ros.core.site_translation import TranslationGrid
from pose_estimation_ros.networks.mask_rcnn import MaskRCNN, MaskRCNNConfig
from pose_estimation_ros.networks.mrc import MRCConfig, MRCNet
from pose_estimation_ros.synthetic.shard_files import write_shards
from pose_estimation_ros.training.batch_plan import BatchRequest
from pose_estimation_ros.training.loop import run
from pose_estimation_ros.training.mrc_batches import CropBatch
from pose_estimation_ros.training.mrc_losses import MRCLossWeights, rotation_of, tau_of
from pose_estimation_ros.training.mrc_objects import objects_from_notes
from pose_estimation_ros.training.mrc_recipes import FULL, LITE, VARIANTS, CoarseSettings
from pose_estimation_ros.training.mrc_steps import CoarseRenderer
from pose_estimation_ros.training.mrc_training import make_mrc_task
from pose_estimation_ros.training.mrc_views import ViewShards, object_views, pack_views
from pose_estimation_ros.training.stages import StageSettings
from pose_estimation_ros.training.task import TrainingData, TrainingSettings

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))
from mrc_views import spotted_frame, store_views

pytest.importorskip('open3d', reason='objects are rendered with Open3D, which is optional')

TINY = MRCConfig(objects=1, crop=64, width=8, blocks=(1, 1, 1, 1), nside=1, depth_bins=16,
                 cells=8, dilations=(1, 2), hidden=16)
RECIPE = replace(LITE, network=TINY, regressed=1.0)
SETTINGS = TrainingSettings((StageSettings(2, 1e-3),), batch=4, threads=1, validate_every=2,
                            log_every=1)


@pytest.fixture(scope='module')
def views(tmp_path_factory):
    return store_views(tmp_path_factory.mktemp('views') / 'stored')


def task_on(folder, recipe=RECIPE):
    return make_mrc_task('mrc-lite', TrainingData((str(folder),), folder, str(folder)), recipe)


def first_step(folder, recipe):
    """Return the network with all about it, and the losses of a first batch."""
    task = task_on(folder, recipe)
    torch.manual_seed(0)
    player = task.players(task.new_model())[0]
    batch = task.batch(BatchRequest(0, 0, 6))
    torch.manual_seed(0)
    return player.module, task.losses({'': player.module}, '', batch)


def losses_of(folder, recipe):
    return {name: float(value.detach()) for name, value in first_step(folder, recipe)[1].items()}


def test_stored_views_are_read_as_they_were_written(views):
    stored = ViewShards(views)
    assert [known.name for known in stored.objects] == ['cup', 'wedge']
    assert len(stored) == 6
    frame = spotted_frame()
    view = next(object_views(frame, ['wedge'], 96))
    folder = views.parent / 'one'
    store_views(folder)
    write_shards(folder, 2, json.loads((folder / 'description.json').read_text()),
                 lambda _: pack_views([view]))
    last = ViewShards(folder)[6]
    np.testing.assert_array_equal(last.mask, view.mask)
    np.testing.assert_array_equal(last.box, view.box)
    np.testing.assert_array_equal(last.T_camera_object, view.T_camera_object)
    assert np.abs(last.rgb.astype(int) - view.rgb).max() < 12


def test_every_part_of_the_network_learns(views):
    module, losses = first_step(views, RECIPE)
    assert set(losses) == {'total', 'rotation_bins', 'depth_bins', 'cells', 'mask', 'rotation',
                           'position', 'depth', 'coordinates'}
    losses['total'].backward()
    still = [name for name, parameter in module.named_parameters()
             if parameter.grad is None or not torch.isfinite(parameter.grad).all()
             or not parameter.grad.any()]
    assert not still


def test_the_total_is_the_published_weighted_sum(views):
    losses = losses_of(views, replace(RECIPE, weights=MRCLossWeights()))
    weights = {'rotation_bins': 0.5, 'depth_bins': 2, 'cells': 2, 'mask': 10, 'rotation': 1,
               'position': 1, 'depth': 0.2}
    total = sum(weights[name] * losses[name] for name in weights)
    assert losses['total'] == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize('kind', ['none', 'parallel'])
def test_the_regression_can_do_without_rendering_or_be_left_out(views, kind):
    losses = losses_of(views, replace(RECIPE, network=replace(TINY, regression=kind)))
    assert ('rotation' in losses) == (kind == 'parallel')
    assert np.isfinite(losses['total'])


def test_coarse_poses_near_the_truth_leave_little_to_the_regression(views):
    near = CoarseSettings(near_truth=1.0, least_label=0.0, flatness=20.0, cells=0.0, depth=0.0)
    far = replace(near, near_truth=0.0)
    fine = replace(RECIPE, network=replace(TINY, nside=2, cells=32, depth_bins=200))
    close = losses_of(views, replace(fine, coarse=near))
    guessed = losses_of(views, replace(fine, coarse=far))
    # A bin is at most 29 degrees from its truth, and a cell 1 / 32 of some 15 cm wide.
    assert close['rotation'] < 25
    assert close['position'] < 5
    assert close['depth'] < 0.25 * guessed['depth']
    assert close['rotation'] < 0.5 * guessed['rotation']


def test_quite_wrong_coarse_poses_are_replaced(views):
    kept = CoarseSettings(near_truth=0.0, least_label=0.0)
    with_wrong = losses_of(views, replace(RECIPE, coarse=kept))
    without = losses_of(views, replace(RECIPE, coarse=replace(kept, least_label=0.5)))
    assert without['rotation'] < 0.8 * with_wrong['rotation']


def test_hard_labels_change_the_classification_alone(views):
    soft = losses_of(views, RECIPE)
    hard = losses_of(views, replace(RECIPE, labels='hard'))
    assert hard['rotation_bins'] != pytest.approx(soft['rotation_bins'], rel=1e-3)
    for name in ('mask', 'rotation', 'position', 'depth'):
        assert hard[name] == pytest.approx(soft[name], rel=1e-5)


def test_torch_and_numpy_agree_on_poses():
    generator = np.random.default_rng(0)
    numbers = generator.normal(size=(5, 6))
    np.testing.assert_allclose(rotation_of(torch.from_numpy(numbers)), rotation_from_6d(numbers),
                               atol=1e-12)
    K = np.tile([[400.0, 0, 70], [0, 410, 60], [0, 0, 1]], (5, 1, 1))
    t = generator.uniform([-0.1, -0.1, 0.4], [0.1, 0.1, 1.0], (5, 3))
    expected = TranslationGrid(128, 4, 4, 0, 1).encode(t, K)
    np.testing.assert_allclose(tau_of(torch.from_numpy(t), torch.from_numpy(K), 128), expected,
                               atol=1e-12)


def test_a_run_validates_goes_on_and_notes_what_the_exporter_needs(views, tmp_path):
    out = tmp_path / 'run'
    first = run(task_on(views), SETTINGS, out)
    assert first.step == 2
    header, row = (out / 'validation.csv').read_text().splitlines()[:2]
    values = dict(zip(header.split(','), row.split(','), strict=True))
    for name in ('error', 'mssd_recall', 'mspd_recall'):
        assert 0.0 <= float(values[name]) <= 1.0
    longer = replace(SETTINGS, stages=(StageSettings(3, 1e-3),))
    notes = run(task_on(views), longer, out).notes
    assert [entry['step'] for entry in notes['history']] == [0, 2]
    assert [known.name for known in objects_from_notes(notes['objects'])] == ['cup', 'wedge']
    config = MRCConfig.from_dict(notes['config'])
    assert config.objects == 2
    MRCNet(config).load_state_dict(first.model.state_dict())


def test_the_range_of_depth_follows_the_largest_object(views):
    config = RECIPE.for_objects(2, 0.12)
    assert config.objects == 2
    assert config.farthest * config.crop == pytest.approx(0.252)
    published = FULL.for_objects(8, 0.2615)
    assert published.farthest == pytest.approx(2.15e-3, rel=0.01)


def test_every_variant_is_built_as_its_name_says():
    built = {name: MRCNet(recipe.for_objects(2, 0.2)) for name, recipe in VARIANTS.items()}
    assert not hasattr(built['classification'], 'regressor')
    assert not built['parallel'].regressor.correlations
    assert list(built['single-scale'].regressor.correlations) == ['16']
    assert list(built['lite'].regressor.correlations) == ['4', '8', '16']
    bins = [built[name].classifier.rotation.last.out_features
            for name in ('nside1', 'lite', 'nside3')]
    assert bins == [72, 576, 1944]
    assert VARIANTS['hard'].labels == 'hard'
    assert built['no-perspective'].config.camera == 'hidden'


def test_views_of_different_objects_are_not_mixed(views, tmp_path):
    other = store_views(tmp_path / 'other', ('box', 'wedge'))
    with pytest.raises(ConfigurationError, match='cup, wedge, .* of box, wedge'):
        make_mrc_task('mrc-lite', TrainingData((str(views), str(other)), tmp_path), RECIPE)


def test_a_folder_without_views_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match='pose-estimation dataset views'):
        make_mrc_task('mrc-lite', TrainingData((str(tmp_path),), tmp_path), RECIPE)


def test_points_that_pixels_show_project_to_these_pixels(views):
    task = task_on(views)
    batch = task.batch(BatchRequest(0, 0, 6))
    points = CoarseRenderer(ViewShards(views).objects).points(
        batch.index, batch.R, batch.t, batch.K_crop, TINY.crop)
    seen = torch.einsum('bij,bjhw->bihw', batch.R, points) + batch.t[:, :, None, None]
    pixels = torch.einsum('bij,bjhw->bihw', batch.K_crop, seen / seen[:, 2:])[:, :2]
    # A pixel of the small map stands for four by four of the crop, whose middle is 1.5.
    line = 4.0 * torch.arange(TINY.crop // 4) + 1.5
    grid = torch.stack(torch.meshgrid(line, line, indexing='xy')).expand_as(pixels)
    shown = points[:, :1].isfinite()
    assert shown.float().mean() > 0.05
    # Crops that augmentation covers are seen less of, never elsewhere.
    assert (batch.mask.bool() & ~shown).sum() < 0.1 * batch.mask.sum()
    assert ((pixels - grid).abs() * shown).nan_to_num().max() < 1e-2


def test_weights_of_other_objects_are_no_beginning(views, tmp_path):
    task = task_on(views)
    notes = {'network': 'mrc-lite', **task.notes()}
    content = {'notes': notes, 'model': task.new_model().state_dict(), 'step': 1}
    task.first_weights(content, tmp_path / 'last.pt')
    notes['objects'] = [{**known, 'name': f'other_{number}'}
                        for number, known in enumerate(notes['objects'])]
    with pytest.raises(ConfigurationError, match='of other_0'):
        task.first_weights(content, tmp_path / 'last.pt')


def test_a_detector_is_what_the_encoder_begins_with(views, tmp_path):
    torch.manual_seed(0)
    detector = MaskRCNN(MaskRCNNConfig())
    content = {'notes': {'network': 'maskrcnn'}, 'model': detector.state_dict()}
    task = task_on(views, replace(RECIPE, network=replace(TINY, encoder='detector')))
    begun = task.first_weights(content, tmp_path / 'last.pt')
    name = 'backbone.stages.1.0.first.0.weight'
    assert torch.equal(begun[f'encoder.{name}'], detector.state_dict()[name])
    content['model'] = MaskRCNN(replace(MaskRCNNConfig(), pyramid_width=32)).state_dict()
    with pytest.raises(ModelError, match='a detector of other sizes'):
        task.first_weights(content, tmp_path / 'last.pt')
    task.new_model().load_state_dict(begun)
    with pytest.raises(ModelError, match='backbone'):
        task_on(views).first_weights(content, tmp_path / 'last.pt')


def test_shared_gradients_move_the_decoders_of_objects_that_are_not_shown(views):
    def moved(share):
        task = task_on(views, replace(RECIPE, shared=share))
        torch.manual_seed(0)
        player = task.players(task.new_model())[0]
        batch = task.batch(BatchRequest(0, 0, 6))
        shown = int(batch.index[0])
        own = CropBatch(*(getattr(batch, entry.name)[batch.index == shown]
                          for entry in fields(batch)))
        task.losses({'': player.module}, '', own)['total'].backward()
        gradient = player.module.network.decoder.coarse.weights.grad
        return [float(gradient[number].abs().sum()) for number in (shown, 1 - shown)]
    alone, both = moved(0.0), moved(1.0)
    assert alone[1] == 0.0
    assert both[1] == pytest.approx(alone[0], rel=0.01)
    assert both[0] == pytest.approx(2 * alone[0], rel=0.01)


def test_cells_come_from_a_map_of_their_own_size(views):
    losses = losses_of(views, replace(RECIPE, network=replace(TINY, cells=16, cells_from='map')))
    assert np.isfinite(losses['cells'])
    with pytest.raises(ConfigurationError, match='16 along a side, not 8'):
        replace(TINY, cells_from='map')
