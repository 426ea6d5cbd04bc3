"""The `spd` backend: shape prior deformation, in the size that its model has."""

from __future__ import annotations

from pose_estimation_ros.backends.base import BackendOptions, PoseBackend
from pose_estimation_ros.backends.spd_full import SpdFullBackend
from pose_estimation_ros.backends.spd_lite import SpdLiteBackend
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.runtime import ModelStore

DEFAULT_MODEL = 'spd_lite'


def create_spd(options: BackendOptions) -> PoseBackend:
    """Create the backend for the model named in the options, or the shipped one.

    Raises:
        ModelError: If the model is missing, damaged, or made for another backend.
    """
    model = ModelStore().find(options.model or DEFAULT_MODEL, task='pose')
    manifest = model.manifest
    if manifest.backend != 'spd':
        raise ModelError(f'model {manifest.name!r} is made for the backend {manifest.backend!r}; '
                         'choose that backend, or a model of spd')
    if manifest.size == 'full':
        return SpdFullBackend(model, options)
    return SpdLiteBackend(model, options)
