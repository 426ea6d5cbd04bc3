from __future__ import annotations

import numpy as np
import pytest

from pose_estimation_ros.core.categories import category_named
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Y_AXIS_SYMMETRY
from pose_estimation_ros.evaluation.pose_accuracy import (
    COLUMNS,
    PoseError,
    accuracy_table,
    effective_symmetry,
    missing,
    pose_error,
)

TRUE = make_transform(axis_rotation((1, 0, 0), 0.4), (0.1, 0.0, 0.8))
SIZE = np.array([0.1, 0.12, 0.08])


def test_the_error_is_the_angle_in_degrees_and_the_distance_in_centimetres() -> None:
    off = TRUE @ make_transform(axis_rotation((0, 0, 1), np.radians(7)), np.zeros(3))
    off[:3, 3] += (0.0, 0.03, 0.0)

    error = pose_error('camera', NO_SYMMETRY, off, SIZE, TRUE, SIZE)

    assert error.rotation == pytest.approx(7.0)
    assert error.translation == pytest.approx(3.0)
    assert 0.3 < error.iou < 0.8


def test_a_spin_of_a_round_object_costs_neither_angle_nor_overlap() -> None:
    spun = TRUE @ make_transform(axis_rotation((0, 1, 0), 1.0), np.zeros(3))

    error = pose_error('can', Y_AXIS_SYMMETRY, spun, SIZE, TRUE, SIZE)

    assert error.rotation == pytest.approx(0.0, abs=1e-4)
    assert error.iou == pytest.approx(1.0, abs=1e-6)


def test_a_mug_is_round_only_while_its_handle_is_hidden() -> None:
    assert effective_symmetry('mug', 0.0) == Y_AXIS_SYMMETRY
    assert effective_symmetry('mug', 0.5) == category_named('mug').symmetry
    assert effective_symmetry('bowl', float('nan')) == Y_AXIS_SYMMETRY


def test_missing_poses_count_as_wrong_and_the_mean_is_over_categories() -> None:
    errors = [PoseError('can', 1.0, 0.5, 0.9), PoseError('can', 1.0, 0.5, 0.9),
              PoseError('can', 8.0, 0.5, 0.6), missing('can'), missing('mug')]

    rows = {row.name: row for row in accuracy_table(errors)}

    assert rows['can'].within == (50.0, 50.0, 75.0, 75.0)
    assert rows['can'].iou50 == 75.0
    assert rows['mug'].within == (0.0, 0.0, 0.0, 0.0)
    assert rows['mean'].within[0] == 25.0
    assert rows['mean'].count == 5
    assert all(len(row.values()) == len(COLUMNS) for row in rows.values())
