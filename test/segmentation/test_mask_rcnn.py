import dataclasses

import numpy as np
import pytest

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.runtime.manifest import ModelManifest
from pose_estimation_ros.segmentation.mask_rcnn import (
    MaskRCNNSegmenter,
    SegmentationSettings,
    mask_iou,
)
from pose_estimation_ros.segmentation.preprocessing import CHANNEL_NAMES

MANIFEST = ModelManifest(
    'stored', 'segmentation', 'maskrcnn', 'lite', {}, ('bottle', 'mug'),
    input={'width': 320, 'height': 240, 'channels': list(CHANNEL_NAMES)},
    parameters={'score_threshold': 0.5, 'labels': {1: 'bottle', 6: 'mug'}})


class StoredNetwork:
    """Answers every picture with the same detections, in the network's input pixels."""

    providers = ('CPUExecutionProvider',)

    def __init__(self, *found, mask=None):
        self.found = found
        self.mask = np.ones((28, 28), np.float32) if mask is None else mask
        self.image = None

    def run(self, inputs):
        self.image = inputs['image']
        boxes, labels, scores = zip(*self.found, strict=True) if self.found else ((), (), ())
        return {'boxes': np.array(boxes, np.float32).reshape(-1, 4),
                'labels': np.array(labels, np.int64), 'scores': np.array(scores, np.float32),
                'masks': np.broadcast_to(self.mask, (len(labels), 28, 28))}


def frame(width=640, height=480, depth=None):
    camera = CameraIntrinsics.pinhole(width, height, 600, 600, width / 2, height / 2)
    return RGBDFrame(0, 'camera', np.zeros((height, width, 3), np.uint8), depth, camera)


def detect(*found, settings=None, picture=None):
    segmenter = MaskRCNNSegmenter(StoredNetwork(*found), MANIFEST,
                                  settings or SegmentationSettings(refinement=None))
    return segmenter.detect(picture or frame())


MUG = ((40, 60, 80, 100), 6, 0.9)
BOTTLE = ((200, 60, 220, 120), 1, 0.8)


def test_boxes_and_masks_come_back_in_the_image_s_pixels():
    (mug,) = detect(MUG)
    assert mug.label == 'mug'
    assert mug.score == pytest.approx(0.9)
    np.testing.assert_allclose(mug.box, (80, 120, 160, 200))
    rows, columns = mug.pixels()
    assert (rows.min(), rows.max() + 1) == pytest.approx((120, 200), abs=2)
    assert (columns.min(), columns.max() + 1) == pytest.approx((80, 160), abs=2)


def test_a_wide_image_is_scaled_by_its_own_factor():
    (mug,) = detect(MUG, picture=frame(1280, 720))
    np.testing.assert_allclose(mug.box, (160, 240, 320, 400))


def test_the_best_score_comes_first_and_low_scores_are_dropped():
    found = detect(BOTTLE, MUG, ((10, 10, 40, 40), 6, 0.3))
    assert [d.label for d in found] == ['mug', 'bottle']


def test_the_threshold_of_the_settings_overrules_the_model_s():
    assert detect(MUG, settings=SegmentationSettings(score_threshold=0.95)) == []


def test_at_most_the_asked_number_is_returned():
    found = detect(MUG, BOTTLE, settings=SegmentationSettings(max_detections=1, refinement=None))
    assert [d.label for d in found] == ['mug']


def test_one_object_found_as_two_categories_is_reported_once():
    (only,) = detect(MUG, ((41, 61, 80, 100), 1, 0.7))
    assert only.label == 'mug'


def test_classes_that_are_not_ours_are_dropped():
    assert detect(((40, 60, 80, 100), 3, 0.99)) == []


def test_nothing_found_gives_an_empty_list():
    assert detect() == []


def test_tiny_masks_are_dropped():
    assert detect(((40, 60, 43, 63), 6, 0.9)) == []


def test_boxes_beyond_the_image_are_cut_to_it():
    (mug,) = detect(((-20, 200, 40, 280), 6, 0.9))
    np.testing.assert_allclose(mug.box, (0, 400, 80, 480))
    assert mug.full_mask(480, 640).sum() == mug.mask.sum()


def test_the_mask_of_a_box_beyond_the_image_is_cut_not_squeezed():
    left_half = np.zeros((28, 28), np.float32)
    left_half[:, :14] = 1.0
    segmenter = MaskRCNNSegmenter(StoredNetwork(((280, 60, 360, 120), 6, 0.9), mask=left_half),
                                  MANIFEST, SegmentationSettings(refinement=None))
    (mug,) = segmenter.detect(frame())
    np.testing.assert_allclose(mug.box, (560, 120, 640, 240))
    # The object fills 560 to 640 of a box that reaches from 560 to 720.
    columns = mug.pixels()[1]
    assert (columns.min(), columns.max() + 1) == pytest.approx((560, 640), abs=2)
    assert np.count_nonzero(mug.mask) == pytest.approx(80 * 120, rel=0.05)


def test_boxes_outside_the_image_are_dropped():
    assert detect(((321, 60, 360, 100), 6, 0.9), ((-40, 60, 0, 100), 6, 0.8)) == []


def test_masks_are_refined_with_the_depth_of_their_own_window():
    depth = np.full((480, 640), 2.0, np.float32)
    depth[126:194, 86:154] = 0.8
    (mug,) = detect(MUG, picture=frame(depth=depth), settings=SegmentationSettings())
    truth = np.zeros((480, 640), bool)
    truth[126:194, 86:154] = True
    found = mug.full_mask(480, 640)
    assert (found & truth).sum() / (found | truth).sum() > 0.97


def test_a_colour_only_model_gets_three_channels():
    manifest = ModelManifest(
        'colour', 'segmentation', 'maskrcnn', 'full', {}, ('mug',),
        input={'width': 64, 'height': 48, 'channels': ['red', 'green', 'blue'],
               'mean': [0.5, 0.5, 0.5], 'deviation': [0.25, 0.25, 0.25]},
        parameters={'labels': {47: 'mug'}})
    network = StoredNetwork()
    segmenter = MaskRCNNSegmenter(network, manifest, SegmentationSettings())
    segmenter.detect(frame())
    assert network.image.shape == (1, 3, 48, 64)
    np.testing.assert_allclose(network.image, -2.0)
    assert segmenter.categories == ('mug',)
    assert not segmenter.needs_depth


def test_a_model_of_colour_alone_finds_objects_in_frames_without_depth():
    manifest = dataclasses.replace(MANIFEST, input={
        **MANIFEST.input, 'channels': ['red', 'green', 'blue']})
    segmenter = MaskRCNNSegmenter(StoredNetwork(MUG), manifest, SegmentationSettings())
    (mug,) = segmenter.detect(frame())
    np.testing.assert_allclose(mug.box, (80, 120, 160, 200), atol=1)
    assert np.count_nonzero(mug.mask) > 3000


def test_a_model_that_sees_depth_or_asks_a_classifier_needs_it():
    colour = dataclasses.replace(MANIFEST, input={
        **MANIFEST.input, 'channels': ['red', 'green', 'blue']})
    for manifest, opinion, needed in ((MANIFEST, None, True), (colour, None, False),
                                      (colour, Opinion({}), True)):
        assert MaskRCNNSegmenter(StoredNetwork(), manifest, SegmentationSettings(),
                                 opinion).needs_depth == needed


@pytest.mark.parametrize(('entry', 'value', 'complaint'), [
    ('input', {'width': 64}, 'input.height'),
    ('input', {'width': 64, 'height': 48, 'channels': ['thermal']}, 'thermal'),
    ('parameters', {}, 'parameters.labels'),
])
def test_a_manifest_that_does_not_say_enough_is_refused(entry, value, complaint):
    from dataclasses import replace
    with pytest.raises(ModelError, match=complaint):
        MaskRCNNSegmenter(StoredNetwork(), replace(MANIFEST, **{entry: value}),
                          SegmentationSettings())


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigurationError, match=r'score_threshold is 1\.5'):
        SegmentationSettings(score_threshold=1.5)
    with pytest.raises(ConfigurationError, match='max_detections is 0'):
        SegmentationSettings(max_detections=0)


def square(offset, side=10):
    box = np.array([*offset, offset[0] + side, offset[1] + side], float)
    return Detection('mug', 1.0, box, np.ones((side, side), bool), offset)


@pytest.mark.parametrize(('offset', 'expected'), [
    ((0, 0), 1.0), ((5, 0), 1 / 3), ((20, 0), 0.0), ((10, 10), 0.0)])
def test_mask_iou_of_squares(offset, expected):
    assert mask_iou(square((0, 0)), square(offset)) == pytest.approx(expected)


class Opinion:
    """A classifier that always says the same."""

    def __init__(self, probability):
        self.probability = probability
        self.evidence = None

    def probabilities(self, frame, detections, evidence):
        self.evidence = list(evidence)
        return [self.probability] * len(detections)


def judged(opinion, *found, picture=None):
    manifest = dataclasses.replace(MANIFEST, parameters={
        **MANIFEST.parameters, 'detector_threshold': 0.7, 'candidate_threshold': 0.1})
    segmenter = MaskRCNNSegmenter(StoredNetwork(*found), manifest,
                                  SegmentationSettings(refinement=None), opinion)
    return segmenter.detect(picture or frame(depth=np.ones((480, 640), np.float32)))


UNCERTAIN = ((40, 60, 80, 100), 6, 0.2)


def test_a_classifier_decides_on_label_and_score_of_uncertain_candidates():
    (found,) = judged(Opinion({'bottle': 0.8, 'mug': 0.1}), UNCERTAIN)

    assert (found.label, found.score) == ('bottle', 0.8)


def test_what_the_classifier_takes_for_nothing_is_dropped_however_sure_the_detector_is():
    assert judged(Opinion({'bottle': 0.1, 'mug': 0.2}), MUG) == []


def test_the_classifier_hears_every_label_that_the_detector_gave_a_place():
    opinion = Opinion({'bottle': 0.9})

    judged(opinion, MUG, ((40, 60, 80, 100), 1, 0.4))

    assert opinion.evidence == [{'bottle': pytest.approx(0.4)}]


def test_without_depth_or_points_the_detector_s_word_stands_at_its_own_threshold():
    colour_only = judged(Opinion({'bottle': 0.9}), MUG, UNCERTAIN, picture=frame())
    without_points = judged(Opinion(None), MUG, ((90, 60, 130, 100), 6, 0.6))

    assert [(d.label, round(d.score, 3)) for d in colour_only] == [('mug', 0.9)]
    assert [d.label for d in without_points] == ['mug']


def test_what_a_surer_detection_covers_is_taken_for_a_part_of_it():
    class BySize:
        def probabilities(self, frame, detections, evidence):
            areas = [np.count_nonzero(d.mask) for d in detections]
            return [{'mug': 0.9 if area == max(areas) else 0.6} for area in areas]

    handle, beside = ((60, 60, 80, 80), 6, 0.3), ((100, 60, 120, 80), 6, 0.3)

    found = judged(BySize(), UNCERTAIN, handle, beside)

    assert [d.score for d in found] == [0.9, 0.6]
    np.testing.assert_allclose(found[1].box, (200, 120, 240, 160))


def test_a_threshold_can_change_and_what_misses_it_is_named():
    segmenter = MaskRCNNSegmenter(StoredNetwork(((40, 60, 80, 100), 6, 0.31)), MANIFEST,
                                  SegmentationSettings(refinement=None))
    assert segmenter.detect(frame()) == []
    assert segmenter.best_candidate().startswith(
        'the best candidate, mug, has score 0.31, less than 0.50; lower segmentation.min_score')
    segmenter.retune(min_score=0.3, max_objects=5)
    assert len(segmenter.detect(frame())) == 1
    assert segmenter.best_candidate() == ''
    segmenter.retune(min_score=None, max_objects=5)
    assert segmenter.detect(frame()) == []
