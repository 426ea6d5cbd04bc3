"""Pictures of many procedural objects side by side, to be looked at.

Run `python -m pose_estimation_ros.synthetic.contact_sheet mug sheet.png --domain second`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.rendering.open3d_renderer import Open3DRayCaster
from pose_estimation_ros.rendering.renderer import camera_rays
from pose_estimation_ros.synthetic.colors import linear_to_srgb
from pose_estimation_ros.synthetic.object_model import ObjectModel, make_object
from pose_estimation_ros.synthetic.solids import Solid

_TILE = 150
_CAMERA = CameraIntrinsics.pinhole(_TILE, _TILE, 2.25 * _TILE, 2.25 * _TILE, _TILE / 2, _TILE / 2)
_LIGHT = np.array([0.37, 0.65, 0.65])
# One BGR colour a part; magenta marks faces seen from behind, that is, turned the wrong way.
_PART_COLORS = np.array([
    (165, 180, 185), (90, 140, 215), (215, 140, 75), (75, 230, 230), (65, 65, 215),
    (115, 205, 75), (205, 100, 155), (130, 115, 115), (100, 60, 40), (60, 60, 60),
    (55, 45, 45), (40, 50, 90), (215, 255, 255), (205, 180, 75), (205, 190, 180),
])  # fmt: skip
_BACKFACE = np.array([255, 0, 255])
VIEWS: dict[str, tuple[float, float, float]] = {
    'front': (0.7, 0.5, 0.6),
    'back': (-0.7, 0.3, 0.6),
    'top': (0.3, 1.0, 0.15),
    'side': (0.0, 0.1, 1.0),
    'below': (0.5, -0.8, 0.4),
}


def draw_object(
    model: ObjectModel,
    R_view_object: npt.NDArray[np.float64],
    direction: tuple[float, float, float],
) -> npt.NDArray[np.uint8]:
    """Return a (150, 150, 3) BGR picture of the object in its own or its parts' colours.

    Args:
        model: What to draw.
        R_view_object: (3, 3) rotation from the object frame to a frame with y up.
        direction: Where the camera stands as seen from the object, in that frame.
    """
    backward = np.asarray(direction) / np.linalg.norm(direction)
    right = np.cross((0.0, 1.0, 0.0), backward)
    right /= np.linalg.norm(right)
    R_view_camera = np.stack([right, -np.cross(backward, right), -backward], axis=1)
    T_object_camera = np.eye(4)
    T_object_camera[:3, :3] = R_view_object.T @ R_view_camera
    T_object_camera[:3, 3] = model.mesh.bounds.mean(axis=0) + (
        R_view_object.T @ backward * 2.4 * np.linalg.norm(model.size))
    rays = camera_rays(_CAMERA, T_object_camera)
    hits = Open3DRayCaster([model.mesh]).cast(rays)
    seen = hits.mesh >= 0
    facing = -(hits.normal * rays.directions).sum(axis=-1)
    lit = np.clip(hits.normal @ (R_view_object.T @ _LIGHT), 0, 1)
    shade = 0.35 + 0.4 * lit + 0.25 * np.clip(facing, 0, 1)
    faces = np.where(seen, hits.face, 0)
    own = Solid.of_model(model).colors_at(faces.ravel(), hits.barycentric.reshape(-1, 2))
    colors = (_PART_COLORS[model.face_parts[faces]] if own is None else
              255 * linear_to_srgb(own[:, ::-1]).reshape(*faces.shape, 3)) * shade[..., None]
    colors = np.where((facing < 0)[..., None], _BACKFACE, colors)
    picture: npt.NDArray[np.uint8] = np.where(seen[..., None], colors, 255).astype(np.uint8)
    return picture


def contact_sheet(
    category: str, domain: str, seeds: range, view: str, columns: int = 10
) -> npt.NDArray[np.uint8]:
    """Return a BGR picture with one tile per seed, or per resting orientation for view 'rest'."""
    tiles = []
    for seed in seeds:
        model = make_object(category, seed, domain)
        if view == 'rest':
            turn = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
            tiles += [
                draw_object(model, turn @ R, VIEWS['front']) for R in model.resting_rotations
            ]
        else:
            tile = draw_object(model, np.eye(3), VIEWS[view])
            cv2.putText(tile, str(seed), (2, 10), cv2.FONT_HERSHEY_SIMPLEX, 0.33, (0, 0, 0), 1)
            tiles.append(tile)
    blank = np.full((_TILE, _TILE, 3), 255, dtype=np.uint8)
    tiles += [blank] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
    return np.vstack(rows)


def main() -> None:
    """Write a contact sheet as a picture file."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument('category', help='one of the six categories, or distractor')
    parser.add_argument('picture', type=Path, help='file to write, such as sheet.png')
    parser.add_argument('--domain', default='primary', help='primary or second')
    parser.add_argument('--first', type=int, default=0, help='first seed')
    parser.add_argument('--count', type=int, default=40, help='number of objects')
    parser.add_argument('--view', default='front', choices=[*VIEWS, 'rest'])
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.count)
    sheet = contact_sheet(arguments.category, arguments.domain, seeds, arguments.view)
    cv2.imwrite(str(arguments.picture), sheet)


if __name__ == '__main__':
    main()
