"""The full network's data and batches, and what is made of its checkpoints."""

import itertools
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError, ModelError
from pose_estimation_ros.datasets.nocs_dataset import NocsDataset
from pose_estimation_ros.runtime.model_store import ModelStore
from pose_estimation_ros.synthetic.scene import SceneGenerator
from pose_estimation_ros.training import full_export
from pose_estimation_ros.training.color_crops import (
    ColorCrops,
    read_color_crops,
    scene_crops,
    stack_crops,
)
from pose_estimation_ros.training.full_export import export_full
from pose_estimation_ros.training.full_task import augmented_batch
from pose_estimation_ros.training.loop import run
from pose_estimation_ros.training.nocs_samples import NocsViews
from pose_estimation_ros.training.shape_priors import save_priors
from pose_estimation_ros.training.spd_full_training import SpdFullTask
from test.training.tiny_tasks import FULL_PRIORS, color_views, settings, spd_full

EXCERPT = Path(__file__).parents[1] / 'data/spd/nocs'


@pytest.fixture(scope='module')
def crops() -> ColorCrops:
    scenes = SceneGenerator('primary', 'train')
    samples = itertools.chain.from_iterable(
        scene_crops(scenes.scene(seed), (320, 240)) for seed in itertools.count()
    )
    return stack_crops(list(itertools.islice(samples, 4)))


def test_points_lie_where_their_true_coordinates_say(crops: ColorCrops) -> None:
    assert crops.image.shape == (4, 192, 192, 3)
    assert crops.image.std(axis=(1, 2, 3)).min() > 3.0
    assert (crops.pixel_index >= 0).all()
    assert (crops.pixel_index < 192 * 192).all()
    assert np.abs(crops.nocs).max() <= 0.505
    for points, nocs, rotation in zip(crops.points, crops.nocs, crops.rotation, strict=True):
        turned = points @ rotation
        offset = turned - np.median(turned, axis=0)
        coordinates = nocs - np.median(nocs, axis=0)
        scale = (offset * coordinates).sum() / (coordinates**2).sum()
        error = np.linalg.norm(offset - scale * coordinates, axis=1)
        assert 0.05 < scale < 0.7
        # The sensor is noisy and its edges fly, but most points are near the true surface.
        assert np.median(error) < 0.05 * scale


def test_batches_are_augmented_as_published(crops: ColorCrops) -> None:
    batch = augmented_batch(crops, np.random.default_rng(0))
    moved = batch.points.numpy() - crops.points
    shift = moved.mean(axis=1)
    assert (np.abs(shift) < 0.0101).all()
    assert np.abs(shift).max() > 0.001
    assert (moved - shift[:, None]).std() == pytest.approx(0.001, rel=0.05)
    assert np.abs(moved - shift[:, None]).max() < 0.0052
    np.testing.assert_array_equal(batch.shape, crops.shape)
    # Symmetric objects are turned about their own axis, which keeps heights and distances.
    nocs = batch.nocs.numpy()
    np.testing.assert_allclose(nocs[..., 1], crops.nocs[..., 1], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(nocs, axis=2), np.linalg.norm(crops.nocs, axis=2),
                               atol=1e-5)


def test_a_trained_network_becomes_a_model_with_its_own_priors_only(tmp_path: Path) -> None:
    run(spd_full(), settings(1, 1), tmp_path / 'run')
    priors = np.random.default_rng(0).uniform(-0.4, 0.4, (6, 1024, 3)).astype(np.float32)
    files = tmp_path / 'run/last.pt', tmp_path / 'priors.npz', tmp_path / 'models/mine'
    save_priors(tmp_path / 'priors.npz', priors, 'random')
    with pytest.raises(ModelError, match='does not hold the shape priors that .* was trained'):
        export_full('spd-full', *files)
    save_priors(tmp_path / 'priors.npz', FULL_PRIORS, 'random')
    export_full('spd-full', *files)
    model = ModelStore([tmp_path / 'models']).find('mine', task='pose')
    assert model.manifest.training['steps'] == 1
    assert model.file('network').stat().st_size > 70e6
    assert model.manifest.parameters['recentred_categories'] == []


def test_a_network_of_the_published_frame_becomes_a_model_that_moves_mugs_back(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    views, _, priors = color_views()
    published = NocsViews([NocsDataset(EXCERPT, 'camera_train', 'spd')])
    task = SpdFullTask([published], None, priors)
    torch.save({'step': 1, 'model': task.new_model().state_dict(),
                'notes': {'network': 'spd-full', 'training': {}, **task.notes()}},
               tmp_path / 'last.pt')
    save_priors(tmp_path / 'priors.npz', priors, 'random')
    written = Mock()
    monkeypatch.setattr(full_export, 'write_full_model', written)

    export_full('spd-full', tmp_path / 'last.pt', tmp_path / 'priors.npz', tmp_path / 'mine')

    assert written.call_args.kwargs['parameters'] == {'recentred_categories': ['mug']}
    with pytest.raises(ConfigurationError, match='some data end with @spd and some do not'):
        SpdFullTask([published, *views], None, priors)


def test_a_checkpoint_of_another_network_is_not_exported(tmp_path: Path) -> None:
    torch.save({'step': 1, 'model': torch.nn.Linear(2, 2).state_dict()}, tmp_path / 'last.pt')
    with pytest.raises(ModelError, match='not one of the present spd-full'):
        export_full('spd-full', tmp_path / 'last.pt', tmp_path / 'priors.npz', tmp_path / 'models')


def test_a_folder_without_crops_is_named_with_its_cure(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r'color_crops --out'):
        read_color_crops(tmp_path)
