"""DISP6D on known objects: times, memory, and what storing codes short costs.

Views of a mesh are drawn and encoded as `pose-estimation models add-object` does. Then crops of
the same object in random rotations, which are none of those, are encoded and looked up with codes
stored in 16 bit whole numbers, in float16 and in 8 bit, and compared with float32. A model without
training (`--model` of random weights) gives the same times; the chosen views, and how often the
choice stays the same, mean something for trained weights only.

    python benchmarks/disp6d_codebook.py ../shared/data/lmo/models/obj_000005.ply --unit 0.001
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from whole_pipeline import publish

from pose_estimation_ros.backends.disp6d_codebook import (
    CodeTable,
    PackedCodes,
    nearest_rows,
    unit_length,
)
from pose_estimation_ros.backends.disp6d_crops import encoder_input
from pose_estimation_ros.backends.disp6d_model import ViewEncoder, find_disp6d_model
from pose_estimation_ros.backends.disp6d_object_making import encode_views
from pose_estimation_ros.core.rotation import angle_between, random_rotation
from pose_estimation_ros.datasets.mesh_files import MeshData, read_mesh
from pose_estimation_ros.evaluation.report import Report
from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.rendering.object_views import ObjectCamera, turned_boxes, turned_crop

Float32Array = NDArray[np.float32]


def query_images(data: MeshData, encoder: ViewEncoder, distance: float,
                 count: int) -> tuple[Float32Array, NDArray[np.float64]]:
    """Return network inputs of an object in random rotations, and these (N, 3, 3) rotations.

    The crops are a little too large or too small, as boxes of detectors are.
    """
    generator = np.random.default_rng(0)
    camera = ObjectCamera(Mesh(data.vertices.astype(np.float32), data.faces), data.colors,
                          distance, encoder.crops.rendered_background)
    crops = []
    rotations = np.stack([random_rotation(generator) for _ in range(count)])
    for R in rotations:
        picture = camera.picture(R, encoder.crops.crop)
        (box,) = turned_boxes(picture.outline, np.zeros(1))
        margin = encoder.crops.margin * generator.uniform(0.95, 1.05)
        crops.append(turned_crop(picture, 0.0, box, margin, encoder.crops.crop)[..., ::-1])
    return encoder_input(np.stack(crops), encoder.crops), rotations


def angles(views: NDArray[np.float64], chosen: NDArray[np.intp],
           true: NDArray[np.float64]) -> list[tuple[object, ...]]:
    """Return rows of how far the nearest and the chosen views are from the true rotations."""
    nearest = [angle_between(views, R).min() for R in true]
    return [(name, *np.degrees([np.mean(found), np.median(found), np.max(found)]))
            for name, found in (('of the nearest view', nearest),
                                ('of the chosen view', angle_between(views[chosen], true)))]


def milliseconds(action: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Return the median and the least time of an action."""
    action()
    measured = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        measured.append(1e3 * (time.perf_counter() - started))
    return statistics.median(measured), min(measured)


def same_choices(codes: Float32Array, queries: Float32Array) -> dict[str, float]:
    """Return for each way to store codes how often it chooses as float32 does, percent."""
    queries = unit_length(queries)
    unit = unit_length(codes)
    wanted = nearest_rows(queries @ unit.T).index
    centered = unit - unit.mean(axis=0)
    step = np.abs(centered).max() / 127
    stored = {'int16': CodeTable(PackedCodes.of(codes)).nearest(queries).index,
              'float16': nearest_rows(queries @ unit.astype(np.float16).astype('f4').T).index,
              'int8': nearest_rows(queries @ (np.round(centered / step) * step).T).index}
    return {name: 100 * float(np.mean(index == wanted)) for name, index in stored.items()}


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('mesh', type=Path, help='CAD model')
    parser.add_argument('--unit', type=float, default=1.0, help='metres per unit of the mesh')
    parser.add_argument('--model', default='', help="name or folder; '' = the default one")
    parser.add_argument('--threads', type=int, default=2, help='of the encoder')
    parser.add_argument('--objects', type=int, default=6, help='in a frame')
    parser.add_argument('--queries', type=int, default=2000, help='crops that are looked up')
    parser.add_argument('--repeats', type=int, default=30, help='of the look-up')
    parser.add_argument('--device', default='cpu', help='auto, cpu, cuda or tensorrt')
    parser.add_argument('--out', type=Path, help='write the tables here as JSON and Markdown')
    arguments = parser.parse_args()
    encoder = ViewEncoder(find_disp6d_model(arguments.model), arguments.device,
                          arguments.threads)
    data = read_mesh(arguments.mesh, arguments.unit)
    mesh = Mesh(data.vertices.astype(np.float32), data.faces)
    clock, cores = time.perf_counter(), time.process_time()
    views = encode_views(encoder, mesh, data.colors)
    clock, cores = time.perf_counter() - clock, time.process_time() - cores
    packed = PackedCodes.of(views.codes)
    table = CodeTable(packed)
    images, true = query_images(data, encoder, views.distance, arguments.queries)
    in_frame = images[:arguments.objects]
    encoding = milliseconds(lambda: encoder.encode(in_frame), arguments.repeats)
    poses = encoder.encode(in_frame).pose
    # Each object has codes of its own, so each is a product of its own.
    looking_up = milliseconds(
        lambda: [table.nearest(poses[row:row + 1]) for row in range(len(poses))],
        arguments.repeats)
    count = len(table)
    facts = {'model': encoder.manifest.name, 'provider': encoder.provider,
             'mesh': arguments.mesh.name, 'triangles': len(mesh.faces), 'views': count,
             'threads': arguments.threads, 'objects': arguments.objects}
    publish(Report(
        'disp6d_codebook', ('what', 'by the clock', 'fastest', 'CPU of all threads'), [
            ('views drawn and encoded, s', clock, clock, cores),
            ('encoder, all objects of a frame, ms', *encoding, float('nan')),
            ('look-up, all objects of a frame, ms', *looking_up, float('nan')),
            ('codes in memory, MB per object', table.bytes / 1e6, table.bytes / 1e6,
             float('nan')),
            ('codes in a file, MB per object', packed.numbers.nbytes / 1e6,
             packed.numbers.nbytes / 1e6, float('nan'))], facts), arguments.out)
    codes = encoder.encode(images).pose
    publish(Report('disp6d_retrieval', ('angle to the true rotation, degrees', 'mean', 'median',
                                        'largest'),
                   angles(encoder.views.rotations().matrices(), table.nearest(codes).index, true),
                   {**facts, 'queries': len(images)}), arguments.out)
    same = same_choices(views.codes, codes)
    publish(Report('disp6d_storage', ('codes stored as', 'same view as float32, %'),
                   list(same.items()), {**facts, 'queries': len(images)}), arguments.out)
    encoder.close()


if __name__ == '__main__':
    main()
