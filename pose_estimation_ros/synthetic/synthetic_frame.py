"""A rendered RGB-D frame with all that is true about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.se3 import inverse, transform_points


@dataclass(frozen=True, eq=False)
class Instance:
    """The truth about one object to be found in a frame.

    Attributes:
        id: Its value in the instance map, 1 or more.
        category: Name of its category.
        name: Name of the object model.
        T_camera_object: (4, 4) float64 pose, metres, camera optical frame.
        size: (3,) float64 extent of its box, metres.
        visibility: Share of its pixels inside the image that nothing covers, 0 to 1.
        part_visibility: The same for single parts seen alone, such as 'handle'.
        box: (4,) float64 (x_min, y_min, x_max, y_max) of its visible pixels, upper bounds
            exclusive; all zero if none is visible.
        in_image: Share of the object that lies inside the image's borders, 0 to 1.
    """

    id: int
    category: str
    name: str
    T_camera_object: NDArray[np.float64]
    size: NDArray[np.float64]
    visibility: float
    part_visibility: Mapping[str, float]
    box: NDArray[np.float64]
    in_image: float

    @property
    def diagonal(self) -> float:
        """Length of the box's diagonal, the unit of NOCS coordinates, metres."""
        return float(np.linalg.norm(self.size))


@dataclass(frozen=True, eq=False)
class SyntheticFrame:
    """A frame as a camera would deliver it, and the truth.

    Attributes:
        frame: Colour and depth with the sensors' faults.
        clean_depth: (H, W) float32 metres along z, NaN where nothing is; None if it was not
            kept.
        instance_map: (H, W) int16, 0 = no instance, else the instance's id.
        instances: The instances of the scene that lie at least partly inside the image.
    """

    frame: RGBDFrame
    clean_depth: NDArray[np.float32] | None = field(repr=False)
    instance_map: NDArray[np.int16] = field(repr=False)
    instances: tuple[Instance, ...]

    def nocs_map(self) -> NDArray[np.float32]:
        """Return (H, W, 3) float32 NOCS coordinates, -0.5 to 0.5; NaN off the instances.

        Raises:
            InvalidInputError: If the clean depth was not kept.
        """
        if self.clean_depth is None:
            raise InvalidInputError('a stored frame has no clean depth to compute its NOCS map '
                                    'from; render the frame again')
        nocs = np.full((*self.instance_map.shape, 3), np.nan, dtype=np.float32)
        for instance in self.instances:
            rows, columns = np.nonzero(self.instance_map == instance.id)
            points = self.frame.intrinsics.back_project(
                np.stack([columns, rows], axis=-1).astype(np.float64),
                self.clean_depth[rows, columns])
            own = transform_points(inverse(instance.T_camera_object), points)
            nocs[rows, columns] = own / instance.diagonal
        return nocs
