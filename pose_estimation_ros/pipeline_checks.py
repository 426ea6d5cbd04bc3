"""Whether the stages of a pipeline fit together: labels that are wanted, found and known."""

from __future__ import annotations

from collections.abc import Sequence

from pose_estimation_ros.backends.base import PoseBackend, TakesObjects
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.segmentation.registry import Segmenter


def check_known(labels: Sequence[str], backend: PoseBackend) -> None:
    """Check that a backend knows all wanted labels.

    Raises:
        ConfigurationError: If not.
    """
    unknown = [label for label in labels if label not in backend.categories]
    if unknown:
        raise ConfigurationError(f'unknown label {unknown[0]!r}; the backend {backend.name} knows '
                                 f'{", ".join(backend.categories)}')


def check_labels(segmenter: Segmenter, backend: PoseBackend, choice: str) -> None:
    """Check that something that is found can get a pose, now or once objects are added.

    Args:
        segmenter: Finds.
        backend: Estimates.
        choice: What chooses the segmenter's model.

    Raises:
        ConfigurationError: If not.
    """
    if isinstance(backend, TakesObjects) or set(segmenter.categories) & set(backend.categories):
        return
    raise ConfigurationError(
        f'the segmentation model finds {", ".join(segmenter.categories) or "nothing"}, but the '
        f'backend {backend.name} knows {", ".join(backend.categories) or "nothing"}; choose a '
        f'segmentation model of the same objects ({choice})')


def check_finds_by_colour(segmenter: Segmenter, model: str) -> None:
    """Check that the fallback's objects can be found in frames without depth.

    Args:
        segmenter: Of the fallback.
        model: Name or folder of its model.

    Raises:
        ConfigurationError: If it needs depth.
    """
    if segmenter.needs_depth:
        raise ConfigurationError(
            f'the segmentation model {model} needs depth, which the fallback is without; name one '
            'that looks at colour alone and finds its objects: fallback.segmentation_model')
