from dataclasses import replace

import cv2
import numpy as np
import pytest

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose, Rejection
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.core.symmetry import NO_SYMMETRY
from pose_estimation_ros.pipeline import (
    FallbackOptions,
    Pipeline,
    PipelineOptions,
    SegmenterOptions,
    Selection,
    TrackerOptions,
    check_depth,
    create_pipeline,
)
from pose_estimation_ros.tracking.identity import IdentityTracker

CAMERA = CameraIntrinsics.pinhole(16, 12, 20.0, 20.0, 7.5, 5.5)


def frame(stamp_ns=0, depth=0.5, camera=CAMERA):
    image = np.zeros((camera.height, camera.width, 3), np.uint8)
    metres = None if depth is None else np.full(image.shape[:2], depth, np.float32)
    return RGBDFrame(stamp_ns, 'camera', image, metres, camera)


def detection(label, score, x=0):
    return Detection(label, score, np.array([x, 0, x + 2, 2]), np.ones((2, 2), bool), (x, 0))


class Found:
    """A segmenter that has found what it was given, and remembers what it saw."""

    providers = ('none',)
    needs_depth = False
    categories = ('mug', 'bowl', 'can', 'laptop')

    def __init__(self, *detections):
        self.detections = list(detections)
        self.seen = []
        self.closed = False

    def detect(self, seen):
        self.seen.append(seen)
        return self.detections

    def close(self):
        self.closed = True


class Poses:
    """A backend that puts every object at its box and refuses those called 'bowl'."""

    name = 'poses'
    needs = frozenset({'depth', 'detections'})
    categories = ('mug', 'bowl', 'can')

    def __init__(self):
        self.closed = False
        self.seen = []

    def estimate(self, seen, detections):
        self.seen.append(seen)
        return [Rejection(d, 'too round') if d.label == 'bowl' else
                ObjectPose(d.label, d.score, make_transform(np.eye(3), [d.box[0], 0, 1]),
                           np.ones(3), NO_SYMMETRY, self.name, detection=d) for d in detections]

    def describe(self):
        return {'model': 'none'}

    def close(self):
        self.closed = True


def test_poses_come_in_the_order_of_the_scores_with_reasons_for_the_rest():
    segmenter = Found(detection('can', 0.6), detection('bowl', 0.7), detection('mug', 0.9),
                      detection('laptop', 0.8))
    result = Pipeline(segmenter, Poses(), IdentityTracker()).process(frame())
    assert [d.label for d in result.detections] == ['mug', 'bowl', 'can']
    assert [p.label for p in result.poses] == ['mug', 'can']
    assert [p.track_id for p in result.poses] == [1, 2]
    assert result.dropped == ('laptop: not among the wanted labels mug, bowl, can',
                              'bowl: too round')
    assert set(result.timings) == {'undistort', 'segmentation', 'pose', 'tracking'}
    assert all(seconds >= 0 for seconds in result.timings.values())


def test_the_selection_says_which_labels_and_scores_are_wanted():
    segmenter = Found(detection('can', 0.6), detection('mug', 0.9), detection('can', 0.95))
    pipeline = Pipeline(segmenter, Poses(), None, Selection(('can',), min_pose_score=0.7))
    result = pipeline.process(frame())
    assert [(p.label, p.score, p.track_id) for p in result.poses] == [('can', 0.95, -1)]
    assert result.dropped == ('mug: not among the wanted labels can',
                              'can: pose score 0.60 is under 0.70')


def test_nothing_found_is_an_empty_result():
    result = Pipeline(Found(), Poses(), IdentityTracker()).process(frame())
    assert result.detections == result.poses == result.dropped == ()


def test_a_track_that_ends_is_named_in_the_result():
    segmenter = Found(detection('mug', 0.9))
    pipeline = Pipeline(segmenter, Poses(), IdentityTracker())
    pipeline.process(frame(0))
    segmenter.detections = []
    (lost,) = pipeline.process(frame(5_000_000_000)).lost
    assert (lost.label, lost.track_id) == ('mug', 1)


def test_a_distorted_frame_is_straightened_and_depth_is_not_interpolated():
    K = np.array([[120.0, 0, 79.5], [0, 120.0, 59.5], [0, 0, 1]])
    camera = CameraIntrinsics(160, 120, K, D=np.array([-0.3, 0.1, 0.001, -0.002, 0.0]))
    xy = np.array([[0.4, 0.3], [-0.45, 0.2], [0.1, -0.35]])
    bent = camera.distort(xy) * 120.0 + (79.5, 59.5)
    rgb = np.zeros((120, 160, 3), np.uint8)
    depth = np.full((120, 160), 1.0, np.float32)
    for u, v in bent:
        cv2.circle(rgb, (round(u), round(v)), 2, (255, 255, 255), -1)
        cv2.circle(depth, (round(u), round(v)), 3, 0.5, -1)
    segmenter = Found()
    result = Pipeline(segmenter, Poses(), None).process(RGBDFrame(0, 'c', rgb, depth, camera))
    straight = result.frame
    assert segmenter.seen[0] is straight
    assert not straight.intrinsics.is_distorted
    for u, v in np.rint(xy * 120.0 + (79.5, 59.5)).astype(int):
        assert straight.rgb[v, u, 0] > 150
        assert straight.depth[v, u] == 0.5
    known = straight.depth[np.isfinite(straight.depth)]
    assert set(np.unique(known)) == {np.float32(0.5), np.float32(1.0)}


def test_pixels_that_the_lens_did_not_see_are_unknown():
    K = np.array([[120.0, 0, 79.5], [0, 120.0, 59.5], [0, 0, 1]])
    # A pincushion lens has seen less than its pinhole camera would.
    camera = CameraIntrinsics(160, 120, K, D=np.array([0.4, 0.0, 0.0, 0.0, 0.0]))
    straight = Pipeline(Found(), Poses(), None).process(frame(camera=camera)).frame
    assert np.isnan(straight.depth[0, 0])
    assert straight.depth[60, 80] == 0.5


@pytest.mark.parametrize(('depth', 'reason'), [
    (None, 'there is no depth image but one is needed by the backend'),
    (np.nan, 'all zero or NaN'),
    (0.0, 'all zero or NaN'),
    (500.0, 'median depth is 500 m.*32FC1 metres'),
    (0.0005, 'median depth is 0.0005 m.*16UC1 must hold millimetres'),
])
def test_depth_that_cannot_be_right_is_refused_with_the_cure(depth, reason):
    with pytest.raises(InvalidInputError, match=reason):
        Pipeline(Found(), Poses(), None).process(frame(depth=depth))


@pytest.mark.parametrize('needs', ['depth', 'depth_if_any'])
def test_depth_that_no_camera_measures_is_unknown(needs):
    backend = Poses()
    backend.needs = frozenset({needs, 'detections'})
    absurd = [1e9, 3e38, 100.1, -1.0, 0.009, 1e-30]
    seen = frame()
    plausible = seen.depth.copy()
    plausible[0, :3] = (0.011, 99.9, np.nan)
    depth = plausible.copy()
    depth[1, :len(absurd)] = absurd
    result = Pipeline(Found(), backend, None).process(replace(seen, depth=depth))
    expected = plausible.copy()
    expected[1, :len(absurd)] = np.nan
    np.testing.assert_array_equal(result.frame.depth, expected)
    assert depth[1, 0] == np.float32(1e9)


def test_one_known_pixel_is_found_wherever_it_is():
    depth = np.full((480, 640), np.nan, np.float32)
    depth[101, 203] = 0.8
    check_depth(depth)


def test_a_colour_only_backend_needs_neither_depth_nor_segmenter():
    class ColourOnly(Poses):
        needs = frozenset()

        def estimate(self, seen, detections):
            return super().estimate(seen, [detection('mug', 0.5)])

    result = Pipeline(None, ColourOnly(), None).process(frame(depth=None))
    assert [p.label for p in result.poses] == ['mug']


class Finder(Poses):
    """A backend that finds its objects itself, and looks at depth where there is one."""

    needs = frozenset({'depth_if_any'})

    def estimate(self, seen, detections):
        assert not detections
        return super().estimate(seen, [detection('can', 0.6), detection('mug', 0.9, x=3),
                                       detection('bowl', 0.8), detection('can', 0.7)])


def test_a_backend_that_finds_objects_itself_gives_the_detections_too():
    result = Pipeline(None, Finder(), IdentityTracker()).process(frame())
    assert [(p.label, p.score, p.track_id) for p in result.poses] == [
        ('mug', 0.9, 1), ('can', 0.7, 2), ('can', 0.6, 3)]
    assert [(d.label, d.score) for d in result.detections] == [
        ('mug', 0.9), ('can', 0.7), ('can', 0.6)]
    assert result.dropped == ('bowl: too round',)


def test_what_a_backend_finds_itself_is_selected_as_detections_are():
    pipeline = Pipeline(None, Finder(), None, Selection(('can',), max_objects=1))
    result = pipeline.process(frame())
    assert [d.score for d in result.detections] == [p.score for p in result.poses] == [0.7]
    assert result.dropped == ('bowl: too round', 'mug: not among the wanted labels can',
                              'can: 2 objects are more than max_objects 1')


def test_depth_that_may_be_used_is_used_if_something_of_it_is_known():
    backend = Finder()
    pipeline = Pipeline(None, backend, None)
    assert pipeline.depth_use == 'if_any'
    for depth, is_there in ((None, False), (np.nan, False), (0.0, False), (0.5, True)):
        pipeline.process(frame(depth=depth))
        assert (backend.seen[-1].depth is not None) == is_there
    with pytest.raises(InvalidInputError, match='unit does not fit'):
        pipeline.process(frame(depth=500.0))


def test_a_backend_is_told_which_labels_are_wanted(monkeypatch):
    given = []

    def create(_, options):
        given.append(options)
        return Finder()

    monkeypatch.setattr('pose_estimation_ros.pipeline.create_backend', create)
    pipeline = create_pipeline(PipelineOptions(selection=Selection(('mug',))))
    assert given[0].labels == ('mug',)
    assert pipeline.segmenter is None


def test_a_segmenter_may_need_depth_where_the_backend_does_not():
    class ColourPoses(Poses):
        needs = frozenset({'detections'})

    by_colour, by_depth = Found(detection('mug', 0.5)), Found()
    by_depth.needs_depth = True
    assert Pipeline(by_colour, ColourPoses(), None).depth_use == 'none'
    assert Pipeline(by_colour, Poses(), None).depth_use == 'needed'
    assert [p.label for p in Pipeline(by_colour, ColourPoses(), None).process(
        frame(depth=None)).poses] == ['mug']
    with pytest.raises(InvalidInputError, match='one is needed by the segmentation model; give'):
        Pipeline(by_depth, ColourPoses(), None).process(frame(depth=None))


def test_a_segmenter_that_finds_nothing_the_backend_knows_is_refused(monkeypatch):
    backend, segmenter = Poses(), Found()
    segmenter.categories = ('drill', 'duck')
    monkeypatch.setattr('pose_estimation_ros.pipeline.create_backend', lambda *_: backend)
    monkeypatch.setattr('pose_estimation_ros.pipeline.create_segmenter', lambda *_: segmenter)
    with pytest.raises(ConfigurationError, match='finds drill, duck, .* knows mug, bowl, can'):
        create_pipeline(PipelineOptions())
    assert backend.closed
    assert segmenter.closed


def test_labels_that_only_one_of_both_models_knows_are_told():
    segmenter = Found()
    segmenter.categories = ('mug', 'drill', 'duck')
    gaps = {'found without a pose': 'drill, duck', 'never found': 'bowl, can'}
    pipeline = Pipeline(segmenter, Poses(), None)
    assert pipeline.label_gaps() == gaps
    assert gaps.items() <= pipeline.describe().items()
    assert Pipeline(None, Poses(), None).label_gaps() == {}


def test_closing_frees_all_stages():
    segmenter, backend = Found(), Poses()
    Pipeline(segmenter, backend, None).close()
    assert segmenter.closed
    assert backend.closed


def test_an_unknown_backend_is_refused_with_the_known_names():
    with pytest.raises(ConfigurationError, match=r"unknown backend 'bogus'; known are .*spd"):
        create_pipeline(PipelineOptions(backend='bogus'))


def test_an_unknown_label_is_refused_with_the_known_ones(monkeypatch):
    backend = Poses()
    monkeypatch.setattr('pose_estimation_ros.pipeline.create_backend', lambda *_: backend)
    with pytest.raises(ConfigurationError, match=r"unknown label 'cup'.*mug, bowl, can"):
        create_pipeline(PipelineOptions(selection=Selection(('mug', 'cup'))))
    assert backend.closed


def test_a_backend_whose_segmenter_cannot_be_had_is_closed(monkeypatch):
    backend = Poses()
    monkeypatch.setattr('pose_estimation_ros.pipeline.create_backend', lambda *_: backend)
    with pytest.raises(ConfigurationError, match="unknown segmenter 'bogus'"):
        create_pipeline(PipelineOptions(segmenter='bogus'))
    assert backend.closed


def test_more_objects_than_wanted_are_dropped_with_the_reason():
    segmenter = Found(detection('mug', 0.5), detection('can', 0.9), detection('mug', 0.7))
    result = Pipeline(segmenter, Poses(), None, Selection(max_objects=2)).process(frame())
    assert [found.score for found in result.detections] == [0.9, 0.7]
    assert len(result.poses) == 2
    assert result.dropped == ('mug: 3 objects are more than max_objects 2',)


class Wall:
    """A backend that puts a plate on a wall half a metre away, and one a hand's breadth before."""

    name = 'wall'
    needs = frozenset({'depth', 'detections'})
    categories = ('mug', 'can')

    def __init__(self):
        grid = np.stack(np.meshgrid(np.linspace(-0.1, 0.1, 12), np.linspace(-0.1, 0.1, 12)), -1)
        self._points = np.c_[grid.reshape(-1, 2), np.zeros(144)].astype(np.float32)

    def estimate(self, seen, detections):
        return [ObjectPose(d.label, d.score,
                           make_transform(np.eye(3), [0, 0, 0.5 if d.label == 'mug' else 0.4]),
                           np.array([0.2, 0.2, 0.02]), NO_SYMMETRY, self.name, detection=d,
                           points=self._points) for d in detections]

    def describe(self):
        return {}

    def close(self):
        pass


def whole_image(label, score):
    return Detection(label, score, np.array([0, 0, 16, 12]), np.ones((12, 16), bool))


def test_poses_say_how_far_they_agree_with_the_depth_image():
    segmenter = Found(whole_image('mug', 0.9), whole_image('can', 0.8))
    mug, can = Pipeline(segmenter, Wall(), None).process(frame()).poses
    assert mug.agreement == 1.0
    assert can.agreement == 0.0


def test_a_pose_that_hardly_agrees_with_the_depth_image_is_withheld_with_the_reason():
    segmenter = Found(whole_image('mug', 0.9), whole_image('can', 0.8))
    result = Pipeline(segmenter, Wall(), None, Selection(min_agreement=0.5)).process(frame())
    assert [pose.label for pose in result.poses] == ['mug']
    assert result.dropped == (('can: only 0% of its surface agrees with the depth image, under '
                              'check.min_agreement 50%'),)


def test_a_pose_that_cannot_be_compared_is_not_withheld():
    pipeline = Pipeline(Found(detection('mug', 0.9)), Poses(), None, Selection(min_agreement=0.5))
    pose, = pipeline.process(frame()).poses
    assert np.isnan(pose.agreement)


class ColourPoses(Poses):
    name = 'colour'
    needs = frozenset({'detections'})


def with_fallback(segmenter, fallback_segmenter=None):
    fallback = Pipeline(fallback_segmenter or segmenter, ColourPoses(), None)
    return Pipeline(segmenter, Poses(), IdentityTracker(), fallback=fallback)


@pytest.mark.parametrize(('depth', 'why'), [
    (None, 'no depth image arrives'), (0.0, 'the depth image is all zero or NaN'),
    (np.nan, 'the depth image is all zero or NaN')])
def test_without_depth_the_fallback_goes_on_and_says_why_until_depth_is_back(depth, why):
    pipeline = with_fallback(Found(detection('mug', 0.9)))
    assert pipeline.depth_use == 'preferred'
    first = pipeline.process(frame(0))
    lost = pipeline.process(frame(100_000_000, depth))
    back = pipeline.process(frame(200_000_000))
    assert [r.poses[0].source for r in (first, lost, back)] == ['poses', 'colour', 'poses']
    assert (first.fallback, back.fallback) == ('', '')
    assert lost.fallback == f'{why}: poses come from colour alone, by fallback.backend colour'
    # The object is the same all the while.
    assert len({r.poses[0].track_id for r in (first, lost, back)}) == 1


def test_depth_of_a_wrong_unit_is_a_fault_and_not_lost():
    pipeline = with_fallback(Found(detection('mug', 0.9)))
    with pytest.raises(InvalidInputError, match='unit does not fit'):
        pipeline.process(frame(depth=500.0))


def test_the_fallback_finds_objects_with_a_segmenter_of_its_own():
    pipeline = with_fallback(Found(detection('mug', 0.9)), Found(detection('can', 0.8)))
    assert pipeline.process(frame(depth=None)).poses[0].label == 'can'


def test_a_segmenter_that_both_share_is_closed_once():
    class Once(Found):
        def close(self):
            assert not self.closed
            super().close()

    shared, own = Once(), Once()
    for pipeline in (with_fallback(shared), with_fallback(Once(), own)):
        pipeline.close()
    assert shared.closed
    assert own.closed


def test_a_fallback_that_needs_depth_is_refused(monkeypatch):
    created = []

    def create(_name, _options):
        created.append(Poses())
        return created[-1]

    monkeypatch.setattr('pose_estimation_ros.pipeline.create_backend', create)
    segmenter = Found()
    monkeypatch.setattr('pose_estimation_ros.pipeline.create_segmenter',
                        lambda _name, _options: segmenter)
    with pytest.raises(ConfigurationError, match='fallback.backend spd needs depth itself'):
        create_pipeline(PipelineOptions(fallback=FallbackOptions('spd')))
    assert all(backend.closed for backend in created)
    assert segmenter.closed


def test_the_fallback_shares_the_segmenter_unless_that_needs_depth(monkeypatch):
    monkeypatch.setattr('pose_estimation_ros.pipeline.create_backend',
                        lambda name, _options: Poses() if name == 'spd' else ColourPoses())
    created = []

    def create(_name, options):
        created.append(Found())
        created[-1].needs_depth = options.model == 'by depth'
        return created[-1]

    monkeypatch.setattr('pose_estimation_ros.pipeline.create_segmenter', create)
    for options, count in (
            (PipelineOptions(fallback=FallbackOptions('mrc')), 1),
            (PipelineOptions(fallback=FallbackOptions('mrc', segmenter_model='own')), 2),
            (PipelineOptions(segmenter_options=SegmenterOptions('by depth'),
                             fallback=FallbackOptions('mrc')), 2)):
        created.clear()
        create_pipeline(options)
        assert len(created) == count


def test_a_fallback_whose_objects_only_depth_finds_is_refused(monkeypatch):
    """The model that is taken if none is named needs depth."""
    backends, segmenters = [], []

    def create_backend(name, _options):
        backends.append(Poses() if name == 'spd' else ColourPoses())
        return backends[-1]

    def create_segmenter(_name, _options):
        segmenters.append(Found())
        segmenters[-1].needs_depth = True
        return segmenters[-1]

    monkeypatch.setattr('pose_estimation_ros.pipeline.create_backend', create_backend)
    monkeypatch.setattr('pose_estimation_ros.pipeline.create_segmenter', create_segmenter)
    with pytest.raises(ConfigurationError, match='model maskrcnn_lite needs depth.* name one .*'
                       'fallback.segmentation_model'):
        create_pipeline(PipelineOptions(fallback=FallbackOptions('disp6d')))
    assert len(segmenters) == 2
    assert all(stage.closed for stage in (*backends, *segmenters))


class TunableFound(Found):
    """Finds at most so many, with at least such a score; says what it left out."""

    def __init__(self, *detections):
        super().__init__(*detections)
        self.limits = None, 32

    def retune(self, min_score, max_objects):
        self.limits = min_score, max_objects

    def detect(self, seen):
        least, most = self.limits
        return [d for d in super().detect(seen) if d.score >= (least or 0.0)][:most]

    def best_candidate(self):
        return 'the best candidate has score 0.10'


def retuned(pipeline, before, **changes):
    after = replace(before, **changes)
    pipeline.retune(before, after)
    return after


def test_labels_scores_and_tracking_change_while_models_are_loaded():
    segmenter = TunableFound(detection('mug', 0.9), detection('can', 0.6, x=4))
    pipeline = Pipeline(segmenter, Poses(), None)
    options = PipelineOptions(tracker=None)

    def labels():
        return [pose.label for pose in pipeline.process(frame()).poses]

    assert labels() == ['mug', 'can']
    options = retuned(pipeline, options, selection=Selection(labels=('can',)))
    assert labels() == ['can']
    options = retuned(pipeline, options, selection=Selection(min_pose_score=0.7))
    assert labels() == ['mug']
    options = retuned(pipeline, options, selection=Selection(),
                      segmenter_options=SegmenterOptions(min_score=0.95))
    result = pipeline.process(frame())
    assert result.poses == ()
    assert result.dropped == ('the best candidate has score 0.10',)
    options = retuned(pipeline, options, segmenter_options=SegmenterOptions(),
                      tracker=TrackerOptions(min_sightings=1))
    keys = {pose.track_id for pose in pipeline.process(frame(stamp_ns=1)).poses}
    assert -1 not in keys
    retuned(pipeline, options, tracker=None)
    result = pipeline.process(frame(stamp_ns=2))
    assert {pose.track_id for pose in result.poses} == {-1}
    assert {key.track_id for key in result.lost} == keys


def test_what_cannot_change_is_refused_and_nothing_changes():
    pipeline = Pipeline(Found(detection('mug', 0.9)), Poses(), None)
    before = PipelineOptions(tracker=None)
    other_labels = replace(before, selection=Selection(labels=('spoon',)))
    with pytest.raises(ConfigurationError, match="unknown label 'spoon'; the backend poses knows"):
        pipeline.retune(before, other_labels)
    with pytest.raises(ConfigurationError, match='cannot change its limits while it is loaded'):
        pipeline.retune(before, replace(before, selection=Selection(labels=('can',)),
                                        segmenter_options=SegmenterOptions(min_score=0.5)))
    assert len(pipeline.process(frame()).poses) == 1
    alone = Pipeline(None, Poses(), None)
    alone.backend.needs = frozenset({'depth'})
    with pytest.raises(ConfigurationError, match='poses cannot look for other labels'):
        alone.retune(before, replace(before, selection=Selection(labels=('can',))))
