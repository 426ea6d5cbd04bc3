"""A second opinion on what a detection shows, from its points in metres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.runtime.session import InferenceSession
from pose_estimation_ros.segmentation.object_cloud import (
    AROUND,
    CONDITIONS,
    INSIDE,
    classifier_input,
    label_scores,
    object_cloud,
)


class PointClassifier:
    """Says for each detection how probable each category is."""

    def __init__(self, session: InferenceSession, categories: Sequence[str],
                 seed: int = 0) -> None:
        """Take a loaded network.

        Args:
            session: The network of `networks.point_classifier`.
            categories: Its categories, in their order.
            seed: Of the choice of points.
        """
        self._session = session
        self._categories = tuple(categories)
        self._seed = seed
        session.warm_up({'points': (1, INSIDE + AROUND, 7),
                         'condition': (1, CONDITIONS + len(self._categories))})

    def probabilities(self, frame: RGBDFrame, detections: Sequence[Detection],
                      evidence: Sequence[Mapping[str, float]],
                      ) -> list[dict[str, float] | None]:
        """Return for each detection the probability of each category.

        Args:
            frame: The frame of the detections.
            detections: What to judge, as one batch.
            evidence: Further scores of the detector for the same places, by label.

        Returns:
            By category; what is missing to 1 is the probability of none of them. None where too
            few points have a depth to say anything.
        """
        if frame.depth is None:
            return [None] * len(detections)
        # A generator each: the answer for an object does not depend on the others.
        clouds = [object_cloud(frame, detection, np.random.default_rng(self._seed))
                  for detection in detections]
        judged = [row for row, cloud in enumerate(clouds) if cloud is not None]
        answers: list[dict[str, float] | None] = [None] * len(detections)
        if not judged:
            return answers
        up = frame.up
        scores = label_scores(detections, self._categories, evidence)[judged]
        known = [cloud for cloud in clouds if cloud is not None]
        prepared = classifier_input(
            np.stack([cloud.points for cloud in known]),
            np.stack([cloud.colors for cloud in known]),
            np.tile(np.full(3, np.nan) if up is None else up, (len(known), 1)), scores)
        logits = self._session.run({'points': prepared.points,
                                    'condition': prepared.condition})['logits']
        for row, probability in zip(judged, _softmax(logits), strict=True):
            answers[row] = dict(zip(self._categories, map(float, probability[1:]), strict=True))
        return answers

    def close(self) -> None:
        """Free the network."""
        self._session.close()


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
