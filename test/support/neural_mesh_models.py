"""Neural mesh models whose features are colours, so that pictures can be painted for them.

The extractor means 4 x 4 pixels and turns their colour into cosines and sines of a few
directions; a vertex has the features of its colour, which tells its place in the cuboid. So a
picture of a cuboid painted so has the very features that rendering expects.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pose_estimation_ros.backends.neural_mesh_archive import CategoryMesh, write_category_meshes
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.cuboid_mesh import centered_cuboid
from pose_estimation_ros.core.cuboid_raster import rasterize
from pose_estimation_ros.runtime import ModelFile, ModelManifest
from pose_estimation_ros.runtime.manifest import write_manifest

STRIDE, WAVES = 4, 16
# Colour of what is no object.
BACKGROUND = 128
_DIRECTIONS = np.random.default_rng(3).normal(0.0, 4.0, (WAVES, 3))
_VERTICES = 300
# Corner of each category's share of the colour cube.
_SHARES = ((0.0, 0.0, 0.0), (0.6, 0.6, 0.0), (0.0, 0.6, 0.6))
_SHARE = 0.4


def features_of(colors):
    """Return (N, 2 WAVES) unit features of (N, 3) colours, 0 to 1."""
    waves = colors @ _DIRECTIONS.T
    return np.concatenate([np.cos(waves), np.sin(waves)], axis=1).astype(np.float32) / WAVES ** 0.5


def paint(mesh, category):
    """Return the (V, 3) colours, 0 to 1, of the vertices of a category's cuboid."""
    place = (mesh.vertices - mesh.lower) / mesh.extents
    return np.array(_SHARES[category]) + _SHARE * place


def make_neural_mesh_model(folder: Path, extents: Mapping[str, Sequence[float]],
                           parameters: Mapping[str, object] | None = None) -> Path:
    """Write a model of these categories and mean extents, metres; return its folder."""
    folder.mkdir(parents=True)
    onnx.save(_extractor(), folder / 'features.onnx')
    meshes = {}
    for number, (name, size) in enumerate(extents.items()):
        mesh = centered_cuboid(size, _VERTICES)
        meshes[name] = CategoryMesh(
            np.array([size], dtype=np.float64), mesh.counts, features_of(paint(mesh, number)),
            features_of(np.full((1, 3), BACKGROUND / 255)))
    write_category_meshes(folder / 'meshes.npz', meshes)
    write_manifest(ModelManifest(
        name=folder.name, task='pose', backend='neural_mesh', size='lite',
        files={role: ModelFile.of(folder / path, folder) for role, path in
               (('features', 'features.onnx'), ('meshes', 'meshes.npz'))},
        categories=tuple(extents),
        parameters={'stride': STRIDE, 'features': 2 * WAVES, 'width': 160, 'height': 128,
                    'size_spread': dict.fromkeys(extents, 0.2), **(parameters or {})}), folder)
    return folder


def picture(camera: CameraIntrinsics, objects: Sequence[tuple[int, Sequence[float], np.ndarray]]):
    """Return the painted (H, W, 3) picture and (H, W) depth of cuboids, NaN off them.

    Args:
        camera: Without distortion.
        objects: Number of the category, extents and (4, 4) pose of each.
    """
    shape = camera.height, camera.width
    rgb = np.full((*shape, 3), BACKGROUND, dtype=np.float64)
    depth = np.full(shape, np.inf)
    for category, extents, T in objects:
        mesh = centered_cuboid(extents, _VERTICES)
        raster = rasterize(mesh, T[None], camera.K, shape)
        rows, columns = np.divmod(raster.pixel, camera.width)
        distance = (T[:3, :3] @ raster.point + T[:3, 3:])[2]
        nearer = distance < depth[rows, columns]
        rgb[rows[nearer], columns[nearer]] = 255 * raster.interpolate(
            paint(mesh, category))[nearer]
        depth[rows[nearer], columns[nearer]] = distance[nearer]
    return (np.rint(rgb).astype(np.uint8),
            np.where(np.isfinite(depth), depth, np.nan).astype(np.float32))


def _extractor() -> onnx.ModelProto:
    weights = (_DIRECTIONS / 255.0).astype(np.float32)[..., None, None]
    nodes = [
        helper.make_node('Cast', ['image'], ['pixels'], to=TensorProto.FLOAT),
        helper.make_node('AveragePool', ['pixels'], ['means'], kernel_shape=[STRIDE] * 2,
                         strides=[STRIDE] * 2),
        helper.make_node('Conv', ['means', 'weights'], ['waves'], kernel_shape=[1, 1]),
        helper.make_node('Cos', ['waves'], ['cosines']),
        helper.make_node('Sin', ['waves'], ['sines']),
        helper.make_node('Concat', ['cosines', 'sines'], ['both'], axis=1),
        helper.make_node('Mul', ['both', 'scale'], ['features']),
    ]
    graph = helper.make_graph(
        nodes, 'colours',
        [helper.make_tensor_value_info('image', TensorProto.UINT8, ['n', 3, 'h', 'w'])],
        [helper.make_tensor_value_info('features', TensorProto.FLOAT,
                                       ['n', 2 * WAVES, 'a', 'b'])],
        [numpy_helper.from_array(weights, 'weights'),
         numpy_helper.from_array(np.float32(WAVES ** -0.5), 'scale')])
    return helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid('', 17)])
