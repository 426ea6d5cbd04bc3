"""Lite models of any backend, made of the shipped SPD lite: small, and right about poses."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from pose_estimation_ros.runtime import ModelFile, ModelStore
from pose_estimation_ros.runtime.manifest import write_manifest
from pose_estimation_ros.runtime.session import TensorSpec

ROOT = Path(__file__).resolve().parents[2]
# What sessions that only play a network take and give.
LITE_INPUTS, LITE_OUTPUTS = (
    tuple(TensorSpec(name, (), np.dtype(np.float32)) for name in names)
    for names in (('points', 'condition', 'category', 'rank'),
                  ('nocs', 'shape', 'membership', 'probability')))


def make_lite_model(folder: Path, backend: str, *, with_color: bool = False,
                    every: int = 1) -> Path:
    """Write a model of some backend to a folder of that name and return it.

    With colour the network also takes `color` and gives `entropy` and `error`, which are the
    least and the greatest of the object's colour values. With `every` it takes so many times as
    many points, and leaves out what lies between every so many.
    """
    shipped = ModelStore([ROOT / 'models']).find('spd_lite')
    folder.mkdir(parents=True)
    network = folder / 'network.onnx'
    network.write_bytes(shipped.file('network').read_bytes())
    if with_color:
        _add_color(network, int(shipped.manifest.input['points']))
    points = int(shipped.manifest.input['points'])
    if every > 1:
        _thin_points(network, points, every)
    write_manifest(replace(
        shipped.manifest, name=folder.name, backend=backend,
        files={'network': ModelFile.of(network, folder)},
        input={**shipped.manifest.input, 'color': with_color, 'points': points * every,
               'every': every}), folder)
    return folder


def _thin_points(path: Path, points: int, every: int) -> None:
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load(path)
    graph = model.graph
    for node in graph.node:
        node.input[:] = ['thinned' if name == 'points' else name for name in node.input]
    given = next(entry for entry in graph.input if entry.name == 'points')
    given.type.tensor_type.shape.dim[1].dim_value = points * every
    constants = {'from': 0, 'to': points * every, 'axis': 1, 'step': every}
    for name, value in constants.items():
        graph.initializer.append(helper.make_tensor(name, TensorProto.INT64, [1], [value]))
    graph.node.insert(0, helper.make_node('Slice', ['points', *constants], ['thinned']))
    onnx.save(model, path)


def _add_color(path: Path, points: int) -> None:
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load(path)
    model.graph.input.append(
        helper.make_tensor_value_info('color', TensorProto.FLOAT, ['batch', points, 9]))
    for name, operator in (('entropy', 'ReduceMin'), ('error', 'ReduceMax')):
        model.graph.node.append(
            helper.make_node(operator, ['color'], [name], axes=[1, 2], keepdims=0))
        model.graph.output.append(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ['batch']))
    onnx.save(model, path)
