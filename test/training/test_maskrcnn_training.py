"""The detector as a training task, and what is made of its checkpoints."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from pose_estimation_ros.core.errors import InvalidInputError, ModelError
from pose_estimation_ros.runtime.model_store import ModelStore
from pose_estimation_ros.segmentation.mask_rcnn import MaskRCNNSegmenter, SegmentationSettings
from pose_estimation_ros.training.batch_plan import BatchRequest
from pose_estimation_ros.training.checkpoints import read_checkpoint
from pose_estimation_ros.training.detection_error import detection_error
from pose_estimation_ros.training.frame_sources import stored_frames
from pose_estimation_ros.training.loop import LAST, run
from pose_estimation_ros.training.maskrcnn_export import export_model, load_detector
from test.training.test_maskrcnn_data import frame
from test.training.tiny_tasks import TINY_DETECTOR, detector, settings


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """The checkpoint of a few steps."""
    run(detector(), settings(3, 2, average=0.9), tmp_path / 'run')
    return tmp_path / 'run' / LAST


def test_processes_share_the_pictures_of_a_batch():
    def pictures(rank: int, ranks: int) -> torch.Tensor:
        request = BatchRequest(5, 5, 4, rank=rank, ranks=ranks)
        return detector().batch(request)[0]

    halves = torch.cat([pictures(0, 2), pictures(1, 2)])
    assert torch.equal(halves, pictures(0, 1))
    assert not torch.equal(halves[0], halves[1])


def boxes(*found: tuple[float, ...]) -> dict[str, torch.Tensor]:
    return {'boxes': torch.tensor([box[:4] for box in found]).reshape(-1, 4),
            'labels': torch.tensor([int(box[4]) for box in found], dtype=torch.int64),
            'scores': torch.tensor([box[5] for box in found]),
            'ignored_boxes': torch.zeros(0, 4)}


def test_the_detection_error_counts_what_is_missed_and_what_is_wrong():
    true = boxes((0, 0, 10, 10, 1, 1), (20, 0, 30, 10, 2, 1))
    right = (0, 0, 10, 9, 1, 0.9)
    assert detection_error([true], [true]) == 0.0
    assert detection_error([boxes(right)], [true]) == pytest.approx(1 - 2 / 3)
    # A second find of the same object, and one of another label, are wrong.
    assert detection_error([boxes(right, (0, 0, 10, 10, 1, 0.8))], [true]) == 0.5
    assert detection_error([boxes((0, 0, 10, 10, 3, 0.9))], [true]) == 1.0
    # Hesitant detections do not count, nor do those of hardly visible objects.
    hesitant = boxes(right, (50, 50, 60, 60, 1, 0.3))
    assert detection_error([hesitant], [true]) == pytest.approx(1 / 3)
    hidden = {**true, 'ignored_boxes': torch.tensor([[50.0, 50.0, 60.0, 60.0]])}
    assert detection_error([boxes(right, (50, 50, 60, 60, 1, 0.9))],
                           [hidden]) == pytest.approx(1 / 3)


def test_a_folder_without_frames_says_what_to_do(tmp_path: Path):
    with pytest.raises(InvalidInputError, match='pose-estimation dataset frames'):
        stored_frames(str(tmp_path))


def test_an_exported_checkpoint_runs_from_its_model_folder(checkpoint: Path, tmp_path: Path):
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
                'notes': {'config': asdict(TINY_DETECTOR), 'seconds': 1.0}}, tmp_path / 'other.pt')
    with pytest.raises(ModelError, match='not one of the present maskrcnn'):
        export_model(tmp_path / 'other.pt', tmp_path / 'models' / 'other')


def test_the_average_of_the_weights_is_what_is_exported(checkpoint: Path):
    content = read_checkpoint(checkpoint)
    network, _ = load_detector(checkpoint)
    name = 'backbone.stem.0.0.weight'
    exported = network.state_dict()[name].numpy()
    np.testing.assert_array_equal(exported, content['average'][f'module.{name}'].numpy())
    assert not np.array_equal(exported, content['model'][name].numpy())
