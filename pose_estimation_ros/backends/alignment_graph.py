"""The robust alignment on the GPU that runs the network.

The graph beside this module does what `core.alignment` does, in double precision and with the
same samples; `training.alignment_export` writes it. On the CPU NumPy is faster.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.core.alignment import HYPOTHESES, Alignment, Similarity, sample_numbers
from pose_estimation_ros.core.errors import PoseEstimationError
from pose_estimation_ros.runtime import DeviceArray, InferenceSession
from pose_estimation_ros.runtime.providers import CPU

_LOG = logging.getLogger(__name__)
GRAPH_FILE = Path(__file__).with_name('alignment.onnx')


class AlignmentGraph:
    """Aligns what a network left on the device."""

    def __init__(self, device: str, threads: int, seed: int) -> None:
        """Load the graph.

        Args:
            device: As of `InferenceSession`, as the next one.
            threads: CPU threads.
            seed: Seed of the random samples, as of `align_robustly`.
        """
        self._draws = sample_numbers(HYPOTHESES, seed)
        self._session = InferenceSession(GRAPH_FILE, device, threads)

    def align(self, points: NDArray[np.float32], nocs: NDArray[np.float32] | DeviceArray,
              membership: NDArray[np.float32] | DeviceArray) -> Alignment:
        """Align predicted NOCS coordinates with the observed points of B objects.

        Args:
            points: (B, N, 3) metres, camera optical frame.
            nocs: (B, N, 3) predicted NOCS coordinates of those points.
            membership: (B, N) logits that a point lies on the object, trusted as `solve_poses`
                trusts their probabilities.

        Returns:
            What `align_robustly` returns.
        """
        found = self._session.run({'source': nocs, 'target': points, 'membership': membership,
                                   'draws': self._draws})
        return Alignment(Similarity(found['scale'], found['R'], found['t']), found['valid'],
                         found['inliers'], found['inlier_ratio'], found['residual'])

    def warm_up(self, points: int) -> None:
        """Run on zeros before the first frame, with so many points an object."""
        self._session.warm_up({'source': (1, points, 3), 'target': (1, points, 3),
                               'membership': (1, points), 'draws': self._draws.shape})

    def close(self) -> None:
        """Free the session."""
        self._session.close()


def alignment_beside(network: InferenceSession, options: BackendOptions,
                     points: int) -> AlignmentGraph | None:
    """Return the graph to run where a network runs, None where NumPy is the better choice.

    TensorRT knows no double precision, so beside it the graph runs on CUDA. Where it cannot run
    at all, NumPy does the same on the CPU.

    Args:
        network: Gives coordinates and membership.
        options: Of the backend.
        points: How many the network takes of each object.
    """
    if network.providers[0] == CPU:
        return None
    device = 'cuda' if options.device == 'tensorrt' else options.device
    try:
        graph = AlignmentGraph(device, options.threads, options.seed)
        graph.warm_up(points)
    except PoseEstimationError as error:
        _LOG.warning('poses are aligned on the CPU, the GPU does not take the graph for it: %s',
                     error)
        return None
    return graph
