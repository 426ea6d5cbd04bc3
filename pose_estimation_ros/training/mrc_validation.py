"""How well MRC-Net finds poses in validation views, in true boxes: BOP's MSSD and MSPD."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pose_estimation_ros.core.rotation import angle_between
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.core.symmetry import nearest_equivalents
from pose_estimation_ros.evaluation.bop_errors import (
    maximum_projection_distance,
    maximum_surface_distance,
)
from pose_estimation_ros.evaluation.bop_symmetries import SymmetryTransforms
from pose_estimation_ros.evaluation.view_pose_errors import PoseErrors
from pose_estimation_ros.training.mrc_batches import CropBatch
from pose_estimation_ros.training.mrc_labels import diameter, spread_vertices
from pose_estimation_ros.training.mrc_objects import CadObject

FloatArray = NDArray[np.float64]

# The largest distances are at the outermost vertices, of which this many are enough.
_VERTICES = 1000


class PoseErrorMeter:
    """Errors of the poses of known objects."""

    def __init__(self, objects: Sequence[CadObject]) -> None:
        """Take the objects, in the order of their indices."""
        self._symmetries = [known.symmetry for known in objects]
        self._transforms = [SymmetryTransforms.of_symmetry(known.symmetry) for known in objects]
        vertices = [np.asarray(known.mesh.vertices, dtype=np.float64) for known in objects]
        self._vertices = [spread_vertices(_outermost(item), min(_VERTICES, len(item)))
                          for item in vertices]
        self._diameters = [diameter(item) for item in vertices]

    def errors(self, R: Tensor, t: Tensor, truth: CropBatch) -> PoseErrors:
        """Return the errors of (B, 3, 3) rotations and (B, 3) positions of a batch, metres."""
        index = truth.index.tolist()
        found, true = (make_transform(rotation.double().cpu().numpy(),
                                      position.double().cpu().numpy())
                       for rotation, position in ((R, t), (truth.R, truth.t)))
        K, pixel = truth.K_crop.double().cpu().numpy(), truth.pixel.double().cpu().numpy()
        surface, projection = np.empty(len(index)), np.empty(len(index))
        for row, number in enumerate(index):
            points, transforms = self._vertices[number], self._transforms[number]
            size = self._diameters[number]
            surface[row] = maximum_surface_distance(
                found[row:row + 1], true[row], points, transforms, size)[0] / size
            projection[row] = pixel[row] * maximum_projection_distance(
                found[row:row + 1], true[row], points, transforms, K[row])[0]
        near = nearest_equivalents([self._symmetries[number] for number in index],
                                   true[:, :3, :3], found[:, :3, :3])
        return PoseErrors(angle_between(near, found[:, :3, :3]), surface, projection)


def _outermost(vertices: FloatArray) -> FloatArray:
    """Return the corners of the convex hull, or all vertices of what has none."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        return np.asarray(vertices[ConvexHull(vertices).vertices])
    except QhullError:
        return vertices
