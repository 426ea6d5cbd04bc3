"""Grasps that people taught: a YAML file of poses in the frames of their objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.rotation import quaternion_to_matrix
from pose_estimation_ros.core.se3 import make_transform

_EXAMPLE = ('a list of mappings with position: [x, y, z] in metres, orientation: [x, y, z, w], '
            'width in metres and, if wanted, score from 0 to 1')


@dataclass(frozen=True)
class GivenGrasp:
    """One taught grasp.

    Attributes:
        T_object_grasp: (4, 4) rigid transform, metres, grasp frame to object frame.
        width: Of the object between the fingers, metres.
        score: 0 to 1.
    """

    T_object_grasp: NDArray[np.float64]
    width: float
    score: float = 1.0


def read_given_grasps(path: Path) -> dict[str, tuple[GivenGrasp, ...]]:
    """Return the taught grasps of each label of a YAML file.

    Raises:
        ConfigurationError: If the file is missing, no YAML, or an entry is wrong.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f'cannot read grasps from {path}: {error}') from error
    if not isinstance(content, Mapping):
        raise ConfigurationError(f'{path} must map labels to grasps, each {_EXAMPLE}')
    return {str(label): tuple(_grasp(entry, f'{path}: grasp {number} of {label}')
                              for number, entry in enumerate(_entries(path, label, entries)))
            for label, entries in content.items()}


def _entries(path: Path, label: object, entries: object) -> list[Any]:
    if not isinstance(entries, list):
        raise ConfigurationError(f'{path}: the grasps of {label} are {entries!r}; give {_EXAMPLE}')
    return entries


def _grasp(entry: Any, where: str) -> GivenGrasp:
    try:
        position = np.asarray(entry['position'], dtype=np.float64)
        orientation = np.asarray(entry['orientation'], dtype=np.float64)
        width, score = float(entry['width']), float(entry.get('score', 1.0))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f'{where} is {entry!r}; give {_EXAMPLE}') from error
    if position.shape != (3,) or not np.isfinite(position).all() or np.abs(position).max() > 10:
        raise ConfigurationError(f'{where}: position is {position.tolist()}; give x, y, z in '
                                 'metres, object frame')
    # NaN must not pass, and it compares as false.
    if orientation.shape != (4,) or not abs(np.linalg.norm(orientation) - 1) <= 1e-2:
        raise ConfigurationError(f'{where}: orientation is {orientation.tolist()}; give a unit '
                                 'quaternion x, y, z, w')
    if not 0 <= width < 10 or not 0 <= score <= 1:
        raise ConfigurationError(f'{where}: width is {width} and score {score}; give metres and '
                                 'a number from 0 to 1')
    return GivenGrasp(make_transform(quaternion_to_matrix(orientation), position), width, score)
