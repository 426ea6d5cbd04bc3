from pathlib import Path

import numpy as np
import pytest
import torch

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.runtime.model_store import ModelStore
from pose_estimation_ros.segmentation.mask_rcnn import MaskRCNNSegmenter, SegmentationSettings
from pose_estimation_ros.segmentation.preprocessing import InputSize
from pose_estimation_ros.training.maskrcnn_import import (
    coco_network,
    import_coco_weights,
    load_coco_weights,
)

CUP, LAPTOP, DOG = 47, 73, 18


@pytest.fixture(scope='module')
def weights() -> dict[str, torch.Tensor]:
    """Random weights of the published shape that see a cup, a laptop or a dog everywhere."""
    torch.manual_seed(0)
    state = coco_network().state_dict()
    for number in (CUP, LAPTOP, DOG):
        state['roi_heads.box_predictor.cls_score.bias'][number] = 6.0
    return state


def saved(state: object, folder: Path) -> Path:
    torch.save(state, folder / 'weights.pth')
    return folder / 'weights.pth'


def test_coco_weights_become_a_model_with_our_labels(weights, tmp_path: Path):
    folder = tmp_path / 'models' / 'coco'
    import_coco_weights(saved(weights, tmp_path), folder, InputSize(128, 96))
    model = ModelStore([tmp_path / 'models']).find('coco', task='segmentation')
    segmenter = MaskRCNNSegmenter.from_model(
        model, SegmentationSettings(score_threshold=0.2, duplicate_iou=1.0, refinement=None),
        'cpu', 1)
    rgb = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    camera = CameraIntrinsics.pinhole(320, 240, 300, 300, 160, 120)
    detections = segmenter.detect(RGBDFrame(0, 'camera', rgb, None, camera))
    assert {d.label for d in detections} <= {'mug', 'laptop'}
    assert len(detections) > 0
    assert set(segmenter.categories) == {'bottle', 'bowl', 'laptop', 'mug'}


def test_weights_under_their_old_names_fit_as_well(weights, tmp_path: Path):
    # The published file was written before torchvision put these layers into blocks.
    renamed = {'rpn.head.conv.0.0.': 'rpn.head.conv.',
               'roi_heads.mask_head.0.0.': 'roi_heads.mask_head.mask_fcn1.',
               'roi_heads.mask_head.1.0.': 'roi_heads.mask_head.mask_fcn2.',
               'roi_heads.mask_head.2.0.': 'roi_heads.mask_head.mask_fcn3.',
               'roi_heads.mask_head.3.0.': 'roi_heads.mask_head.mask_fcn4.',
               **{f'backbone.fpn.{part}.{k}.0.': f'backbone.fpn.{part}.{k}.'
                  for part in ('inner_blocks', 'layer_blocks') for k in range(4)}}
    old = {}
    for name, value in weights.items():
        prefix = next((p for p in renamed if name.startswith(p)), None)
        old[name if prefix is None else renamed[prefix] + name[len(prefix):]] = value
    assert old.keys() != weights.keys()
    network = load_coco_weights(saved(old, tmp_path))
    for name, value in network.state_dict().items():
        assert torch.equal(value, weights[name])


@pytest.mark.parametrize(('change', 'complaint'), [
    ({'roi_heads.box_predictor.cls_score.bias': torch.zeros(7)},
     'of another shape.*cls_score.bias'),
    ({'backbone.body.conv1.weight': None}, 'missing, the first is backbone.body.conv1.weight'),
    ({'extra': torch.zeros(1)}, 'unknown, the first is extra'),
])
def test_weights_of_another_network_are_refused_by_name(weights, tmp_path, change, complaint):
    state = {name: value for name, value in {**weights, **change}.items() if value is not None}
    with pytest.raises(ModelError, match=complaint):
        load_coco_weights(saved(state, tmp_path))


def test_a_file_that_is_no_weights_file_is_refused(tmp_path: Path):
    (tmp_path / 'weights.pth').write_bytes(b'<html>not found</html>')
    with pytest.raises(ModelError, match='cannot be read'):
        load_coco_weights(tmp_path / 'weights.pth')


def test_a_file_that_would_run_code_is_refused(tmp_path: Path):
    with pytest.raises(ModelError, match='cannot be read'):
        load_coco_weights(saved({'model': Path('x').exists}, tmp_path))


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(ModelError, match='there is no file'):
        load_coco_weights(tmp_path / 'nothing.pth')
