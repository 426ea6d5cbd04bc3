from pathlib import Path

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
CACHE = Path('/tmp/engines')


@pytest.mark.parametrize(('device', 'available', 'expected'), [
    ('auto', EVERYTHING, [CUDA, CPU]),
    ('auto', (CPU,), [CPU]),
    ('cpu', EVERYTHING, [CPU]),
    ('cuda', EVERYTHING, [CUDA, CPU]),
    ('tensorrt', EVERYTHING, [TENSORRT, CUDA, CPU]),
])
def test_the_best_fitting_provider_comes_first(device, available, expected):
    assert [name for name, _ in choose_providers(device, available, CACHE)] == expected


@pytest.mark.parametrize('device', ['cuda', 'tensorrt'])
def test_an_absent_gpu_that_is_asked_for_is_an_error_with_a_cure(device):
    with pytest.raises(ConfigurationError, match='install onnxruntime-gpu'):
        choose_providers(device, (CPU,), CACHE)


def test_tensorrt_keeps_its_engines_in_the_cache():
    options = dict(choose_providers('tensorrt', EVERYTHING, CACHE))[TENSORRT]
    assert options['trt_engine_cache_enable'] is True
    assert options['trt_engine_cache_path'] == str(CACHE)


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
