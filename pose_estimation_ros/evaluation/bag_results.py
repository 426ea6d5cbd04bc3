"""What an estimator said in a bag: objects by frame, and the parameters that it had."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from vision_msgs.msg import Detection3D, Detection3DArray

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError
from pose_estimation_ros.datasets.bag import Bag
from pose_estimation_ros.evaluation.demo_report import EstimatedObject
from pose_estimation_ros.nodes.bag_messages import read_message
from pose_estimation_ros.nodes.bag_topics import RESULTS, results_topic
from pose_estimation_ros.nodes.conversions import pose_matrix, stamp_to_ns
from pose_estimation_ros.nodes.parameters import ESTIMATOR_PARAMETERS
from pose_estimation_ros.nodes.recording_parameters import PARAMETERS_NOTE

_ESTIMATOR = ('pose_estimator', '*', '**')
_OF_EVERY_NODE = ('use_sim_time', 'qos_overrides.')
# Beyond it stamp and arrival are of different clocks, as in simulated time, seconds.
_LONGEST_LATENCY = 3600.0


@dataclass(frozen=True)
class FrameResult:
    """The objects of one frame.

    Attributes:
        stamp_ns: Of the image, nanoseconds.
        frame_id: Frame of the poses.
        objects: What was found.
        latency: Seconds from the stamp to the arrival of the result; NaN if unknown, as where
            the stamp is of another clock.
    """

    stamp_ns: int
    frame_id: str
    objects: tuple[EstimatedObject, ...]
    latency: float = float('nan')


def recorded_results(bag: Bag) -> Iterator[FrameResult]:
    """Yield the results in a bag in their order.

    Raises:
        InvalidInputError: If there are none.
    """
    topic = results_topic(bag)
    if not topic:
        raise InvalidInputError(f'{bag.path} has no {RESULTS}; it has {bag.listing()}. Record '
                                'with record:=true while the estimator runs')
    for message in bag.messages([topic]):
        yield frame_result(read_message(message), message.time_ns)


def frame_result(message: Detection3DArray, time_ns: int) -> FrameResult:
    """Return the result in a message.

    Args:
        message: Of `object_detections`.
        time_ns: When it arrived, nanoseconds.
    """
    stamp_ns = stamp_to_ns(message.header.stamp)
    latency = (time_ns - stamp_ns) / 1e9
    return FrameResult(stamp_ns, message.header.frame_id,
                       tuple(map(_estimated_object, message.detections)),
                       latency if 0.0 <= latency < _LONGEST_LATENCY else float('nan'))


def parameter_values(bag: Bag, file: Path | None, changes: Sequence[str]) -> dict[str, Any]:
    """Return the estimator's parameters: those in the bag, a file's over them, then changes.

    Args:
        bag: Its recorder kept them, if it was ours.
        file: Parameter file of ROS; None = none.
        changes: 'name=value' each.

    Raises:
        ConfigurationError: If a name or a value cannot be used.
    """
    values: dict[str, Any] = {spec.name: spec.default for spec in ESTIMATOR_PARAMETERS}
    recorded = json.loads(bag.notes.get(PARAMETERS_NOTE, '{}'))
    # What another version had and this one has not, or has since then, keeps its default.
    values |= {name: value for name, value in recorded.items()
               if name in values and value is not None}
    if file is not None:
        values |= _checked(_of_file(file), str(file))
    return values | _checked(dict(map(_change, changes)), '--set')


def _of_file(path: Path) -> dict[str, Any]:
    """Return what a parameter file has for an estimator; other nodes may be in it, too."""
    try:
        sections = list(_sections(yaml.safe_load(path.read_text(encoding='utf-8'))))
        own = [section for node, section in sections if node.rpartition('/')[2] in _ESTIMATOR]
        values = {name: value for section in own for name, value in _flat(section or {})
                  if not name.startswith(_OF_EVERY_NODE)}
    except (OSError, yaml.YAMLError, AttributeError, TypeError) as error:
        raise ConfigurationError(f'{path} is not a parameter file of ROS ({error!r}); take '
                                 'config/pose_estimation.yaml as a pattern') from error
    if not own:
        raise ConfigurationError(f'{path} has no section pose_estimator or /**; it has '
                                 f'{", ".join(node for node, _ in sections) or "none"}')
    return values


def _sections(content: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield nodes with their parameters; namespaces may be written as levels."""
    for name, node in content.items():
        if 'ros__parameters' in node:
            yield name, node['ros__parameters']
        else:
            yield from _sections(node)


def _flat(values: Mapping[str, Any], prefix: str = '') -> Iterator[tuple[str, Any]]:
    """Yield parameters by their full names; groups may be written as levels."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f'{prefix}{name}.')
        else:
            yield f'{prefix}{name}', value


def _change(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition('=')
    if not equals:
        raise ConfigurationError(f'--set {text}: write name=value, such as backend=crnet')
    return name, yaml.safe_load(value) if value else ''


def _checked(values: Mapping[str, Any], source: str) -> dict[str, Any]:
    specs = {spec.name: spec for spec in ESTIMATOR_PARAMETERS}
    for name, value in values.items():
        if name not in specs:
            raise ConfigurationError(f'{source}: the estimator has no parameter {name}; they are '
                                     'listed by pose-estimation parameters')
        kind = type(specs[name].default)
        if not isinstance(value, kind) and not (kind is float and isinstance(value, int)):
            raise ConfigurationError(f'{source}: {name} is {value!r}; it must be a '
                                     f'{kind.__name__}')
        if problem := specs[name].problem(value):
            raise ConfigurationError(f'{source}: {problem}')
    return dict(values)


def _estimated_object(detection: Detection3D) -> EstimatedObject:
    best = detection.results[0]
    T, center = pose_matrix(best.pose.pose), pose_matrix(detection.bbox.center)[:3, 3]
    return EstimatedObject(detection.id, best.hypothesis.class_id, T,
                           T[:3, :3].T @ (center - T[:3, 3]), box_size(detection),
                           best.hypothesis.score)


def box_size(detection: Detection3D) -> NDArray[np.float64]:
    """Return the (3,) size of a detection's box, metres."""
    size = detection.bbox.size
    return np.array([size.x, size.y, size.z])
