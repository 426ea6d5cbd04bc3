from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.datasets.annotated_frame import ObjectAnnotation
from pose_estimation_ros.evaluation.category_pool import CategoryPool, categories_of, match, pool
from pose_estimation_ros.evaluation.predictions import FramePredictions, FrameTruth, Prediction

SIZE = np.full(3, 0.1)


def frame(name: str, true: list[str], found: list[tuple[str, float]]
          ) -> tuple[FrameTruth, FramePredictions]:
    """Return a frame whose objects and predictions lie at their numbers along x."""
    return (FrameTruth(name, tuple(
                ObjectAnnotation(i + 1, label, '', make_transform(np.eye(3), (i, 0, 1)), SIZE)
                for i, label in enumerate(true))),
            FramePredictions(name, tuple(
                Prediction(label, score, make_transform(np.eye(3), (i, 0, 1)), SIZE)
                for i, (label, score) in enumerate(found))))


def test_predictions_come_by_score_and_pairs_share_frame_and_category() -> None:
    frames = [frame('a', ['mug', 'can', 'mug'], [('mug', 0.2), ('can', 0.9), ('mug', 0.7)]),
              frame('b', ['mug'], []), frame('c', [], [('mug', 0.1)])]

    pooled = pool(frames, 'mug')

    np.testing.assert_array_equal(pooled.scores, [0.7, 0.2, 0.1])
    np.testing.assert_array_equal(pooled.T_predicted[:, 0, 3], [2, 0, 0])
    assert len(pooled.objects) == 3
    assert sorted(zip(pooled.pair_predictions.tolist(), pooled.pair_objects.tolist(),
                      strict=True)) == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_of_equal_scores_the_last_comes_first_as_published() -> None:
    pooled = pool([frame('a', ['mug'], [('mug', 0.5), ('mug', 0.5)])], 'mug')

    np.testing.assert_array_equal(pooled.T_predicted[:, 0, 3], [1, 0])


def test_categories_are_the_six_of_nocs_unless_another_occurs() -> None:
    assert len(categories_of([frame('a', ['mug'], [('can', 1.0)])])) == 6
    assert categories_of([frame('a', ['mug'], [('drill', 1.0)])]) == ('drill', 'mug')


def matched_one_by_one(pooled: CategoryPool, fit: np.ndarray, limit: float
                       ) -> tuple[set[int], dict[int, int]]:
    """Return the matched predictions and the pair of each matched object, frame by frame."""
    found: set[int] = set()
    owner: dict[int, int] = {}
    pairs = {(int(p), int(o)): i for i, (p, o) in enumerate(
        zip(pooled.pair_predictions, pooled.pair_objects, strict=True))}
    for prediction in range(len(pooled.scores)):
        ranked = sorted((-fit[i], o, i) for (p, o), i in pairs.items() if p == prediction)
        for negative, target, pair in ranked:
            if target not in owner and -negative > limit:
                found.add(prediction)
                owner[target] = pair
                break
    return found, owner


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=12),
       st.integers(0, 2**31))
def test_matching_all_frames_and_thresholds_at_once_equals_one_by_one(
        counts: list[tuple[int, int]], seed: int) -> None:
    generator = np.random.default_rng(seed)
    pooled = pool([frame(str(i), ['mug'] * true, [('mug', generator.random())
                                                  for _ in range(found)])
                   for i, (true, found) in enumerate(counts)], 'mug')
    # Few different values, so that ties occur.
    fit = generator.integers(0, 6, len(pooled.pair_objects)) / 5
    limits = np.array([0.0, 0.3, 0.6, 0.9])

    matching = match(pooled, fit, lambda pairs: fit[pairs, None] > limits, len(limits))

    for column, limit in enumerate(limits):
        found, owner = matched_one_by_one(pooled, fit, limit)
        assert set(np.flatnonzero(matching.predictions[:, column])) == found
        assert {int(o): int(matching.pairs[o, column])
                for o in np.flatnonzero(matching.objects[:, column])} == owner


def test_more_frames_than_fit_into_a_block_are_matched_all_the_same() -> None:
    pooled = pool([frame(str(i), ['mug'], [('mug', 0.5)]) for i in range(1100)], 'mug')

    matching = match(pooled, np.ones(1100), lambda pairs: pairs[:, None] % 2 == 0, 1)

    assert len(pooled.blocks) == 3
    np.testing.assert_array_equal(matching.predictions[:, 0], np.arange(1100) % 2 == 0)
