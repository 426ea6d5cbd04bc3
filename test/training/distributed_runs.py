"""What each process of the distributed test does: `torchrun distributed_runs.py <folder>`."""

import sys
from pathlib import Path

import torch

from pose_estimation_ros.training.loop import run
from test.training import tiny_tasks
from test.training.test_loop import Line
from test.training.tiny_tasks import settings

RUNS = {
    'spd-lite': (lambda: tiny_tasks.spd_lite(sources=2), settings(
        6, 16, average=0.9, ratio=(3, 1), log_every=1)),
    'shape-prior': (tiny_tasks.autoencoder, settings(4, 16, log_every=1)),
    'neural-mesh': (tiny_tasks.neural_mesh, settings(4, 4, log_every=1)),
    'players-and-batch-norm': (Line, settings(6, 8, log_every=1)),
}

if __name__ == '__main__':
    torch.distributed.init_process_group('gloo')
    for name, (make, given) in RUNS.items():
        run(make(), given, Path(sys.argv[1]) / name)
    torch.distributed.destroy_process_group()
