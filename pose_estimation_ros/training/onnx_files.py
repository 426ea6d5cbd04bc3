"""Writing a graph of torch as an ONNX file that appears when it is whole."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

_OPSET = 17


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
