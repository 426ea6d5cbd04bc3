"""What a mirror shows, by the conventions of the training, and which objects are shown to it."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose_estimation_ros.backends.second_look import SecondLooks
from pose_estimation_ros.core.categories import CATEGORIES, CATEGORY_NAMES
from pose_estimation_ros.core.rotation import axis_angle_to_matrix
from pose_estimation_ros.runtime import ModelFile, ModelManifest, ModelStore
from pose_estimation_ros.training.category_traits import category_traits

ROOT = Path(__file__).resolve().parents[2]
# As the training mirrors views: the view in x, the object in its x-y plane.
MIRROR_VIEW, MIRROR_OBJECT = np.diag([-1.0, 1.0, 1.0]), np.diag([1.0, 1.0, -1.0])
ANGLES = st.tuples(*[st.floats(-3.0, 3.0)] * 3)


def _looks(**given_input: object) -> SecondLooks:
    return SecondLooks.of(ModelManifest(
        'mine', 'pose', 'crnet', 'lite', {'network': ModelFile('network.onnx', '0' * 64, 1)},
        (*CATEGORY_NAMES, 'shoe'), input={'points': 8, **given_input}))


@given(angles=ANGLES, index=st.sampled_from(
    [index for index, category in enumerate(CATEGORIES) if category.mirrors]))
def test_coordinates_seen_in_a_mirror_are_restored_to_those_seen_without(
        angles: tuple[float, float, float], index: int) -> None:
    R, category = axis_angle_to_matrix(np.array(angles)), np.array([index])
    traits = category_traits()
    own, mirrored = (turns[0] for turns in (
        traits.representative_turns(category, R[None]),
        traits.representative_turns(category, (MIRROR_VIEW @ R @ MIRROR_OBJECT)[None])))
    nocs = np.random.default_rng(0).uniform(-0.4, 0.4, (1, 8, 3))
    shown = (nocs @ MIRROR_OBJECT @ mirrored).astype(np.float32)

    restored = _looks().restored(shown, np.array([True]), category)

    np.testing.assert_allclose(restored, nocs @ own, atol=1e-4)
    np.testing.assert_array_equal(_looks().restored(shown, np.array([False]), category), shown)


def test_a_mirror_turns_the_view_left_to_right() -> None:
    points = np.random.default_rng(0).standard_normal((2, 5, 3)).astype(np.float32)

    shown = _looks().reflected(points, np.array([False, True]))

    np.testing.assert_array_equal(shown[0], points[0])
    np.testing.assert_array_equal(shown[1], points[1] @ MIRROR_VIEW.astype(np.float32))


def test_what_the_model_was_not_trained_on_in_a_mirror_gets_the_next_placement() -> None:
    category = np.array([CATEGORY_NAMES.index(name) for name in ('mug', 'camera', 'can', 'camera',
                                                                 'mug')] + [6, 6])
    probability = np.array([0.9, 0.9, 0.9999, 0.4, 0.2, 0.4, 0.9])

    mirrors = [entry.name for entry in CATEGORIES if entry.mirrors]
    rows, mirrored = _looks(mirrored_below=0.99, mirrors=mirrors).wanted(category, probability)
    assert (rows.tolist(), mirrored.tolist()) == ([0, 3, 4, 5], [True, False, True, False])
    # Without a word of the model's there is no mirror at all.
    for looks in (_looks(), _looks(mirrors=mirrors), _looks(mirrored_below=0.99)):
        rows, mirrored = looks.wanted(category, probability)
        assert (rows.tolist(), mirrored.tolist()) == ([3, 4, 5], [False, False, False])


@pytest.mark.parametrize(('name', 'mirrors'), [
    ('spd', set()), *((name, set(CATEGORY_NAMES) - {'camera'}) for name in ('crnet', 'acr'))])
def test_shipped_models_that_see_pictures_use_a_mirror(name: str, mirrors: set[str]) -> None:
    shipped = ModelStore([ROOT / 'models']).find(f'{name}_lite')
    seconds = SecondLooks.of(shipped.manifest)
    assert seconds.mirrored_below == (0.99 if mirrors else 0.0)
    assert seconds.mirrors.tolist() == [name in mirrors for name in CATEGORY_NAMES]
