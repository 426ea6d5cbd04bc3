"""Backends by name: ours, and those that installed packages offer.

A third-party package adds a backend with an entry point in the group
`pose_estimation_ros.backends`, whose value is a callable `(BackendOptions) -> PoseBackend`.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from pose_estimation_ros.backends.base import BackendOptions, PoseBackend
from pose_estimation_ros.core.errors import ConfigurationError

ENTRY_POINT_GROUP = 'pose_estimation_ros.backends'

# Modules are named, not imported, so that one backend's dependencies never burden another.
BUILT_IN = {
    'acr': 'pose_estimation_ros.backends.prior_deformation:create_acr',
    'crnet': 'pose_estimation_ros.backends.prior_deformation:create_crnet',
    'disp6d': 'pose_estimation_ros.backends.disp6d:create_disp6d',
    'mrc': 'pose_estimation_ros.backends.mrc:create_mrc',
    'neural_mesh': 'pose_estimation_ros.backends.neural_mesh:create_neural_mesh',
    'spd': 'pose_estimation_ros.backends.prior_deformation:create_spd',
}


def _plugins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


def backend_names() -> tuple[str, ...]:
    """Return the names that `create_backend` knows, sorted."""
    return tuple(sorted({*BUILT_IN, *_plugins()}))


def create_backend(name: str, options: BackendOptions) -> PoseBackend:
    """Create the backend of that name.

    Args:
        name: One of `backend_names()`.
        options: Model, device, threads and seed.

    Returns:
        A backend that is ready to estimate.

    Raises:
        ConfigurationError: If no backend has that name; the message lists the known ones.
        ModelError: If its model is missing, damaged or of another kind.
    """
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(':')
        factory = getattr(import_module(module), attribute)
    elif name in (plugins := _plugins()):
        factory = plugins[name].load()
    else:
        raise ConfigurationError(
            f'unknown backend {name!r}; known are {", ".join(backend_names())}')
    backend: PoseBackend = factory(options)
    return backend
