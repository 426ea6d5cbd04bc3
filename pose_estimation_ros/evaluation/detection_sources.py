"""Where the detections of an evaluation come from, when no detector finds them.

A backend can be judged alone: on the true masks, on true boxes, on true masks with a detector's
errors, or on detections that were stored before or published by others.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.datasets import nocs_results
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame, ObjectAnnotation
from pose_estimation_ros.evaluation.detection_files import FrameDetections, read_detections
from pose_estimation_ros.synthetic.mask_errors import detector_mask

Mask = NDArray[np.bool_]

MODEL, TRUTH, BOXES, ERRORS = 'model', 'truth', 'boxes', 'errors'
# Sources that are no file or folder.
NAMED = (MODEL, TRUTH, BOXES, ERRORS)
# What is hidden or a few pixels small is not asked for, as a detector would not find it.
_LEAST_PIXELS = 32


class DetectionSource(Protocol):
    """Gives the detections of a frame."""

    def __call__(self, frame: AnnotatedFrame) -> tuple[Detection, ...]:
        """Return the detections of a frame; none is fine."""
        ...


class MaskSource:
    """Every object of at least 32 visible pixels, with its own mask."""

    def __call__(self, frame: AnnotatedFrame) -> tuple[Detection, ...]:
        """Return one detection of score 1 per object, in the order of the objects."""
        return tuple(detection for _, detection in self.pairs(frame))

    def pairs(self, frame: AnnotatedFrame) -> Iterator[tuple[ObjectAnnotation, Detection]]:
        """Yield each object with its detection; those whose mask is empty are left out.

        Raises:
            InvalidInputError: If the data set has no masks.
        """
        for annotation in frame.objects:
            own = frame.mask(annotation)
            if own.sum() < _LEAST_PIXELS:
                continue
            mask = self._mask(own, frame.name, annotation.instance_id)
            if mask.any():
                yield annotation, _detection(annotation.label, mask)

    def _mask(self, own: Mask, _frame: str, _instance_id: int) -> Mask:
        """Return the mask that is given out for an object's own."""
        return own


class TrueMasks(MaskSource):
    """True masks as they are."""


class TrueBoxes(MaskSource):
    """The least box of what can be seen of each object, whole: what a plain box detector tells."""

    def _mask(self, own: Mask, _frame: str, _instance_id: int) -> Mask:
        rows, columns = (np.flatnonzero(own.any(axis=axis)) for axis in (1, 0))
        box = np.zeros_like(own)
        box[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1] = True
        return box


class MasksWithErrors(MaskSource):
    """True masks with the faults of a detector's masks; equal seeds give equal masks."""

    def __init__(self, seed: int = 0) -> None:
        """Set the seed of the errors."""
        self._seed = seed

    def _mask(self, own: Mask, frame: str, instance_id: int) -> Mask:
        # The errors of an object depend on nothing but its name, in whatever order or on
        # whatever machine the frames come.
        generator = np.random.default_rng((self._seed, zlib.crc32(frame.encode()), instance_id))
        return detector_mask(own, np.zeros_like(own), generator)


class StoredDetections:
    """Detections of a file that `write_detections` made."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            InvalidInputError: If it is missing or malformed.
        """
        self._path = path
        self._frames: Mapping[str, FrameDetections] = {
            frame.name: frame for frame in read_detections(path)}

    def __call__(self, frame: AnnotatedFrame) -> tuple[Detection, ...]:
        """Return what the file holds of the frame.

        Raises:
            InvalidInputError: If it does not know the frame: it was made on other data.
        """
        found = self._frames.get(frame.name)
        if found is None:
            first = next(iter(self._frames), 'nothing')
            raise InvalidInputError(f'{self._path} holds no detections of frame {frame.name!r}, '
                                    f'it begins with {first!r}; give detections of this data set')
        return found.detections


class NocsDetections:
    """The published pickles of NOCS' detector."""

    def __init__(self, folder: Path) -> None:
        """Remember the folder of `results_<subset>_<folder>_<image>.pkl`."""
        self._folder = folder

    def __call__(self, frame: AnnotatedFrame) -> tuple[Detection, ...]:
        """Return what the frame's pickle holds.

        Raises:
            InvalidInputError: If there is none, or it holds something else.
        """
        path = self._folder / f'results_{frame.name.replace("/", "_")}.pkl'
        if not path.is_file():
            raise InvalidInputError(f"{path} is missing; put the detector's pickles of this split "
                                    f'there, or give another source of masks than {self._folder}')
        return nocs_results.read_detections(path)


def open_source(masks: str, seed: int) -> DetectionSource:
    """Return the source that a command line names.

    Args:
        masks: 'truth', 'boxes', 'errors', a file of detections, or a folder of NOCS' pickles.
        seed: Of the errors.

    Raises:
        InvalidInputError: If it is none of these.
    """
    if masks == TRUTH:
        return TrueMasks()
    if masks == BOXES:
        return TrueBoxes()
    if masks == ERRORS:
        return MasksWithErrors(seed)
    path = Path(masks).expanduser()
    if path.is_dir():
        return NocsDetections(path)
    if path.is_file():
        return StoredDetections(path)
    raise InvalidInputError(f'masks {masks!r} is none of {MODEL}, {TRUTH}, {BOXES} and {ERRORS}, '
                            'and there is no file or folder of that name; write detections with '
                            '`pose-estimation evaluate ... --protocol detection`')


def _detection(label: str, mask: Mask) -> Detection:
    rows, columns = np.nonzero(mask)
    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float64)
    return Detection(label, 1.0, box, mask)
