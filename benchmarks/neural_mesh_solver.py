"""Time and outcome of the neural mesh's solver, against its published code on the same features.

    OPENBLAS_NUM_THREADS=2 python benchmarks/neural_mesh_solver.py

One object, a car, in the features of the recorded run (128 x 40 x 56): the published search of 720
poses at 144 places, the published two times 300 steps of Adam, and what this package does instead.
The published code was measured elsewhere, on two cores. Other load on the machine slows all down:
CPU time suffers less of it than wall time.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from whole_pipeline import publish

from pose_estimation_ros.backends.neural_mesh_archive import CategoryMesh
from pose_estimation_ros.backends.neural_mesh_proposals import SearchSettings
from pose_estimation_ros.backends.neural_mesh_published import PUBLISHED, PublishedPose
from pose_estimation_ros.backends.neural_mesh_published_solver import (
    PublishedGrid,
    PublishedPlaces,
    search_everything,
    search_places_first,
    solve,
)
from pose_estimation_ros.backends.neural_mesh_refinement import (
    Hypotheses,
    RefinementSettings,
    loss,
    refine,
    render,
    rendered_mesh,
)
from pose_estimation_ros.backends.neural_mesh_scores import feature_scores
from pose_estimation_ros.backends.neural_mesh_search import score_map
from pose_estimation_ros.backends.neural_mesh_solver import NeuralMeshSolver, SolverSettings
from pose_estimation_ros.core.cuboid_mesh import CuboidMesh, cuboid_mesh
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.evaluation.report import Report

_DATA = Path(__file__).resolve().parents[1] / 'test' / 'data' / 'neural_mesh'
# Spec section 6: wall and CPU milliseconds of the published code.
_PUBLISHED_SEARCH, _PUBLISHED_SOLVER = (5100.0, 7295.0), 75600.0
_SCOUTS = 60


@dataclass(frozen=True)
class Measured:
    """What a call did: its result, milliseconds by the clock and of all cores, peak megabytes."""

    result: Any
    wall: float
    cpu: float
    memory: float

    @property
    def costs(self) -> tuple[float, float, float]:
        """Wall, CPU, memory."""
        return self.wall, self.cpu, self.memory


def measured(run: Callable[[], Any], repeats: int) -> Measured:
    """Call something once for its result and memory, then several times for its time."""
    tracemalloc.start()
    result = run()
    memory = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    wall, cpu = [], []
    for _ in range(repeats):
        clock, cores = time.perf_counter(), time.process_time()
        run()
        cpu.append(1e3 * (time.process_time() - cores))
        wall.append(1e3 * (time.perf_counter() - clock))
    return Measured(result, statistics.median(wall), statistics.median(cpu), memory)


@dataclass(frozen=True, eq=False)
class Recording:
    """The recorded run, and what the solvers take."""

    recorded: dict[str, Any]
    mesh: CuboidMesh
    features: NDArray[np.float32]
    vertices: NDArray[np.float32]
    clutter: NDArray[np.float32]
    grid: PublishedGrid

    @classmethod
    def read(cls, path: Path) -> Recording:
        """Read the features in whatever precision they were stored."""
        with np.load(path) as file:
            recorded = dict(file)
        car = json.loads((_DATA / 'cuboids.json').read_text())['car']
        features, vertices, clutter = (recorded[name].astype(np.float32) for name in
                                       ('feature_map', 'vertex_features', 'clutter'))
        angles = [np.unique(recorded['coarse_poses'][:, column]).astype(np.float64)
                  for column in range(4)]
        return cls(recorded, cuboid_mesh(car['lower'], car['upper']), features[0], vertices,
                   clutter, PublishedGrid(*angles, recorded['px'], recorded['py']))

    def loss_of(self, T_camera_mesh: NDArray[np.float64]) -> float:
        """Return the published loss of a pose before the real camera."""
        scores = feature_scores(self.features, self.vertices, self.clutter)
        rendering = render(Hypotheses(T_camera_mesh[None], np.ones((1, 3))),
                           rendered_mesh(self.mesh, self.vertices), scores, PUBLISHED.K)
        return float(loss(rendering, scores)[0])


def search_rows(run: Recording, repeats: int) -> list[tuple[object, ...]]:
    """Return a row for each way to find the published scores."""
    def everything() -> PublishedPlaces:
        return search_everything(score_map(run.features, run.vertices), run.mesh, run.grid)

    def places_first() -> PublishedPlaces:
        return search_places_first(score_map(run.features, run.vertices), run.mesh, run.grid,
                                   _SCOUTS)

    whole, places = measured(everything, repeats), measured(places_first, repeats)
    return [('search', 'published code, elsewhere', math.nan, *_PUBLISHED_SEARCH, math.nan),
            ('search', 'the same scores, in portions', math.nan, *whole.costs),
            ('search', 'the same scores, places first', math.nan, *places.costs)]


def refinement_rows(run: Recording, repeats: int) -> list[tuple[object, ...]]:
    """Return a row for the published steps and one for ours, from the published start."""
    azimuth, elevation, theta, distance, px, py = run.recorded['solver_pre'][0]
    start = PublishedPose.of(azimuth, elevation, theta, distance, (px, py))
    scores = feature_scores(run.features, run.vertices, run.clutter)
    adam = measured(lambda: solve([start], run.mesh, scores), 1)
    # The published shift of the picture is a shift of the object before the real camera.
    T = start.T_camera_mesh
    T[:2, 3] -= start.flow * PUBLISHED.flow_unit * T[2, 3] / PUBLISHED.focal
    rendered, one = rendered_mesh(run.mesh, run.vertices), Hypotheses(T[None], np.ones((1, 3)))
    ours = measured(lambda: refine(one, rendered, scores, PUBLISHED.K, RefinementSettings()),
                    repeats)
    steps = int(ours.result.evaluations[0])
    return [(f'refinement, {2 * PUBLISHED.steps} steps', 'published, closed form',
             adam.result[0].loss, *adam.costs),
            (f'refinement, {steps} steps', 'ours',
             run.loss_of(ours.result.hypotheses.T_camera_object[0]), *ours.costs)]


def solver_rows(run: Recording, repeats: int) -> list[tuple[object, ...]]:
    """Return a row for the published solver and one for ours, from features to object."""
    rotations = np.array([
        PublishedPose.of(azimuth, elevation, theta, 1.0, PUBLISHED.image_center).T_camera_mesh
        for azimuth in run.grid.azimuths for elevation in run.grid.elevations
        for theta in run.grid.thetas])[:, :3, :3]
    search = SearchSettings(distances=tuple(np.geomspace(4.0, 20.0, 8).tolist()), pool=1,
                            background=-1.0)
    category = CategoryMesh(run.mesh.extents[None], run.mesh.counts, run.vertices, run.clutter)
    solver = NeuralMeshSolver({'car': category}, {'car': rotations}, SolverSettings(search))
    ours = measured(lambda: solver.solve(run.features, PUBLISHED.K), repeats)
    # The mesh of a category is centred, the recorded one only nearly.
    T = ours.result[0].T_camera_object @ make_transform(
        np.eye(3), -(run.mesh.lower + run.mesh.upper) / 2)
    return [('whole solver', 'published code, elsewhere',
             float(run.recorded['solver_final'][0, 6]), _PUBLISHED_SOLVER, math.nan, math.nan),
            ('whole solver', 'ours', run.loss_of(T), *ours.costs)]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--recording', type=Path, default=_DATA / 'solver.npz',
                        help='features and results of the published solver')
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--out', type=Path, help='write the table here as JSON and Markdown')
    arguments = parser.parse_args()
    run = Recording.read(arguments.recording)
    rows = [row for part in (search_rows, refinement_rows, solver_rows)
            for row in part(run, arguments.repeats)]
    publish(Report('neural_mesh_solver', (
        'stage', 'way', 'loss reached', 'wall, ms', 'CPU, ms', 'peak memory, MB'), rows,
        {'recording': arguments.recording.name, 'repeats': arguments.repeats,
         'threads': os.environ.get('OPENBLAS_NUM_THREADS', 'as many as cores')}), arguments.out)


if __name__ == '__main__':
    main()
