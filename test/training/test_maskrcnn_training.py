import csv
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.networks.mask_rcnn import MaskRCNNConfig
from pose_estimation_ros.runtime.model_store import ModelStore
from pose_estimation_ros.segmentation.mask_rcnn import MaskRCNNSegmenter, SegmentationSettings
from pose_estimation_ros.training import maskrcnn_training
from pose_estimation_ros.training.checkpoints import read_checkpoint
from pose_estimation_ros.training.maskrcnn_export import export_model
from pose_estimation_ros.training.maskrcnn_training import MaskRCNNTraining, train
from test.training.test_maskrcnn_data import frame

TINY = MaskRCNNConfig(stem_width=8, widths=(8, 8, 16, 16), pyramid_width=16, box_head_width=16,
                      mask_layers=1)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MaskRCNNTraining:
    """A run on one stored picture that lasts a second of training."""
    monkeypatch.setattr(maskrcnn_training, 'list_shards', lambda folder: [folder / 'only'])
    monkeypatch.setattr(maskrcnn_training, 'read_frames', lambda shard: iter([frame()]))
    monkeypatch.setattr(maskrcnn_training, 'LOG_STEPS', 1)
    return MaskRCNNTraining(tmp_path, tmp_path / 'run', minutes=1 / 60, batch=2, workers=0,
                            device='cpu')


def logged_steps(run: MaskRCNNTraining) -> list[int]:
    with (run.out / 'train.csv').open() as file:
        return [int(row['step']) for row in csv.DictReader(file)]


def test_a_stopped_run_goes_on_where_it_was(run: MaskRCNNTraining):
    first = read_checkpoint(train(run, TINY))
    second = read_checkpoint(train(replace(run, minutes=2 / 60), TINY))
    assert first['step'] >= 1
    assert second['step'] > first['step']
    assert 60 * run.minutes <= first['notes']['seconds'] < second['notes']['seconds']
    assert logged_steps(run) == list(range(1, second['step'] + 1))


def test_a_finished_run_trains_no_further(run: MaskRCNNTraining):
    first = read_checkpoint(train(run, TINY))
    again = read_checkpoint(train(run, TINY))
    assert again['step'] == first['step']
    for name, value in first['model'].items():
        assert torch.equal(value, again['model'][name])


def test_the_learning_rate_rises_and_falls():
    rates = [maskrcnn_training._rate(step, step / 2000) for step in range(2000)]
    assert rates[0] < 0.01
    assert 0.9 < max(rates) <= 1.0
    assert rates[-1] == pytest.approx(0.01, abs=1e-3)


def test_an_exported_checkpoint_runs_from_its_model_folder(run: MaskRCNNTraining, tmp_path: Path):
    checkpoint = train(run, TINY)
    manifest = export_model(checkpoint, tmp_path / 'models' / 'tiny')
    model = ModelStore([tmp_path / 'models']).find('tiny', task='segmentation')
    assert model.manifest == manifest
    segmenter = MaskRCNNSegmenter.from_model(
        model, SegmentationSettings(score_threshold=0.0, least_pixels=0), 'cpu', 1)
    picture = frame().frame
    detections = segmenter.detect(picture)
    assert segmenter.categories == ('bottle', 'bowl', 'camera', 'can', 'laptop', 'mug')
    for detection in detections:
        assert detection.full_mask(*picture.rgb.shape[:2]).sum() == detection.mask.sum()


def test_another_network_s_checkpoint_is_refused(tmp_path: Path):
    torch.save({'step': 1, 'model': {}, 'average': {'module.x': torch.zeros(1)},
                'notes': {'config': asdict(TINY), 'seconds': 1.0}}, tmp_path / 'other.pt')
    with pytest.raises(ModelError, match='not one of the lite Mask R-CNN'):
        export_model(tmp_path / 'other.pt', tmp_path / 'models' / 'other')


def test_the_average_of_the_weights_is_what_is_exported(run: MaskRCNNTraining, tmp_path: Path):
    checkpoint = train(run, TINY)
    content = read_checkpoint(checkpoint)
    network, _ = maskrcnn_export_network(checkpoint)
    name = 'backbone.stem.0.0.weight'
    exported = network.state_dict()[name].numpy()
    np.testing.assert_array_equal(exported, content['average'][f'module.{name}'].numpy())
    assert not np.array_equal(exported, content['model'][name].numpy())


def maskrcnn_export_network(checkpoint: Path):
    from pose_estimation_ros.training.maskrcnn_export import load_detector
    return load_detector(checkpoint)
