"""One HTML page about a recording: pictures, poses, times and warnings, all inside the file."""

from __future__ import annotations

import base64
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import cv2
import numpy as np

from pose_estimation_ros import __version__
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.rotation import matrix_to_quaternion
from pose_estimation_ros.drawing.overlay import label_color
from pose_estimation_ros.nodes.naming import object_name
from pose_estimation_ros.viewing.charts import Chart, line_chart
from pose_estimation_ros.viewing.seen_frame import LostFrame, SeenFrame, picture_of
from pose_estimation_ros.viewing.warnings_log import Complaint, complaints_of_lost

_TEMPLATE = Path(__file__).with_name('report.html.j2')
_JPEG_QUALITY = 80


@dataclass(frozen=True)
class Subject:
    """What a page is about.

    Attributes:
        title: Name of the recording.
        facts: What else is known of it, by name.
        complaints: What the nodes complained about; the page adds frames that it has lost.
        stages: Median milliseconds by stage.
        parameters: Of the estimator, those that are not the default.
        axis: What the stamps count: 's', or 'frames' where nobody knows when they were taken.
    """

    title: str
    facts: Mapping[str, str]
    complaints: Sequence[Complaint] = ()
    stages: Mapping[str, float] | None = None
    parameters: Mapping[str, Any] | None = None
    axis: Literal['s', 'frames'] = 's'


@dataclass(frozen=True)
class _Entry:
    """A frame as the page shows it."""

    name: str
    picture: str
    rows: tuple[tuple[str, ...], ...]
    remarks: tuple[str, ...]
    latency: str


def report_page(subject: Subject, frames: Iterable[SeenFrame | LostFrame],
                most_pictures: int) -> str:
    """Return the page.

    Args:
        subject: What it is about.
        frames: All frames in their order; each is looked at once. Those that cannot be shown
            are warned of.
        most_pictures: How many frames are shown, evenly spaced; all of them count.

    Returns:
        HTML that needs no other file and no network.

    Raises:
        InvalidInputError: If there are frames, but none can be shown.
    """
    # Only this page is made with it.
    import jinja2

    digest = _Digest(most_pictures, is_timed=subject.axis == 's')
    for seen in frames:
        digest.add(seen)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined,
                                     trim_blocks=True, lstrip_blocks=True)
    warnings = sorted([*subject.complaints, *digest.complaints()], key=lambda entry: entry.first)
    template = environment.from_string(_TEMPLATE.read_text(encoding='utf-8'))
    return template.render(subject=subject, version=__version__, summary=digest.summary(),
                           warnings=warnings, charts=digest.charts(), entries=digest.entries())


class _Digest:
    """Gathers what the page says of all frames, and keeps pictures of some."""

    def __init__(self, most_pictures: int, *, is_timed: bool) -> None:
        self._is_timed = is_timed
        self._most = most_pictures
        self._stride = 1
        self._count = 0
        self._kept: list[tuple[int, _Entry]] = []
        self._labels: Counter[str] = Counter()
        self._latencies: list[tuple[float, float]] = []
        self._distances: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
        self._colors: dict[str, str] = {}
        self._start_ns: int | None = None
        self._last_ns = 0
        self._lost: list[LostFrame] = []

    def add(self, seen: SeenFrame | LostFrame) -> None:
        """Take the next frame; pictures of evenly spaced ones are kept, however many come."""
        stamp_ns = seen.stamp_ns if isinstance(seen, LostFrame) else seen.frame.stamp_ns
        self._start_ns = stamp_ns if self._start_ns is None else self._start_ns
        self._last_ns = stamp_ns
        if isinstance(seen, LostFrame):
            self._lost.append(seen)
            return
        seconds = (stamp_ns - self._start_ns) / 1e9
        self._latencies.append((seconds, 1000.0 * seen.latency))
        for index, pose in enumerate(seen.objects):
            self._labels[pose.label] += 1
            name = object_name(pose, index)
            self._distances[name].append(
                (seconds, float(np.linalg.norm(pose.T_camera_object[:3, 3]))))
            self._colors.setdefault(name, _css(label_color(pose.label)))
        self._labels.update(seen.undrawn)
        if self._count % self._stride == 0:
            if len(self._kept) >= self._most:
                self._stride *= 2
                self._kept = [kept for kept in self._kept if kept[0] % self._stride == 0]
            if self._count % self._stride == 0:
                self._kept.append((self._count, _entry(seen)))
        self._count += 1

    def complaints(self) -> list[Complaint]:
        """Return what is to be warned of.

        Raises:
            InvalidInputError: If there are frames, but none can be shown.
        """
        found = complaints_of_lost(self._lost, self._start_ns or 0)
        if found and not self._count:
            raise InvalidInputError(f'no frame can be shown. {found[0].sentence}')
        return found

    def summary(self) -> dict[str, str]:
        """Return the figures at the top of the page."""
        latencies = [value for _, value in self._latencies if np.isfinite(value)]
        seconds = 0.0 if self._start_ns is None else (self._last_ns - self._start_ns) / 1e9
        facts = {'frames': str(self._count),
                 'objects': ', '.join(f'{count} × {label}' for label, count
                                      in sorted(self._labels.items())) or 'none'}
        if self._is_timed and seconds > 0 and self._count > 1:
            facts['results per second'] = f'{(self._count - 1) / seconds:.2f}'
        if latencies:
            facts['image to result, median'] = f'{median(latencies):.0f} ms'
            facts['image to result, slowest'] = f'{max(latencies):.0f} ms'
        return facts

    def charts(self) -> list[Chart]:
        """Return times and distances over time."""
        drawn = (line_chart('Time from image to result, ms', {'latency': self._latencies},
                            {'latency': _css((0, 114, 178))}),
                 line_chart('Distance of each object from the camera, m', self._distances,
                            self._colors))
        return [chart for chart in drawn if chart is not None]

    def entries(self) -> list[_Entry]:
        """Return the frames that are shown."""
        return [entry for _, entry in self._kept]


def _entry(seen: SeenFrame) -> _Entry:
    _, encoded = cv2.imencode('.jpg', cv2.cvtColor(picture_of(seen), cv2.COLOR_RGB2BGR),
                              [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    picture = f'data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}'
    rows = tuple(_row(object_name(pose, index), pose) for index, pose in enumerate(seen.objects))
    latency = f'{1000.0 * seen.latency:.0f} ms' if np.isfinite(seen.latency) else ''
    return _Entry(seen.name, picture, rows, seen.remarks, latency)


def _row(name: str, pose: ObjectPose) -> tuple[str, ...]:
    T = pose.T_camera_object
    quaternion = matrix_to_quaternion(T[:3, :3])
    return (name, f'{pose.score:.2f}', _numbers(T[:3, 3], '.3f'), _numbers(quaternion, '.3f'),
            _numbers(100.0 * pose.box()[1], '.1f'))


def _numbers(values: Any, form: str) -> str:
    return '  '.join(format(float(value), form) for value in values)


def _css(rgb: Sequence[int]) -> str:
    return '#{:02x}{:02x}{:02x}'.format(*rgb)
