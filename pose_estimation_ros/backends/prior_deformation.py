"""The backends that deform a category's mean shape: `spd`, `crnet` and `acr`.

They differ in their networks only, so one class runs the lite models of all and one the full
ones; which of the two, the model's manifest says.
"""

from __future__ import annotations

from pose_estimation_ros.backends.base import BackendOptions, PoseBackend
from pose_estimation_ros.backends.full import FullBackend
from pose_estimation_ros.backends.lite import LiteBackend
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.runtime import ModelStore

_DEFAULT_MODELS = {'spd': 'spd_lite', 'crnet': 'crnet_lite', 'acr': 'acr_lite'}


def create_spd(options: BackendOptions) -> PoseBackend:
    """Create shape prior deformation; see `_create`."""
    return _create('spd', options)


def create_crnet(options: BackendOptions) -> PoseBackend:
    """Create CR-Net; see `_create`."""
    return _create('crnet', options)


def create_acr(options: BackendOptions) -> PoseBackend:
    """Create ACR-Pose; see `_create`."""
    return _create('acr', options)


def _create(name: str, options: BackendOptions) -> PoseBackend:
    """Create a backend for the model named in the options, or the shipped one.

    Raises:
        ModelError: If the model is missing, damaged, or made for another backend.
    """
    model = ModelStore().find(options.model or _DEFAULT_MODELS[name], task='pose')
    manifest = model.manifest
    if manifest.backend != name:
        raise ModelError(f'model {manifest.name!r} is made for the backend {manifest.backend!r}, '
                         f'not for {name!r}; choose the backend {manifest.backend!r}, or a model '
                         f'of {name} such as {_DEFAULT_MODELS[name]!r}')
    if manifest.size == 'full':
        return FullBackend(model, options)
    return LiteBackend(model, options)
