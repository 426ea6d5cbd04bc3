"""All objects and predictions of one category, pooled over frames, and their matching.

Frames with as many objects and as many predictions are matched together, for all thresholds at
once: the steps taken one after the other are as many as the objects of the fullest frame.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.categories import CATEGORY_NAMES
from pose_estimation_ros.datasets.annotated_frame import ObjectAnnotation
from pose_estimation_ros.evaluation.predictions import FramePredictions, FrameTruth, Prediction

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]

# Frames at a time: with the 1364 pose thresholds of NOCS, arrays of some megabytes.
_MOST_FRAMES = 512


@dataclass(frozen=True, eq=False)
class Block:
    """F frames that have the same number of predictions and of objects of a category.

    Attributes:
        predictions: (F, P) indices into the pool, the highest score first.
        objects: (F, G) indices into the pool.
        pairs: (F, P, G) indices into the pool's pairs.
    """

    predictions: IndexArray
    objects: IndexArray
    pairs: IndexArray


@dataclass(frozen=True, eq=False)
class CategoryPool:
    """The objects and predictions of a category in all frames.

    Attributes:
        category: Its name.
        objects: M annotations.
        scores: (N,) of the predictions.
        blocks: The frames where objects and predictions occur.
        pair_predictions: (Q,) prediction of each pair that shares a frame.
        pair_objects: (Q,) object of the same.
        T_true: (M, 4, 4) poses, metres.
        size_true: (M, 3) metres.
        T_predicted: (N, 4, 4) poses, metres.
        size_predicted: (N, 3) metres.
    """

    category: str
    objects: tuple[ObjectAnnotation, ...]
    scores: FloatArray
    blocks: tuple[Block, ...]
    pair_predictions: IndexArray
    pair_objects: IndexArray
    T_true: FloatArray
    size_true: FloatArray
    T_predicted: FloatArray
    size_predicted: FloatArray

    def of_pairs(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return the (Q, ...) predicted poses and sizes and the true poses and sizes of pairs."""
        return (self.T_predicted[self.pair_predictions],
                self.size_predicted[self.pair_predictions],
                self.T_true[self.pair_objects], self.size_true[self.pair_objects])


@dataclass(frozen=True, eq=False)
class Matching:
    """Who belongs to whom at each of T thresholds.

    Attributes:
        predictions: (N, T) whether the prediction was given an object.
        pairs: (M, T) int32 the pair that the object belongs to, -1 = missed.
    """

    predictions: BoolArray
    pairs: NDArray[np.int32]

    @property
    def objects(self) -> BoolArray:
        """(M, T) whether the object was given to a prediction."""
        return self.pairs >= 0


def categories_of(pairs: Sequence[tuple[FrameTruth, FramePredictions]]) -> tuple[str, ...]:
    """Return the six NOCS categories if no other occurs, else all that occur, sorted."""
    found = {entry.label for truth, _ in pairs for entry in truth.objects}
    found |= {entry.label for _, frame in pairs for entry in frame.predictions}
    return CATEGORY_NAMES if found <= set(CATEGORY_NAMES) else tuple(sorted(found))


def pool(frames: Sequence[tuple[FrameTruth, FramePredictions]], category: str) -> CategoryPool:
    """Gather a category from all frames.

    Predictions of a frame are ordered by score; of equal scores the last comes first, as in the
    published evaluation of NOCS.
    """
    objects: list[ObjectAnnotation] = []
    predictions: list[Prediction] = []
    shared: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for truth, frame in frames:
        found = [entry for entry in reversed(frame.predictions) if entry.label == category]
        found.sort(key=lambda entry: -entry.score)
        true = [entry for entry in truth.objects if entry.label == category]
        if found and true:
            shared[len(found), len(true)].append((len(predictions), len(objects)))
        predictions += found
        objects += true
    blocks = tuple(_blocks(shared))
    pairs = [np.broadcast_arrays(block.predictions[:, :, None], block.objects[:, None, :])
             for block in blocks]
    none = [np.zeros(0, dtype=np.intp)]
    return CategoryPool(
        category, tuple(objects), np.array([entry.score for entry in predictions], dtype=float),
        blocks, np.concatenate(none + [of_predictions.ravel() for of_predictions, _ in pairs]),
        np.concatenate(none + [of_objects.ravel() for _, of_objects in pairs]),
        np.array([entry.T_camera_object for entry in objects], dtype=float).reshape(-1, 4, 4),
        np.array([entry.size for entry in objects], dtype=float).reshape(-1, 3),
        np.array([entry.T_camera_object for entry in predictions], dtype=float).reshape(-1, 4, 4),
        np.array([entry.size for entry in predictions], dtype=float).reshape(-1, 3))


def _blocks(shared: dict[tuple[int, int], list[tuple[int, int]]]) -> Iterator[Block]:
    """Yield the blocks of frames that start at (prediction, object) in the pool."""
    count = 0
    for (predictions, objects), starts in shared.items():
        for begin in range(0, len(starts), _MOST_FRAMES):
            firsts = np.array(starts[begin:begin + _MOST_FRAMES], dtype=np.intp)
            pairs = count + np.arange(len(firsts) * predictions * objects)
            count += pairs.size
            yield Block(firsts[:, :1] + np.arange(predictions), firsts[:, 1:] + np.arange(objects),
                        pairs.reshape(-1, predictions, objects))


def match(pooled: CategoryPool, preference: NDArray[np.floating],
          accepts: Callable[[IndexArray], BoolArray], thresholds: int) -> Matching:
    """Give objects to predictions, greedily, for every threshold on its own.

    Within a frame each prediction in turn, the highest score first, takes of the objects that
    are still free and acceptable the one that it prefers.

    Args:
        pooled: The category.
        preference: (Q,) how much the prediction of a pair prefers the object; the first of equals.
        accepts: Returns for (F,) indices of pairs whether they may match, (F, T).
        thresholds: Their number T.

    Returns:
        The matching.
    """
    of_predictions = np.zeros((len(pooled.scores), thresholds), dtype=np.bool_)
    of_objects = np.full((len(pooled.objects), thresholds), -1, dtype=np.int32)
    for block in pooled.blocks:
        order = np.argsort(-preference[block.pairs], axis=-1, kind='stable')
        ranked = np.take_along_axis(block.pairs, order, axis=-1)
        for turn in range(ranked.shape[1]):
            prediction = block.predictions[:, turn]
            for rank in range(ranked.shape[2]):
                pair = ranked[:, turn, rank]
                chosen = pooled.pair_objects[pair]
                former = of_objects[chosen]
                wins = accepts(pair) & ~of_predictions[prediction] & (former < 0)
                of_predictions[prediction] |= wins
                of_objects[chosen] = np.where(wins, pair[:, None], former)
    return Matching(of_predictions, of_objects)
