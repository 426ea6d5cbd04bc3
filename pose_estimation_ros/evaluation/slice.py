"""A small seeded slice of the evaluation that tells whether a shipped model still does as it did.

    python -m pose_estimation_ros.evaluation.slice            # compare with the manifests
    python -m pose_estimation_ros.evaluation.slice --write    # after a training: state anew

24 frames of unseen objects are rendered. A detector looks at them whole; a pose model gets true
masks with a detector's errors. Each model's `model.yaml` states the figures under `metrics.slice`
with the tolerance that other processors' rounding may use up; a test compares.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.backends.registry import create_backend
from pose_estimation_ros.core.categories import CATEGORIES, CATEGORY_NAMES
from pose_estimation_ros.core.errors import ModelError, PoseEstimationError
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame
from pose_estimation_ros.evaluation.detection_sources import MasksWithErrors
from pose_estimation_ros.evaluation.mask_accuracy import object_errors
from pose_estimation_ros.evaluation.segmentation_accuracy import LEAST_VISIBILITY, compare
from pose_estimation_ros.runtime import Model, ModelStore
from pose_estimation_ros.runtime.manifest import write_manifest
from pose_estimation_ros.segmentation.mask_rcnn import MaskRCNNSegmenter
from pose_estimation_ros.synthetic.annotation import annotated_frame
from pose_estimation_ros.synthetic.scene import SceneGenerator
from pose_estimation_ros.synthetic.scene_renderer import render_frame

FRAMES = 24
COMMAND = 'python -m pose_estimation_ros.evaluation.slice'
ENTRY = 'slice'
# Percent points. A share moves by one object in 80 when rounding turns one over.
_TOLERANCES = {'found': 4.0, 'mask IoU': 2.0, '10°5cm': 4.0, 'box IoU': 2.0}
# Known objects are in none of the frames; neural meshes are given no masks and take minutes; of
# DISP6D the rotation alone is judged (docs/disp6d.md).
_JUDGED_ELSEWHERE = frozenset({'mrc', 'neural_mesh', 'disp6d'})
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Figure:
    """One figure of a model on the slice.

    Attributes:
        name: What it is.
        value: Percent of the objects, or their mean in percent.
        tolerance: By how many points it may differ elsewhere.
    """

    name: str
    value: float
    tolerance: float


def slice_frames() -> list[AnnotatedFrame]:
    """Render the frames of the slice; the same on every call."""
    scenes = SceneGenerator('primary', 'test')
    return [annotated_frame(f'{index:06d}', render_frame(scenes.scene(index)), CATEGORIES)
            for index in range(FRAMES)]


def has_slice(model: Model) -> bool:
    """Return whether a model is one that the slice can judge: of our categories, by masks."""
    manifest = model.manifest
    return (set(manifest.categories) <= set(CATEGORY_NAMES)
            and manifest.task in ('segmentation', 'pose')
            and manifest.backend not in _JUDGED_ELSEWHERE)


def measure(model: Model, frames: Sequence[AnnotatedFrame]) -> tuple[Figure, ...]:
    """Return a model's figures on the slice.

    Args:
        model: A detector or a pose model.
        frames: `slice_frames()`.

    Raises:
        ModelError: If a file of it is missing or altered, or nothing can judge it.
    """
    if model.manifest.task == 'segmentation':
        values = _segmentation(model, frames)
    elif model.manifest.task == 'pose':
        values = _poses(model, frames)
    else:
        raise ModelError(f'model {model.manifest.name!r} is made for {model.manifest.task}; '
                         'the slice judges detectors and pose models')
    return tuple(Figure(name, round(100.0 * value, 2), _TOLERANCES[name])
                 for name, value in values.items())


def stated(model: Model) -> tuple[Figure, ...]:
    """Return the figures that a model's manifest states.

    Raises:
        ModelError: If it states none.
    """
    entry: Mapping[str, Any] | None = model.manifest.metrics.get(ENTRY)
    if not entry:
        raise ModelError(f'the manifest of model {model.manifest.name!r} has no metrics.{ENTRY}; '
                         f'add it with: {COMMAND} --write')
    return tuple(Figure(figure['figure'], float(figure['value']), float(figure['tolerance']))
                 for figure in entry['figures'])


def moved(before: Sequence[Figure], now: Sequence[Figure]) -> list[str]:
    """Return a sentence for each figure that moved by more than its tolerance."""
    # A figure that is no longer measured has moved, too.
    values = defaultdict(lambda: float('nan'), {figure.name: figure.value for figure in now})
    return [f'{figure.name} was {figure.value} % and is {values[figure.name]} %, which is more '
            f'than {figure.tolerance} points away'
            for figure in before
            if not abs(values[figure.name] - figure.value) <= figure.tolerance]


def state(model: Model, figures: Sequence[Figure]) -> None:
    """Write the figures into the model's manifest, in the place of older ones."""
    entry = {'command': COMMAND, 'data': f'{FRAMES} test frames of the primary domain, seed 0',
             'figures': [{'figure': figure.name, 'value': figure.value,
                          'tolerance': figure.tolerance} for figure in figures]}
    metrics = {**model.manifest.metrics, ENTRY: entry}
    write_manifest(replace(model.manifest, metrics=metrics), model.folder)


def _segmentation(model: Model, frames: Sequence[AnnotatedFrame]) -> dict[str, float]:
    segmenter = MaskRCNNSegmenter.from_model(model, device='cpu', threads=1)
    objects = [entry for frame in frames
               for entry in compare(frame, segmenter.detect(frame.frame)).objects
               if entry.visibility > LEAST_VISIBILITY]
    segmenter.close()
    overlaps = [entry.iou if entry.found_as == entry.category else 0.0 for entry in objects]
    return {'found': float(np.mean([overlap > 0.0 for overlap in overlaps])),
            'mask IoU': float(np.mean(overlaps))}


def _poses(model: Model, frames: Sequence[AnnotatedFrame]) -> dict[str, float]:
    backend = create_backend(model.manifest.backend,
                             BackendOptions(str(model.folder), 'cpu', threads=1))
    masks = MasksWithErrors(seed=0)
    errors = [error for frame in frames
              for error in object_errors(backend, frame, masks, LEAST_VISIBILITY)]
    backend.close()
    return {'10°5cm': float(np.mean([error.rotation <= 10.0 and error.translation <= 5.0
                                     for error in errors])),
            'box IoU': float(np.mean([error.iou for error in errors]))}


def judge(models: Sequence[Model], frames: Sequence[AnnotatedFrame]) -> Iterator[str]:
    """Yield a sentence for each figure of the models that moved; tell all figures.

    Raises:
        ModelError: If a manifest states no figures.
    """
    for model in models:
        before = stated(model)
        now = measure(model, frames)
        _tell(model, now)
        yield from (f'{model.manifest.name}: {fault}' for fault in moved(before, now))


def _tell(model: Model, figures: Sequence[Figure]) -> None:
    text = ', '.join(f'{figure.name} {figure.value} % (±{figure.tolerance})'
                     for figure in figures)
    sys.stdout.write(f'{model.manifest.name}: {text}\n')


def main() -> int:
    """Compare or state; return 1 if a figure moved, 2 if nothing can be compared."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--models', type=Path, default=_ROOT / 'models',
                        help='folder of model folders')
    parser.add_argument('--write', action='store_true',
                        help='state the figures in the manifests instead of comparing')
    arguments = parser.parse_args()
    try:
        models = [model for model in ModelStore([arguments.models]).models() if has_slice(model)]
        frames = slice_frames()
        if not arguments.write:
            faults = list(judge(models, frames))
            sys.stdout.writelines(f'{fault}\n' for fault in faults)
            return 1 if faults else 0
        for model in models:
            figures = measure(model, frames)
            _tell(model, figures)
            state(model, figures)
    except PoseEstimationError as error:
        sys.stderr.write(f'{error}\n')
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
