"""What each module of CR-Net and ACR-Pose adds to SPD, with equal budgets, data and seeds.

Trains the variants of `evaluation/ablation_variants.py` from one checkpoint, measures their poses
on the same test crops and writes ablation.md. What is measured stays in --runs, so an interrupted
call goes on when it is given again.

    python benchmarks/ablation.py --start-from runs/spd_lite/last.pt \
        --data data/crops/primary/rgbd_train --test data/crops/primary/rgbd_test \
        --test data/crops/second/rgbd_test
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from pose_estimation_ros.core.errors import PoseEstimationError
from pose_estimation_ros.evaluation.ablation import AblationSettings, measure_all
from pose_estimation_ros.evaluation.ablation_document import write_ablation

_ROOT = Path(__file__).resolve().parents[1]
_DEFAULT = AblationSettings((), (), Path('models/shape_priors/priors.npz'))


def main() -> int:
    """Train, measure and write; 2 = something cannot be measured."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', action='append', required=True,
                        help='folder of coloured training crops; again for more, equal shares')
    parser.add_argument('--test', action='append', required=True,
                        help='folder of coloured test crops, one for each domain')
    parser.add_argument('--start-from', type=Path,
                        help='checkpoint of an SPD lite; without it all start from scratch')
    parser.add_argument('--priors', type=Path, default=_DEFAULT.priors)
    parser.add_argument('--steps', type=int, default=_DEFAULT.steps, help='of every variant')
    parser.add_argument('--batch', type=int, default=_DEFAULT.batch, help='objects per step')
    parser.add_argument('--points', type=int, default=_DEFAULT.points,
                        help='per object in training')
    parser.add_argument('--rate', type=float, default=_DEFAULT.rate, help='highest learning rate')
    parser.add_argument('--average', type=float, default=_DEFAULT.average,
                        help='decay of the averaged weights')
    parser.add_argument('--seeds', type=int, default=_DEFAULT.seeds, help='of every variant')
    parser.add_argument('--processes', type=int, default=1, help='trainings at the same time')
    parser.add_argument('--runs', type=Path, default=_ROOT / 'runs' / 'ablation',
                        help='checkpoints and results')
    parser.add_argument('--docs', type=Path, default=_ROOT / 'docs')
    parser.add_argument('--only-write', action='store_true',
                        help='measure nothing, write the document from the stored results')
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format='%(message)s')
    settings = AblationSettings(
        tuple(given.data), tuple(given.test), given.priors, given.start_from, given.steps,
        given.batch, given.points, given.rate, given.average, given.seeds)
    try:
        if not given.only_write:
            measure_all(settings, given.runs, processes=given.processes)
        write_ablation(settings, given.runs, given.docs)
    except PoseEstimationError as error:
        sys.stderr.write(f'{error}\n')
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
