from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame, ObjectAnnotation
from pose_estimation_ros.evaluation.predictions import (
    FramePredictions,
    FrameTruth,
    Prediction,
    mask_as_runs,
    mask_from_runs,
    paired,
    read_predictions,
    write_predictions,
)
from pose_estimation_ros.rendering.renderer import camera_rays

POSE = make_transform(axis_rotation((1, 2, 3), 0.7), (0.1, -0.2, 0.9))
SIZE = np.array([0.1, 1 / 3, 0.08])


def test_what_is_written_is_read_back_to_the_last_bit(tmp_path: Path) -> None:
    mask = np.random.default_rng(0).random((6, 9)) < 0.4
    box = np.array([1.5, 2, 30, 40])
    frames = [FramePredictions('val/00001/0002',
                               (Prediction('mug', 0.7, POSE, SIZE, box, mask),
                                Prediction('can', 0.1, np.eye(4), SIZE)), 0.25),
              FramePredictions('val/00001/0003', ())]
    path = tmp_path / 'run' / 'predictions.jsonl'

    write_predictions(path, iter(frames))
    first, second = read_predictions(path)

    mug, can = first.predictions
    assert (first.name, first.seconds) == ('val/00001/0002', 0.25)
    assert (mug.label, mug.score) == ('mug', 0.7)
    np.testing.assert_array_equal(mug.T_camera_object, POSE)
    np.testing.assert_array_equal(mug.size, SIZE)
    np.testing.assert_array_equal(mug.box, box)
    np.testing.assert_array_equal(mug.mask, mask)
    assert can.box is None
    assert can.mask is None
    assert second.predictions == ()
    assert math.isnan(second.seconds)
    assert [entry.name for entry in path.parent.iterdir()] == ['predictions.jsonl']


def test_a_run_that_fails_leaves_no_file_of_predictions(tmp_path: Path) -> None:
    path = tmp_path / 'predictions.jsonl'

    def interrupted() -> object:
        yield FramePredictions('a', ())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_predictions(path, interrupted())

    assert not path.exists()


@pytest.mark.parametrize('line', ['{"name": "a"}', '{"name": "a", "seconds": nul', '[]'])
def test_a_broken_line_is_named_with_its_file(tmp_path: Path, line: str) -> None:
    path = tmp_path / 'predictions.jsonl'
    write_predictions(path, [FramePredictions('a', ())])
    path.write_text(path.read_text() + line + '\n')

    with pytest.raises(InvalidInputError, match=f'line 2 of {path}'):
        read_predictions(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=str(tmp_path / 'none.jsonl')):
        read_predictions(tmp_path / 'none.jsonl')


def test_a_pose_of_nan_or_with_scale_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="predicted 'mug' is not a rigid transform"):
        Prediction('mug', 1.0, np.full((4, 4), np.nan), SIZE)
    with pytest.raises(InvalidInputError, match='not a rigid transform'):
        Prediction('mug', 1.0, np.diag([2.0, 2.0, 2.0, 1.0]), SIZE)
    with pytest.raises(InvalidInputError, match='score'):
        Prediction('mug', float('nan'), POSE, SIZE)
    with pytest.raises(InvalidInputError, match='size'):
        Prediction('mug', 1.0, POSE, -SIZE)


def test_predictions_join_their_truth_by_name_and_missing_ones_count_as_empty() -> None:
    truth = [FrameTruth('b', ()), FrameTruth('a', ())]

    pairs = paired(truth, [FramePredictions('a', (Prediction('mug', 1.0, POSE, SIZE),))])

    assert [(t.name, p.name, len(p.predictions)) for t, p in pairs] == [('b', 'b', 0),
                                                                        ('a', 'a', 1)]


def test_predictions_of_unknown_or_doubled_frames_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="first is 'c'"):
        paired([FrameTruth('a', ())], [FramePredictions('c', ())])
    with pytest.raises(InvalidInputError, match="frame 'a' occur 2 times"):
        paired([FrameTruth('a', ())], [FramePredictions('a', ()), FramePredictions('a', ())])


def test_masks_are_run_lengths_as_coco_counts_them() -> None:
    mask = np.array([[True, False, True], [True, True, False]])

    runs = mask_as_runs(mask)

    assert runs == {'size': [2, 3], 'counts': [0, 2, 1, 2, 1]}
    np.testing.assert_array_equal(mask_from_runs(runs), mask)
    np.testing.assert_array_equal(mask_from_runs(mask_as_runs(~mask)), ~mask)
    assert mask_as_runs(np.zeros((2, 2), dtype=bool))['counts'] == [4]


def test_the_truth_says_what_stands_by_the_vertical_of_the_depth() -> None:
    camera = CameraIntrinsics.pinhole(160, 120, 150.0, 150.0, 80.0, 60.0)
    up = np.array([0.0, -math.cos(0.6), -math.sin(0.6)])
    rays = camera_rays(camera, np.eye(4)).directions.astype(float)
    # A table, 60 cm under the camera.
    depth = (-0.6 / np.minimum(rays @ up, -0.1)).astype(np.float32)
    frame = RGBDFrame(0, 'camera', np.zeros((120, 160, 3), np.uint8), depth, camera)
    standing = axis_rotation((1, 0, 0), -(math.pi - 0.6))
    np.testing.assert_allclose(standing[:, 1], up, atol=1e-9)
    poses = [standing @ axis_rotation((0, 1, 0), 1.0), standing @ axis_rotation((1, 0, 0), 0.2),
             standing @ axis_rotation((1, 0, 0), 0.4), standing @ axis_rotation((1, 0, 0), 3.1)]
    objects = tuple(ObjectAnnotation(number, 'mug', '', make_transform(R, (0.0, 0.0, 0.9)), SIZE)
                    for number, R in enumerate(poses, 1))

    truth = FrameTruth.of(AnnotatedFrame('a', frame, objects))
    assert [entry.stands for entry in truth.objects] == [True, True, False, False]

    colour = AnnotatedFrame('b', dataclasses.replace(frame, depth=None), objects)
    assert {entry.stands for entry in FrameTruth.of(colour).objects} == {None}
