"""Prepare downloaded NOCS data: models, labels and lists, as SPD's authors publish the steps.

What is there already is kept. Files that are damaged as released are named and left out.

Source: data preparation of Tian et al., ECCV 2020 (spec section 4.1).
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import InvalidInputError
from pose_estimation_ros.core.farthest_points import farthest_point_order
from pose_estimation_ros.datasets.atomic_files import write_atomically
from pose_estimation_ros.datasets.mesh_files import read_mesh
from pose_estimation_ros.datasets.nocs_dataset import NocsDataset
from pose_estimation_ros.datasets.nocs_labels import write_labels
from pose_estimation_ros.datasets.nocs_layout import MUG, SYNSETS, NocsLayout
from pose_estimation_ros.datasets.nocs_models import (
    MODEL_POINTS,
    UNCHANGED,
    UNUSABLE_MODEL,
    Recentring,
    mug_recentring,
    read_extent,
    read_mug_recentrings,
)
from pose_estimation_ros.datasets.nocs_pickles import read_pickle, write_pickle
from pose_estimation_ros.distribution import map_shards
from pose_estimation_ros.rendering.mesh import Mesh
from pose_estimation_ros.synthetic.shard_files import ALONE, Workers

# So many points are drawn for each that is kept.
_OVERSAMPLING = 3
_MUG_SYNSET = SYNSETS[-1]

ModelResult = tuple[str, NDArray[np.float32], Recentring, bool]


def prepare_models(layout: NocsLayout, workers: Workers = ALONE) -> tuple[str, ...]:
    """Write `obj_models/<subset>.pkl` and add the subset's mugs to `mug_meta.pkl`.

    Args:
        layout: Of the subset; its meshes lie in `obj_models/<split or subset>`.
        workers: Who samples the meshes.

    Returns:
        What was left out, and why.

    Raises:
        InvalidInputError: If there is no mesh that can be used.
    """
    folder = layout.models_folder
    meshes = sorted(folder.glob('*/*/model.obj') if layout.is_synthetic else folder.glob('*.obj'))
    sample = partial(_model_or_problem, layout.is_synthetic)
    results = map_shards(sample, meshes, workers.cluster, workers.processes, workers.report)
    problems = tuple(result for result in results if isinstance(result, str))
    models = [result for result in results if not isinstance(result, str)]
    if not models:
        pattern = '<synset>/<model>/model.obj' if layout.is_synthetic else '<model>.obj'
        raise InvalidInputError(f'{folder} holds no usable mesh ({pattern}); unpack '
                                f'obj_models.zip in {layout.root}'
                                + ''.join(f'. {problem}' for problem in problems[:3]))
    mugs = read_mug_recentrings(layout.mug_file) if layout.mug_file.is_file() else {}
    mugs |= {name: change for name, _, change, is_mug in models if is_mug}
    write_pickle(layout.points_file, {name: points for name, points, _, _ in models})
    write_pickle(layout.mug_file, {name: [change.shift, change.scale]
                                   for name, change in mugs.items()})
    return problems


def model_points(path: Path, *, is_synthetic: bool) -> NDArray[np.float64]:
    """Return (1024, 3) points spread over a mesh, NOCS coordinates, box centred.

    Meshes of CAMERA are in NOCS coordinates but for the direction of z; those of REAL are in
    metres, with their box in a text file beside them.

    Raises:
        InvalidInputError: If a file is missing or damaged.
    """
    data = read_mesh(path, unit=1.0)
    # The same points whatever else is prepared beside them.
    generator = np.random.default_rng(zlib.crc32(_model_name(path).encode()))
    dense = Mesh(data.vertices.astype(np.float32), data.faces).sample_surface(
        _OVERSAMPLING * MODEL_POINTS, generator).points
    points = dense[farthest_point_order(dense, MODEL_POINTS)].astype(np.float64)
    if is_synthetic:
        return points * (1.0, 1.0, -1.0)
    return points / np.linalg.norm(read_extent(path.with_suffix('.txt')))


def prepare_labels(dataset: NocsDataset, workers: Workers = ALONE) -> tuple[str, ...]:
    """Write `_label.pkl` of all frames without one, and the lists of the subset.

    A frame that shows an object of a damaged mesh is left out. One bottle of CAMERA val is
    released like this (d3b53f56b4a7b3b3c9f016d57db96408); ShapeNetCore has it whole.

    Args:
        dataset: The subset; its models must be prepared.
        workers: Who labels the frames, folder by folder.

    Returns:
        Which frames were left out because they are damaged, and why.

    Raises:
        InvalidInputError: If there are no frames, or none can be used.
    """
    layout = dataset.layout
    names = layout.complete_frames() or layout.frames()
    folders = defaultdict(list)
    for name in names:
        folders[name.rsplit('/', 1)[0]].append(name)
    results = map_shards(partial(_label_folder, dataset), list(folders.values()),
                         workers.cluster, workers.processes, workers.report)
    labelled = [name for kept, _ in results for name in kept]
    problems = tuple(problem for _, found in results for problem in found)
    if not labelled:
        raise InvalidInputError(
            f'none of the {len(names)} frames in {layout.source / layout.split} can be used: '
            f'{problems[0] if problems else "none shows an object of the six categories"}')
    for path, lines in ((layout.list_file.with_name(f'{layout.split}_list_all.txt'), names),
                        (layout.list_file, labelled)):
        write_atomically(path, ''.join(f'{name}\n' for name in lines).encode())
    return problems


def _model_or_problem(is_synthetic: bool, path: Path) -> ModelResult | str:  # noqa: FBT001
    name = _model_name(path)
    if name == UNUSABLE_MODEL:
        return f'{name} is an improper mesh.'
    try:
        points = model_points(path, is_synthetic=is_synthetic)
    except InvalidInputError as error:
        return str(error)
    is_mug = path.parts[-3] == _MUG_SYNSET if is_synthetic else MUG in name
    change = mug_recentring(name, points) if is_mug else UNCHANGED
    return name, change.points(points).astype(np.float32), change, is_mug


def _model_name(path: Path) -> str:
    return path.parent.name if path.stem == 'model' else path.stem


def _label_folder(dataset: NocsDataset, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names of the frames with labelled objects, and what is wrong with others."""
    kept, problems = [], []
    for name in names:
        path = dataset.layout.file(name, 'label.pkl')
        try:
            if not path.is_file():
                write_labels(path, dataset.raw_labels(name), dataset.categories, dataset.models)
            if len(read_pickle(path)['instance_ids']):
                kept.append(name)
        except InvalidInputError as error:
            problems.append(str(error))
    return kept, problems
