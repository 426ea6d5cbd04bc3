"""Small frames of ellipsoids with exact truth, for tests of the NOCS layout."""

import numpy as np

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.categories import CATEGORIES, category_named
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.rotation import axis_angle_to_matrix
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame, ObjectAnnotation

CAMERA = CameraIntrinsics.pinhole(160, 120, 150.0, 151.0, 79.5, 58.0)
SIZES = {'bottle': (0.07, 0.22, 0.07), 'mug': (0.13, 0.10, 0.09), 'laptop': (0.25, 0.20, 0.30)}
DISTRACTOR = 9


def model_points(label):
    """Return (1024, 3) NOCS coordinates of an ellipsoid's surface that touches its box."""
    generator = np.random.default_rng(sorted(SIZES).index(label))
    points = generator.normal(size=(1024, 3))
    points[:6] = np.concatenate([np.eye(3), -np.eye(3)])
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    size = np.array(SIZES[label])
    return 0.5 * points * size / np.linalg.norm(size)


def annotation(instance_id, label, t, turn=(0.4, 0.3, 0.2), **others):
    return ObjectAnnotation(
        instance_id, label, f'{label}_model', make_transform(axis_angle_to_matrix(turn), t),
        np.array(SIZES[label]), (category_named(label) or CATEGORIES[2]).symmetry, **others)


def default_objects():
    return (annotation(3, 'bottle', (-0.15, 0.02, 0.8), visibility=0.75),
            annotation(1, 'mug', (0.12, -0.03, 0.7), (0.1, 2.5, 0.3), handle_visible=False),
            annotation(7, 'laptop', (0.0, 0.05, 1.2)))


def make_frame(objects=None, camera=CAMERA, name='any'):
    """Return a frame; nearer objects hide farther ones, one instance is a distractor."""
    objects = default_objects() if objects is None else objects
    height, width = camera.height, camera.width
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    rays = camera.back_project(np.stack([u, v], axis=-1).astype(float), np.ones((height, width)))
    depth = np.full((height, width), 2.5)
    instance_map = np.zeros((height, width), np.int32)
    nocs_map = np.full((height, width, 3), np.nan)
    for item in objects:
        R, t = item.T_camera_object[:3, :3], item.T_camera_object[:3, 3]
        # In the frame where the object is a unit sphere: |origin + z direction| = 1.
        half = 0.5 * item.size
        origin, direction = (-t @ R) / half, (rays @ R) / half
        a = (direction**2).sum(axis=-1)
        b, c = direction @ origin, origin @ origin - 1.0
        root = b**2 - a * c
        with np.errstate(invalid='ignore'):
            z = (-b - np.sqrt(root)) / a
        nearer = (root > 0) & (z > 0) & (z < depth)
        depth[nearer] = z[nearer]
        instance_map[nearer] = item.instance_id
        nocs_map[nearer] = ((origin + z[nearer][:, None] * direction[nearer]) * half
                            / item.diagonal)
    instance_map[100:110, 5:25], nocs_map[100:110, 5:25] = DISTRACTOR, np.nan
    depth[0], depth[1] = np.nan, 32.001
    rgb = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return AnnotatedFrame(name, RGBDFrame(0, 'camera', rgb, depth.astype(np.float32), camera),
                          objects, instance_map, nocs_map.astype(np.float32))


def add_models(writer, labels=tuple(SIZES)):
    for label in labels:
        category = label if category_named(label) else 'tool'
        writer.add_model(f'{label}_model', category, model_points(label))


def write_dataset(root, writer_type, subset, frames=None):
    """Write one folder of frames and the lists, and return the frames."""
    frames = [make_frame()] if frames is None else frames
    writer = writer_type(root, subset)
    add_models(writer)
    with writer.scene(4) as scene:
        for frame in frames:
            scene.write(frame)
    writer.finish()
    return frames
