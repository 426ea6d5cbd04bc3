"""The symmetries of known objects as a picture, for a person to confirm.

One row per object: as it is, and turned by each of its symmetries. Who sees the same thing twice
confirms the symmetry; who sees a difference that matters says so in `objects.yaml`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.rotation import angle_between, axis_rotation
from pose_estimation_ros.core.symmetry import Symmetry
from pose_estimation_ros.datasets.atomic_files import write_atomically
from pose_estimation_ros.synthetic.contact_sheet import VIEWS, draw_object
from pose_estimation_ros.synthetic.mesh_objects import MeshFolder
from pose_estimation_ros.synthetic.object_model import ObjectModel
from pose_estimation_ros.synthetic.object_rules import FILE_NAME, ObjectRules

FloatArray = NDArray[np.float64]
Image = NDArray[np.uint8]

PICTURE = 'symmetries.png'
# Of turns by any angle, these are shown, degrees.
_SHOWN_ANGLES = (50.0, 130.0, 230.0)
_MOST_TILES = 7
_LEAST_WIDTH = 620
_TEXT_HEIGHT = 16
_VIEWS = (VIEWS['front'], VIEWS['back'])
_BLACK, _GREY = (0, 0, 0), (110, 110, 110)


def symmetry_picture(objects: MeshFolder, yaml_path: str) -> Image:
    """Return a (h, w, 3) BGR picture of all objects at equivalent poses.

    Args:
        objects: Known objects, each one mesh.
        yaml_path: Where a wrong symmetry is to be corrected, for the picture's heading.
    """
    titles = [_title(name, rules) for name, rules in objects.rules.items()]
    rows = [_row(objects.model(name, 'train', 0), rules) for name, rules in objects.rules.items()]
    width = max(_LEAST_WIDTH, *(row.shape[1] for row in rows))
    lines = ('Each object as it is, then turned by its symmetries (in the frame of its CAD file).',
             'Do the pictures of a row look alike, apart from differences that do not matter?',
             f'If not, write into {yaml_path}:',
             '  categories: {<name>: {symmetry: none}}    or the right one, see',
             '  docs/known_objects.md; then give the command again with another folder.')
    labelled = [np.vstack([_text(width, (title,)), _widened(row, width)])
                for title, row in zip(titles, rows, strict=True)]
    return np.vstack([_text(width, lines), *labelled])


def write_symmetry_picture(folder: Path, objects: MeshFolder) -> Path:
    """Draw the symmetries of known objects into a folder, as `symmetries.png`; return its path."""
    path = folder / PICTURE
    picture = cv2.imencode('.png', symmetry_picture(objects, str(objects.root / FILE_NAME)))[1]
    write_atomically(path, picture.tobytes())
    return path


def equivalent_rotations(symmetry: Symmetry) -> list[tuple[str, FloatArray]]:
    """Return rotations that show a symmetry, each in words and as (3, 3), the identity first."""
    turns = [(_words(R), R) for R in symmetry.rotations]
    if symmetry.axis is not None:
        words = f'any angle about {_vector(np.array(symmetry.axis))}'
        spins = [(f'{words}: {angle:.0f}', axis_rotation(symmetry.axis, np.radians(angle)))
                 for angle in _SHOWN_ANGLES]
        turns = [turns[0], *spins, *turns[1:]]
    return turns[:_MOST_TILES]


def _title(name: str, rules: ObjectRules) -> str:
    source = f'as {FILE_NAME} or models_info.json says' if rules.is_symmetry_known else (
        'proposed from its shape')
    symmetry = rules.category.symmetry
    turns = len(symmetry.rotations) - 1
    kinds = [f'{turns} other pose' + 's' * (turns > 1)] if turns else []
    kinds += ['any angle about an axis'] if symmetry.axis is not None else []
    return f'{name}: {" and ".join(kinds) or "no symmetry"}, {source}'


def _row(model: ObjectModel, rules: ObjectRules) -> Image:
    tiles = [np.vstack([_text(len(_VIEWS) * 150, (words,), _GREY),
                        np.hstack([draw_object(model, rules.R_object_file @ R, view)
                                   for view in _VIEWS])])
             for words, R in equivalent_rotations(rules.category.symmetry)]
    return np.hstack(tiles)


def _text(width: int, lines: Sequence[str], color: tuple[int, int, int] = _BLACK) -> Image:
    picture = np.full((_TEXT_HEIGHT * len(lines) + 4, width, 3), 255, dtype=np.uint8)
    for number, line in enumerate(lines, start=1):
        cv2.putText(picture, line, (4, _TEXT_HEIGHT * number - 2), cv2.FONT_HERSHEY_SIMPLEX, 0.4,
                    color, 1, cv2.LINE_AA)
    return picture


def _widened(row: Image, width: int) -> Image:
    return np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255)


def _words(R: FloatArray) -> str:
    angle = float(angle_between(np.eye(3), R))
    # R + R^T is 2 cos(angle) I + 2 (1 - cos(angle)) a a^T, also for half turns.
    axis = np.linalg.eigh(R + R.T)[1][:, 2]
    axis = axis * np.copysign(1.0, axis[np.abs(axis).argmax()])
    return f'{np.degrees(angle):.0f} degrees about {_vector(axis)}' if angle > 1e-6 else (
        'as it is')


def _vector(axis: FloatArray) -> str:
    return f'({", ".join(f"{value:.2f}" for value in np.round(axis, 2) + 0.0)})'
