"""One network that is ready to run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError, ModelError
from pose_estimation_ros.runtime.model_store import cache_folder
from pose_estimation_ros.runtime.providers import (
    CPU,
    CUDA,
    TENSORRT,
    check_installation,
    choose_providers,
    load_gpu_libraries,
    parse_device,
    required_provider,
)

Array = NDArray[Any]
_Value = TypeVar('_Value')

_LOG = logging.getLogger(__name__)

_DTYPES = {'tensor(float)': np.float32, 'tensor(float16)': np.float16,
           'tensor(double)': np.float64, 'tensor(int64)': np.int64, 'tensor(int32)': np.int32,
           'tensor(uint8)': np.uint8, 'tensor(bool)': np.bool_}
_WARM_UP_RUNS = 2
# An engine of TensorRT is for the sizes that were seen: the first frame with more objects waits
# until another is built, which takes up to minutes.
_TENSORRT_OBJECTS = 16
_GPU_CURE = ("check the NVIDIA driver; get CUDA and cuDNN with pip install 'onnxruntime-gpu[cuda,"
             "cudnn]' (1.21 or newer finds them by itself), or name their folders in "
             'LD_LIBRARY_PATH')
# ONNX Runtime has no error type for it; these come from its arena, CUDA, cuDNN, cuBLAS and C++.
_OUT_OF_MEMORY = ('failed to allocate memory', 'out of memory', 'alloc_failed', 'bad_alloc')


@dataclass(frozen=True)
class TensorSpec:
    """Name, shape and type of an input or output; None stands for a dimension that varies."""

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class DeviceArray:
    """An output that is still where it was computed; another session may take it from there.

    Attributes:
        value: ONNX Runtime's value.
    """

    value: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """Its sizes."""
        return tuple(self.value.shape())

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of its elements."""
        return _dtype(self.value.data_type())

    def numpy(self) -> Array:
        """Return a copy in the computer's memory."""
        array: Array = self.value.numpy()
        return array


class InferenceSession:
    """Runs an ONNX file on the CPU or a GPU.

    With the device 'auto' it runs on the CPU where the GPU cannot be started or is out of
    memory, and logs it.

    Attributes:
        inputs: What the network takes.
        outputs: What it gives.
        providers: Names of the providers that really run it, best first.
    """

    def __init__(self, path: Path, device: str = 'auto', threads: int = 0) -> None:
        """Load a network.

        Args:
            path: The ONNX file.
            device: 'auto', 'cpu', 'cuda' or 'tensorrt'.
            threads: CPU threads; 0 lets ONNX Runtime take one for each core.

        Raises:
            ModelError: If the file is missing or is no network this ONNX Runtime can run.
            ConfigurationError: If the device is unknown or absent, `threads` is negative, or
                ONNX Runtime is installed twice.
        """
        check_installation()
        if threads < 0:
            raise ConfigurationError(f'threads is {threads}; use 0 (automatic) or more')
        if not path.is_file():
            raise ModelError(f'network file {path} is missing')
        self._path = path
        self._threads = threads
        self._device = device
        self.providers: tuple[str, ...] = ()
        self._session: Any = None
        try:
            self._open(device)
        except ModelError as error:
            if device != 'auto' or not is_out_of_memory(error):
                raise
            self._fall_back(error)

    def _open(self, device: str) -> None:
        """Load the network.

        Raises:
            ModelError: If it cannot be loaded.
            ConfigurationError: If the device is unknown or absent.
        """
        # Only now, so that a missing one is told as what it is.
        try:
            import onnxruntime as ort
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                'networks need ONNX Runtime, which is not installed; run pip install onnxruntime, '
                'or onnxruntime-gpu for an NVIDIA GPU, never both') from error

        path, chosen = self._path, parse_device(device)
        # Others keep nothing, so that they run for users without a home folder.
        engines = cache_folder().parent / 'tensorrt_engines' if chosen == 'tensorrt' else None
        providers = choose_providers(chosen, ort.get_available_providers(), engines)
        if engines is not None:
            engines.mkdir(parents=True, exist_ok=True)
        if chosen != 'cpu':
            load_gpu_libraries(ort)
        options = ort.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 3
        # Idle threads that spin would take the cores from the other stages of the pipeline.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        try:
            self._session = ort.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # its exceptions share no base class but this one
            if is_out_of_memory(error):
                raise ModelError(self._out_of_memory(error)) from error
            raise ModelError(f'network file {path} cannot be loaded: {_first_line(error)}; '
                             'restore it from the repository') from error
        self.providers = tuple(self._session.get_providers())
        if required_provider(chosen) not in self.providers:
            raise ConfigurationError(not_started(device, self.providers))
        if CUDA in dict(providers) and CUDA not in self.providers:
            _LOG.warning('%s runs on the CPU: this ONNX Runtime is made for a GPU but could not '
                         "start it; %s; device 'cpu' ends this warning", path.name, _GPU_CURE)
        self._bound_value = ort.OrtValue.ortvalue_from_numpy
        self._memory = 'cpu' if self.providers[0] == CPU else 'cuda'
        self.inputs = tuple(_spec(entry) for entry in self._session.get_inputs())
        self.outputs = tuple(_spec(entry) for entry in self._session.get_outputs())

    def _fall_back(self, error: Exception) -> None:
        """Load the network on the CPU instead."""
        self._session = None  # Its memory on the GPU is what the others lack.
        _LOG.warning('the GPU is out of memory (%s); %s goes on on the CPU, which is slower; end '
                     'other programs on the GPU or lower max_objects, then deactivate and '
                     'activate the node', _first_line(error), self._path.name)
        self._open('cpu')

    def _out_of_memory(self, error: Exception) -> str:
        where = 'this computer' if self.providers[:1] in ((), (CPU,)) else 'the GPU'
        cure = ('end other programs' if where == 'this computer' else
                "end other programs on the GPU, or choose device 'auto' to go on on the CPU")
        return (f'{where} is out of memory for {self._path.name} ({_first_line(error)}); lower '
                f'max_objects, choose a smaller model, or {cure}')

    def run(self, inputs: Mapping[str, Array | DeviceArray]) -> dict[str, Array]:
        """Run the network once.

        Args:
            inputs: An array for each of `inputs`, by name, or what another session left on the
                device.

        Returns:
            An array for each of `outputs`, by name.

        Raises:
            InvalidInputError: If names, types or fixed dimensions do not fit.
            ModelError: If the network fails, or the session is closed.
        """
        return self._run(inputs, lambda binding: binding.copy_outputs_to_cpu())

    def run_on_device(self, inputs: Mapping[str, Array | DeviceArray]) -> dict[str, DeviceArray]:
        """Run the network once and leave what it gives where it is; otherwise as `run`."""
        return self._run(inputs, lambda binding: [DeviceArray(value)
                                                  for value in binding.get_outputs()])

    def _run(self, inputs: Mapping[str, Array | DeviceArray],
             taken: Callable[[Any], list[_Value]]) -> dict[str, _Value]:
        """Run the network once, return what is taken from the binding of its memory."""
        if self._session is None:
            raise ModelError('the network was closed; load it again')
        self._check(inputs)
        try:
            values = taken(self._run_bound(inputs))
        except Exception as error:  # its exceptions share no base class but this one
            if not is_out_of_memory(error):
                raise ModelError(f'the network failed: {_first_line(error)}') from error
            if self._device != 'auto' or self.providers[0] == CPU:
                raise ModelError(self._out_of_memory(error)) from error
            self._fall_back(error)
            values = taken(self._run_bound(inputs))
        return dict(zip((spec.name for spec in self.outputs), values, strict=True))

    def warm_up(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Run on zeros so that memory is taken and GPU kernels are chosen before the first frame.

        With TensorRT also on batches of 16 objects.

        Args:
            shapes: Full shape of each input, by name.
        """
        self._run_on_zeros(shapes)
        varying = {spec.name for spec in self.inputs if spec.shape and spec.shape[0] is None}
        if self.providers[0] == TENSORRT and varying:
            self._run_on_zeros({name: (_TENSORRT_OBJECTS, *shape[1:]) if name in varying else shape
                                for name, shape in shapes.items()})

    def _run_on_zeros(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        dtypes = {spec.name: spec.dtype for spec in self.inputs}
        zeros = {name: np.zeros(shape, dtype=dtypes.get(name, np.float32))
                 for name, shape in shapes.items()}
        for _ in range(_WARM_UP_RUNS):
            self.run(zeros)

    def close(self) -> None:
        """Free the network and its device memory."""
        self._session = None

    def _run_bound(self, inputs: Mapping[str, Array | DeviceArray]) -> Any:
        """Run with bound memory: on a GPU one copy in, one copy out, and none in between."""
        binding = self._session.io_binding()
        for name, array in inputs.items():
            binding.bind_ortvalue_input(name, self._on_device(array))
        for spec in self.outputs:
            binding.bind_output(spec.name, self._memory)
        self._session.run_with_iobinding(binding)
        return binding

    def _on_device(self, array: Array | DeviceArray) -> Any:
        if isinstance(array, DeviceArray):
            if array.value.device_name() == self._memory:
                return array.value
            # One of the two sessions went on on the CPU.
            array = array.numpy()
        return self._bound_value(np.ascontiguousarray(array), self._memory, 0)

    def _check(self, inputs: Mapping[str, Array | DeviceArray]) -> None:
        expected = [spec.name for spec in self.inputs]
        if set(inputs) != set(expected):
            raise InvalidInputError(f'the network takes the inputs {", ".join(expected)}, got '
                                    f'{", ".join(inputs) or "none"}')
        for spec in self.inputs:
            array = inputs[spec.name]
            fits = len(array.shape) == len(spec.shape) and all(
                fixed in (None, given)
                for fixed, given in zip(spec.shape, array.shape, strict=True))
            if not fits or array.dtype != spec.dtype:
                shape = 'x'.join('?' if n is None else str(n) for n in spec.shape)
                raise InvalidInputError(
                    f'the network takes {spec.name} as {shape} {spec.dtype}, got '
                    f'{"x".join(map(str, array.shape))} {array.dtype}')


def _spec(entry: Any) -> TensorSpec:
    shape = tuple(size if isinstance(size, int) else None for size in entry.shape)
    return TensorSpec(entry.name, shape, _dtype(entry.type))


def _dtype(name: str) -> np.dtype[Any]:
    """Return the type of elements that ONNX Runtime calls so."""
    return np.dtype(_DTYPES.get(name, np.float32))


def not_started(device: str, providers: Sequence[str]) -> str:
    """Return what to say of a wanted device that could not be started, and what to do."""
    return (f'device {device!r} was asked for but could not be started, running would be on '
            f"{', '.join(providers)}; {_GPU_CURE}, or choose device 'cpu' or 'auto'")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of ONNX Runtime means that memory is used up, of GPU or computer."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(sign in text for sign in _OUT_OF_MEMORY)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
