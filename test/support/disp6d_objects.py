"""A known object whose views differ from everywhere, and pictures of it in a scene."""

import numpy as np

from pose_estimation_ros.backends.disp6d_model import ViewEncoder
from pose_estimation_ros.backends.disp6d_object_file import KnownObject, ObjectIdentity
from pose_estimation_ros.backends.disp6d_object_making import make_object
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.symmetry import NO_SYMMETRY
from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.rendering.open3d_renderer import Open3DRayCaster
from pose_estimation_ros.rendering.primitives import box
from pose_estimation_ros.rendering.renderer import camera_rays
from pose_estimation_ros.runtime import Model

# Its frame is not in its middle.
MIDDLE = np.array([0.02, -0.03, 0.05])
FACES = np.array([(220, 40, 40), (40, 220, 40), (60, 60, 230), (220, 220, 50), (230, 60, 220),
                  (60, 220, 220)], np.uint8)


def colored_box() -> tuple[Mesh, np.ndarray]:
    """Return a box with a colour for each of its faces, and the colours of its vertices."""
    mesh = box([0.10, 0.07, 0.05])
    # Corners of their own for each triangle, so that colours do not blend over edges.
    vertices = mesh.vertices[mesh.faces].reshape(-1, 3) + MIDDLE.astype(np.float32)
    normals = np.repeat(mesh.face_normals, 3, axis=0)
    axis = np.abs(normals).argmax(axis=1)
    side = normals[np.arange(len(axis)), axis] > 0
    return (Mesh(vertices, np.arange(len(vertices)).reshape(-1, 3)),
            FACES[2 * axis + side])


def known_box(model: Model, name: str = 'block', **identity: tuple[str, ...]) -> KnownObject:
    """Return the object with the codes of a model."""
    mesh, colors = colored_box()
    encoder = ViewEncoder(model, 'cpu', 1)
    labels = identity.get('detected_as', (name,))
    return make_object(encoder, mesh, colors, ObjectIdentity(name, labels, NO_SYMMETRY))


def picture_of_box(T: np.ndarray, camera: CameraIntrinsics) -> tuple[np.ndarray, np.ndarray]:
    """Return (H, W, 3) colours and the (H, W) mask of the object before black."""
    mesh, colors = colored_box()
    hits = Open3DRayCaster([mesh]).cast(camera_rays(camera, np.linalg.inv(T)))
    mask = hits.mesh >= 0
    rgb = np.zeros((*mask.shape, 3), np.uint8)
    rgb[mask] = colors[mesh.faces[hits.face[mask], 0]]
    return rgb, mask


def depth_of_box(T: np.ndarray, camera: CameraIntrinsics) -> np.ndarray:
    """Return the (H, W) float32 depth of the object alone, NaN = nothing."""
    rays = camera_rays(camera, np.linalg.inv(T))
    hits = Open3DRayCaster([colored_box()[0]]).cast(rays)
    # Rays have a depth of one.
    return np.where(hits.mesh >= 0, hits.distance, np.nan).astype(np.float32)
