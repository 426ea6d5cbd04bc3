"""Identity switches, flips, jitter and lag over moving sequences, by setting of the tracker.

Two kinds of sequence: 'made up' are true poses with noise, misses, false objects, wrong rotations
and, in each frame, any of all equal rotations; 'rendered' are frames of simulated scenes with
several objects of one category through the whole pipeline. The camera moves in both.

    python benchmarks/tracking.py --scenes 4 12 --frames 20
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from tracking_sequences import Faults, MadeUpSequence, Observation, rendered_sequence
from whole_pipeline import publish

from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.backends.registry import backend_names
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.evaluation.track_continuity import SequenceFrame, measured
from pose_estimation_ros.pipeline import PipelineOptions, create_pipeline
from pose_estimation_ros.tracking.identity import IdentityTracker, TrackerOptions

_COLUMNS = ('tracker', 'objects per frame', 'switches per 1000 frames',
            'flips per 1000 frames', 'turns per 1000 frames', 'known again, %',
            'median position error, mm', 'median rotation error, °', 'position jitter, mm',
            'rotation jitter, °', 'lag, ms')
_DEFAULT = TrackerOptions()
_TRACKERS: dict[str, TrackerOptions | None] = {
    'none': None,
    'identities alone': replace(_DEFAULT, smoothing_seconds=0.0),
    'default': _DEFAULT,
    'smoothing 0.5 s': replace(_DEFAULT, smoothing_seconds=0.5),
    'default, no prediction': replace(_DEFAULT, predict=False),
    'default, no colours': replace(_DEFAULT, use_appearance=False),
    'default, 3 sightings': replace(_DEFAULT, min_sightings=3),
}
_REPEATS = 200
_FIXED = 'default, fixed frame'


def tracked(sequence: Sequence[Observation], options: TrackerOptions | None, *,
            is_frame_fixed: bool = False) -> list[SequenceFrame]:
    """Return what is published of a sequence."""
    tracker = None if options is None else IdentityTracker(options)
    frames = []
    for seen in sequence:
        poses = seen.poses
        if tracker is not None:
            poses = tracker.update(round(seen.seconds * 1e9), poses, seen.rgb,
                                   seen.T_world_camera if is_frame_fixed else None).poses
        names = [f'{pose.label}_{pose.track_id if tracker is not None else place}'
                 for place, pose in enumerate(poses)]
        frames.append(SequenceFrame(seen.seconds, seen.truth, poses, names))
    return frames


def rows_of(sequences: Sequence[Sequence[Observation]]) -> list[tuple[object, ...]]:
    """Return a row of the table for each setting."""
    rows = []
    for setting, options in {**_TRACKERS, _FIXED: _DEFAULT}.items():
        done = [tracked(sequence, options, is_frame_fixed=setting == _FIXED)
                for sequence in sequences]
        found = measured(done)
        known = 100 * found.returns_known / found.returns if found.returns else float('nan')
        rows.append((
            setting, found.sightings / found.frames, found.per_thousand(found.switches),
            found.per_thousand(found.flips), found.per_thousand(found.turns), known,
            1e3 * float(np.median(found.distances)), float(np.degrees(np.median(found.angles))),
            1e3 * _rms(found.distance_steps), float(np.degrees(_rms(found.angle_steps))),
            1e3 * found.lag))
    return rows


def crowd_milliseconds(objects: int) -> tuple[float, float]:
    """Return median and least time of an update with so many objects at rest."""
    seen = next(MadeUpSequence(0, Faults(missed=0.0, invented=0.0)).frames(1, 1.0))
    copies = -(-objects // len(seen.poses))
    poses = [replace(pose, T_camera_object=make_transform(np.eye(3), [2.0 * copy, 0, 0])
                     @ pose.T_camera_object)
             for copy in range(copies) for pose in seen.poses][:objects]
    tracker = IdentityTracker(_DEFAULT)
    times = []
    for number in range(_REPEATS):
        started = time.perf_counter()
        tracker.update(number * 100_000_000, poses, seen.rgb)
        times.append(1e3 * (time.perf_counter() - started))
    return statistics.median(times), min(times)


def main() -> None:
    """Measure and print a table for each kind of sequence."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--made-up-frames', type=int, default=600, help='0 = none')
    parser.add_argument('--scenes', type=int, nargs='*', default=[4, 12],
                        help='seeds of rendered scenes; none = nothing is rendered')
    parser.add_argument('--frames', type=int, default=20, help='of each scene')
    parser.add_argument('--rate', type=float, default=10.0, help='frames per second')
    parser.add_argument('--speed', type=float, default=20.0,
                        help='of the camera about a rendered scene, degrees per second')
    parser.add_argument('--backend', default='crnet', choices=backend_names(),
                        help='method that estimates the poses of rendered frames')
    parser.add_argument('--model', default='', help="its model; the method's own by default")
    parser.add_argument('--seed', type=int, default=0, help='of the made-up poses')
    parser.add_argument('--out', type=Path, help='write the tables here as JSON and Markdown')
    arguments = parser.parse_args()
    if arguments.made_up_frames:
        sequence = MadeUpSequence(arguments.seed, Faults())
        median, least = crowd_milliseconds(30)
        publish(_report('made-up', [list(sequence.frames(arguments.made_up_frames,
                                                         arguments.rate))], arguments.rate, {
            'seed': arguments.seed, **asdict(Faults()),
            '30 objects, ms': f'{median:.3g} (median), {least:.3g} (least)'}),
            arguments.out)
    if arguments.scenes:
        pipeline = create_pipeline(PipelineOptions(
            backend=arguments.backend, backend_options=BackendOptions(arguments.model),
            tracker=None))
        publish(_report('rendered', [
            list(rendered_sequence(pipeline, seed, arguments.frames, arguments.rate,
                                   arguments.speed)) for seed in arguments.scenes],
            arguments.rate, {'scenes': arguments.scenes, 'backend': arguments.backend,
                             'degrees per second': arguments.speed}), arguments.out)
        pipeline.close()


def _report(name: str, sequences: Sequence[Sequence[Observation]], rate: float,
            settings: Mapping[str, object]) -> Report:
    return Report(f'tracking-{name}', _COLUMNS, rows_of(sequences), {
        'frames': sum(map(len, sequences)), 'frames per second': rate, **settings,
        'switch': 'an object is seen under another name than before',
        'flip': 'a step of the rotation to an equal one, by more than 30 degrees',
        'turn': 'the same to one that is not equal',
        'jitter': 'root mean square change of the error from frame to frame'})


def _rms(values: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if values else float('nan')


if __name__ == '__main__':
    main()
