"""The detector of known objects: their names as classes, colours only, warm start."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pose_estimation_ros.core.categories import Category
from pose_estimation_ros.core.symmetry import NO_SYMMETRY
from pose_estimation_ros.networks.mask_rcnn import MaskRCNN
from pose_estimation_ros.runtime.model_store import ModelStore
from pose_estimation_ros.segmentation.mask_rcnn import MaskRCNNSegmenter, SegmentationSettings
from pose_estimation_ros.segmentation.preprocessing import COLOR_CHANNELS, InputSize
from pose_estimation_ros.training.batch_plan import PassOrder
from pose_estimation_ros.training.loop import LAST, run
from pose_estimation_ros.training.maskrcnn_augmentation import OWN_COLORS, augment_color
from pose_estimation_ros.training.maskrcnn_data import (
    COLORS_OF_KNOWN_OBJECTS,
    training_sample,
    whole_sample,
)
from pose_estimation_ros.training.maskrcnn_export import export_model
from pose_estimation_ros.training.maskrcnn_training import MaskRCNNTask
from pose_estimation_ros.training.maskrcnn_warm_start import begun_weights
from pose_estimation_ros.training.sources import StoredSamples
from test.training.test_maskrcnn_data import frame
from test.training.tiny_tasks import TINY_DETECTOR, detector, settings

SIZE = InputSize(80, 60)
NAMES = ('mug', 'obj_000001', 'bottle')
CLASSES = tuple(Category(name, NO_SYMMETRY) for name in NAMES)
CONFIG = replace(TINY_DETECTOR, input_channels=3, num_classes=4)


def known_detector() -> MaskRCNNTask:
    """The detector of three known objects, on one picture."""
    source = StoredSamples(lambda items: [frame() for _ in items], PassOrder(4))
    return MaskRCNNTask([source], [frame()], CONFIG, SIZE, CLASSES, COLORS_OF_KNOWN_OBJECTS)


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a detector of the six categories that sees depth."""
    folder = tmp_path_factory.mktemp('trained')
    run(detector(), settings(2, 2, average=0.9), folder)
    return folder / LAST


def test_inputs_are_the_three_colours_of_the_eight_channels():
    whole, target = whole_sample(frame(), SIZE, NAMES, COLORS_OF_KNOWN_OBJECTS)
    assert torch.equal(whole, whole_sample(frame(), SIZE)[0][:3])
    assert target['labels'].tolist() == [3, 1]
    augmented, _ = training_sample(frame(), SIZE, np.random.default_rng(0), NAMES,
                                   COLORS_OF_KNOWN_OBJECTS)
    assert augmented.shape == (len(COLOR_CHANNELS), 60, 80)


def test_known_objects_keep_their_hues_in_most_pictures():
    picture = frame()
    generator = np.random.default_rng(0)
    changed = [augment_color(picture.frame.rgb, picture.instance_map, generator, OWN_COLORS)
               for _ in range(40)]
    bottle = picture.instance_map == 1
    reddest = [image[bottle].mean(axis=0).argmax() == 0 for image in changed]
    assert np.mean(reddest) > 0.8


def test_new_classes_begin_as_the_mean_of_the_known_and_shared_ones_stay():
    torch.manual_seed(0)
    old = MaskRCNN(TINY_DETECTOR).state_dict()
    fresh = MaskRCNN(CONFIG).state_dict()
    known = tuple(Category(name, NO_SYMMETRY)
                  for name in ('bottle', 'bowl', 'camera', 'can', 'laptop', 'mug'))
    begun = begun_weights(old, known, fresh, NAMES)
    assert {name: value.shape for name, value in begun.items()} == {
        name: value.shape for name, value in fresh.items()}
    score = old['heads.box_predictor.cls_score.weight']
    torch.testing.assert_close(begun['heads.box_predictor.cls_score.weight'],
                               torch.stack([score[0], score[6], score[1:].mean(0), score[1]]))
    boxes = old['heads.box_predictor.bbox_pred.bias'].view(7, 4)
    torch.testing.assert_close(begun['heads.box_predictor.bbox_pred.bias'].view(4, 4)[2],
                               boxes[1:].mean(0))
    name = 'backbone.stem.0.0.weight'
    torch.testing.assert_close(begun[name], old[name][:, :3])


def test_it_begins_with_a_detector_of_categories_and_runs_without_depth(trained: Path,
                                                                      tmp_path: Path):
    state = run(known_detector(), replace(settings(1, 2, average=0.9), start_from=trained),
                tmp_path / 'run')
    assert state.step == 1
    manifest = export_model(tmp_path / 'run' / LAST, tmp_path / 'models' / 'tiny')
    assert manifest.categories == NAMES
    assert list(manifest.files) == ['network']
    assert manifest.input['channels'] == list(COLOR_CHANNELS)
    segmenter = MaskRCNNSegmenter.from_model(
        ModelStore([tmp_path / 'models']).find('tiny', task='segmentation'),
        SegmentationSettings(score_threshold=0.0, least_pixels=0), 'cpu', 1)
    picture = frame().frame
    with_depth = segmenter.detect(picture)
    without = segmenter.detect(replace(picture, depth=None))
    assert segmenter.categories == NAMES
    assert [found.score for found in without] == [found.score for found in with_depth]


def test_the_exported_network_sees_what_the_trained_one_saw(tmp_path: Path):
    run(known_detector(), settings(1, 2, average=0.9), tmp_path / 'run')
    manifest = export_model(tmp_path / 'run' / LAST, tmp_path / 'models' / 'tiny', size=SIZE)
    seen, _ = whole_sample(frame(), SIZE, NAMES, COLORS_OF_KNOWN_OBJECTS)
    segmenter = MaskRCNNSegmenter.from_model(
        ModelStore([tmp_path / 'models']).find('tiny', task='segmentation'), None, 'cpu', 1)
    given = segmenter._input.tensor(replace(frame().frame, depth=None))
    np.testing.assert_allclose(given[0], seen.numpy(), atol=1e-5)
    assert manifest.input['deviation'] == [0.25] * 3
