"""Mask R-CNN at run time: from a frame to labelled masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.runtime.manifest import ModelManifest
from pose_estimation_ros.runtime.model_store import Model
from pose_estimation_ros.runtime.session import InferenceSession
from pose_estimation_ros.segmentation.mask_pasting import paste_mask
from pose_estimation_ros.segmentation.mask_refinement import MaskRefinement, refine_mask
from pose_estimation_ros.segmentation.point_classifier import PointClassifier
from pose_estimation_ros.segmentation.preprocessing import (
    CHANNEL_NAMES,
    COLOR_CHANNELS,
    InputSize,
    color_input,
    detector_input,
)

CLASSIFIER_ROLE = 'classifier'
_MASK_THRESHOLD = 0.5
# A mask of which a surer one covers this share shows a part of that object.
_PART = 0.7


@dataclass(frozen=True)
class SegmentationSettings:
    """What counts as a detection.

    Attributes:
        score_threshold: Least score; None takes the model's own.
        max_detections: Most detections a frame, the best ones.
        duplicate_iou: Mask IoU from which two detections are the same object, whatever their
            labels say.
        least_pixels: Smallest mask, pixels.
        refinement: How masks are refined by depth; None leaves them as they are.
    """

    score_threshold: float | None = None
    max_detections: int = 20
    duplicate_iou: float = 0.5
    least_pixels: int = 60
    refinement: MaskRefinement | None = field(default_factory=MaskRefinement)

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigurationError: If a setting is out of range.
        """
        threshold = 0.5 if self.score_threshold is None else self.score_threshold
        for name, value in (('score_threshold', threshold), ('duplicate_iou', self.duplicate_iou)):
            if not 0.0 <= value <= 1.0:
                raise ConfigurationError(f'{name} is {value}; it must lie between 0 and 1')
        if self.max_detections < 1:
            raise ConfigurationError(f'max_detections is {self.max_detections}; use 1 or more')


@dataclass(frozen=True)
class _InputContract:
    """What the manifest says the network takes: colour alone or colour and depth."""

    size: InputSize
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    needs_depth: bool

    @classmethod
    def of(cls, manifest: ModelManifest) -> _InputContract:
        entries = manifest.input
        try:
            size = InputSize(int(entries['width']), int(entries['height']))
            channels = tuple(entries['channels'])
            mean = np.array(entries.get('mean', [0.0] * 3), dtype=np.float32).reshape(3)
            deviation = np.array(entries.get('deviation', [1.0] * 3), np.float32).reshape(3)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f'model {manifest.name!r}: its manifest must give input.width, '
                             f'input.height and input.channels ({error!r})') from error
        if channels not in (COLOR_CHANNELS, CHANNEL_NAMES):
            raise ModelError(f'model {manifest.name!r} takes the channels {channels}, which this '
                             f'version cannot make; it makes {COLOR_CHANNELS} or {CHANNEL_NAMES}')
        return cls(size, mean, deviation, channels == CHANNEL_NAMES)

    def tensor(self, frame: RGBDFrame) -> NDArray[np.float32]:
        """Return the (1, C, height, width) input of a frame."""
        if self.needs_depth:
            return detector_input(frame, self.size)[None]
        return color_input(frame.rgb, self.size, self.mean, self.deviation)[None]


@dataclass(frozen=True)
class Candidate:
    """A place where the detector sees something.

    Attributes:
        detection: With the detector's best label and score.
        evidence: The detector's scores for other labels at the same place.
    """

    detection: Detection
    evidence: dict[str, float]


@dataclass(frozen=True)
class Miss:
    """The best candidate of a frame in which none was good enough."""

    label: str
    score: float
    threshold: float

    def __str__(self) -> str:
        return (f'the best candidate, {self.label}, has score {self.score:.2f}, less than '
                f'{self.threshold:.2f}; lower segmentation.min_score, or show the objects larger '
                'and in better light')


class MaskRCNNSegmenter:
    """Finds the objects of a frame: a detector proposes, points in metres decide.

    A model with a classifier keeps many uncertain candidates of the detector, and the classifier
    says what they are. Without one, or without depth, the detector's word stands.
    """

    def __init__(self, session: InferenceSession, manifest: ModelManifest,
                 settings: SegmentationSettings,
                 classifier: PointClassifier | None = None) -> None:
        """Join loaded networks, their manifest and the settings; see `from_model`."""
        self._session = session
        self._classifier = classifier
        self._input = _InputContract.of(manifest)
        self._labels = _label_map(manifest)
        self._parameters = manifest.parameters
        self._miss: Miss | None = None
        self.follow(settings)

    @classmethod
    def from_model(cls, model: Model, settings: SegmentationSettings | None = None,
                   device: str = 'auto', threads: int = 0) -> MaskRCNNSegmenter:
        """Load a segmentation model.

        Args:
            model: From `ModelStore.find(name, task='segmentation')`.
            settings: What counts as a detection.
            device: 'auto', 'cpu', 'cuda' or 'tensorrt'.
            threads: CPU threads; 0 = one for each core.

        Raises:
            ModelError: If the model is damaged or of another kind.
            ConfigurationError: If the device is not there.
        """
        if model.manifest.backend != 'maskrcnn':
            raise ModelError(f'model {model.manifest.name!r} is run by '
                             f'{model.manifest.backend!r}, not by maskrcnn; choose a '
                             'segmentation model')
        session = InferenceSession(model.file('network'), device, threads)
        classifier = None
        if CLASSIFIER_ROLE in model.manifest.files:
            classifier = PointClassifier(
                InferenceSession(model.file(CLASSIFIER_ROLE), device, threads),
                model.manifest.categories)
        segmenter = cls(session, model.manifest, settings or SegmentationSettings(), classifier)
        size, channels = segmenter._input.size, len(model.manifest.input['channels'])
        session.warm_up({'image': (1, channels, size.height, size.width)})
        return segmenter

    @property
    def categories(self) -> tuple[str, ...]:
        """The labels that detections can have."""
        return tuple(dict.fromkeys(self._labels.values()))

    @property
    def needs_depth(self) -> bool:
        """Whether the model was trained with depth; without it, it finds less."""
        return self._input.needs_depth or self._classifier is not None

    @property
    def providers(self) -> tuple[str, ...]:
        """Names of the execution providers that run the network."""
        return self._session.providers

    def follow(self, settings: SegmentationSettings) -> None:
        """Follow other settings from the next frame on; any thread may ask."""
        given, own = settings.score_threshold, self._parameters
        threshold = float(own.get('score_threshold', 0.5) if given is None else given)
        self._detector_threshold = float(own.get('detector_threshold', threshold))
        self._candidate_threshold = float(own.get('candidate_threshold', threshold))
        self._threshold = threshold
        self._settings = settings

    def retune(self, min_score: float | None, max_objects: int) -> None:
        """Follow another least score and number of objects from the next frame on."""
        self.follow(replace(self._settings, score_threshold=min_score,
                            max_detections=max_objects))

    def best_candidate(self) -> str:
        """Return what came nearest to a detection in the last frame, empty if nothing did."""
        return '' if self._miss is None else str(self._miss)

    def detect(self, frame: RGBDFrame) -> list[Detection]:
        """Return the objects of a frame, best score first."""
        self._miss = None
        most = self._settings.max_detections
        if self._classifier is None or frame.depth is None:
            least = self._threshold if self._classifier is None else self._detector_threshold
            return [candidate.detection for candidate in self.candidates(frame, least)[:most]]
        candidates = self.candidates(frame, self._candidate_threshold)
        probabilities = self._classifier.probabilities(
            frame, [candidate.detection for candidate in candidates],
            [candidate.evidence for candidate in candidates])
        judged = [_judged(candidate.detection, probability)
                  for candidate, probability in zip(candidates, probabilities, strict=True)
                  if probability or candidate.detection.score >= self._detector_threshold]
        judged.sort(key=lambda detection: -detection.score)
        if judged and judged[0].score < self._threshold:
            self._miss = Miss(judged[0].label, judged[0].score, self._threshold)
        kept: list[Detection] = []
        for detection in judged:
            if detection.score < self._threshold or len(kept) == most:
                break
            # Now that all are judged, a part of an object is told from an object of its own.
            if all(_covered(detection, other) < _PART for other in kept):
                kept.append(detection)
        return kept

    def candidates(self, frame: RGBDFrame, least_score: float) -> list[Candidate]:
        """Return where the detector sees something, best score first.

        Args:
            frame: Where to look.
            least_score: Least score of the detector.
        """
        found = self._session.run({'image': self._input.tensor(frame)})
        height, width = frame.rgb.shape[:2]
        fitted = self._input.size.fit(width, height)
        scale = np.array([width / fitted[0], height / fitted[1]])
        candidates: list[Candidate] = []
        order = np.argsort(-found['scores'], kind='stable')
        if order.size and found['scores'][order[0]] < least_score:
            self._miss = Miss(self._labels.get(int(found['labels'][order[0]]), 'something'),
                               float(found['scores'][order[0]]), least_score)
        for index in order[found['scores'][order] >= least_score]:
            label = self._labels.get(int(found['labels'][index]))
            if label is None:
                continue
            box = found['boxes'][index].astype(np.float64) * np.tile(scale, 2)
            detection = self._detection(frame, label, float(found['scores'][index]), box,
                                        found['masks'][index], scale)
            if detection is None:
                continue
            same = self._same_place(detection, candidates)
            if same is None:
                candidates.append(Candidate(detection, {}))
            elif label != same.detection.label:
                same.evidence.setdefault(label, detection.score)
        return candidates

    def close(self) -> None:
        """Free the networks."""
        self._session.close()
        if self._classifier is not None:
            self._classifier.close()

    def _detection(self, frame: RGBDFrame, label: str, score: float, box: NDArray[np.float64],
                   mask: NDArray[np.float32], scale: NDArray[np.float64]) -> Detection | None:
        """Return the detection with its refined mask, or None if nothing is left of it."""
        height, width = frame.rgb.shape[:2]
        inside = np.clip(box, 0, [width, height, width, height])
        if (inside[2:] <= inside[:2]).any():
            return None
        # The mask belongs to the whole box: pasted into what is left of it, it would be squeezed.
        margin = 4 + int(0.08 * max(box[2] - box[0], box[3] - box[1]))
        window = paste_mask(mask, box, (width, height), (scale[0], scale[1]), margin)
        if window is None:
            return None
        x, y = window.offset
        rows, columns = window.probability.shape
        depth = None if frame.depth is None else frame.depth[y:y + rows, x:x + columns]
        refinement = self._settings.refinement
        refined = (window.probability > _MASK_THRESHOLD if refinement is None else refine_mask(
            window.probability, depth, frame.intrinsics.crop(x, y, columns, rows), refinement))
        if np.count_nonzero(refined) < self._settings.least_pixels:
            return None
        return Detection(label, score, inside, refined, window.offset)

    def _same_place(self, detection: Detection,
                    better: Sequence[Candidate]) -> Candidate | None:
        return next((other for other in better if mask_iou(detection, other.detection)
                     > self._settings.duplicate_iou), None)


def _judged(detection: Detection, probability: Mapping[str, float] | None) -> Detection:
    """Return the detection with the most probable category; its own where nothing is known."""
    if probability is None:
        return detection
    label = max(probability, key=lambda name: probability[name])
    return replace(detection, label=label, score=probability[label])


def mask_iou(a: Detection, b: Detection) -> float:
    """Return the intersection over union of two detections' masks, 0 to 1."""
    common = _common_pixels(a, b)
    union = np.count_nonzero(a.mask) + np.count_nonzero(b.mask) - common
    return common / union if union else 0.0


def _covered(a: Detection, b: Detection) -> float:
    """Return the share of the smaller mask that the other one covers, 0 to 1."""
    smaller = min(np.count_nonzero(a.mask), np.count_nonzero(b.mask))
    return _common_pixels(a, b) / smaller if smaller else 0.0


def _common_pixels(a: Detection, b: Detection) -> int:
    x0, y0 = max(a.offset[0], b.offset[0]), max(a.offset[1], b.offset[1])
    x1 = min(a.offset[0] + a.mask.shape[1], b.offset[0] + b.mask.shape[1])
    y1 = min(a.offset[1] + a.mask.shape[0], b.offset[1] + b.mask.shape[0])
    if x1 <= x0 or y1 <= y0:
        return 0
    part_a, part_b = (
        d.mask[y0 - d.offset[1]:y1 - d.offset[1], x0 - d.offset[0]:x1 - d.offset[0]]
        for d in (a, b))
    return int(np.count_nonzero(part_a & part_b))


def _label_map(manifest: ModelManifest) -> dict[int, str]:
    """Return label by class number.

    Raises:
        ModelError: If the manifest does not say it.
    """
    labels = manifest.parameters.get('labels')
    if not isinstance(labels, Mapping) or not labels:
        raise ModelError(f'model {manifest.name!r}: its manifest must give parameters.labels, the '
                         'label of each class number')
    return {int(number): str(label) for number, label in labels.items()}
