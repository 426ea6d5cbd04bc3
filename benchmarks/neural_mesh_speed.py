"""Time of the backend neural_mesh per frame and object: features, search, refinement, competition.

Frames are of `pose-estimation dataset frames --occluded` or any other with truth. The published
code takes 75 s for one object on two cores of this kind of machine (specs/mrc_c2f_disp6d.md,
section 6): 5 s for the coarse search and the rest for 600 steps of refinement.

    python benchmarks/neural_mesh_speed.py data/occlusion/test
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from whole_pipeline import publish

from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.backends.neural_mesh import create_neural_mesh
from pose_estimation_ros.backends.neural_mesh_options import NeuralMeshOptions
from pose_estimation_ros.evaluation.data_folders import Data
from pose_estimation_ros.evaluation.report import Report

_PUBLISHED_SECONDS = 75.6


def main() -> None:
    """Measure and print one row per choice of categories."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', type=Path, help='frames with truth')
    parser.add_argument('--model', default='', help="name or folder; '' = the shipped one")
    parser.add_argument('--frames', type=int, default=8)
    parser.add_argument('--threads', type=int, default=2, help='of the extractor')
    parser.add_argument('--device', default='cpu', help='auto, cpu, cuda or tensorrt')
    parser.add_argument('--out', type=Path, help='write the table here as JSON and Markdown')
    arguments = parser.parse_args()
    frames = list(Data(arguments.data, frames=arguments.frames).resolved().open())
    rows, facts = [], {}
    for title, labels in (('all categories', ()), ('one category', ('mug',))):
        backend = create_neural_mesh(BackendOptions(
            arguments.model, arguments.device, arguments.threads, labels=labels,
            neural_mesh=NeuralMeshOptions(scale='category')))
        facts = backend.describe()
        clock, cores, candidates = [], [], []
        for frame in frames[:arguments.frames]:
            started, used = time.perf_counter(), time.process_time()
            _, found = backend.find(frame.frame)
            clock.append(time.perf_counter() - started)
            cores.append(time.process_time() - used)
            candidates.append(len(found))
        backend.close()
        objects = max(sum(candidates), 1)
        rows.append((title, statistics.median(clock), statistics.median(cores),
                     sum(candidates) / len(candidates), sum(clock) / objects,
                     sum(cores) / objects, _PUBLISHED_SECONDS))
    publish(Report(
        'neural_mesh_speed',
        ('search for', 's a frame', 'CPU s a frame', 'objects a frame', 's per object',
         'CPU s per object', 'published code, s per object'), rows,
        {'model': facts['model'], 'provider': facts['provider'],
         'working size': facts['working size'], 'threads': arguments.threads,
         'frames': arguments.frames}), arguments.out)


if __name__ == '__main__':
    main()
