"""Two processes under torchrun train as one does alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.training.distributed import choose_device, global_mean
from pose_estimation_ros.training.loop import run
from test.training.distributed_runs import RUNS
from test.training.test_loop import rows

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders of the runs that two processes share."""
    folder = tmp_path_factory.mktemp('shared')
    script = Path(__file__).with_name('distributed_runs.py')
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2',
         str(script), str(folder)],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize('name', RUNS)
def test_two_processes_reproduce_the_curve_of_one(name: str, shared: Path, tmp_path: Path):
    make, given = RUNS[name]
    run(make(), given, tmp_path)
    expected = rows(tmp_path / 'train.csv')
    found = rows(shared / name / 'train.csv')
    assert len(found) == len(expected) == given.stages[0].steps
    for row, other in zip(found, expected, strict=True):
        assert row.keys() == other.keys()
        for column, value in row.items():
            assert float(value) == pytest.approx(float(other[column]), rel=1e-5, abs=1e-5), column


def test_a_mean_alone_is_the_plain_mean():
    assert float(global_mean(torch.tensor(6.0), torch.tensor(4.0))) == 1.5
    assert float(global_mean(torch.tensor(0.0), torch.tensor(0.0))) == 0.0


def test_a_device_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    assert choose_device('auto') == torch.device('cuda', 0)
    assert choose_device('cpu') == torch.device('cpu')
    with pytest.raises(ConfigurationError, match='wants a GPU of its own, but PyTorch finds 1'):
        choose_device('cuda', local_rank=1)
    with pytest.raises(ConfigurationError, match="unknown device 'tpu'"):
        choose_device('tpu')
