"""What each choice in MRC-Net adds, with equal budgets, data and seeds.

Trains the variants of `evaluation/mrc_ablation_variants.py`, from scratch or from one checkpoint,
measures their poses in the same held-out views and writes ablation_mrc.md. What is measured stays
in --runs, so an interrupted call goes on when it is given again.

    python benchmarks/ablation_mrc.py --data data/views/train --test data/views/test
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from pose_estimation_ros.core.errors import PoseEstimationError
from pose_estimation_ros.evaluation.mrc_ablation import MRCAblationSettings, measure_all
from pose_estimation_ros.evaluation.mrc_ablation_document import write_mrc_ablation

_ROOT = Path(__file__).resolve().parents[1]
_DEFAULT = MRCAblationSettings((), '')


def main() -> int:
    """Train, measure and write; 2 = something cannot be measured."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', action='append', required=True,
                        help='folder of training views; again for more, equal shares')
    parser.add_argument('--test', required=True, help='folder of held-out views')
    parser.add_argument('--start-from', type=Path,
                        help='checkpoint of `train mrc-lite`, whose weights all variants begin '
                        'with where they are alike, or of a detector; without it from scratch')
    parser.add_argument('--steps', type=int, default=_DEFAULT.steps, help='of every variant')
    parser.add_argument('--batch', type=int, default=_DEFAULT.batch, help='views per step')
    parser.add_argument('--rate', type=float, default=_DEFAULT.rate, help='highest learning rate')
    parser.add_argument('--average', type=float, default=_DEFAULT.average,
                        help='decay of the averaged weights')
    parser.add_argument('--seeds', type=int, default=_DEFAULT.seeds, help='of every variant')
    parser.add_argument('--views', type=int, default=_DEFAULT.views,
                        help='at most so many test views are measured')
    parser.add_argument('--crop', type=int, default=_DEFAULT.crop,
                        help="side of the crops, pixels; 0 = the recipe's")
    parser.add_argument('--width', type=int, default=_DEFAULT.width,
                        help="channels of the networks; 0 = the recipe's")
    parser.add_argument('--device', choices=('cpu', 'cuda'), default=_DEFAULT.device)
    parser.add_argument('--precision', choices=('float32', 'bfloat16', 'float16'),
                        default=_DEFAULT.precision, help='of the training')
    parser.add_argument('--processes', type=int, default=1, help='trainings at the same time')
    parser.add_argument('--runs', type=Path, default=_ROOT / 'runs' / 'ablation_mrc',
                        help='checkpoints and results')
    parser.add_argument('--docs', type=Path, default=_ROOT / 'docs')
    parser.add_argument('--only-write', action='store_true',
                        help='measure nothing, write the document from the stored results')
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format='%(message)s')
    settings = MRCAblationSettings(
        tuple(given.data), given.test, given.start_from, given.steps, given.batch, given.rate,
        given.average, given.seeds, given.views, given.crop, given.width, given.device,
        given.precision)
    try:
        if not given.only_write:
            measure_all(settings, given.runs, processes=given.processes)
        write_mrc_ablation(settings, given.runs, given.docs)
    except PoseEstimationError as error:
        sys.stderr.write(f'{error}\n')
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
