"""What each choice in MRC-Net adds, with equal budgets, data and seeds.

Trains the variants of `evaluation/mrc_ablation_variants.py`, from scratch or from one checkpoint,
measures their poses in the same held-out views and writes ablation_mrc.md. What is measured stays
in --runs, so an interrupted call goes on when it is given again.

    python benchmarks/ablation_mrc.py --data data/views/train --test data/views/test
"""

from __future__ import annotations

import sys
from pathlib import Path

from ablation_command import ablation_parser, run_ablation

from pose_estimation_ros.evaluation.mrc_ablation import MRCAblationSettings, measure_all
from pose_estimation_ros.evaluation.mrc_ablation_document import write_mrc_ablation

_DEFAULT = MRCAblationSettings((), '')


def main() -> int:
    """Train, measure and write; 2 = something cannot be measured."""
    parser = ablation_parser(__doc__, _DEFAULT, 'views', 'ablation_mrc')
    parser.add_argument('--data', action='append', required=True,
                        help='folder of training views; again for more, equal shares')
    parser.add_argument('--test', required=True, help='folder of held-out views')
    parser.add_argument('--start-from', type=Path,
                        help='checkpoint of `train mrc-lite`, whose weights all variants begin '
                        'with where they are alike, or of a detector; without it from scratch')
    parser.add_argument('--views', type=int, default=_DEFAULT.views,
                        help='at most so many test views are measured')
    parser.add_argument('--crop', type=int, default=_DEFAULT.crop,
                        help="side of the crops, pixels; 0 = the recipe's")
    parser.add_argument('--width', type=int, default=_DEFAULT.width,
                        help="channels of the networks; 0 = the recipe's")
    parser.add_argument('--device', choices=('cpu', 'cuda'), default=_DEFAULT.device)
    parser.add_argument('--precision', choices=('float32', 'bfloat16', 'float16'),
                        default=_DEFAULT.precision, help='of the training')
    given = parser.parse_args()
    settings = MRCAblationSettings(
        tuple(given.data), given.test, given.start_from, given.steps, given.batch, given.rate,
        given.average, given.seeds, given.views, given.crop, given.width, given.device,
        given.precision)
    return run_ablation(settings, given, _measure, write_mrc_ablation)


def _measure(settings: MRCAblationSettings, runs: Path, processes: int) -> None:
    measure_all(settings, runs, processes=processes)


if __name__ == '__main__':
    sys.exit(main())
