"""The contract every pose backend keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from pose_estimation_ros.backends.disp6d_options import DISP6DOptions
from pose_estimation_ros.backends.mrc_options import MRCOptions
from pose_estimation_ros.backends.neural_mesh_options import NeuralMeshOptions
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose, Rejection

# Degrees. Beyond the larger one, turning an object upright would be a guess.
UPRIGHT_TOLERANCE, MOST_UPRIGHT_TOLERANCE = 8.0, 45.0

# 'depth_if_any': depth is used where a frame brings it; colour alone is enough.
Need = Literal['depth', 'depth_if_any', 'detections', 'cad_models']

# 'nocs': the centre of the tight box, as everywhere in this package. 'spd': of mugs the axis of
# the cup, as the SPD family is trained and judged; see docs/models.md.
ObjectFrame = Literal['nocs', 'spd']


@dataclass(frozen=True)
class BackendOptions:
    """What a backend is told when it is created.

    Attributes:
        model: Name or folder of its model; empty = the backend's shipped default.
        device: 'auto', 'cpu', 'cuda' or 'tensorrt'.
        threads: Threads of the inference session; 0 lets ONNX Runtime choose.
        seed: Seed of everything random, so that equal frames give equal poses.
        mrc: Choices that MRC-Net models offer; the other backends have no use for them.
        neural_mesh: Choices of the backend 'neural_mesh', likewise.
        disp6d: Choices of the backend 'disp6d', likewise.
        upright_tolerance: Objects of categories whose estimate leans by less than so many degrees
            from standing on the ground that depth shows are turned upright; 0 = none is. Of the
            lite models of spd, crnet and acr, and of disp6d.
        labels: Wanted labels, empty = all; a backend that finds objects by itself need look for
            no others.
        object_frame: Frame and size of the objects that full models give: 'spd' leaves those of
            models that were trained in it as they are, to be compared with truth in that frame;
            the others know 'nocs' only.
    """

    model: str = ''
    device: str = 'auto'
    threads: int = 0
    seed: int = 0
    mrc: MRCOptions = field(default_factory=MRCOptions)
    neural_mesh: NeuralMeshOptions = field(default_factory=NeuralMeshOptions)
    labels: tuple[str, ...] = ()
    disp6d: DISP6DOptions = field(default_factory=DISP6DOptions)
    upright_tolerance: float = UPRIGHT_TOLERANCE
    object_frame: ObjectFrame = 'nocs'

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ConfigurationError: If one is out of range.
        """
        if not 0 <= self.upright_tolerance <= MOST_UPRIGHT_TOLERANCE:
            raise ConfigurationError(
                f'upright_tolerance is {self.upright_tolerance:g}; it must lie between 0 and '
                f'{MOST_UPRIGHT_TOLERANCE:g} degrees, 0 = off')


@dataclass(frozen=True)
class KnownObjects:
    """What a backend knows whose objects are added and removed while it runs.

    Attributes:
        names: Of the objects.
        refused: A sentence for each object that is there and cannot be used.
    """

    names: tuple[str, ...]
    refused: tuple[str, ...]


@runtime_checkable
class PoseBackend(Protocol):
    """Estimates poses of the objects in one frame.

    A backend whose `needs` lack 'detections' finds the objects by itself: no segmenter is loaded
    for it, and the detections that are published are those of its answers.

    Attributes:
        name: Name in the registry, and `ObjectPose.source`.
        needs: What a frame must bring, and 'depth_if_any' for what it may bring.
    """

    name: str
    needs: frozenset[Need]

    @property
    def categories(self) -> tuple[str, ...]:
        """Labels it can handle, at the moment."""
        ...

    def estimate(self, frame: RGBDFrame,
                 detections: Sequence[Detection]) -> list[ObjectPose | Rejection]:
        """Estimate all objects of a frame as one batch.

        Args:
            frame: The undistorted frame.
            detections: What was found in it; empty is fine, and so it always is for a backend
                that finds objects by itself.

        Returns:
            One entry per detection, in order: its pose, or the reason why there is none. Of a
            backend that finds objects by itself one entry per object or candidate that it found,
            each with a detection of its own pixels.
        """
        ...

    def describe(self) -> dict[str, str]:
        """Return facts for `/diagnostics`: model name, inference provider, and so on."""
        ...

    def close(self) -> None:
        """Free sessions and device memory."""
        ...


@runtime_checkable
class TunableBackend(Protocol):
    """A backend of which some options change while it is loaded.

    One that finds objects by itself has to be one if it looks for the wanted labels only.
    """

    def retune(self, options: BackendOptions) -> None:
        """Follow other thresholds and labels from the next frame on; any thread may ask."""
        ...


@runtime_checkable
class TakesObjects(Protocol):
    """A backend whose objects are added and removed while it runs.

    Its `categories` change with them, and may be none at first. `categories` and `describe` tell
    what was found last and wait for no file: a node asks for them between its messages.
    """

    def look_for_objects(self) -> None:
        """Look for objects that were added, replaced or removed, if it is time to.

        Called before the labels of each frame are selected, in a thread that may wait.
        """
        ...

    def reload_objects(self) -> KnownObjects:
        """Look for them now; any thread that may wait may ask."""
        ...
