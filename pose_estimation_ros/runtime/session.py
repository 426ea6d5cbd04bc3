"""One network that is ready to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import ConfigurationError, InvalidInputError, ModelError
from pose_estimation_ros.runtime.model_store import cache_folder
from pose_estimation_ros.runtime.providers import (
    CPU,
    check_installation,
    choose_providers,
    parse_device,
    required_provider,
)

Array = NDArray[Any]

_DTYPES = {'tensor(float)': np.float32, 'tensor(float16)': np.float16,
           'tensor(double)': np.float64, 'tensor(int64)': np.int64, 'tensor(int32)': np.int32,
           'tensor(uint8)': np.uint8, 'tensor(bool)': np.bool_}
_WARM_UP_RUNS = 2


@dataclass(frozen=True)
class TensorSpec:
    """Name, shape and type of an input or output; None stands for a dimension that varies."""

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]


class InferenceSession:
    """Runs an ONNX file on the CPU or a GPU.

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
        # Only now, so that a missing one is told as what it is.
        import onnxruntime as ort

        if threads < 0:
            raise ConfigurationError(f'threads is {threads}; use 0 (automatic) or more')
        if not path.is_file():
            raise ModelError(f'network file {path} is missing')
        chosen = parse_device(device)
        engines = cache_folder().parent / 'tensorrt_engines'
        providers = choose_providers(chosen, ort.get_available_providers(), engines)
        if chosen == 'tensorrt':
            engines.mkdir(parents=True, exist_ok=True)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # Idle threads that spin would take the cores from the other stages of the pipeline.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        try:
            self._session: Any = ort.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # its exceptions share no base class but this one
            raise ModelError(f'network file {path} cannot be loaded: {_first_line(error)}; '
                             'restore it from the repository') from error
        self.providers: tuple[str, ...] = tuple(self._session.get_providers())
        if required_provider(chosen) not in self.providers:
            raise ConfigurationError(
                f'device {device!r} was asked for but could not be started, running would be on '
                f'{", ".join(self.providers)}; check the NVIDIA driver, CUDA and cuDNN, or choose '
                "device 'cpu' or 'auto'")
        self._bound_value = ort.OrtValue.ortvalue_from_numpy
        self._memory = 'cpu' if self.providers[0] == CPU else 'cuda'
        self.inputs = tuple(_spec(entry) for entry in self._session.get_inputs())
        self.outputs = tuple(_spec(entry) for entry in self._session.get_outputs())

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the network once.

        Args:
            inputs: An array for each of `inputs`, by name.

        Returns:
            An array for each of `outputs`, by name.

        Raises:
            InvalidInputError: If names, types or fixed dimensions do not fit.
            ModelError: If the network fails, or the session is closed.
        """
        if self._session is None:
            raise ModelError('the network was closed; load it again')
        self._check(inputs)
        try:
            values = self._run_bound(inputs)
        except Exception as error:  # its exceptions share no base class but this one
            raise ModelError(f'the network failed: {_first_line(error)}') from error
        return dict(zip((spec.name for spec in self.outputs), values, strict=True))

    def warm_up(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Run on zeros so that memory is taken and GPU kernels are chosen before the first frame.

        Args:
            shapes: Full shape of each input, by name.
        """
        dtypes = {spec.name: spec.dtype for spec in self.inputs}
        zeros = {name: np.zeros(shape, dtype=dtypes.get(name, np.float32))
                 for name, shape in shapes.items()}
        for _ in range(_WARM_UP_RUNS):
            self.run(zeros)

    def close(self) -> None:
        """Free the network and its device memory."""
        self._session = None

    def _run_bound(self, inputs: Mapping[str, Array]) -> list[Array]:
        """Run with bound memory: on a GPU one copy in, one copy out, and none in between."""
        binding = self._session.io_binding()
        for name, array in inputs.items():
            binding.bind_ortvalue_input(name, self._bound_value(
                np.ascontiguousarray(array), self._memory, 0))
        for spec in self.outputs:
            binding.bind_output(spec.name, self._memory)
        self._session.run_with_iobinding(binding)
        values: list[Array] = binding.copy_outputs_to_cpu()
        return values

    def _check(self, inputs: Mapping[str, Array]) -> None:
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
    return TensorSpec(entry.name, shape, np.dtype(_DTYPES.get(entry.type, np.float32)))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
