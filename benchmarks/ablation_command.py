"""What the commands of all ablations share: the options of a budget, and what they run."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from pose_estimation_ros.core.errors import PoseEstimationError

_ROOT = Path(__file__).resolve().parents[1]
Settings = TypeVar('Settings', bound='Budget')


class Budget(Protocol):
    """What each variant of any ablation gets."""

    @property
    def steps(self) -> int:
        """Optimizer steps."""

    @property
    def batch(self) -> int:
        """Samples per step."""

    @property
    def rate(self) -> float:
        """Highest learning rate."""

    @property
    def average(self) -> float:
        """Decay of the moving average of the weights."""

    @property
    def seeds(self) -> int:
        """Trainings of each variant."""


def ablation_parser(description: str | None, default: Budget, sample: str, runs: str
                    ) -> argparse.ArgumentParser:
    """Return a parser of the options that every ablation has.

    Args:
        description: Help text.
        default: The budget where nothing is said.
        sample: What a step takes several of, plural.
        runs: Name of the folder of the runs.
    """
    parser = argparse.ArgumentParser(description=description,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--steps', type=int, default=default.steps, help='of every variant')
    parser.add_argument('--batch', type=int, default=default.batch, help=f'{sample} per step')
    parser.add_argument('--rate', type=float, default=default.rate, help='highest learning rate')
    parser.add_argument('--average', type=float, default=default.average,
                        help='decay of the averaged weights')
    parser.add_argument('--seeds', type=int, default=default.seeds, help='of every variant')
    parser.add_argument('--processes', type=int, default=1, help='trainings at the same time')
    parser.add_argument('--runs', type=Path, default=_ROOT / 'runs' / runs,
                        help='checkpoints and results')
    parser.add_argument('--docs', type=Path, default=_ROOT / 'docs')
    parser.add_argument('--only-write', action='store_true',
                        help='measure nothing, write the document from the stored results')
    return parser


def run_ablation(settings: Settings, given: argparse.Namespace,
                 measure: Callable[[Settings, Path, int], None],
                 write: Callable[[Settings, Path, Path], None]) -> int:
    """Train, measure and write; return the exit code, 2 = something cannot be measured.

    Args:
        settings: The budget.
        given: What `ablation_parser` read.
        measure: Gets the settings, the folder of the runs and the number of processes.
        write: Gets the settings, the folder of the runs and that of the documents.
    """
    logging.basicConfig(level=logging.INFO, format='%(message)s')
    try:
        if not given.only_write:
            measure(settings, given.runs, given.processes)
        write(settings, given.runs, given.docs)
    except PoseEstimationError as error:
        sys.stderr.write(f'{error}\n')
        return 2
    return 0
