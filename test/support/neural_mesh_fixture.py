"""What the neural mesh's published solver does with a car: as recorded, and an excerpt of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pose_estimation_ros.backends.neural_mesh_published import PublishedPose
from pose_estimation_ros.backends.neural_mesh_scores import FeatureScores, feature_scores
from pose_estimation_ros.core.cuboid_mesh import CuboidMesh, cuboid_mesh

_DATA = Path(__file__).parents[1] / 'data' / 'neural_mesh'
_WHOLE = Path(__file__).parents[2].parent / 'shared/specs/fixtures/rgb/c2f_solver_fixture.npz'
# The excerpt has its features in float16.
EXCERPT, WHOLE = 'excerpt', pytest.param('whole', marks=pytest.mark.skipif(
    not _WHOLE.is_file(), reason='the whole fixtures are not beside the repository'))


@dataclass(frozen=True, eq=False)
class PublishedRun:
    """A recording, its mesh and its scores.

    Attributes:
        recorded: Arrays by the names of the fixture's manifest.
        mesh: Of the car.
        features: (128, 40, 56) float32.
        vertices: (1024, 128) float32.
        scores: Of the feature map.
        exact: Whether the features are those of the recording.
    """

    recorded: dict[str, Any]
    mesh: CuboidMesh
    features: Any
    vertices: Any
    scores: FeatureScores
    exact: bool

    def tolerance(self, exact: float, rounded: float) -> float:
        return exact if self.exact else rounded

    def pose(self, number: int) -> PublishedPose:
        """Return one of the three rendered poses."""
        distance, elevation, azimuth, theta, px, py = self.recorded[f'pose{number}']
        return PublishedPose.of(azimuth, elevation, theta, distance, (px, py))

    @property
    def start(self) -> PublishedPose:
        """The pose of the recorded gradient."""
        return PublishedPose(np.array([4.53583698, 1.09268124, 2.91242738]), 0.0,
                             np.array([-0.2, 0.0]))


def published_run(kind: str) -> PublishedRun:
    with np.load(_WHOLE if kind == 'whole' else _DATA / 'solver.npz') as file:
        recorded = dict(file)
    car = json.loads((_DATA / 'cuboids.json').read_text())['car']
    features, vertices, clutter = (recorded[name].astype(np.float32) for name in
                                   ('feature_map', 'vertex_features', 'clutter'))
    return PublishedRun(recorded, cuboid_mesh(car['lower'], car['upper']), features[0], vertices,
                        feature_scores(features[0], vertices, clutter), kind == 'whole')
