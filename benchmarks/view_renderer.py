"""Time of rendering known objects alone, as MRC-Net does for each estimate: Open3D and Warp.

Views of eight meshes of the size of LINEMOD-Occlusion's, each filling the picture as an object's
crop does. All views of a call are one batch. Meshes are rounded solids unless a folder is given.

    python benchmarks/view_renderer.py --models ../shared/data/lmo/models --faces 5000
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from whole_pipeline import publish

from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.rotation import random_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.datasets.mesh_files import read_mesh
from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.rendering.mesh_simplification import simplified
from pose_estimation_ros.rendering.open3d_view_renderer import Open3DViewRenderer
from pose_estimation_ros.rendering.primitives import ellipsoid
from pose_estimation_ros.rendering.view_renderer import ViewRenderer
from pose_estimation_ros.rendering.warp_view_renderer import WarpViewRenderer

_DISTANCE = 0.8
# Side of MRC-Net's crop over the larger side of the object.
_CROP = 1.5


def meshes_of(folder: Path | None, faces: int | None) -> list[Mesh]:
    """Return the meshes of a BOP folder of models, or solids of their size; metres."""
    if folder is None:
        generator = np.random.default_rng(0)
        meshes = [ellipsoid(generator.uniform(0.08, 0.2, 3), 160) for _ in range(8)]
    else:
        read = [read_mesh(path, 0.001) for path in sorted(folder.glob('*.ply'))]
        meshes = [Mesh(data.vertices.astype(np.float32), data.faces) for data in read]
    return [mesh if faces is None else simplified(mesh, faces) for mesh in meshes]


def views_of(meshes: list[Mesh], count: int, size: int) -> tuple[
        NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], int]:
    """Return the arguments of a renderer's `render` for the meshes in turn, rotated at random."""
    generator = np.random.default_rng(1)
    objects = np.arange(count) % len(meshes)
    poses = np.stack([make_transform(random_rotation(generator), [0, 0, _DISTANCE])
                      for _ in range(count)])
    cameras = np.zeros((count, 3, 3))
    for camera, mesh in zip(cameras, objects, strict=True):
        extent = float(np.ptp(meshes[mesh].bounds, axis=0).max())
        focal = size * _DISTANCE / (_CROP * extent)
        camera[:] = np.diag([focal, focal, 1.0])
        camera[:2, 2] = size / 2
    return objects, poses, cameras, size


def milliseconds(renderer: ViewRenderer, meshes: list[Mesh], count: int, size: int,
                 repeats: int) -> tuple[list[float], list[float]]:
    """Return wall and CPU times of calls for so many views, after one that is not counted."""
    views = views_of(meshes, count, size)
    renderer.render(*views)
    wall, cpu = [], []
    for _ in range(repeats):
        wall_start, cpu_start = time.perf_counter(), time.process_time()
        renderer.render(*views)
        wall.append(1e3 * (time.perf_counter() - wall_start))
        cpu.append(1e3 * (time.process_time() - cpu_start))
    return wall, cpu


def renderers_of(meshes: list[Mesh], threads: int) -> dict[str, ViewRenderer]:
    """Return the renderers of this machine by name."""
    found: dict[str, ViewRenderer] = {'Open3D': Open3DViewRenderer(meshes, threads),
                                      'Warp, CPU': WarpViewRenderer(meshes, 'cpu')}
    try:
        found['Warp, CUDA'] = WarpViewRenderer(meshes, 'cuda')
    except ConfigurationError as error:
        print(f'without Warp on CUDA: {error}')
    return found


def main() -> None:
    """Measure and print a row for each renderer, size and number of views."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--models', type=Path, help='BOP folder of models; default: solids')
    parser.add_argument('--faces', type=int, help='simplify to so many; default: keep all')
    parser.add_argument('--sizes', type=int, nargs='+', default=[128, 256], help='pixels')
    parser.add_argument('--views', type=int, nargs='+', default=[1, 6, 32], help='of a call')
    parser.add_argument('--repeats', type=int, default=7, help='of each call')
    parser.add_argument('--threads', type=int, default=1, help='of Open3D')
    parser.add_argument('--out', type=Path, help='write the table here as JSON and Markdown')
    arguments = parser.parse_args()
    meshes = meshes_of(arguments.models, arguments.faces)
    rows = []
    for name, renderer in renderers_of(meshes, arguments.threads).items():
        for size in arguments.sizes:
            for count in arguments.views:
                wall, cpu = milliseconds(renderer, meshes, count, size, arguments.repeats)
                rows.append((name, size, count, statistics.median(wall),
                             1e3 * count / statistics.median(wall),
                             statistics.median(cpu) / count))
    report = Report(
        'view_renderer', ('renderer', 'size, px', 'views', 'call: median, ms',
                          'views per second', 'CPU per view, ms'),
        rows, {'meshes': str(arguments.models or 'solids'),
               'faces': int(np.mean([len(mesh.faces) for mesh in meshes])),
               'threads of Open3D': arguments.threads, 'repeats': arguments.repeats})
    publish(report, arguments.out)


if __name__ == '__main__':
    main()
