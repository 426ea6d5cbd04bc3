"""The batches of consecutive steps, made ahead by worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pose_estimation_ros.core.errors import PoseEstimationError

MakeBatch = Callable[[int], Any]


class StepBatches(Dataset[Any]):
    """Batches by step."""

    def __init__(self, make: MakeBatch) -> None:
        """Take the function from a step to its batch."""
        self._make = make

    def __getitem__(self, step: int) -> Any:
        """Make the batch of a step, or return the fault that lies in the data."""
        try:
            return self._make(step)
        except PoseEstimationError as error:
            # Raised here, it would arrive wrapped into the worker's traceback.
            return error


def batches(make: MakeBatch, steps: range, workers: int) -> Iterator[Any]:
    """Yield the batches of the steps in order.

    Args:
        make: Makes the batch of a step from nothing but the step.
        steps: The steps.
        workers: Processes that make batches ahead; 0 = this one, when it needs them.

    Raises:
        PoseEstimationError: As `make`.
    """
    if workers == 0:
        yield from map(make, steps)
        return
    # Workers are forked: they share the parent's data without copying them. OpenCV must have no
    # threads by then: a child that changes their number waits for ever for those it lacks.
    cv2.setNumThreads(1)
    for batch in DataLoader(StepBatches(make), batch_size=None, sampler=steps,
                            num_workers=workers, prefetch_factor=4,
                            multiprocessing_context='fork'):
        if isinstance(batch, PoseEstimationError):
            raise batch
        yield batch


def on_device(batch: Any, device: torch.device) -> Any:
    """Return a batch (tensors in dataclasses, tuples, lists and dictionaries) on a device."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if is_dataclass(batch):
        return type(batch)(*(on_device(getattr(batch, field.name), device)
                             for field in fields(batch)))
    if isinstance(batch, dict):
        return {name: on_device(value, device) for name, value in batch.items()}
    if isinstance(batch, list | tuple):
        return type(batch)(on_device(value, device) for value in batch)
    return batch
