"""Frames with results of a bag, of the folder of a demo, or of pictures that are estimated now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pose_estimation_ros.core.camera import turned_camera
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.datasets import open_frames
from pose_estimation_ros.datasets.bag import Bag, is_bag, open_bag
from pose_estimation_ros.datasets.bag_camera import CameraTopics, choose_camera
from pose_estimation_ros.evaluation.bag_results import (
    FrameResult,
    frame_result,
    recorded_results,
)
from pose_estimation_ros.evaluation.demo_report import EstimatedObject
from pose_estimation_ros.nodes.bag_frames import BagFrame, frames_of
from pose_estimation_ros.nodes.bag_messages import raw_frame, read_message
from pose_estimation_ros.nodes.bag_topics import TRUTH, results_topic
from pose_estimation_ros.pipeline import Pipeline
from pose_estimation_ros.runtime.undistortion import Undistorter
from pose_estimation_ros.viewing.seen_frame import (
    LostFrame,
    SeenFrame,
    seen_frame,
    seen_input,
    without_depth,
)

_RECORDING_OF_DEMO = 'recording'
_SLOP = 'sync.slop'
_RECTIFIED = 'color.rectified'
_ROTATION = 'color.rotation'


def bag_at(path: Path) -> Bag | None:
    """Return the bag at a path: a bag itself or the recording of a demo; None = pictures."""
    for place in (path, path / _RECORDING_OF_DEMO):
        if is_bag(place):
            return open_bag(place)
    return None


def has_results(bag: Bag) -> bool:
    """Return whether an estimator's results are in a bag."""
    return bool(results_topic(bag))


def frames_in_bag(bag: Bag, topics: CameraTopics, values: Mapping[str, Any],
                  pipeline: Pipeline | None) -> Iterator[SeenFrame | LostFrame]:
    """Yield the frames of a bag, and what is wrong with those that cannot be shown.

    Args:
        bag: With the topics of a camera.
        topics: Those of the camera that are known; '' = found.
        values: The estimator's parameters, which tell what its images are.
        pipeline: Estimates the frames; None = their results are in the bag, and frames without
            one are left out.
    """
    results = ({} if pipeline is not None
               else {result.stamp_ns: result for result in recorded_results(bag)})
    truth = _truth(bag)
    frames = frames_of(bag, choose_camera(bag, topics), round(values[_SLOP] * 1e9), results)
    undistorter = Undistorter()
    first_ns: int | None = None
    for number, entry in enumerate(frames):
        stamp_ns = entry.color.stamp_ns
        first_ns = stamp_ns if first_ns is None else first_ns
        if pipeline is None and stamp_ns not in results:
            continue
        name = f'{(stamp_ns - first_ns) / 1e9:.2f} s'
        true = truth[stamp_ns].objects if stamp_ns in truth else ()
        try:
            if pipeline is None:
                frame, remarks = _input(entry, rectified=values[_RECTIFIED])
                seen = seen_frame(name, undistorter.undistort(frame), results[stamp_ns], remarks,
                                  true)
            else:
                quarters = values[_ROTATION] // 90
                frame = raw_frame(entry).read(rectified=values[_RECTIFIED], quarters=quarters)
                seen = _estimated(name, frame, pipeline, tuple(
                    replace(one, T_camera_object=turned_camera(quarters) @ one.T_camera_object)
                    for one in true))
        except InvalidInputError as error:
            yield LostFrame(f'{number} ({name})', stamp_ns, str(error))
        else:
            yield seen


def frames_in_folder(folder: Path, pipeline: Pipeline) -> Iterator[SeenFrame | LostFrame]:
    """Yield the frames of a folder of pictures with what a pipeline says of them.

    Of those that cannot be used it is what is wrong with them.
    """
    frames = open_frames(folder)
    for index in range(len(frames)):
        name = frames.name(index)
        try:
            seen = _estimated(name, frames.load(index), pipeline)
        except InvalidInputError as error:
            yield LostFrame(name, frames.stamp_ns(index), str(error))
        else:
            yield seen


def _input(entry: BagFrame, *, rectified: bool) -> tuple[RGBDFrame, tuple[str, ...]]:
    """Return a recorded frame to be shown, with or without its depth, and remarks."""
    try:
        raw = raw_frame(entry)
    except InvalidInputError as error:
        raw = raw_frame(replace(entry, depth=None, depth_info=None))
        return raw.read(rectified=rectified), (without_depth(str(error)),)
    return seen_input(raw, rectified=rectified)


def _estimated(name: str, frame: RGBDFrame, pipeline: Pipeline,
               truth: tuple[EstimatedObject, ...] = ()) -> SeenFrame:
    result = pipeline.process(frame)
    return SeenFrame(name, result.frame, result.poses, sum(result.timings.values()),
                     result.dropped, truth)


def _truth(bag: Bag) -> dict[int, FrameResult]:
    topics = [name for name in bag.topics if name.rpartition('/')[2] == TRUTH]
    found = (frame_result(read_message(message), message.time_ns)
             for message in bag.messages(topics)) if topics else ()
    return {result.stamp_ns: result for result in found}
