from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.backends.alignment_graph import GRAPH_FILE
from pose_estimation_ros.core.alignment import sample_numbers
from pose_estimation_ros.runtime import InferenceSession

onnx = pytest.importorskip('onnx', reason='onnx writes the graph; a node needs none')


@pytest.fixture
def written(tmp_path: Path) -> Path:
    from pose_estimation_ros.training.alignment_export import write_alignment

    write_alignment(tmp_path / 'alignment.onnx')
    return tmp_path / 'alignment.onnx'


def test_the_file_in_the_package_is_what_the_command_writes(written: Path) -> None:
    new, shipped = (onnx.load(path).graph for path in (written, GRAPH_FILE))

    # Not the bytes: releases of onnx name inlined values as they like.
    assert [node.op_type for node in new.node] == [node.op_type for node in shipped.node]
    for ours, theirs in zip(new.initializer, shipped.initializer, strict=True):
        np.testing.assert_array_equal(*map(onnx.numpy_helper.to_array, (ours, theirs)))


def test_a_graph_made_anew_gives_the_same_answers(written: Path) -> None:
    generator = np.random.default_rng(0)
    source = generator.uniform(-0.3, 0.3, (2, 100, 3)).astype(np.float32)
    target = (0.2 * source + generator.normal(0.0, 0.01, source.shape)).astype(np.float32)
    inputs = {'source': source, 'target': target, 'membership': np.ones((2, 100), np.float32),
              'draws': sample_numbers(64, 0)}

    ours, shipped = (InferenceSession(path, 'cpu', 1).run(inputs)
                     for path in (written, GRAPH_FILE))

    for name, values in shipped.items():
        np.testing.assert_array_equal(ours[name], values)


def test_every_node_is_one_that_cuda_knows() -> None:
    """With double precision, by docs/OperatorKernels.md of ONNX Runtime."""
    used = {node.op_type for node in onnx.load(GRAPH_FILE).graph.node}
    assert used <= {
        'Add', 'And', 'ArgMax', 'Cast', 'Concat', 'Constant', 'Div', 'Equal', 'Gather',
        'GatherElements', 'GatherND', 'Greater', 'GreaterOrEqual', 'Less', 'MatMul', 'Max', 'Mul',
        'Or', 'Range', 'Reciprocal', 'ReduceMax', 'ReduceSum', 'Reshape', 'Shape', 'Sqrt',
        'Squeeze', 'Sub', 'TopK', 'Transpose', 'Unsqueeze', 'Where'}
