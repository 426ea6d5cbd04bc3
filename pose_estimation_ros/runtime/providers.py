"""Which hardware runs a network: choice of ONNX Runtime's execution providers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib import metadata
from io import StringIO
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

from pose_estimation_ros.core.errors import ConfigurationError

Device: TypeAlias = Literal['auto', 'cpu', 'cuda', 'tensorrt']
Provider: TypeAlias = tuple[str, dict[str, Any]]

CPU, CUDA, TENSORRT = (
    'CPUExecutionProvider', 'CUDAExecutionProvider', 'TensorrtExecutionProvider')
_REQUIRED = {'auto': CPU, 'cpu': CPU, 'cuda': CUDA, 'tensorrt': TENSORRT}


def parse_device(name: str) -> Device:
    """Return the device of that name.

    Raises:
        ConfigurationError: If there is none.
    """
    if name not in get_args(Device):
        raise ConfigurationError(
            f'unknown device {name!r}; known are {", ".join(get_args(Device))}')
    return cast(Device, name)


def required_provider(device: Device) -> str:
    """Return the provider without which a session does not run on that device."""
    return _REQUIRED[device]


def choose_providers(device: Device, available: Sequence[str],
                     engine_cache: Path | None) -> list[Provider]:
    """Return the providers to ask for, best first.

    Args:
        device: Where to run; 'auto' takes CUDA if it is there, else the CPU.
        available: What this ONNX Runtime was built with.
        engine_cache: Folder for TensorRT's engines, whose building takes minutes; None for
            other devices.

    Raises:
        ConfigurationError: If the device is asked for by name but not available.
    """
    needed = required_provider(device)
    if needed not in available:
        raise ConfigurationError(
            f'device {device!r} needs {needed}, but this ONNX Runtime has only '
            f'{", ".join(available)}; install onnxruntime-gpu instead of onnxruntime, or choose '
            "device 'cpu' or 'auto'")
    providers: list[Provider] = []
    if device == 'tensorrt':
        providers.append((TENSORRT, {
            'trt_engine_cache_enable': True, 'trt_engine_cache_path': str(engine_cache),
            'trt_timing_cache_enable': True, 'trt_fp16_enable': False}))
    if device != 'cpu' and CUDA in available:
        providers.append((CUDA, {'cudnn_conv_algo_search': 'HEURISTIC'}))
    providers.append((CPU, {}))
    return providers


def load_gpu_libraries(runtime: Any) -> None:
    """Load CUDA and cuDNN as pip installs them, where the system's loader does not look.

    What cannot be loaded is left to the system's loader; the session tells whether that was
    enough.

    Args:
        runtime: The module `onnxruntime`; before 1.21 it cannot do this, and nothing happens.
    """
    if CUDA in runtime.get_available_providers() and hasattr(runtime, 'preload_dlls'):
        # It prints what it does not find, also what is not needed.
        with redirect_stdout(StringIO()):
            runtime.preload_dlls()


def check_installation() -> None:
    """Check that ONNX Runtime is installed, and in one flavour only.

    `onnxruntime` and `onnxruntime-gpu` put their files in the same folder: the one installed
    last wins, and removing either breaks the other.

    Raises:
        ConfigurationError: If none or both are installed.
    """
    installed = [name for name in ('onnxruntime', 'onnxruntime-gpu') if _is_installed(name)]
    if len(installed) == 2:
        raise ConfigurationError(
            'onnxruntime and onnxruntime-gpu are both installed and overwrite each other; '
            'run: pip uninstall -y onnxruntime onnxruntime-gpu, then install one of them')
    if not installed:
        raise ConfigurationError(
            'ONNX Runtime is not installed; run: pip install onnxruntime (or onnxruntime-gpu '
            'on a machine with an NVIDIA GPU)')


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
