"""`pose-estimation evaluate`: the papers' figures, and honest ones, of a method on a data set."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pose_estimation_ros.backends.base import UPRIGHT_TOLERANCE
from pose_estimation_ros.cli.backend_option import (
    ALIGNMENT_HELP,
    AUXILIARY_HELP,
    BACKEND_HELP,
    CHOICE_HELP,
    COMPETITION_HELP,
    COPIES_HELP,
    HYPOTHESES_HELP,
    INITIAL_POSES_HELP,
    OBJECT_MODEL_HELP,
    OBJECTS_HELP,
    PROBABILITY_HELP,
    PROPOSALS_HELP,
    REFINEMENT_HELP,
    SCALE_HELP,
    STANCE_HELP,
    UprightTolerance,
    complete_backend,
)
from pose_estimation_ros.core.errors import ConfigurationError

if TYPE_CHECKING:
    from pose_estimation_ros.evaluation.cad_frame import CadFrame
    from pose_estimation_ros.evaluation.data_folders import Data
    from pose_estimation_ros.evaluation.judged_objects import Judged
    from pose_estimation_ros.evaluation.methods import Method
    from pose_estimation_ros.evaluation.predictions import FramePredictions, FrameTruth
    from pose_estimation_ros.evaluation.protocols import Tables
    from pose_estimation_ros.evaluation.runner import Workers


class Protocol(str, Enum):
    """What is measured."""

    poses = 'poses'
    nocs = 'nocs'
    bop = 'bop'
    pascal3d = 'pascal3d'
    detection = 'detection'


class Convention(str, Enum):
    """Frame and size of the objects of NOCS data."""

    nocs = 'nocs'
    spd = 'spd'


def evaluate(
        folder: Annotated[Path, typer.Argument(help='Data with truth: a data set in the layout '
                                               'of NOCS, BOP or PASCAL3D+, frames of '
                                               '`pose-estimation dataset`, or the '
                                               'results_*.pkl of a published evaluation.')],
        out: Annotated[Path, typer.Option(help='Folder of predictions, tables and pictures; an '
                                          'interrupted run goes on there.')],
        protocol: Annotated[Protocol, typer.Option(
            help='poses: honest figures of categories; nocs: as published, and honest; bop: '
            'average recall, ADD(-S); pascal3d: accuracy at pi/6 and pi/18; detection: AP of '
            'boxes and masks.')] = Protocol.poses,
        split: Annotated[str, typer.Option(help='Part of the data set, such as real_test.')] = '',
        frames: Annotated[int, typer.Option(min=0, help='Most frames; 0 = all.')] = 0,
        backend: Annotated[str, typer.Option(help=BACKEND_HELP,
                                             autocompletion=complete_backend)] = 'spd',
        model: Annotated[str, typer.Option(help="Its model; empty = the method's default.")] = '',
        masks: Annotated[str, typer.Option(
            help="Who finds the objects: model = the detector; truth = true masks; boxes = true "
            "boxes of what is seen, without masks; errors = true masks with a detector's errors; "
            "or a file of detections, or a folder of the NOCS detector's published pickles."
        )] = 'model',
        segmentation_model: Annotated[str, typer.Option(help="The detector's model.")] = '',
        min_score: Annotated[float, typer.Option(
            help="Least score of a detection; negative = the model's own.")] = -1.0,
        predictions: Annotated[Path | None, typer.Option(
            help='Evaluate these instead of running anything: predictions.jsonl, a BOP result '
            'CSV, or detections.jsonl.')] = None,
        visibility: Annotated[float, typer.Option(
            min=0.0, max=1.0, help='poses, nocs: leave out objects of which a smaller share can '
            'be seen.')] = 0.0,
        standing: Annotated[bool, typer.Option(
            '--standing', help='poses, nocs: leave out objects that do not stand.')] = False,
        targets: Annotated[str, typer.Option(
            help='bop: file of targets in the data set, such as test_targets_bop19.json.')] = '',
        convention: Annotated[Convention, typer.Option(
            help='Frame and size of the objects of NOCS data, of truth and answers; spd for full '
            'models of the published frame of mugs.')] = Convention.nocs,
        processes: Annotated[int, typer.Option(min=1, help='On this machine.')] = 1,
        cluster: Annotated[str, typer.Option(help='Address of a Dask scheduler; empty = this '
                                             'machine.')] = '',
        seed: Annotated[int, typer.Option(help='Of the robust fit and the mask errors.')] = 0,
        device: Annotated[str, typer.Option(help='auto, cpu, cuda or tensorrt.')] = 'auto',
        upright_tolerance: UprightTolerance = UPRIGHT_TOLERANCE,
        mrc_rotated_copies: Annotated[str, typer.Option(help=COPIES_HELP)] = 'auto',
        mrc_copy_choice: Annotated[str, typer.Option(help=CHOICE_HELP)] = 'joint',
        mrc_auxiliary: Annotated[str, typer.Option(help=AUXILIARY_HELP)] = 'trained',
        mrc_hypotheses: Annotated[str, typer.Option(help=HYPOTHESES_HELP)] = 'auto',
        mrc_refinement: Annotated[str, typer.Option(help=REFINEMENT_HELP)] = 'auto',
        neural_mesh_proposals: Annotated[str, typer.Option(help=PROPOSALS_HELP)] = 'generative',
        neural_mesh_scale: Annotated[str, typer.Option(help=SCALE_HELP)] = 'auto',
        neural_mesh_initial_poses: Annotated[int, typer.Option(help=INITIAL_POSES_HELP)] = 0,
        neural_mesh_competition: Annotated[str, typer.Option(help=COMPETITION_HELP)] = 'on',
        neural_mesh_min_probability: Annotated[float, typer.Option(help=PROBABILITY_HELP)] = -1.0,
        disp6d_objects: Annotated[str, typer.Option(help=OBJECTS_HELP)] = '',
        disp6d_alignment: Annotated[str, typer.Option(help=ALIGNMENT_HELP)] = 'surfaces',
        disp6d_object_model: Annotated[str, typer.Option(help=OBJECT_MODEL_HELP)] = '',
        disp6d_refinement: Annotated[str, typer.Option(help=REFINEMENT_HELP)] = 'auto',
        disp6d_stance: Annotated[str, typer.Option(help=STANCE_HELP)] = 'likely',
) -> None:
    """Run a method over a data set with truth, and print and write its figures."""
    # The other commands must start without images and networks.
    from pose_estimation_ros.backends.disp6d_options import DISP6DOptions
    from pose_estimation_ros.backends.mrc_options import MRCOptions
    from pose_estimation_ros.backends.neural_mesh_options import NeuralMeshOptions
    from pose_estimation_ros.evaluation.data_folders import EVERYTHING, Data
    from pose_estimation_ros.evaluation.judged_objects import Judged
    from pose_estimation_ros.evaluation.methods import Method
    from pose_estimation_ros.evaluation.runner import Workers

    data = Data(folder, split, frames or EVERYTHING, targets, convention.value)
    workers = Workers(cluster, processes)
    alone = processes == 1 and not cluster
    method = Method(backend, model, masks, segmentation_model=segmentation_model,
                    min_score=None if min_score < 0 else min_score, device=device,
                    threads=0 if alone else 1, seed=seed,
                    mrc=MRCOptions(mrc_rotated_copies, mrc_copy_choice, mrc_auxiliary,
                                   mrc_hypotheses, mrc_refinement),
                    neural_mesh=NeuralMeshOptions(neural_mesh_proposals, neural_mesh_scale,
                                                  neural_mesh_initial_poses,
                                                  neural_mesh_competition,
                                                  None if neural_mesh_min_probability < 0
                                                  else neural_mesh_min_probability),
                    disp6d=DISP6DOptions(disp6d_objects, disp6d_alignment,
                                         disp6d_object_model, disp6d_refinement,
                                         disp6d_stance),
                    upright_tolerance=upright_tolerance, object_frame=convention.value)
    if protocol is Protocol.detection:
        tables = _detections(data, method, out, workers, predictions)
    else:
        tables = _poses(data, method, out, workers, predictions, protocol,
                        Judged(visibility, standing))
    for report in tables.write(out):
        print(f'# {report.name}\n\n{report.markdown()}')
    print(f'Tables, curves and predictions are in {out}')


def _detections(data: Data, method: Method, out: Path, workers: Workers,
                stored: Path | None) -> Tables:
    from pose_estimation_ros.cli.progress import progress_bar
    from pose_estimation_ros.evaluation.detection_files import read_detections
    from pose_estimation_ros.evaluation.methods import models_of
    from pose_estimation_ros.evaluation.protocols import detection_tables
    from pose_estimation_ros.evaluation.runner import commit_of, read_truth, run_detections

    read_truth(data, workers)
    settings: dict[str, object] = {'data': data.open().name}
    if stored is not None:
        found = read_detections(stored)
        return detection_tables(data, found, {**settings, 'detections': stored}, workers)
    with progress_bar('shards') as report:
        found = run_detections(data, method, out, workers, report)
    tables = detection_tables(data, found, {
        **settings, 'masks': method.masks, 'made at commit': commit_of(out)}, workers)
    return tables.of_models(models_of(method, 'detections'))


def _poses(data: Data, method: Method, out: Path, workers: Workers, stored: Path | None,
           protocol: Protocol, judged: Judged) -> Tables:
    from pose_estimation_ros.cli.progress import progress_bar
    from pose_estimation_ros.evaluation.data_folders import Data
    from pose_estimation_ros.evaluation.judged_objects import EVERY_OBJECT
    from pose_estimation_ros.evaluation.methods import label_gaps_of, labels_of, models_of
    from pose_estimation_ros.evaluation.runner import (
        check_labels,
        commit_of,
        read_truth,
        refused_by,
        run_poses,
    )

    if protocol not in (Protocol.poses, Protocol.nocs) and judged != EVERY_OBJECT:
        given = '--standing' if judged.standing else f'--visibility {judged.least_visibility:g}'
        raise ConfigurationError(f'{given} is for --protocol poses or nocs; '
                                 f'{protocol.value} has a rule of its own, leave it out')
    if any(data.folder.glob('results_*.pkl')):
        from pose_estimation_ros.evaluation.published_results import read_published_results

        if protocol not in (Protocol.nocs, Protocol.poses):
            raise ConfigurationError(f'{data.folder} holds results of NOCS evaluations, which are '
                                     f'for --protocol nocs or poses, not {protocol.value}')
        if data != Data(data.folder) or stored is not None:
            raise ConfigurationError(f'{data.folder} holds results of NOCS evaluations, which are '
                                     'evaluated as they are; leave --split, --frames, --targets, '
                                     '--convention and --predictions out')
        return _tables(protocol, data, *read_published_results(data.folder), judged,
                       {'data': data.folder}, workers)
    _check(protocol, data)
    truth = read_truth(data, workers)
    settings: dict[str, object] = {'data': data.open().name}
    if stored is not None:
        frames = _read(stored, data)
        return _tables(protocol, data, truth, frames, judged,
                       {**settings, 'predictions': stored}, workers)
    cad_frame = _cad_frame(method) if protocol is Protocol.pascal3d else None
    models = models_of(method, 'poses')
    unknown = check_labels(truth, labels_of(method), ', '.join(models))
    if unknown:
        counts = ', '.join(f'{label} ({count})' for label, count in unknown.items())
        print(f'The model does not know these labels, whose objects count as missed: {counts}')
    for fault, labels in label_gaps_of(method).items():
        print(f'Segmentation model and backend know different objects; {fault}: {labels}')
    with progress_bar('shards') as report:
        frames = run_poses(data, method, out, workers, report)
    if cad_frame is not None:
        frames = cad_frame.predictions(frames)
    seconds = [frame.seconds for frame in frames]
    settings |= {'backend': method.backend, 'masks': method.masks, 'seed': method.seed,
                 'mean ms a frame': round(1e3 * sum(seconds) / len(seconds), 1),
                 'detections without a pose': refused_by(out), 'made at commit': commit_of(out)}
    if method.object_frame != 'nocs':
        settings['object frame'] = method.object_frame
    return _tables(protocol, data, truth, frames, judged, settings, workers).of_models(models)


def _check(protocol: Protocol, data: Data) -> None:
    """Refuse data that the protocol cannot score before hours are spent on them."""
    from pose_estimation_ros.evaluation.protocols import as_bop, as_pascal3d

    if protocol is Protocol.bop:
        as_bop(data)
    elif protocol is Protocol.pascal3d:
        as_pascal3d(data)


def _cad_frame(method: Method) -> CadFrame | None:
    """Return how a neural mesh's poses become those of PASCAL3D+'s CAD models.

    Raises:
        ConfigurationError: If the model does not tell.
    """
    from pose_estimation_ros.evaluation.cad_frame import CadFrame
    from pose_estimation_ros.runtime import ModelStore

    if method.backend != 'neural_mesh':
        return None
    return CadFrame.of(ModelStore().find(method.model or method.backend, task='pose').manifest)


def _tables(protocol: Protocol, data: Data, truth: list[FrameTruth],
            frames: list[FramePredictions], judged: Judged, settings: dict[str, object],
            workers: Workers) -> Tables:
    from pose_estimation_ros.evaluation import protocols

    if protocol is Protocol.poses:
        return protocols.pose_tables(truth, frames, judged, settings)
    if protocol is Protocol.nocs:
        return protocols.published_tables(truth, frames, settings, judged)
    if protocol is Protocol.pascal3d:
        return protocols.pascal3d_tables(data, truth, frames, settings)
    return protocols.bop_tables(data, frames, settings, workers)


def _read(stored: Path, data: Data) -> list[FramePredictions]:
    """Return stored predictions, ours or those of a BOP result file."""
    from pose_estimation_ros.evaluation.bop_results import as_predictions, read_results
    from pose_estimation_ros.evaluation.predictions import read_predictions
    from pose_estimation_ros.evaluation.protocols import as_bop

    if stored.suffix == '.csv':
        return as_predictions(read_results(stored), as_bop(data))
    return read_predictions(stored)
