"""Runs the methods of the occlusion benchmark on the same frames and grades what they say.

What is run is kept in a folder per method, so an interrupted call goes on; see `runner`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from pose_estimation_ros.backends.neural_mesh_options import NeuralMeshOptions
from pose_estimation_ros.distribution import Report, no_report
from pose_estimation_ros.evaluation.data_folders import Data
from pose_estimation_ros.evaluation.methods import Method, models_of
from pose_estimation_ros.evaluation.occlusion_metric import (
    GradedErrors,
    GradedObject,
    graded_errors,
    graded_objects,
)
from pose_estimation_ros.evaluation.runner import Workers, read_truth, run_poses

NEURAL_MESH = 'neural_mesh'


@dataclass(frozen=True)
class Contestant:
    """A method that is compared.

    Attributes:
        name: Of its folder.
        title: For readers.
        method: What is run.
    """

    name: str
    title: str
    method: Method


def _neural_mesh(name: str, title: str, options: NeuralMeshOptions) -> Contestant:
    return Contestant(name, title, Method(NEURAL_MESH, neural_mesh=options))


# As in the paper nothing is rejected; what a node publishes is a variant.
_COLOUR = NeuralMeshOptions(scale='category', min_probability=0.0)
BASELINE = _neural_mesh(NEURAL_MESH, '`neural_mesh`, colour', _COLOUR)
PUBLISHED = _neural_mesh('published', 'as a node publishes: unlikely ones rejected',
                         replace(_COLOUR, min_probability=None))
CONTESTANTS: tuple[Contestant, ...] = (
    BASELINE,
    Contestant('spd', '`spd`, depth', Method('spd')),
    Contestant('crnet', '`crnet`, depth and colour', Method('crnet')),
    Contestant('acr', '`acr`, depth and colour', Method('acr')))
VARIANTS: tuple[Contestant, ...] = (
    BASELINE,
    _neural_mesh('detector', 'proposals of the detector',
                 replace(_COLOUR, proposals='detector')),
    _neural_mesh('one_pose', 'one initial pose', replace(_COLOUR, initial_poses=1)),
    _neural_mesh('six_poses', 'six initial poses', replace(_COLOUR, initial_poses=6)),
    _neural_mesh('alone', 'without competition', replace(_COLOUR, competition='off')),
    _neural_mesh('depth', 'distance and size by depth', replace(_COLOUR, scale='depth')),
    PUBLISHED)


@dataclass(frozen=True)
class OcclusionSettings:
    """What is measured.

    Attributes:
        data: Folder of frames of `dataset frames --occluded`.
        most: Objects per category and level that count.
        frames: Of all methods.
        ablation_frames: Of the variants of neural_mesh, the first of `frames`.
        model: Name or folder of the neural mesh model; '' = the shipped one.
        threads: Of each network.
    """

    data: Path
    most: int = 12
    frames: int = 112
    ablation_frames: int = 32
    model: str = ''
    threads: int = 1


@dataclass(frozen=True)
class Graded:
    """What a contestant achieved.

    Attributes:
        contestant: Which.
        errors: Of the graded objects.
        models: Hashes of its models by name.
    """

    contestant: Contestant
    errors: GradedErrors
    models: Mapping[str, str]


@dataclass(frozen=True)
class OcclusionBenchmark:
    """The benchmark on one folder of frames.

    Attributes:
        settings: What is measured.
        runs: Folder of the predictions, one folder per contestant.
        workers: Who does the work.
    """

    settings: OcclusionSettings
    runs: Path
    workers: Workers = field(default_factory=Workers)

    @cached_property
    def objects(self) -> list[GradedObject]:
        """The objects that are judged."""
        return graded_objects(self.settings.data, self.settings.most, self.settings.frames)

    def measured(self, contestants: Sequence[Contestant], frames: int,
                 report: Report = no_report) -> list[Graded]:
        """Run contestants on the first frames; what is there already is not run again.

        Raises:
            InvalidInputError: If the frames cannot be used.
            ConfigurationError: If the folder of a run holds another one.
            ModelError: If a model is missing or damaged.
        """
        data = Data(self.settings.data, frames=frames)
        truth = read_truth(data, self.workers)
        names = {frame.name for frame in truth}
        objects = [entry for entry in self.objects if entry.frame in names]
        found = []
        for contestant in contestants:
            method = self.method(contestant)
            # What is compared with all methods is run on all frames anyway.
            ran = Data(self.settings.data, frames=max(
                frames, self.settings.frames if contestant in CONTESTANTS else 0))
            predictions = [frame for frame in run_poses(
                ran, method, self.runs / contestant.name, self.workers, report)
                if frame.name in names]
            found.append(Graded(contestant, graded_errors(objects, truth, predictions),
                                models_of(method, 'poses')))
        return found

    def method(self, contestant: Contestant) -> Method:
        """Return what is run of a contestant."""
        method = replace(contestant.method, threads=self.settings.threads)
        is_ours = method.backend == NEURAL_MESH
        return replace(method, model=self.settings.model) if is_ours else method

    def clear(self) -> None:
        """Forget all predictions: figures are of the code as it is now."""
        shutil.rmtree(self.runs, ignore_errors=True)
