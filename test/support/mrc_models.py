"""Small models with the tensors of MRC-Net, whose answers can be checked by hand.

Every object has one rotation, depth and cell. The brighter the top left quarter of a crop, the
surer is its rotation; the surer is its depth, the darker that quarter is. The regressor turns
nothing, moves nothing across, and says `REFINEMENT` of depth where it sees a rendering.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pose_estimation_ros.core.so3_grid import so3_grid
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Symmetry
from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.rendering.mesh_archive import write_mesh_archive
from pose_estimation_ros.runtime import ModelFile, ModelManifest
from pose_estimation_ros.runtime.manifest import write_manifest

CROP, NSIDE, CELLS, DEPTH_BINS = 32, 1, 4, 8
NEAREST, FARTHEST = 0.0005, 0.0085
ROTATIONS = len(so3_grid(NSIDE))
# Metres per pixel of the crop.
REFINEMENT = 2e-4
# Of depth, per view in a batch, of models that depend on the batch.
PER_VIEW = 1e-5


@dataclass(frozen=True)
class KnownObject:
    """An object of a small model and the classes that the network always gives for it.

    `other` is a rotation that is nearly as likely, if there is one.
    """

    name: str
    mesh: Mesh
    rotation: int = 0
    depth: int = 4
    cell: int = 5
    symmetry: Symmetry = NO_SYMMETRY
    other: int | None = None


def make_mrc_model(folder: Path, objects: Sequence[KnownObject], *, norm: str = 'group',
                   regression: str = 'sequential', outline: np.ndarray | None = None) -> Path:
    """Write a model to a folder of that name and return it.

    With `outline`, (CROP / 4, CROP / 4) bool, every crop has that mask.
    """
    folder.mkdir(parents=True)
    files = {'classifier': folder / 'classifier.onnx', 'meshes': folder / 'meshes.npz'}
    onnx.save(_classifier(objects, outline), files['classifier'])
    if regression != 'none':
        files['regressor'] = folder / 'regressor.onnx'
        onnx.save(_regressor(renders=regression == 'sequential', by_batch=norm == 'batch'),
                  files['regressor'])
    write_mesh_archive(files['meshes'], {entry.name: entry.mesh for entry in objects})
    describe(folder, {role: path.name for role, path in files.items()}, objects, norm, regression)
    return folder


def describe(folder: Path, files: Mapping[str, str], objects: Sequence[KnownObject],
             norm: str = 'group', regression: str = 'sequential') -> None:
    """Write the manifest for the files that lie in a model's folder."""
    write_manifest(ModelManifest(
        name=folder.name, task='pose', backend='mrc', size='lite',
        files={role: ModelFile.of(folder / name, folder) for role, name in files.items()},
        categories=tuple(entry.name for entry in objects),
        parameters={'crop': CROP, 'nside': NSIDE, 'cells': CELLS, 'depth_bins': DEPTH_BINS,
                    'nearest': NEAREST, 'farthest': FARTHEST, 'norm': norm,
                    'regression': regression},
        symmetries={entry.name: entry.symmetry.as_plain() for entry in objects}), folder)


def _classifier(objects: Sequence[KnownObject], outline: np.ndarray | None) -> onnx.ModelProto:
    classes = {'rotation': (ROTATIONS, [entry.rotation for entry in objects]),
               'depth': (DEPTH_BINS, [entry.depth for entry in objects]),
               'xy': (CELLS ** 2, [entry.cell for entry in objects])}
    constants, nodes = [], []
    for name, (count, chosen) in classes.items():
        table = np.full((len(chosen), count), -4.0, np.float32)
        table[np.arange(len(chosen)), chosen] = 1.0
        if name == 'rotation':
            for row, entry in enumerate(objects):
                if entry.other is not None:
                    table[row, entry.other] = 0.5
        constants.append(numpy_helper.from_array(table, f'{name}_table'))
        nodes.append(helper.make_node('Gather', [f'{name}_table', 'index'], [f'{name}_class']))
    constants += [_whole([0, 0, 0], 'low'), _whole([3, CROP // 2, CROP // 2], 'high'),
                  _whole([1, 2, 3], 'axes')]
    nodes += [
        helper.make_node('Slice', ['image', 'low', 'high', 'axes'], ['quarter']),
        helper.make_node('ReduceMean', ['quarter'], ['light'], axes=[1, 2, 3], keepdims=0),
        _column('light', 'brightness'),
        helper.make_node('Add', ['rotation_class', 'brightness'], ['rotation']),
        helper.make_node('Sub', ['depth_class', 'brightness'], ['depth']),
        # The auxiliary numbers must be there, but nothing depends on them.
        helper.make_node('ReduceSum', ['aux'], ['aux_sum'], keepdims=1),
        helper.make_node('Sub', ['aux_sum', 'aux_sum'], ['nothing']),
        helper.make_node('Add', ['xy_class', 'nothing'], ['xy']),
        *(helper.make_node('AveragePool', ['image'], [f'x{stride}'], kernel_shape=[stride] * 2,
                           strides=[stride] * 2) for stride in (4, 8, 16)),
    ]
    outputs = {'rotation': [ROTATIONS], 'depth': [DEPTH_BINS], 'xy': [CELLS ** 2], **_features()}
    if outline is not None:
        constants += [numpy_helper.from_array(
            np.where(outline, 8.0, -8.0).astype(np.float32)[None, None], 'outline')]
        nodes += [helper.make_node('ReduceMean', ['x4'], ['shade'], axes=[1, 2, 3]),
                  helper.make_node('Sub', ['shade', 'shade'], ['zero']),
                  helper.make_node('Add', ['zero', 'outline'], ['mask'])]
        outputs['mask'] = [1, *outline.shape]
    return _model(nodes, constants, _inputs(image=True), outputs)


def _regressor(*, renders: bool, by_batch: bool) -> onnx.ModelProto:
    constants = [
        numpy_helper.from_array(np.array([[1, 0, 0, 0, 1, 0]], np.float32), 'identity'),
        numpy_helper.from_array(np.zeros((1, 2), np.float32), 'still'),
        numpy_helper.from_array(np.float32(REFINEMENT), 'refinement'),
        numpy_helper.from_array(np.float32(PER_VIEW if by_batch else 0), 'per_view')]
    seen = 'image' if renders else 'x4'
    nodes = [
        helper.make_node('ReduceMax', [seen], ['most'], axes=[1, 2, 3], keepdims=0),
        helper.make_node('Ceil', ['most'], ['any']),
        _column('any', 'something'),
        helper.make_node('Mul', ['something', 'refinement'], ['depth_alone']),
        helper.make_node('Shape', ['index'], ['count']),
        helper.make_node('Cast', ['count'], ['views'], to=TensorProto.FLOAT),
        helper.make_node('Mul', ['views', 'per_view'], ['by_batch']),
        helper.make_node('Add', ['depth_alone', 'by_batch'], ['depth']),
        helper.make_node('Sub', ['something', 'something'], ['nothing']),
        helper.make_node('Add', ['nothing', 'identity'], ['rotation']),
        helper.make_node('Add', ['nothing', 'still'], ['xy']),
    ]
    return _model(nodes, constants, {**_inputs(image=renders), **_features()},
                  {'rotation': [6], 'depth': [1], 'xy': [2]})


def _column(name: str, result: str) -> onnx.NodeProto:
    return helper.make_node('Unsqueeze', [name, 'one'], [result])


def _whole(values: Sequence[int], name: str) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def _inputs(*, image: bool) -> dict[str, list[int]]:
    shapes: dict[str, list[int]] = {'index': [], 'aux': [3]}
    return {'image': [4, CROP, CROP], **shapes} if image else shapes


def _features() -> dict[str, list[int]]:
    return {f'x{stride}': [4, CROP // stride, CROP // stride] for stride in (4, 8, 16)}


def _model(nodes: Sequence[onnx.NodeProto], constants: Sequence[onnx.TensorProto],
           inputs: Mapping[str, list[int]], outputs: Mapping[str, list[int]]) -> onnx.ModelProto:
    def info(name: str, shape: list[int]) -> onnx.ValueInfoProto:
        kind = TensorProto.INT64 if name == 'index' else TensorProto.FLOAT
        return helper.make_tensor_value_info(name, kind, ['views', *shape])

    graph = helper.make_graph(
        list(nodes), 'small', [info(*entry) for entry in inputs.items()],
        [info(*entry) for entry in outputs.items()], [*constants, _whole([1], 'one')])
    return helper.make_model(graph, ir_version=9,
                             opset_imports=[helper.make_opsetid('', 17)])
