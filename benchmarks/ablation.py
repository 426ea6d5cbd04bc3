"""What each module of CR-Net and ACR-Pose adds to SPD, with equal budgets, data and seeds.

Trains the variants of `evaluation/ablation_variants.py` from one checkpoint, measures their poses
on the same test crops and writes ablation.md. What is measured stays in --runs, so an interrupted
call goes on when it is given again.

    python benchmarks/ablation.py --start-from runs/spd_lite/last.pt \
        --data data/crops/primary/rgbd_train --test data/crops/primary/rgbd_test \
        --test data/crops/second/rgbd_test
"""

from __future__ import annotations

import sys
from pathlib import Path

from ablation_command import ablation_parser, run_ablation

from pose_estimation_ros.evaluation.ablation import AblationSettings, measure_all
from pose_estimation_ros.evaluation.ablation_document import write_ablation

_DEFAULT = AblationSettings((), (), Path('models/shape_priors/priors.npz'))


def main() -> int:
    """Train, measure and write; 2 = something cannot be measured."""
    parser = ablation_parser(__doc__, _DEFAULT, 'objects', 'ablation')
    parser.add_argument('--data', action='append', required=True,
                        help='folder of coloured training crops; again for more, equal shares')
    parser.add_argument('--test', action='append', required=True,
                        help='folder of coloured test crops, one for each domain')
    parser.add_argument('--start-from', type=Path,
                        help='checkpoint of an SPD lite; without it all start from scratch')
    parser.add_argument('--priors', type=Path, default=_DEFAULT.priors)
    parser.add_argument('--points', type=int, default=_DEFAULT.points,
                        help='per object in training')
    given = parser.parse_args()
    settings = AblationSettings(
        tuple(given.data), tuple(given.test), given.priors, given.start_from, given.steps,
        given.batch, given.points, given.rate, given.average, given.seeds)
    return run_ablation(settings, given, _measure, write_ablation)


def _measure(settings: AblationSettings, runs: Path, processes: int) -> None:
    measure_all(settings, runs, processes=processes)


if __name__ == '__main__':
    sys.exit(main())
