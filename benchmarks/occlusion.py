"""How well poses are found of objects that others hide, for neural_mesh and the other methods.

Makes frames of standing objects that hide each other if --data lacks them, runs all methods and
the variants of neural_mesh on them and writes occlusion.md. What is run stays in --runs; with
--resume an interrupted call goes on.

    python benchmarks/occlusion.py --frames 112
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pose_estimation_ros.core.errors import PoseEstimationError
from pose_estimation_ros.evaluation.occlusion import OcclusionBenchmark, OcclusionSettings
from pose_estimation_ros.evaluation.occlusion_document import write_occlusion
from pose_estimation_ros.evaluation.runner import Workers
from pose_estimation_ros.synthetic import shard_files
from pose_estimation_ros.synthetic.occlusion import write_occluded_shards

_ROOT = Path(__file__).resolve().parents[1]
_DEFAULT = OcclusionSettings(_ROOT / 'data' / 'occlusion' / 'test')


def main() -> int:
    """Measure and write; 2 = something cannot be measured."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', type=Path, default=_DEFAULT.data, help='frames; made if missing')
    parser.add_argument('--frames', type=int, default=_DEFAULT.frames, help='of all methods')
    parser.add_argument('--ablation-frames', type=int, default=_DEFAULT.ablation_frames,
                        help='of the variants of neural_mesh')
    parser.add_argument('--most', type=int, default=_DEFAULT.most,
                        help='objects per category and level that count')
    parser.add_argument('--model', default='', help="of neural_mesh; '' = the shipped one")
    parser.add_argument('--processes', type=int, default=1, help='that work at the same time')
    parser.add_argument('--runs', type=Path, default=_ROOT / 'runs' / 'occlusion',
                        help='predictions; emptied first')
    parser.add_argument('--docs', type=Path, default=_ROOT / 'docs')
    parser.add_argument('--resume', action='store_true',
                        help='go on with the predictions of an interrupted call')
    arguments = parser.parse_args()
    settings = OcclusionSettings(arguments.data, arguments.most, arguments.frames,
                                 arguments.ablation_frames, arguments.model)
    benchmark = OcclusionBenchmark(settings, arguments.runs, Workers('', arguments.processes))
    try:
        write_occluded_shards(arguments.data, arguments.frames, 'primary', 'test',
                              workers=shard_files.Workers(arguments.processes))
        if not arguments.resume:
            benchmark.clear()
        write_occlusion(benchmark, arguments.docs, _tell)
    except PoseEstimationError as error:
        sys.stderr.write(f'{error}\n')
        return 2
    _tell(f'wrote {arguments.docs / "occlusion.md"}')
    return 0


def _tell(text: str) -> None:
    sys.stdout.write(f'{text}\n')
    sys.stdout.flush()


if __name__ == '__main__':
    sys.exit(main())
