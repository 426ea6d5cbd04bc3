import subprocess
import sys

import pytest

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.runtime import providers
from pose_estimation_ros.runtime.providers import (
    CPU,
    CUDA,
    TENSORRT,
    check_installation,
    choose_providers,
    parse_device,
)

EVERYTHING = (TENSORRT, CUDA, CPU)


@pytest.mark.parametrize(('device', 'available', 'expected'), [
    ('auto', EVERYTHING, [CUDA, CPU]),
    ('auto', (CPU,), [CPU]),
    ('cpu', EVERYTHING, [CPU]),
    ('cuda', EVERYTHING, [CUDA, CPU]),
    ('tensorrt', EVERYTHING, [TENSORRT, CUDA, CPU]),
])
def test_the_best_fitting_provider_comes_first(device, available, expected, tmp_path):
    assert [name for name, _ in choose_providers(device, available, tmp_path)] == expected


@pytest.mark.parametrize('device', ['cuda', 'tensorrt'])
def test_an_absent_gpu_that_is_asked_for_is_an_error_with_a_cure(device, tmp_path):
    with pytest.raises(ConfigurationError, match='install onnxruntime-gpu'):
        choose_providers(device, (CPU,), tmp_path)


def test_tensorrt_keeps_its_engines_in_the_cache(tmp_path):
    options = dict(choose_providers('tensorrt', EVERYTHING, tmp_path))[TENSORRT]
    assert options['trt_engine_cache_enable'] is True
    assert options['trt_engine_cache_path'] == str(tmp_path)


def test_an_unknown_device_lists_the_known_ones():
    with pytest.raises(ConfigurationError, match='auto, cpu, cuda, tensorrt'):
        parse_device('gpu')


@pytest.mark.parametrize(('installed', 'complaint'), [
    ({'onnxruntime', 'onnxruntime-gpu'}, 'overwrite each other'),
    (set(), 'not installed'),
])
def test_two_or_no_onnx_runtimes_are_refused(monkeypatch, installed, complaint):
    monkeypatch.setattr(providers, '_is_installed', lambda name: name in installed)
    with pytest.raises(ConfigurationError, match=complaint):
        check_installation()


@pytest.mark.parametrize('installed', ['onnxruntime', 'onnxruntime-gpu'])
def test_one_onnx_runtime_is_fine(monkeypatch, installed):
    monkeypatch.setattr(providers, '_is_installed', lambda name: name == installed)
    assert check_installation() is None


def test_a_machine_without_onnx_runtime_is_told_to_install_it(tmp_path):
    code = ('import sys\n'
            'sys.modules["onnxruntime"] = None\n'
            'from pathlib import Path\n'
            'from pose_estimation_ros.runtime import InferenceSession, providers\n'
            'providers._is_installed = lambda name: False\n'
            'InferenceSession(Path("network.onnx"))')
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                            check=False)
    assert 'ConfigurationError: ONNX Runtime is not installed' in result.stderr
