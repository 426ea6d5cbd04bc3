"""Writing a graph of torch as an ONNX file that appears when it is whole."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

_OPSET = 17
# Smaller weights are norms and biases: little to save.
_LARGE = 4096


def write_onnx(graph: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str], path: Path,
               dynamic: Mapping[str, Mapping[int, str]]) -> None:
    """Write a graph in evaluation mode.

    Args:
        graph: Takes the inputs in their order, returns the outputs in theirs.
        inputs: An example of every input by its name; of free sizes take two or more, which the
            exporter cannot mistake for fixed ones.
        outputs: Names of the outputs.
        path: File to write.
        dynamic: By name of an input or output the axes whose size is free, and their names.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix('.partial')
    with warnings.catch_warnings(), torch.inference_mode():
        # It tells of its successor, of sizes that it takes as constants, which they are, and of
        # what it leaves unfolded. Tests compare what it wrote with the network.
        warnings.simplefilter('ignore')
        torch.onnx.export(
            graph.eval(), tuple(inputs.values()), str(temporary), dynamo=False,
            opset_version=_OPSET, input_names=list(inputs), output_names=list(outputs),
            dynamic_axes={name: dict(axes) for name, axes in dynamic.items()})
    temporary.replace(path)


def halve_weights(path: Path) -> None:
    """Store the large weights of an ONNX file in half precision, which halves the file.

    ONNX Runtime widens them when it loads the network, and computes in single precision.

    Args:
        path: The file, which is replaced.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(path)
    graph = model.graph
    casts = []
    for weights in graph.initializer:
        values = numpy_helper.to_array(weights)
        if weights.data_type != TensorProto.FLOAT or values.size < _LARGE:
            continue
        name = weights.name
        stored = f'{name}.half'
        weights.CopyFrom(numpy_helper.from_array(values.astype('float16'), stored))
        casts.append(helper.make_node('Cast', [stored], [name], to=TensorProto.FLOAT,
                                      name=f'{name}.widen'))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    temporary = path.with_suffix('.partial')
    onnx.save(model, temporary)
    temporary.replace(path)
