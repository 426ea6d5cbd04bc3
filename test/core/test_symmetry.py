from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose_estimation_ros.core.categories import CATEGORIES, Category
from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.rotation import angle_between, axis_rotation
from pose_estimation_ros.core.symmetry import (
    NO_SYMMETRY,
    Y_AXIS_SYMMETRY,
    Symmetry,
    nearest_equivalents,
)
from test.core.strategies import rotations

HALF_TURN = Symmetry(discrete=(tuple(axis_rotation((0, 0, 1), np.pi).reshape(-1)),))
# A cup that can stand on either end, about an axis that is none of the frame's.
ROUND_AND_FLIPPED = Symmetry((0.6, 0.0, 0.8), (tuple(axis_rotation((0, 1, 0), np.pi).ravel()),))
SYMMETRIES = (NO_SYMMETRY, Y_AXIS_SYMMETRY, HALF_TURN, ROUND_AND_FLIPPED)


@given(rotations(), st.floats(-np.pi, np.pi))
def test_a_spin_about_the_symmetry_axis_is_no_error(R: np.ndarray, angle: float) -> None:
    spun = R @ axis_rotation((0, 1, 0), angle)

    assert Y_AXIS_SYMMETRY.rotation_error(spun, R) < 1e-6


@given(rotations(), rotations())
def test_the_error_of_a_round_object_is_the_angle_between_its_axes(
        R_a: np.ndarray, R_b: np.ndarray) -> None:
    expected = np.arccos(np.clip(R_a[:, 1] @ R_b[:, 1], -1, 1))

    assert Y_AXIS_SYMMETRY.rotation_error(R_a, R_b) == pytest.approx(expected, abs=1e-6)


@given(rotations(), rotations())
def test_the_nearest_equivalent_beats_every_sampled_spin(R: np.ndarray, R_ref: np.ndarray) -> None:
    nearest = float(angle_between(Y_AXIS_SYMMETRY.nearest_rotation(R, R_ref), R_ref))
    spins = R @ axis_rotation((0, 1, 0), np.linspace(-np.pi, np.pi, 73))

    assert nearest <= float(angle_between(spins, R_ref).min()) + 1e-9


@given(rotations())
def test_a_discrete_symmetry_forgives_its_own_turn_only(R: np.ndarray) -> None:
    half = R @ axis_rotation((0, 0, 1), np.pi)
    quarter = R @ axis_rotation((0, 0, 1), np.pi / 2)

    assert HALF_TURN.rotation_error(half, R) < 1e-6
    assert HALF_TURN.rotation_error(quarter, R) == pytest.approx(np.pi / 2, abs=1e-6)
    assert NO_SYMMETRY.rotation_error(half, R) == pytest.approx(np.pi, abs=1e-6)


@given(st.lists(st.tuples(rotations(), rotations(), st.sampled_from(SYMMETRIES)), min_size=1,
                max_size=8))
def test_many_objects_get_the_equivalent_that_beats_all_others_of_each(
        objects: list[tuple[np.ndarray, np.ndarray, Symmetry]]) -> None:
    R, R_ref = (np.stack([entry[part] for entry in objects]) for part in (0, 1))
    spins = np.linspace(-np.pi, np.pi, 73)

    nearest = nearest_equivalents([symmetry for _, _, symmetry in objects], R, R_ref)

    for (start, target, symmetry), found in zip(objects, nearest, strict=True):
        np.testing.assert_allclose(found, symmetry.nearest_rotation(start, target), atol=1e-12)
        sampled = start @ symmetry.rotations
        if symmetry.axis is not None:
            sampled = sampled[:, None] @ axis_rotation(symmetry.axis, spins)
        assert angle_between(found, target) <= angle_between(sampled, target).min() + 1e-7
        assert symmetry.rotation_error(found, start) < 1e-6


def test_no_objects_have_no_equivalents() -> None:
    assert nearest_equivalents([], np.zeros((0, 3, 3)), np.zeros((0, 3, 3))).shape == (0, 3, 3)
    assert HALF_TURN.nearest_rotations(np.zeros((0, 3, 3)), np.zeros((0, 3, 3))).size == 0


@pytest.mark.parametrize('symmetry', [NO_SYMMETRY, Y_AXIS_SYMMETRY, HALF_TURN])
def test_a_symmetry_comes_back_from_its_plain_form(symmetry: Symmetry) -> None:
    assert Symmetry.from_plain(json.loads(json.dumps(symmetry.as_plain()))) == symmetry


def test_a_symmetry_of_few_digits_is_made_exact() -> None:
    turns = [axis_rotation((0, 0, 1), angle).round(3) for angle in (2.0944, 4.1888)]
    symmetry = Symmetry.from_plain({'axis': [0.267, 0.535, 0.802],
                                    'discrete': [turn.ravel().tolist() for turn in turns]})
    assert np.linalg.norm(symmetry.axis) == pytest.approx(1.0, abs=1e-12)
    R = symmetry.rotations
    np.testing.assert_allclose(R @ np.swapaxes(R, 1, 2), [np.eye(3)] * 3, atol=1e-12)
    np.testing.assert_allclose(R[1:], turns, atol=1e-3)


@pytest.mark.parametrize(('plain', 'complaint'), [
    ({'axis': [0.0, 2.0, 0.0]}, 'unit vector'),
    ({'axis': [np.nan, 1.0, 0.0]}, 'unit vector'),
    ({'axis': 'y'}, 'not {'),
    ({'discrete': [[1.0] * 9]}, 'must be rotations'),
    ({'discrete': [[np.nan] * 9]}, 'must be rotations'),
    ({'discrete': [[-1.0, 0, 0, 0, 1, 0, 0, 0, 1]]}, 'must be rotations'),
    ({'discrete': [[1.0, 0, 0]]}, 'must be rotations'),
    ([1, 2], 'a symmetry is a mapping'),
])
def test_what_is_no_symmetry_is_refused(plain: object, complaint: str) -> None:
    with pytest.raises(InvalidInputError, match=complaint):
        Symmetry.from_plain(plain)


@pytest.mark.parametrize('category', CATEGORIES, ids=lambda category: category.name)
def test_a_category_comes_back_from_its_plain_form(category: Category) -> None:
    assert Category.from_plain(json.loads(json.dumps(category.as_plain()))) == category


def test_symmetries_that_differ_in_their_last_digits_are_the_same():
    turn = HALF_TURN.discrete[0]
    nearly = tuple(x + 1e-12 for x in turn)
    one = Symmetry((0.0, 1.0, 0.0), (turn,))
    assert one != Symmetry((0.0, 1.0, 0.0), (nearly,))
    assert one.is_close(Symmetry((0.0, 1.0, 0.0), (nearly,)))
    for other in (Symmetry((0.0, 1.0, 0.0)), Symmetry(None, (turn,)),
                  Symmetry((0.0, 0.0, 1.0), (turn,)),
                  Symmetry((0.0, 1.0, 0.0), (tuple(np.eye(3).ravel()),))):
        assert not one.is_close(other)
        assert not other.is_close(one)
