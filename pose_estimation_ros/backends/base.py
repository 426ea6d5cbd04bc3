"""The contract every pose backend keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from pose_estimation_ros.backends.mrc_options import MRCOptions
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose, Rejection

Need = Literal['depth', 'detections', 'cad_models']


@dataclass(frozen=True)
class BackendOptions:
    """What a backend is told when it is created.

    Attributes:
        model: Name or folder of its model; empty = the backend's shipped default.
        device: 'auto', 'cpu', 'cuda' or 'tensorrt'.
        threads: Threads of the inference session; 0 lets ONNX Runtime choose.
        seed: Seed of everything random, so that equal frames give equal poses.
        mrc: Choices that MRC-Net models offer; the other backends have no use for them.
    """

    model: str = ''
    device: str = 'auto'
    threads: int = 0
    seed: int = 0
    mrc: MRCOptions = field(default_factory=MRCOptions)


@runtime_checkable
class PoseBackend(Protocol):
    """Estimates poses of detected objects in one frame.

    Attributes:
        name: Name in the registry, and `ObjectPose.source`.
        needs: What a frame must bring.
        categories: Labels it can handle.
    """

    name: str
    needs: frozenset[Need]
    categories: tuple[str, ...]

    def estimate(self, frame: RGBDFrame,
                 detections: Sequence[Detection]) -> list[ObjectPose | Rejection]:
        """Estimate all objects of a frame as one batch.

        Args:
            frame: The undistorted frame.
            detections: What was found in it; empty is fine.

        Returns:
            One entry per detection, in order: its pose, or the reason why there is none.
        """
        ...

    def describe(self) -> dict[str, str]:
        """Return facts for `/diagnostics`: model name, inference provider, and so on."""
        ...

    def close(self) -> None:
        """Free sessions and device memory."""
        ...
