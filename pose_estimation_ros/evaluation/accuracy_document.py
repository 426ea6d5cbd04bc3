"""Measures every shipped model anew and writes docs/accuracy.md and the table in README.md.

    python -m pose_estimation_ros.evaluation.accuracy_document --frames 336

`make accuracy` calls it. Test frames that are missing are made. Tables go to docs/results/; the
words around them come from docs/accuracy_template.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from pose_estimation_ros.core.errors import ConfigurationError, PoseEstimationError
from pose_estimation_ros.evaluation.accuracy_pages import (
    fill_template,
    measured_table,
    replace_between,
)
from pose_estimation_ros.evaluation.confidence_accuracy import confidence_reports
from pose_estimation_ros.evaluation.data_folders import Data
from pose_estimation_ros.evaluation.judged_objects import (
    EVERY_OBJECT,
    VISIBLE,
    VISIBLE_STANDING,
    Judged,
)
from pose_estimation_ros.evaluation.methods import Method, models_of
from pose_estimation_ros.evaluation.predictions import FramePredictions, FrameTruth
from pose_estimation_ros.evaluation.protocols import (
    Tables,
    detection_tables,
    pose_tables,
    published_tables,
)
from pose_estimation_ros.evaluation.report import Report, write_text
from pose_estimation_ros.evaluation.runner import (
    Workers,
    read_truth,
    refused_by,
    run_detections,
    run_poses,
)
from pose_estimation_ros.evaluation.slice import has_slice
from pose_estimation_ros.runtime import Model, ModelStore
from pose_estimation_ros.synthetic import shard_files
from pose_estimation_ros.synthetic.frame_cache import write_frame_shards

DOMAINS = ('primary', 'second')
PUBLISHED_TABLES = ('nocs-compat', 'nocs-compat-accuracy')
_ROOT = Path(__file__).resolve().parents[2]


def measure_poses(model: Model, data: Data, runs: Path, results: Path, workers: Workers) -> None:
    """Write the tables of a pose model: under true masks, masks with errors, and a detector's.

    Args:
        model: A pose model.
        data: Frames of one domain.
        runs: Folder for the predictions.
        results: Folder of the domain's tables.
        workers: Who does the work.
    """
    name = model.manifest.name
    truth = read_truth(data, workers)
    for masks, folder in (('truth', 'true-masks'), ('errors', 'mask-errors'),
                          ('model', 'whole-path')):
        method = Method(model.manifest.backend, str(model.folder), masks)
        frames = run_poses(data, method, runs / name / folder, workers)
        seconds = [frame.seconds for frame in frames]
        settings = {'masks': masks, 'seed': method.seed,
                    'mean ms a frame': round(1e3 * sum(seconds) / len(seconds), 1),
                    'detections without a pose': refused_by(runs / name / folder)}
        if masks == 'truth':
            # As published figures are made; the honest ones are those of the other masks.
            published = _published(truth, frames, settings, EVERY_OBJECT)
            for suffix, judged in (('visible', VISIBLE), ('standing', VISIBLE_STANDING)):
                tables = Tables(tuple(_published(truth, frames, settings, judged)))
                _publish(tables.of_models(models_of(method, 'poses')),
                         results / name / f'{folder}-{suffix}')
            tables = Tables((*published, *confidence_reports(truth, frames, settings)))
        else:
            tables = pose_tables(truth, frames, VISIBLE, settings)
        _publish(tables.of_models(models_of(method, 'poses')), results / name / folder)


def _published(truth: list[FrameTruth], frames: list[FramePredictions],
               settings: dict[str, object], judged: Judged) -> list[Report]:
    return [report for report in published_tables(truth, frames, settings, judged).reports
            if report.name in PUBLISHED_TABLES]


def measure_detector(model: Model, data: Data, runs: Path, results: Path,
                     workers: Workers) -> None:
    """Write the tables of a detector."""
    method = Method(segmentation_model=str(model.folder))
    found = run_detections(data, method, runs / model.manifest.name, workers)
    tables = detection_tables(data, found, {}, workers)
    _publish(tables.of_models(models_of(method, 'detections')), results / model.manifest.name)


def measure_models(frames: int, data: Path, runs: Path, results: Path,
                   processes: int = 1) -> None:
    """Measure every shipped model in both domains.

    Args:
        frames: How many per domain.
        data: Folder of `<domain>/test`; what is missing there is made.
        runs: Folder for predictions and detections.
        results: Folder for the tables.
        processes: How many work at the same time.
    """
    workers = Workers(processes=processes)
    for domain in DOMAINS:
        folder = data / domain / 'test'
        _tell(f'{domain}: {frames} frames in {folder}')
        write_frame_shards(folder, frames, domain, 'test',
                           workers=shard_files.Workers(processes))
        chosen = Data(folder, frames=frames)
        for model in _shipped():
            _tell(f'{domain}: {model.manifest.name}')
            measure = measure_poses if model.manifest.task == 'pose' else measure_detector
            measure(model, chosen, runs / domain, results / domain, workers)


def measure_speed(results: Path) -> None:
    """Write the tables of the whole path's rate and of the lite networks' times."""
    run_benchmark('frame_rate', '--objects', '6', '--out', str(results / 'speed'))
    run_benchmark('lite_speed', '--backends', *_backends(), '--out', str(results / 'speed'))


def measure_real_frames(recorded: Path, docs: Path) -> None:
    """Write table and pictures of recorded frames for each shipped pose model."""
    for backend in _backends():
        # Relative: the table states the folder, and other machines have other roots.
        run_benchmark('real_frames', '--backend', backend,
                      '--data', os.path.relpath(recorded, _ROOT),
                      '--out', str(docs / 'results' / 'real' / backend),
                      '--overlays', str(docs / 'pictures'))


def run_benchmark(script: str, *arguments: str, patience: float | None = None) -> None:
    """Run one of the scripts in benchmarks/.

    Args:
        script: Its name.
        arguments: What it is called with.
        patience: Longest time, seconds; None = as long as it takes.

    Raises:
        PoseEstimationError: If it fails, with the end of what it said, or takes longer.
    """
    _tell(f'benchmarks/{script}.py {" ".join(arguments)}')
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get('PYTHONPATH', ''))))
    command = [sys.executable, str(_ROOT / 'benchmarks' / f'{script}.py'), *arguments]
    try:
        answer = subprocess.run(command, check=False, capture_output=True, text=True, cwd=_ROOT,
                                timeout=patience, env={**os.environ, 'PYTHONPATH': path})
    except subprocess.TimeoutExpired as error:
        raise PoseEstimationError(f'benchmarks/{script}.py took longer than {patience:g} s'
                                  ) from error
    if answer.returncode:
        raise PoseEstimationError(f'benchmarks/{script}.py ended with code {answer.returncode}: '
                                  f'{answer.stderr[-500:]}')


def write_documents(docs: Path, readme: Path) -> None:
    """Write accuracy.md from its template and the results, and the table in the README.

    Args:
        docs: Folder with `accuracy_template.md` and `results/`.
        readme: File with the marks of the table.

    Raises:
        ConfigurationError: If the template leaves a shipped model out, or marks are wrong.
    """
    template = (docs / 'accuracy_template.md').read_text(encoding='utf-8')
    unnamed = [model.manifest.name for model in _shipped() if model.manifest.name not in template]
    if unnamed:
        raise ConfigurationError(f'{docs / "accuracy_template.md"} does not show the shipped '
                                 f'model {unnamed[0]}; add its tables')
    write_text(docs / 'accuracy.md', fill_template(template, docs / 'results'))
    write_text(readme, replace_between(readme.read_text(encoding='utf-8'), 'measured',
                                       measured_table(docs / 'results')))


def main() -> int:
    """Measure and write; 2 = something cannot be measured."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--frames', type=int, default=336, help='per domain')
    parser.add_argument('--data', type=Path, default=_ROOT / 'data' / 'frames',
                        help='folder of <domain>/test')
    parser.add_argument('--real', type=Path, default=_ROOT.parent / 'shared/data/real_frames',
                        help='recorded frames; left out where they are missing')
    parser.add_argument('--docs', type=Path, default=_ROOT / 'docs')
    parser.add_argument('--readme', type=Path, default=_ROOT / 'README.md')
    parser.add_argument('--runs', type=Path, default=_ROOT / 'runs' / 'accuracy',
                        help='predictions; emptied first')
    parser.add_argument('--processes', type=int, default=1)
    parser.add_argument('--resume', action='store_true',
                        help='go on with the predictions of an interrupted call')
    parser.add_argument('--only-write', action='store_true',
                        help='measure nothing, write the documents from the stored tables')
    arguments = parser.parse_args()
    results = arguments.docs.resolve() / 'results'
    try:
        if not arguments.only_write:
            if not arguments.resume:
                # Figures are of the code as it is now, not of what an older one predicted.
                shutil.rmtree(arguments.runs, ignore_errors=True)
            for domain in DOMAINS:
                shutil.rmtree(results / domain, ignore_errors=True)
            measure_models(arguments.frames, arguments.data, arguments.runs, results,
                           arguments.processes)
            measure_speed(results)
            if arguments.real.is_dir():
                measure_real_frames(arguments.real, arguments.docs.resolve())
            else:
                _tell(f'no recorded frames in {arguments.real}: their tables stay as they are')
        write_documents(arguments.docs, arguments.readme)
    except PoseEstimationError as error:
        sys.stderr.write(f'{error}\n')
        return 2
    _tell(f'wrote {arguments.docs / "accuracy.md"} and the table in {arguments.readme}')
    return 0


def _shipped() -> list[Model]:
    """Return the detectors, and the pose models of detected categories, of the source tree."""
    return [model for model in ModelStore([_ROOT / 'models']).models() if has_slice(model)]


def _backends() -> list[str]:
    """Return the backends of the shipped pose models, by the models' names."""
    return [model.manifest.backend for model in _shipped() if model.manifest.task == 'pose']


def _publish(tables: Tables, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    tables.write(folder)


def _tell(text: str) -> None:
    sys.stdout.write(f'{text}\n')
    sys.stdout.flush()


if __name__ == '__main__':
    sys.exit(main())
