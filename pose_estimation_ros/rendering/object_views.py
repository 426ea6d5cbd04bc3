"""Coloured pictures of one object alone, in any turn about the optical axis.

The light is at the camera. Turning the camera about its axis then turns the picture and changes
nothing else, so one ray-cast picture per direction serves all turns.

Source: the renderings of the augmented autoencoder (Sundermeyer et al., ECCV 2018) and of DISP6D
(Wen et al., ECCV 2022): square crops of 1.2 times the object's box.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.rendering.open3d_renderer import Open3DRayCaster
from pose_estimation_ros.rendering.renderer import Rays

FloatArray = NDArray[np.float64]

# Of the light that reaches the surface, which the angle to the camera makes brighter.
_AMBIENT, _DIFFUSE = 0.4, 0.6
# Colour of a mesh that brings none.
_GREY = 160
# The ray-cast picture shows the object in this share of its side, whatever the turn is.
_FILLED = 0.94
# And has this many pixels for one of the crops, so that turning does not blur them.
_OVERSAMPLING = 1.25


@dataclass(frozen=True, eq=False)
class ObjectPicture:
    """What a camera sees that looks straight at the middle of an object's box.

    Attributes:
        rgb: (S, S, 3) uint8.
        focal: Focal length, pixels; the principal point is the middle of the picture.
        outline: (H, 2) points x/z, y/z whose convex hull is that of the object's silhouette.
    """

    rgb: NDArray[np.uint8]
    focal: float
    outline: FloatArray


class ObjectCamera:
    """Takes pictures of a mesh from a fixed distance to the middle of its box."""

    def __init__(self, mesh: Mesh, colors: NDArray[np.uint8] | None, distance: float,
                 background: tuple[int, int, int] = (0, 0, 0), threads: int = 0) -> None:
        """Build the search tree.

        Args:
            mesh: Metres, object frame.
            colors: (V, 3) red, green, blue of its vertices; None = grey.
            distance: From the camera to the middle of the box, metres.
            background: Colour of what is not the object.
            threads: Of ray casting; 0 = one per core.

        Raises:
            ConfigurationError: If Open3D is not installed.
            InvalidInputError: If the mesh has no face, is not finite or reaches the camera, or
                the colours do not fit.
        """
        if not len(mesh.faces) or not np.isfinite(mesh.vertices).all():
            raise InvalidInputError(f'a mesh of {len(mesh.faces)} faces cannot be drawn: it must '
                                    'have at least one, with finite vertices; repair it')
        self.center = mesh.bounds.mean(axis=0, dtype=np.float64)
        self._corners = _hull(mesh.vertices.astype(np.float64) - self.center)
        radius = float(np.linalg.norm(self._corners, axis=1).max())
        if not radius < distance:
            raise InvalidInputError(f'a camera {distance:g} m from the middle of an object of '
                                    f'{radius:g} m radius is in it: take it farther away')
        if colors is None:
            colors = np.full(mesh.vertices.shape, _GREY, np.uint8)
        if colors.shape != mesh.vertices.shape:
            raise InvalidInputError(f'{len(mesh.vertices)} vertices need as many colours, got '
                                    f'{colors.shape}')
        self._distance = distance
        self._background = np.array(background, dtype=np.float32)
        self._caster = Open3DRayCaster(
            [Mesh(mesh.vertices - self.center.astype(np.float32), mesh.faces)], threads)
        self._corner_normals = mesh.vertex_normals[mesh.faces]
        self._corner_colors = colors[mesh.faces].astype(np.float32)

    def picture(self, R: FloatArray, crop: int) -> ObjectPicture:
        """Take a picture that is sharp enough for crops of some size.

        Args:
            R: (3, 3) rotation from the object frame to the camera optical frame.
            crop: Side of the crops that will be cut from it, pixels.
        """
        size = int(np.ceil(_OVERSAMPLING * crop))
        points = self._corners @ R.T + (0.0, 0.0, self._distance)
        outline = points[:, :2] / points[:, 2:]
        # All turns must fit, so the farthest corner from the axis counts, not the box.
        focal = 0.5 * _FILLED * size / float(np.linalg.norm(outline, axis=1).max())
        along = (np.arange(size) + 0.5 - 0.5 * size) / focal
        directions = (along[:, None, None] * R[1] + along[None, :, None] * R[0] + R[2])
        origin = -self._distance * R[2]
        rays = Rays(np.broadcast_to(origin.astype(np.float32), directions.shape),
                    directions.astype(np.float32))
        return ObjectPicture(self._shaded(rays), focal, outline)

    def _shaded(self, rays: Rays) -> NDArray[np.uint8]:
        hits = self._caster.cast(rays)
        seen = hits.mesh >= 0
        face, weight = hits.face[seen], hits.barycentric[seen]
        weights = np.stack([1 - weight.sum(axis=1), weight[:, 0], weight[:, 1]], axis=1)
        normal = np.einsum('nc,ncx->nx', weights, self._corner_normals[face])
        direction = rays.directions[seen]
        facing = np.abs(np.einsum('nx,nx->n', normal, direction)) / np.maximum(
            np.linalg.norm(normal, axis=1) * np.linalg.norm(direction, axis=1), 1e-12)
        color = np.einsum('nc,ncx->nx', weights, self._corner_colors[face])
        picture = np.broadcast_to(self._background, (*seen.shape, 3)).copy()
        picture[seen] = color * (_AMBIENT + _DIFFUSE * facing)[:, None]
        return np.round(picture).astype(np.uint8)


def turned_boxes(outline: FloatArray, turns: FloatArray) -> FloatArray:
    """Return the boxes of an object in pictures whose camera is turned about its axis.

    Args:
        outline: (H, 2) of `ObjectPicture`.
        turns: (P,) angles of the camera, radians.

    Returns:
        (P, 4) x_min, y_min, x_max, y_max, as x/z and y/z.
    """
    cosine, sine = np.cos(turns)[:, None], np.sin(turns)[:, None]
    x = cosine * outline[:, 0] + sine * outline[:, 1]
    y = cosine * outline[:, 1] - sine * outline[:, 0]
    return np.stack([x.min(axis=1), y.min(axis=1), x.max(axis=1), y.max(axis=1)], axis=1)


def turned_crop(picture: ObjectPicture, turn: float, box: FloatArray, margin: float,
                crop: int) -> NDArray[np.uint8]:
    """Cut the square around an object's box from a picture, as a turned camera would see it.

    Args:
        picture: Of the camera that is not turned.
        turn: Angle of the camera about its axis, radians.
        box: (4,) of the object in the turned picture, as x/z and y/z.
        margin: Side of the square as a share of the longer side of the box.
        crop: Side of the result, pixels.

    Returns:
        (crop, crop, 3) uint8.
    """
    side = margin * max(box[2] - box[0], box[3] - box[1])
    low = 0.5 * (box[:2] + box[2:] - side)
    cosine, sine = np.cos(turn), np.sin(turn)
    turned_to_still = np.array([[cosine, -sine], [sine, cosine]])
    # The middle of pixel i is at i + 0.5, in the crop and in the picture.
    linear = picture.focal * side / crop * turned_to_still
    shift = (picture.focal * turned_to_still @ (low + 0.5 * side / crop)
             + 0.5 * picture.rgb.shape[0] - 0.5)
    return np.asarray(cv2.warpAffine(
        picture.rgb, np.column_stack([linear, shift]), (crop, crop),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _hull(points: FloatArray) -> FloatArray:
    """Return the (H, 3) points that the convex hull of others has as corners."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        return np.asarray(points[ConvexHull(points).vertices])
    except QhullError:  # All points lie in a plane.
        return np.unique(points, axis=0)
