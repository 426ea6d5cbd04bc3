"""Batches made ahead by worker processes."""

import cv2
import numpy as np
import pytest
import torch

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.training.step_batches import batches, on_device


def blurred(step: int) -> torch.Tensor:
    image = np.full((400, 400), step, dtype=np.float32)
    return torch.from_numpy(cv2.GaussianBlur(image, (9, 9), 2.0)).mean()


def test_workers_give_the_batches_in_order_though_opencv_had_threads_before():
    cv2.setNumThreads(2)
    blurred(1)
    for workers in (0, 2):
        found = [float(batch) for batch in batches(blurred, range(3, 8), workers)]
        assert found == pytest.approx([3, 4, 5, 6, 7])


@pytest.mark.parametrize('workers', [0, 1])
def test_a_fault_in_the_data_arrives_as_it_is(workers: int):
    def fail(step: int) -> torch.Tensor:
        raise InvalidInputError(f'shard {step} is damaged')

    with pytest.raises(InvalidInputError, match=r'^shard 4 is damaged$'):
        next(batches(fail, range(4, 6), workers))


def test_a_batch_keeps_its_form_on_a_device():
    batch = (torch.ones(2), [{'boxes': torch.zeros(1)}], 'name')
    moved = on_device(batch, torch.device('meta'))
    assert moved[0].device.type == moved[1][0]['boxes'].device.type == 'meta'
    assert moved[2] == 'name'
