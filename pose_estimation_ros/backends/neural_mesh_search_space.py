"""Where a neural mesh model looks for objects: what its manifest and the options of a run say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.neural_mesh_options import NeuralMeshOptions
from pose_estimation_ros.backends.neural_mesh_proposals import SearchSettings
from pose_estimation_ros.backends.neural_mesh_search import standing_rotations
from pose_estimation_ros.backends.neural_mesh_solver import SolverSettings
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.runtime import ModelManifest

FloatArray = NDArray[np.float64]

PARAMETER = 'search'
_COUNTS = ('peaks', 'initial_poses', 'pool', 'step', 'location_rotations', 'sample')
_SEARCH_NUMBERS = ('background', 'worst', 'separation')
_SOLVER_NUMBERS = ('overlap', 'least_visible')
_OTHERS = (*_COUNTS, *_SEARCH_NUMBERS, *_SOLVER_NUMBERS)


@dataclass(frozen=True)
class SearchSpace:
    """The poses that are searched, as the entry `search` of a manifest's parameters states them.

    Attributes:
        azimuths: How many around the object; one for objects with an axis of symmetry.
        elevations: Lowest, highest and number of the camera's angles over the object's xz plane,
            radians.
        thetas: The same of rotations within the image.
        distances: Nearest, farthest and number, metres, evenly in the logarithm.
    """

    azimuths: int = 24
    elevations: tuple[float, float, int] = (0.15, 1.2, 5)
    thetas: tuple[float, float, int] = (-0.2, 0.2, 3)
    distances: tuple[float, float, int] = (0.4, 1.6, 7)


def search_space(manifest: ModelManifest) -> SearchSpace:
    """Return what a manifest says of the poses that are searched; the rest is as usual.

    Raises:
        ModelError: If an entry cannot be used.
    """
    plain = _entries(manifest)
    known = {field.name for field in fields(SearchSpace)}
    if unknown := sorted(set(plain) - known - set(_OTHERS)):
        raise ModelError(f'model {manifest.name!r}: parameters.{PARAMETER} of its manifest has '
                         f'the unknown entries {", ".join(unknown)}; known are '
                         f'{", ".join(sorted(known | set(_OTHERS)))}')
    try:
        ranges = {name: (float(plain[name][0]), float(plain[name][1]), int(plain[name][2]))
                  for name in ('elevations', 'thetas', 'distances') if name in plain}
        space = replace(SearchSpace(), azimuths=int(plain.get('azimuths', SearchSpace.azimuths)),
                        **ranges)
        usable = (space.azimuths > 0 and all(entry[2] > 0 and entry[0] <= entry[1] for entry in (
            space.elevations, space.thetas, space.distances)) and space.distances[0] > 0)
    except (IndexError, TypeError, ValueError):
        usable = False
    if not usable:
        raise ModelError(
            f'model {manifest.name!r}: parameters.{PARAMETER} of its manifest is {dict(plain)}; '
            'azimuths must be a number, elevations, thetas (radians) and distances (metres) a '
            'lowest, a highest and a number each')
    return space


def view_rotations(manifest: ModelManifest, category: str) -> FloatArray:
    """Return the (R, 3, 3) R_camera_object of a category that are searched.

    Objects that look alike all around their y axis are seen from one side only: azimuth 0.

    Raises:
        ModelError: If the manifest's entry cannot be used.
    """
    space = search_space(manifest)
    axis = manifest.symmetry_of(category).axis
    azimuths = 1 if axis is not None else space.azimuths
    return standing_rotations(2 * np.pi * np.arange(azimuths) / azimuths,
                              np.linspace(*space.elevations), np.linspace(*space.thetas))


def solver_settings(manifest: ModelManifest, options: NeuralMeshOptions) -> SolverSettings:
    """Return how the solver is set by a model and the options of a run.

    Raises:
        ModelError: If the manifest's entry cannot be used.
    """
    space, plain = search_space(manifest), _entries(manifest)
    try:
        counts = {name: int(plain[name]) for name in _COUNTS if name in plain}
        numbers = {name: float(plain[name]) for name in _SEARCH_NUMBERS if name in plain}
        others = {name: float(plain[name]) for name in _SOLVER_NUMBERS if name in plain}
    except (TypeError, ValueError) as error:
        raise ModelError(f'model {manifest.name!r}: {", ".join(_OTHERS)} of parameters.'
                         f'{PARAMETER} must be numbers ({error})') from error
    if options.initial_poses:
        counts['initial_poses'] = options.initial_poses
    # The names of _COUNTS are of integers, those of _SEARCH_NUMBERS of numbers; mypy sees one
    # dictionary for all of a class's fields.
    search: SearchSettings = replace(SearchSettings(), **counts, **numbers,  # type: ignore[arg-type]
                                     distances=tuple(np.geomspace(*space.distances).tolist()))
    return replace(SolverSettings(search=search, competes=options.competition == 'on'), **others)


def _entries(manifest: ModelManifest) -> Mapping[str, Any]:
    plain = manifest.parameters.get(PARAMETER, {})
    if not isinstance(plain, Mapping):
        raise ModelError(f'model {manifest.name!r}: parameters.{PARAMETER} of its manifest must '
                         f'be a mapping, it is {plain!r}')
    return plain
