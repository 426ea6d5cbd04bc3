"""Segmenters by name: ours, and those that installed packages offer."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Protocol, runtime_checkable

from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.runtime import ModelStore
from pose_estimation_ros.segmentation.mask_rcnn import MaskRCNNSegmenter, SegmentationSettings

# A third-party package adds a segmenter with an entry point in this group, whose value is a
# callable `(SegmenterOptions) -> Segmenter`.
SEGMENTER_ENTRY_POINT_GROUP = 'pose_estimation_ros.segmenters'
MASK_RCNN = 'mask_rcnn'
DEFAULT_SEGMENTATION_MODEL = 'maskrcnn_lite'


class Segmenter(Protocol):
    """Finds the objects of a frame."""

    @property
    def needs_depth(self) -> bool:
        """Whether it is meant for frames with depth."""
        ...

    @property
    def categories(self) -> tuple[str, ...]:
        """Labels that its detections can have."""
        ...

    def detect(self, frame: RGBDFrame) -> list[Detection]:
        """Return the instances found in an undistorted frame; none is fine."""
        ...

    @property
    def providers(self) -> tuple[str, ...]:
        """Names of the execution providers that run the network, for `/diagnostics`."""
        ...

    def close(self) -> None:
        """Free sessions and device memory."""
        ...


@dataclass(frozen=True)
class SegmenterOptions:
    """What a segmenter is told when it is created.

    Attributes:
        model: Name or folder of its model; empty = the shipped default.
        device: 'auto', 'cpu', 'cuda' or 'tensorrt'.
        threads: Threads of the inference session; 0 lets ONNX Runtime choose.
        min_score: Least score of a detection, 0 to 1; None takes the model's own.
        max_objects: Most detections of a frame, the best ones.
    """

    model: str = ''
    device: str = 'auto'
    threads: int = 0
    min_score: float | None = None
    max_objects: int = 32


@runtime_checkable
class TunableSegmenter(Protocol):
    """A segmenter whose `min_score` and `max_objects` change while it is loaded."""

    def retune(self, min_score: float | None, max_objects: int) -> None:
        """Follow other limits from the next frame on; any thread may ask."""
        ...


@runtime_checkable
class NamesBestCandidate(Protocol):
    """A segmenter that can say what came nearest to a detection where it found none."""

    def best_candidate(self) -> str:
        """Return a sentence on the best place of the last frame that was not good enough.

        Empty if there was not even that.
        """
        ...


def segmenter_names() -> tuple[str, ...]:
    """Return the names of all known segmenters, sorted."""
    plugins = entry_points(group=SEGMENTER_ENTRY_POINT_GROUP)
    return tuple(sorted({MASK_RCNN, *(plugin.name for plugin in plugins)}))


def create_segmenter(name: str, options: SegmenterOptions) -> Segmenter:
    """Create a segmenter alone.

    Args:
        name: One of `segmenter_names()`.
        options: Of the segmenter.

    Raises:
        ConfigurationError: If no segmenter has that name.
        ModelError: If its model is missing, damaged or of another kind.
    """
    if name == MASK_RCNN:
        return _create_mask_rcnn(options)
    plugins = entry_points(group=SEGMENTER_ENTRY_POINT_GROUP, name=name)
    if not plugins:
        raise ConfigurationError(
            f'unknown segmenter {name!r}; known are {", ".join(segmenter_names())}')
    segmenter: Segmenter = next(iter(plugins)).load()(options)
    return segmenter


def _create_mask_rcnn(options: SegmenterOptions) -> Segmenter:
    model = ModelStore().find(options.model or DEFAULT_SEGMENTATION_MODEL, task='segmentation')
    settings = SegmentationSettings(score_threshold=options.min_score,
                                    max_detections=options.max_objects)
    return MaskRCNNSegmenter.from_model(model, settings, options.device, options.threads)
