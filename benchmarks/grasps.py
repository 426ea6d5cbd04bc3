"""Would planned grasps hold the true objects? Which do, of which kind, and what planning costs.

Each grasp is tried on the true mesh (evaluation/grasp_trial.py): the open gripper must not meet it
on its way, and both contacts must lie within the friction cone. First with poses, sizes and points
without error, then with those that a backend estimates from simulated frames (true masks).

    python benchmarks/grasps.py --frames 40
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from whole_pipeline import publish

from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.backends.registry import create_backend
from pose_estimation_ros.core.categories import CATEGORIES
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import inverse, make_transform
from pose_estimation_ros.evaluation.detection_sources import TrueMasks
from pose_estimation_ros.evaluation.grasp_trial import Surface, try_grasp
from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.grasping import (
    Grasp,
    GraspLimits,
    GraspPlanner,
    GraspPlannerOptions,
    Gripper,
    Surroundings,
)
from pose_estimation_ros.synthetic.annotation import annotated_frame
from pose_estimation_ros.synthetic.object_model import make_object
from pose_estimation_ros.synthetic.scene import SceneGenerator
from pose_estimation_ros.synthetic.scene_renderer import render_frame
from pose_estimation_ros.synthetic.splits import instance_seed

_GRIPPERS = {'8 cm': Gripper(),
             '14 cm': Gripper(opening=0.14, finger_depth=0.06, palm_width=0.15)}
# A camera that looks down at a table by 35 degrees.
_UPRIGHT = make_transform(axis_rotation((1, 0, 0), np.pi - 0.6), [0.05, 0.1, 0.7])
_POINTS = 256
_REPEATS = 3


@dataclass(frozen=True)
class Case:
    """An object to be grasped.

    Attributes:
        pose: As the planner is told.
        T_true: (4, 4) where it really is, object to camera frame.
        surface: Of the true object.
        up: (3,) away from the table, camera frame; None = not seen.
    """

    pose: ObjectPose
    T_true: NDArray[np.float64]
    surface: Surface
    up: NDArray[np.float64] | None


@dataclass
class Tally:
    """What became of the grasps of some objects."""

    objects: int = 0
    graspable: int = 0
    best: int = 0
    kinds: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    collided: int = 0
    seconds: list[float] = field(default_factory=list)

    def add(self, case: Case, planner: GraspPlanner, gripper: Gripper,
            limits: GraspLimits) -> None:
        """Plan and try the grasps of an object."""
        surroundings = Surroundings(case.up)
        times = []
        for _ in range(_REPEATS):
            # Time of this thread: other programs do not count.
            started = time.thread_time()
            (plan,) = planner.plan([case.pose], surroundings)
            times.append(time.thread_time() - started)
        self.seconds.append(min(times))
        self.objects += 1
        self.graspable += bool(plan.grasps)
        for rank, grasp in enumerate(plan.grasps):
            holds, collides = _tried(grasp, case, gripper, limits)
            self.kinds[grasp.kind].append(holds)
            self.collided += collides
            self.best += holds and rank == 0

    def row(self) -> tuple[object, ...]:
        """Return the figures of one row."""
        trials = [holds for kind in self.kinds.values() for holds in kind]
        kinds = ', '.join(f'{kind} {np.mean(trials):.2f} ({len(trials)})'
                          for kind, trials in sorted(self.kinds.items()))
        return (self.objects, self.graspable, self.best / max(self.graspable, 1),
                float(np.mean(trials)) if trials else float('nan'),
                self.collided / max(len(trials), 1), kinds,
                1e3 * statistics.median(self.seconds))


def _tried(grasp: Grasp, case: Case, gripper: Gripper, limits: GraspLimits) -> tuple[bool, bool]:
    trial = try_grasp(inverse(case.T_true) @ grasp.T_camera_grasp,
                      grasp.opening, case.surface, gripper)
    return trial.holds(limits.friction), trial.collides


def perfect_cases(count: int) -> Iterator[Case]:
    """Yield test objects, upright, as an estimate without error would tell them."""
    for category in CATEGORIES:
        for index in range(count):
            model = make_object(category.name, instance_seed('test', index), 'primary')
            points = model.mesh.sample_surface(_POINTS, np.random.default_rng(index)).points
            pose = ObjectPose(category.name, 1.0, _UPRIGHT, model.size, category.symmetry, 'truth',
                              points=points)
            yield Case(pose, _UPRIGHT, Surface.of(model.mesh), _UPRIGHT[:3, 1])


def estimated_cases(backend_name: str, frames: int, min_score: float) -> Iterator[Case]:
    """Yield what a backend estimates in simulated test frames with true masks."""
    backend = create_backend(backend_name, BackendOptions())
    scenes = SceneGenerator('primary', 'test')
    for seed in range(frames):
        scene = scenes.scene(seed)
        frame = annotated_frame(str(seed), render_frame(scene), CATEGORIES)
        pairs = list(TrueMasks().pairs(frame))
        answers = backend.estimate(frame.frame, [detection for _, detection in pairs])
        for (annotation, _), answer in zip(pairs, answers, strict=True):
            if isinstance(answer, ObjectPose) and answer.score >= min_score:
                mesh = scene.bodies[annotation.instance_id - 1].solid.mesh
                yield Case(answer, annotation.T_camera_object, Surface.of(mesh), frame.frame.up)
    backend.close()


def main() -> None:
    """Plan, try and print a row per category, gripper and source of poses."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--backend', default='spd', help='that estimates poses')
    parser.add_argument('--objects', type=int, default=30, help='per category, without error')
    parser.add_argument('--frames', type=int, default=40, help='simulated, for estimated poses')
    parser.add_argument('--min-score', type=float, default=0.5,
                        help='of estimated poses that are tried')
    parser.add_argument('--out', type=Path, help='write the table here as JSON and Markdown')
    arguments = parser.parse_args()
    limits = GraspLimits()
    planners = {name: GraspPlanner(GraspPlannerOptions(gripper, limits))
                for name, gripper in _GRIPPERS.items()}
    tallies: dict[tuple[str, str, str], Tally] = defaultdict(Tally)
    for source, cases in (('no error', perfect_cases(arguments.objects)),
                          (arguments.backend, estimated_cases(
                              arguments.backend, arguments.frames, arguments.min_score))):
        for case in cases:
            for name, planner in planners.items():
                tallies[source, name, case.pose.label].add(case, planner, _GRIPPERS[name], limits)
    order = [category.name for category in CATEGORIES]
    rows = [(source, name, label, *tally.row()) for (source, name, label), tally in sorted(
        tallies.items(), key=lambda entry: (entry[0][0] != 'no error', entry[0][1] != '8 cm',
                                            order.index(entry[0][2])))]
    report = Report(
        'grasps', ('poses', 'opening', 'category', 'objects', 'with grasps', 'best grasp holds',
                   'all grasps hold', 'collide', 'of each kind (trials)', 'ms per object'), rows,
        {'objects without error per category': arguments.objects, 'frames': arguments.frames,
         'backend': arguments.backend, 'least score': arguments.min_score,
         'friction': limits.friction, 'clearance, m': limits.clearance, 'points': _POINTS})
    publish(report, arguments.out)


if __name__ == '__main__':
    main()
