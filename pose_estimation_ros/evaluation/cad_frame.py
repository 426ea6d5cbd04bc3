"""Poses of imported neural meshes in the frame and unit of the CAD models of PASCAL3D+.

Annotations of PASCAL3D+ are poses of CAD models: z up, front at -y, a diagonal of about 1, the
origin where the model has it. Imported meshes are in our frame, see `training.cad_cuboids`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.neural_mesh_published import UPRIGHT_FROM_CAD
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.evaluation.predictions import FramePredictions, Prediction
from pose_estimation_ros.runtime.manifest import ModelManifest

# Name in the manifest's parameters.
PARAMETER = 'cad_frame'


@dataclass(frozen=True, eq=False)
class CadFrame:
    """Where the CAD models of a category are in the object frame of an imported mesh.

    Attributes:
        center: (3,) float64 origin of the object frame in the frame of the CAD models, their
            unit.
        scale: Metres of the mesh for each unit of the CAD models.
    """

    center: NDArray[np.float64]
    scale: float

    @classmethod
    def of(cls, manifest: ModelManifest) -> CadFrame:
        """Return that of a model.

        Raises:
            ConfigurationError: If it does not tell.
        """
        try:
            entry = manifest.parameters[PARAMETER]
            return cls(np.array(entry['center'], dtype=np.float64), float(entry['scale']))
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f'the poses of model {manifest.name!r} are in the object frame of this package, '
                'and it does not tell how the CAD models of PASCAL3D+ lie in there, which '
                '--protocol pascal3d compares with; import its published checkpoint again, or '
                'use --protocol poses for a model of your own') from error

    def predictions(self, frames: Sequence[FramePredictions]) -> list[FramePredictions]:
        """Return estimates with the poses and sizes of CAD models in place of our objects'."""
        return [replace(frame, predictions=tuple(map(self._prediction, frame.predictions)))
                for frame in frames]

    def _prediction(self, found: Prediction) -> Prediction:
        R = found.T_camera_object[:3, :3] @ UPRIGHT_FROM_CAD
        t = found.T_camera_object[:3, 3] / self.scale - R @ self.center
        return replace(found, T_camera_object=make_transform(R, t),
                       size=np.abs(UPRIGHT_FROM_CAD.T) @ found.size / self.scale)
