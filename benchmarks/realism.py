"""Compare synthetic with real RGB-D frames: figures of depth and colour, and their ratios.

python benchmarks/realism.py --real ../shared/data/real_frames --scenes 40
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from itertools import count, islice
from pathlib import Path

from whole_pipeline import publish

from pose_estimation_ros.datasets.frame_source import open_frames
from pose_estimation_ros.evaluation.image_statistics import (
    ImageStatistics,
    measure,
    summarize,
)
from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.synthetic.scene import SceneGenerator
from pose_estimation_ros.synthetic.scene_renderer import render_frame

_FACTOR = 2.0
_DOMAINS = ('primary', 'second')


def measure_real(folder: Path, maximum_depth: float) -> ImageStatistics:
    """Return the figures of recorded frames."""
    frames = open_frames(folder)
    return summarize([measure(frames.load(index), maximum_depth) for index in range(len(frames))])


def measure_synthetic(domain: str, first_seed: int, scenes: int, maximum_depth: float,
                      least_known: float) -> ImageStatistics:
    """Return the figures of the first `scenes` rendered frames that show enough in range."""
    generator = SceneGenerator(domain, 'train')
    rendered = (measure(render_frame(generator.scene(seed)).frame, maximum_depth)
                for seed in count(first_seed))
    return summarize(list(islice(
        (item for item in rendered if 1 - item.unknown >= least_known), scenes)))


def compare(real: ImageStatistics, synthetic: dict[str, ImageStatistics],
            settings: dict[str, object]) -> Report:
    """Return the table of real and synthetic figures, with ratios beyond a factor of 2 marked."""
    columns = ['figure', 'real']
    for domain in synthetic:
        columns += [domain, f'{domain} / real', f'{domain} within x{_FACTOR:g}']
    rows = []
    for name, reference in asdict(real).items():
        row: list[object] = [name, reference]
        for statistics in synthetic.values():
            value = asdict(statistics)[name]
            ratio = value / reference if reference else float('nan')
            row += [value, ratio, 'yes' if 1 / _FACTOR <= ratio <= _FACTOR else 'NO']
        rows.append(row)
    return Report('realism', columns, rows, settings)


def main() -> None:
    """Measure, print and write the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--real', type=Path, default=Path('../shared/data/real_frames'),
                        help='folder of recorded RGB-D frames')
    parser.add_argument('--scenes', type=int, default=40, help='synthetic frames per domain')
    parser.add_argument('--seed', type=int, default=1000, help='first scene')
    parser.add_argument('--maximum-depth', type=float, default=0.9,
                        help='depth beyond this counts as unknown, metres; the four frames of '
                        '6dof-graspnet are cut at 0.9 m')
    parser.add_argument('--least-known', type=float, default=0.3,
                        help='synthetic frames with a smaller share of depth within range look '
                        'from farther than the recorded ones and are passed over')
    parser.add_argument('--out', type=Path, help='write the table here as JSON and Markdown')
    arguments = parser.parse_args()
    real = measure_real(arguments.real, arguments.maximum_depth)
    synthetic = {domain: measure_synthetic(domain, arguments.seed, arguments.scenes,
                                           arguments.maximum_depth, arguments.least_known)
                 for domain in _DOMAINS}
    report = compare(real, synthetic, {'scenes per domain': arguments.scenes,
                                       'first seed': arguments.seed,
                                       'maximum depth': arguments.maximum_depth,
                                       'least known': arguments.least_known,
                                       'figures': 'means of unknown shares, else medians'})
    publish(report, arguments.out)


if __name__ == '__main__':
    main()
