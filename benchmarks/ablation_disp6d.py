"""What each choice in DISP6D adds, with equal budgets, data and seeds.

Trains the variants of `evaluation/disp6d_ablation.py` from scratch, measures the rotations that
they find in the same pictures of unseen objects, and writes ablation_disp6d.md. What is measured
stays in --runs, so an interrupted call goes on when it is given again.

    python benchmarks/ablation_disp6d.py --data data/turned/train --test data/turned/test
"""

from __future__ import annotations

import sys
from pathlib import Path

from ablation_command import ablation_parser, run_ablation

from pose_estimation_ros.evaluation.disp6d_ablation import Disp6dAblationSettings, measure_all
from pose_estimation_ros.evaluation.disp6d_ablation_document import write_disp6d_ablation

_DEFAULT = Disp6dAblationSettings((), '')


def main() -> int:
    """Train, measure and write; 2 = something cannot be measured."""
    parser = ablation_parser(__doc__, _DEFAULT, 'crops', 'ablation_disp6d')
    parser.add_argument('--data', action='append', required=True,
                        help='folder of `dataset turned`; again for more, equal shares')
    parser.add_argument('--test', required=True, help='one of objects that are not in them')
    parser.add_argument('--views', type=int, default=_DEFAULT.views,
                        help='at most so many test pictures are measured')
    parser.add_argument('--crop', type=int, default=_DEFAULT.crop,
                        help='side of the crops, pixels')
    parser.add_argument('--device', choices=('cpu', 'cuda'), default=_DEFAULT.device)
    given = parser.parse_args()
    settings = Disp6dAblationSettings(
        tuple(given.data), given.test, given.steps, given.batch, given.rate, given.average,
        given.seeds, given.views, given.crop, given.device)
    return run_ablation(settings, given, _measure, write_disp6d_ablation)


def _measure(settings: Disp6dAblationSettings, runs: Path, processes: int) -> None:
    measure_all(settings, runs, processes=processes)


if __name__ == '__main__':
    sys.exit(main())
