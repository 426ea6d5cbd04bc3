"""How well a pose backend reconstructs the objects of data in the NOCS layout.

    python -m pose_estimation_ros.evaluation.reconstruction_accuracy --data <folder> --split <name>

Objects are given to the backend with their true masks. Prints both tables of `reconstruction`;
--out writes them. Objects without a pose or a shape have no distance: the tables count the others.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from pose_estimation_ros.backends.base import BackendOptions, PoseBackend
from pose_estimation_ros.backends.registry import backend_names, create_backend
from pose_estimation_ros.core.errors import InvalidInputError, PoseEstimationError
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.datasets.nocs_dataset import NocsDataset
from pose_estimation_ros.evaluation.data_folders import EVERYTHING, Data
from pose_estimation_ros.evaluation.detection_sources import TRUTH, MaskSource, TrueMasks
from pose_estimation_ros.evaluation.methods import Method, models_of
from pose_estimation_ros.evaluation.reconstruction import (
    ChamferDistance,
    chamfer_distance,
    chamfer_reports,
)


@dataclass(frozen=True)
class Reconstructions:
    """What became of the objects.

    Attributes:
        distances: Of those that were reconstructed.
        objects: How many were given to the backend.
    """

    distances: tuple[ChamferDistance, ...]
    objects: int


def reconstruct(backend: PoseBackend, dataset: NocsDataset, frames: Iterable[int],
                masks: MaskSource) -> Reconstructions:
    """Compare the shapes that a backend finds with the models' surfaces, pose left aside.

    Args:
        backend: What is measured; it sees one frame at a time.
        dataset: Frames with models.
        frames: Their indices.
        masks: Makes the mask of an object.

    Raises:
        InvalidInputError: If a file of the data is missing or wrong.
    """
    distances, objects = [], 0
    for frame in map(dataset.__getitem__, frames):
        given = list(masks.pairs(frame))
        objects += len(given)
        answers = backend.estimate(frame.frame, [detection for _, detection in given])
        for (annotation, _), answer in zip(given, answers, strict=True):
            if isinstance(answer, ObjectPose) and answer.points is not None:
                surface = dataset.shape(annotation) * annotation.diagonal
                distances.append(chamfer_distance(annotation.label, answer.points, surface,
                                                  annotation.diagonal))
    return Reconstructions(tuple(distances), objects)


def main() -> int:
    """Measure as the command line says; 2 = it cannot be measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', type=Path, required=True, help='root of data in NOCS layout')
    parser.add_argument('--split', default='', help='such as real_test')
    parser.add_argument('--convention', choices=('nocs', 'spd'), default='nocs')
    parser.add_argument('--backend', default='spd', choices=backend_names())
    parser.add_argument('--model', default='', help="the backend's default by default")
    parser.add_argument('--frames', type=int, default=EVERYTHING, help='most frames')
    parser.add_argument('--seed', type=int, default=0, help='of the robust fit')
    parser.add_argument('--out', type=Path, help='also write the tables there')
    arguments = parser.parse_args()
    try:
        dataset = Data(arguments.data, arguments.split, convention=arguments.convention).open()
        if not isinstance(dataset, NocsDataset):
            raise InvalidInputError(f'{arguments.data} has not the layout of NOCS, whose models '
                                    'are compared; make such data with `pose-estimation dataset '
                                    'generate --format nocs`')
        backend = create_backend(arguments.backend,
                                 BackendOptions(arguments.model, seed=arguments.seed,
                                                object_frame=arguments.convention))
        models = models_of(Method(arguments.backend, arguments.model, TRUTH), 'poses')
        count = min(arguments.frames, len(dataset))
        found = reconstruct(backend, dataset, range(count), TrueMasks())
    except PoseEstimationError as error:
        sys.stderr.write(f'{error}\n')
        return 2
    for table in chamfer_reports(found.distances, {
            'data': dataset.name, 'convention': arguments.convention, 'frames': count,
            'masks': TRUTH, 'objects given': found.objects, 'seed': arguments.seed,
            'scale': 'as estimated, so that an error of size counts; published figures are of '
                     'shapes in NOCS units, without it',
            'backend': arguments.backend}):
        report = replace(table, models=models)
        sys.stdout.write(f'# {report.name}\n\n{report.markdown()}\n')
        if arguments.out is not None:
            report.write(arguments.out)
    return 0


if __name__ == '__main__':
    sys.exit(main())
