"""Small BOP data sets, and frames to write as such, for the tests."""

import json

import cv2
import numpy as np

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.rotation import random_rotation
from pose_estimation_ros.core.se3 import make_transform, transform_points
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Symmetry
from pose_estimation_ros.datasets.annotated_frame import AnnotatedFrame, ObjectAnnotation
from pose_estimation_ros.datasets.bop_writer import BopWriter

CAMERA = CameraIntrinsics.pinhole(96, 64, 110.0, 112.0, 47.3, 31.1)
BOX_FACES = np.array([[0, 2, 1], [1, 2, 3], [4, 5, 6], [5, 7, 6], [0, 1, 4], [1, 5, 4],
                      [2, 6, 3], [3, 6, 7], [0, 4, 2], [2, 4, 6], [1, 3, 5], [3, 7, 5]])
HALF_TURN_Z = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
SYMMETRY = Symmetry(axis=(0.0, 1.0, 0.0), discrete=(HALF_TURN_Z,))


def box_vertices(size):
    corners = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5)
                        for z in (-0.5, 0.5)])
    return corners * size


SIZES = {'crate': np.array([0.1, 0.12, 0.08]), 'brick': np.array([0.05, 0.2, 0.06])}
VERTICES = {name: box_vertices(size) for name, size in SIZES.items()}
IDS = {'crate': 1, 'brick': 12}
SYMMETRIES = {'crate': SYMMETRY, 'brick': NO_SYMMETRY}


def silhouette(T, name):
    """Return the mask of a box, as if nothing covered it."""
    pixels = CAMERA.project(transform_points(T, VERTICES[name]))
    mask = np.zeros((CAMERA.height, CAMERA.width), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(pixels).astype(np.int32)), 1)
    return mask.astype(bool)


def make_frame(seed, visibility=float('nan')):
    """Return a frame with a brick before a crate, and the full masks by instance."""
    generator = np.random.default_rng(seed)
    poses = {1: make_transform(random_rotation(generator), [0.01, 0.0, 0.6]),
             2: make_transform(random_rotation(generator), [0.04, 0.02, 0.4])}
    names = {1: 'crate', 2: 'brick'}
    full = {number: silhouette(T, names[number]) for number, T in poses.items()}
    instances = np.zeros((CAMERA.height, CAMERA.width), np.int32)
    depth = np.full(instances.shape, np.nan, np.float32)
    for number, mask in full.items():
        instances[mask] = number
        depth[mask] = poses[number][2, 3]
    rgb = generator.integers(0, 256, (*instances.shape, 3), dtype=np.uint8)
    objects = tuple(
        ObjectAnnotation(number, f'a {names[number]}', names[number], T, SIZES[names[number]],
                         visibility=visibility)
        for number, T in poses.items())
    frame = RGBDFrame(0, 'camera', rgb, depth, CAMERA)
    return AnnotatedFrame(f'made/{seed}', frame, objects, instances), full


def make_writer(root, split='test', **options):
    writer = BopWriter(root, split, IDS, **options)
    for name in IDS:
        writer.add_model(name, f'a {name}', VERTICES[name], BOX_FACES, SYMMETRIES[name])
    return writer


def write_scene(root, scene_id, seeds=(0, 1)):
    with make_writer(root).scene(scene_id) as scene:
        for seed in seeds:
            scene.write(*make_frame(seed))


MODEL_INFO = {'diameter': 120.0, 'min_x': -50.0, 'min_y': -40.0, 'min_z': -30.0, 'size_x': 100.0,
              'size_y': 80.0, 'size_z': 60.0}
GT = [{'obj_id': 4, 'cam_R_m2c': [1, 0, 0, 0, 0, -1, 0, 1, 0], 'cam_t_m2c': [10, -20, 700]},
      {'obj_id': 2, 'cam_R_m2c': [0, -1, 0, 1, 0, 0, 0, 0, 1], 'cam_t_m2c': [0, 5, 650]}]
GT_INFO = [{'bbox_obj': [1, 2, 4, 3], 'bbox_visib': [1, 2, 3, 3], 'px_count_all': 12,
            'px_count_valid': 12, 'px_count_visib': 9, 'visib_fract': 0.75},
           {'bbox_obj': [4, 0, 2, 2], 'bbox_visib': [-1, -1, -1, -1], 'px_count_all': 4,
            'px_count_valid': 4, 'px_count_visib': 0, 'visib_fract': 0.0}]
RGB = np.random.default_rng(1).integers(0, 256, (6, 8, 3), dtype=np.uint8)
COUNTS = np.arange(48, dtype=np.uint16).reshape(6, 8) * 100
K = [500.0, 0.0, 3.5, 0.0, 501.0, 2.5, 0.0, 0.0, 1.0]


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_image(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def write_dataset(root, scene='test/000003', images=(17, 20)):
    """Write a data set with two objects and a scene by hand, as the released ones are."""
    write_json(root / 'models' / 'models_info.json', {'4': MODEL_INFO, '2': MODEL_INFO})
    folder = root / scene
    write_json(folder / 'scene_camera.json',
               {str(i): {'cam_K': [i + K[0], *K[1:]], 'depth_scale': 0.1} for i in images})
    write_json(folder / 'scene_gt.json', {str(i): GT for i in images})
    write_json(folder / 'scene_gt_info.json', {str(i): GT_INFO for i in images})
    first, second = np.zeros((6, 8), np.uint8), np.zeros((6, 8), np.uint8)
    first[2:5, 1:4] = 255
    for i in images:
        write_image(folder / 'rgb' / f'{i:06d}.png', RGB[..., ::-1])
        write_image(folder / 'depth' / f'{i:06d}.png', COUNTS)
        write_image(folder / 'mask_visib' / f'{i:06d}_000000.png', first)
        write_image(folder / 'mask_visib' / f'{i:06d}_000001.png', second)
    return folder
