import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from onnxruntime import OrtValue
from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError, ModelError
from pose_estimation_ros.runtime import session as session_module
from pose_estimation_ros.runtime.session import DeviceArray, InferenceSession


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


@pytest.mark.parametrize(('provider', 'batches'), [
    ('CPUExecutionProvider', {1}), ('TensorrtExecutionProvider', {1, 16})])
def test_tensorrt_builds_its_engines_for_many_objects_before_the_first_frame(
        doubling_network: Path, monkeypatch: pytest.MonkeyPatch, provider: str,
        batches: set[int]):
    session = InferenceSession(doubling_network, 'cpu', threads=1)
    session.providers = (provider, *session.providers)
    seen = []
    run = InferenceSession.run
    monkeypatch.setattr(InferenceSession, 'run', lambda self, inputs: (
        seen.append(len(inputs['x'])), run(self, inputs))[1])
    session.warm_up({'x': (1, 3)})
    assert set(seen) == batches


def test_a_cpu_needs_no_folder_to_keep_engines_in(
        doubling_network: Path, monkeypatch: pytest.MonkeyPatch):
    def no_home() -> Path:
        raise ModelError('no home folder')

    monkeypatch.setattr(session_module, 'cache_folder', no_home)
    InferenceSession(doubling_network, 'cpu', threads=1).warm_up({'x': (1, 3)})


def test_a_closed_network_says_so(doubling_network: Path):
    session = InferenceSession(doubling_network, 'cpu', threads=1)
    session.close()
    with pytest.raises(ModelError, match='was closed'):
        session.run({'x': np.zeros((1, 3), np.float32)})


def test_what_one_network_leaves_on_the_device_another_takes_from_there(doubling_network: Path):
    first, second = (InferenceSession(doubling_network, 'cpu', threads=1) for _ in range(2))
    x = np.arange(6, dtype=np.float32).reshape(2, 3)

    left = first.run_on_device({'x': x})['y']

    assert (left.shape, left.dtype) == ((2, 3), np.float32)
    np.testing.assert_array_equal(second.run({'x': left})['y'], 4 * x)
    np.testing.assert_array_equal(left.numpy(), 2 * x)
    first.run_on_device({'x': 10 * x})
    np.testing.assert_array_equal(left.numpy(), 2 * x)


def test_what_was_left_on_the_device_is_checked_like_arrays(doubling_network: Path):
    session = InferenceSession(doubling_network, 'cpu', threads=1)
    left = session.run_on_device({'x': np.ones((1, 3), np.float32)})['y']
    with pytest.raises(InvalidInputError, match='takes the inputs x, got y'):
        session.run({'y': left})
    wrong = DeviceArray(OrtValue.ortvalue_from_numpy(np.ones((1, 4))))
    with pytest.raises(InvalidInputError, match='got 1x4 float64'):
        session.run({'x': wrong})


def test_an_array_on_another_device_is_copied_to_where_the_network_runs(doubling_network: Path):
    class OnTheGpu:
        """Has what a value on a GPU can be asked for by one who does not run there."""

        def __init__(self, array):
            self.numpy = array.copy
            self.shape = lambda: list(array.shape)

        def device_name(self):
            return 'cuda'

        def data_type(self):
            return 'tensor(float)'

    session = InferenceSession(doubling_network, 'cpu', threads=1)
    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(session.run({'x': DeviceArray(OnTheGpu(x))})['y'], 2 * x)


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


class FullDevice:
    """A session whose device has no memory left, with what ONNX Runtime really raises then."""

    def __init__(self, inner):
        self._inner = inner

    def io_binding(self):
        return self._inner.io_binding()

    def run_with_iobinding(self, binding):
        raise RuntimeException(
            '[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while '
            "running Conv node. Name:'conv' Status Message: bfc_arena.cc:376 Failed to allocate "
            'memory for requested buffer of size 536870912')


def on_a_full_gpu(path, device):
    session = InferenceSession(path, 'cpu', threads=1)
    session._session = FullDevice(session._session)
    session._device = device
    session.providers = ('CUDAExecutionProvider', 'CPUExecutionProvider')
    return session


@pytest.mark.fault('out of memory on the GPU')
def test_out_of_gpu_memory_an_automatic_device_goes_on_on_the_cpu_and_says_so(
        doubling_network: Path, caplog):
    session = on_a_full_gpu(doubling_network, 'auto')
    x = np.ones((2, 3), np.float32)
    for _ in range(2):
        np.testing.assert_array_equal(session.run({'x': x})['y'], 2 * x)
    assert session.providers == ('CPUExecutionProvider',)
    (record,) = caplog.records
    assert record.getMessage().startswith('the GPU is out of memory ([ONNXRuntimeError] : 6')
    assert 'double.onnx goes on on the CPU, which is slower; end other' in record.getMessage()


@pytest.mark.fault('out of memory on the GPU')
def test_out_of_gpu_memory_a_device_chosen_by_name_is_a_clear_error(doubling_network: Path):
    session = on_a_full_gpu(doubling_network, 'cuda')
    with pytest.raises(ModelError, match=r'the GPU is out of memory for double.onnx .* lower '
                       r"max_objects, .* choose device 'auto'"):
        session.run({'x': np.ones((2, 3), np.float32)})


@pytest.mark.fault('out of memory')
def test_what_the_computer_cannot_hold_is_a_clear_error_too(tmp_path: Path):
    """ONNX Runtime itself fails here: the answer would need four petabytes."""
    shape = helper.make_tensor_value_info('shape', TensorProto.INT64, ['rank'])
    y = helper.make_tensor_value_info('y', TensorProto.FLOAT, None)
    graph = helper.make_graph([helper.make_node('ConstantOfShape', ['shape'], ['y'])], 'large',
                              [shape], [y])
    path = tmp_path / 'large.onnx'
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)],
                                ir_version=8), path)
    session = InferenceSession(path, 'auto', threads=1)
    with pytest.raises(ModelError, match=r'this computer is out of memory for large.onnx'):
        session.run({'shape': np.array([2 ** 50], np.int64)})
    assert session.run({'shape': np.array([2], np.int64)})['y'].shape == (2,)


def test_a_missing_onnx_runtime_is_told_with_the_cure(doubling_network: Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(ConfigurationError, match='pip install onnxruntime'):
        InferenceSession(doubling_network, 'cpu')


class WithCudaAsBuilt:
    """ONNX Runtime for a GPU, on a computer that has CUDA only where `preload_dlls` finds it."""

    def __init__(self, finds_cuda):
        self._finds_cuda, self._has_cuda, self.preloaded = finds_cuda, False, 0

    def __getattr__(self, name):
        return getattr(onnxruntime, name)

    def get_available_providers(self):
        return ['CUDAExecutionProvider', 'CPUExecutionProvider']

    def preload_dlls(self):
        self.preloaded += 1
        self._has_cuda = self._finds_cuda
        print('Failed to load libcufft.so.11')

    def InferenceSession(self, path, options, providers):
        session = onnxruntime.InferenceSession(path, options, ['CPUExecutionProvider'])
        if self._has_cuda:
            session.get_providers = self.get_available_providers
        return session


@pytest.fixture
def with_cuda(monkeypatch: pytest.MonkeyPatch):
    def install(finds_cuda: bool) -> WithCudaAsBuilt:
        stand_in = WithCudaAsBuilt(finds_cuda)
        monkeypatch.setitem(sys.modules, 'onnxruntime', stand_in)
        return stand_in
    return install


@pytest.mark.parametrize('device', ['auto', 'cuda'])
def test_cuda_that_pip_installed_is_found(doubling_network: Path, with_cuda, device, caplog,
                                          capsys):
    with_cuda(finds_cuda=True)
    session = InferenceSession(doubling_network, device, threads=1)
    assert session.providers[0] == 'CUDAExecutionProvider'
    assert not caplog.records
    assert capsys.readouterr().out == ''


def test_an_automatic_device_warns_that_the_gpu_could_not_be_started(doubling_network: Path,
                                                                     with_cuda, caplog):
    with_cuda(finds_cuda=False)
    session = InferenceSession(doubling_network, 'auto', threads=1)
    assert session.run({'x': np.ones((1, 3), np.float32)})['y'][0, 0] == 2
    (record,) = caplog.records
    assert record.getMessage().startswith('double.onnx runs on the CPU: this ONNX Runtime is made')
    assert 'LD_LIBRARY_PATH' in record.getMessage()


def test_a_gpu_asked_for_by_name_that_does_not_start_is_told_with_the_cure(
        doubling_network: Path, with_cuda):
    with_cuda(finds_cuda=False)
    with pytest.raises(ConfigurationError, match=r'could not be started.*cuda,cudnn.*LD_LIBRARY'):
        InferenceSession(doubling_network, 'cuda', threads=1)


def test_the_cpu_needs_nothing_of_a_gpu(doubling_network: Path, with_cuda, caplog):
    runtime = with_cuda(finds_cuda=True)
    InferenceSession(doubling_network, 'cpu', threads=1)
    assert runtime.preloaded == 0
    assert not caplog.records
