from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError, ModelError
from pose_estimation_ros.runtime.session import InferenceSession


@pytest.fixture
def doubling_network(tmp_path: Path) -> Path:
    """A network with y = 2 x for x of any number of rows of three."""
    x = helper.make_tensor_value_info('x', TensorProto.FLOAT, ['batch', 3])
    y = helper.make_tensor_value_info('y', TensorProto.FLOAT, ['batch', 3])
    graph = helper.make_graph([helper.make_node('Add', ['x', 'x'], ['y'])], 'double', [x], [y])
    path = tmp_path / 'double.onnx'
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)],
                                ir_version=8), path)
    return path


@pytest.mark.parametrize('batch', [1, 5])
def test_any_batch_size_runs(doubling_network: Path, batch: int):
    session = InferenceSession(doubling_network, 'cpu', threads=1)
    x = np.arange(3 * batch, dtype=np.float32).reshape(batch, 3)
    np.testing.assert_array_equal(session.run({'x': x})['y'], 2 * x)


def test_inputs_that_are_not_contiguous_run(doubling_network: Path):
    x = np.arange(12, dtype=np.float32).reshape(3, 4).T[:, ::-1]
    session = InferenceSession(doubling_network, 'cpu', threads=1)
    np.testing.assert_array_equal(session.run({'x': x})['y'], 2 * x)


def test_specifications_and_providers_are_told(doubling_network: Path):
    session = InferenceSession(doubling_network, 'cpu', threads=1)
    assert session.inputs[0].name == 'x'
    assert session.inputs[0].shape == (None, 3)
    assert session.inputs[0].dtype == np.float32
    assert session.providers == ('CPUExecutionProvider',)


@pytest.mark.parametrize(('inputs', 'complaint'), [
    ({'z': np.zeros((1, 3), np.float32)}, 'takes the inputs x, got z'),
    ({'x': np.zeros((1, 4), np.float32)}, r'x as \?x3 float32, got 1x4 float32'),
    ({'x': np.zeros((1, 3))}, 'got 1x3 float64'),
    ({'x': np.zeros(3, np.float32)}, 'got 3 float32'),
])
def test_unfit_inputs_are_refused_before_the_network_runs(doubling_network, inputs, complaint):
    session = InferenceSession(doubling_network, 'cpu', threads=1)
    with pytest.raises(InvalidInputError, match=complaint):
        session.run(inputs)


def test_warming_up_checks_the_shapes(doubling_network: Path):
    session = InferenceSession(doubling_network, 'cpu', threads=1)
    session.warm_up({'x': (2, 3)})
    with pytest.raises(InvalidInputError, match='got 2x5'):
        session.warm_up({'x': (2, 5)})


def test_a_closed_network_says_so(doubling_network: Path):
    session = InferenceSession(doubling_network, 'cpu', threads=1)
    session.close()
    with pytest.raises(ModelError, match='was closed'):
        session.run({'x': np.zeros((1, 3), np.float32)})


def test_a_missing_file_is_a_model_error(tmp_path: Path):
    with pytest.raises(ModelError, match=r'nothing\.onnx is missing'):
        InferenceSession(tmp_path / 'nothing.onnx', 'cpu')


def test_a_damaged_file_is_a_model_error(doubling_network: Path):
    doubling_network.write_bytes(doubling_network.read_bytes()[:40])
    with pytest.raises(ModelError, match='cannot be loaded'):
        InferenceSession(doubling_network, 'cpu')


def test_a_negative_number_of_threads_is_refused(doubling_network: Path):
    with pytest.raises(ConfigurationError, match='threads is -1'):
        InferenceSession(doubling_network, 'cpu', threads=-1)


def test_automatic_choice_runs_on_any_machine(doubling_network: Path):
    session = InferenceSession(doubling_network, 'auto', threads=1)
    assert session.run({'x': np.ones((1, 3), np.float32)})['y'][0, 0] == 2
    assert session.providers[-1] == 'CPUExecutionProvider'
