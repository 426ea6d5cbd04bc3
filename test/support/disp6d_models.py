"""Small models with the tensors of DISP6D, whose answers can be checked by hand.

Of the model of views, both codes are the crop itself, made small: the nearest code is that of the
view that looks most alike. Of the model of categories, every object is turned by `TURNED` and is
decoded as a ball of `RADIUS` about its origin.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pose_estimation_ros.core.hyperspherical_harmonics import encode_rotations
from pose_estimation_ros.core.reference_rotations import reference_rotations
from pose_estimation_ros.runtime import ModelFile, ModelManifest
from pose_estimation_ros.runtime.manifest import write_manifest

CROP, POOLED = 32, 4
# 162 directions in 24 turns: no rotation is farther than 12 degrees from one of these.
SPLITS, TURNS, FARTHEST = 2, 24, np.radians(12.0)
TURNED = reference_rotations(3, 32).matrices()[12345]
# Decoded depth is of 32 x 32 pixels with this focal length, from distance 1.
FOCAL, RADIUS = 35.0, 0.3


def make_view_model(folder: Path, **parameters: Any) -> Path:
    """Write a model of known objects to a folder of that name and return it."""
    nodes = [
        helper.make_node('AveragePool', ['image'], ['small'], kernel_shape=[POOLED] * 2,
                         strides=[POOLED] * 2),
        helper.make_node('Flatten', ['small'], ['z_pose']),
        helper.make_node('Identity', ['z_pose'], ['z_obj'])]
    length = 3 * (CROP // POOLED) ** 2
    encoder = _model(nodes, {}, {'image': ['crops', 3, CROP, CROP]},
                     {name: ['crops', length] for name in ('z_obj', 'z_pose')})
    return _write(folder, {'encoder': encoder}, (), {
        'splits': SPLITS, 'turns': TURNS, 'background': 'black', **parameters})


def make_category_model(folder: Path, categories: Sequence[str], **parameters: Any) -> Path:
    """Write a model of categories to a folder of that name and return it."""
    code = encode_rotations(TURNED, 'quaternion').astype(np.float32)[None]
    length = code.shape[1]
    nothing = [
        helper.make_node('ReduceMean', ['image'], ['light'], axes=[1, 2, 3], keepdims=0),
        helper.make_node('Sub', ['light', 'light'], ['zero']),
        helper.make_node('Unsqueeze', ['zero', 'one'], ['zeros'])]
    encoder = _model(
        [*nothing, *(helper.make_node('Add', ['zeros', 'code'], [name])
                     for name in ('z_obj', 'z_pose'))],
        {'one': np.array([1], np.int64), 'code': code}, {'image': ['crops', 3, CROP, CROP]},
        {name: ['crops', length] for name in ('z_obj', 'z_pose')})
    conditioned = _model(
        [helper.make_node('ReduceMean', ['z_obj'], ['mean'], axes=[1], keepdims=1),
         helper.make_node('Sub', ['mean', 'mean'], ['zero']),
         helper.make_node('Unsqueeze', ['zero', 'one'], ['zeros']),
         helper.make_node('Add', ['zeros', 'encoding'], ['codes'])],
        {'one': np.array([1], np.int64)},
        {'z_obj': ['crops', length], 'encoding': ['rotations', length]},
        {'codes': ['crops', 'rotations', length]})
    decoder = _model(
        [helper.make_node('Add', ['z_obj', 'z_pose'], ['both']),
         helper.make_node('ReduceMean', ['both'], ['mean'], axes=[1], keepdims=1),
         helper.make_node('Sub', ['mean', 'mean'], ['zero']),
         helper.make_node('Unsqueeze', ['zero', 'axes'], ['zeros']),
         helper.make_node('Add', ['zeros', 'ball'], ['depth'])],
        {'axes': np.array([1, 2], np.int64), 'ball': ball_depth()[None, None]},
        {name: ['crops', length] for name in ('z_obj', 'z_pose')},
        {'depth': ['crops', 1, CROP, CROP]})
    return _write(folder, {'encoder': encoder, 'conditioned_codes': conditioned,
                           'depth_decoder': decoder}, categories, {
                               'encoding': 'quaternion', 'depth_focal': FOCAL / CROP,
                               **parameters})


def ball_depth() -> np.ndarray:
    """Return the (CROP, CROP) decoded depth of a ball."""
    middle = (np.arange(CROP) - 0.5 * CROP) / FOCAL
    x, y = np.meshgrid(middle, middle)
    # |z (x, y, 1) - (0, 0, 1)| = RADIUS, the nearer z.
    square = 1 + x * x + y * y
    root = 1 - square * (1 - RADIUS ** 2)
    z = (1 - np.sqrt(np.maximum(root, 0))) / square
    return np.where(root > 0, z - 0.5, 1.0).astype(np.float32)


def _write(folder: Path, networks: Mapping[str, onnx.ModelProto], categories: Sequence[str],
           parameters: Mapping[str, Any]) -> Path:
    folder.mkdir(parents=True)
    for role, network in networks.items():
        onnx.save(network, folder / f'{role}.onnx')
    write_manifest(ModelManifest(
        name=folder.name, task='pose', backend='disp6d', size='lite',
        files={role: ModelFile.of(folder / f'{role}.onnx', folder) for role in networks},
        categories=tuple(categories), parameters={'crop': CROP, **parameters}), folder)
    return folder


def _model(nodes: Sequence[onnx.NodeProto], constants: Mapping[str, np.ndarray],
           inputs: Mapping[str, list[Any]], outputs: Mapping[str, list[Any]]) -> onnx.ModelProto:
    def infos(tensors: Mapping[str, list[Any]]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
                for name, shape in tensors.items()]

    graph = helper.make_graph(list(nodes), 'small', infos(inputs), infos(outputs), [
        numpy_helper.from_array(value, name) for name, value in constants.items()])
    return helper.make_model(graph, ir_version=9,
                             opset_imports=[helper.make_opsetid('', 17)])
