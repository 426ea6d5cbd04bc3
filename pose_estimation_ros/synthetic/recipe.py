"""What synthetic frames are made from, as a value that travels to workers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.synthetic.object_source import ObjectSource
from pose_estimation_ros.synthetic.scene import SCENES_PER_POOL, Scene, SceneGenerator


@dataclass(frozen=True)
class FrameRecipe:
    """An endless sequence of frames, each of a scene of its own.

    Attributes:
        domain: 'primary' or 'second'.
        split: 'train', 'val' or 'test'.
        source: The objects to be found.
        seed: 0 or more; different seeds give different scenes.
        resolution: Width and height, pixels.
        intrinsics: The camera of all frames; None = another one for each scene.
    """

    domain: str
    split: str
    source: ObjectSource
    seed: int = 0
    resolution: tuple[int, int] = (640, 480)
    intrinsics: CameraIntrinsics | None = None

    def describe(self) -> dict[str, Any]:
        """Return what tells data of this recipe from others."""
        camera = {} if self.intrinsics is None else {'K': self.intrinsics.K.tolist()}
        return {'domain': self.domain, 'split': self.split, 'seed': self.seed,
                'resolution': list(self.resolution), **camera, **self.source.describe()}

    def scenes(self, first: int, count: int) -> Iterator[Scene]:
        """Yield the scenes of the frames `first` to `first + count - 1`, with their cameras."""
        generator = SceneGenerator(self.domain, self.split, self.source)
        # Blocks of scenes that share objects; seeds do not meet before 2^20 are used up.
        start = (self.seed << 20) * SCENES_PER_POOL + first
        for number in range(start, start + count):
            scene = generator.scene(number)
            view = scene.view.resized(*self.resolution)
            if self.intrinsics is not None:
                view = replace(view, intrinsics=self.intrinsics.resize(*self.resolution))
            yield scene.seen_from(view)
