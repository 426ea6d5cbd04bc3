"""Synthetic frames in the layouts of NOCS and BOP: many processes, resumable by folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.datasets.bop_writer import BopWriter
from pose_estimation_ros.datasets.nocs import SYNTHETIC_CAMERA
from pose_estimation_ros.datasets.nocs_layout import NocsLayout, Subset
from pose_estimation_ros.datasets.nocs_writer import IMAGES_PER_FOLDER, NocsWriter
from pose_estimation_ros.synthetic.annotation import annotated_frame, full_masks
from pose_estimation_ros.synthetic.colors import linear_to_srgb
from pose_estimation_ros.synthetic.frame_cache import write_frame_shards
from pose_estimation_ros.synthetic.object_source import ObjectSource
from pose_estimation_ros.synthetic.recipe import FrameRecipe
from pose_estimation_ros.synthetic.scene_renderer import render_frame
from pose_estimation_ros.synthetic.shard_files import ALONE, Workers, claim_file
from pose_estimation_ros.synthetic.solids import Solid
from pose_estimation_ros.synthetic.splits import SPLITS

# CAMERA has no third subset; give test data a folder of its own.
NOCS_SUBSETS: dict[str, Subset] = {'train': 'camera_train', 'val': 'camera_val',
                                   'test': 'camera_val'}
SCENE_SIZE = 48
# What the models of a generated BOP data set were made of.
GENERATED_MODELS = 'generated_models.json'
_BOP_NAME = re.compile(r'obj_(\d{6})')
# Making the list of all models makes all models, a hundred in a second or two.
_MOST_MODELS = 20_000


def generate_frames(folder: Path, layout: str, count: int, recipe: FrameRecipe,
                    workers: Workers = ALONE) -> None:
    """Write frames in a layout; the same call again goes on with what is missing.

    Args:
        folder: Of the data set.
        layout: 'nocs', with the published camera of CAMERA; 'bop'; or 'shards'.
        count: Number of frames, rounded up to whole folders or files.
        recipe: What to render.
        workers: Who makes them.

    Raises:
        ConfigurationError: If the layout is unknown, or the folder holds other data.
    """
    if layout == 'nocs':
        camera = CameraIntrinsics(640, 480, SYNTHETIC_CAMERA.K)
        write_nocs(folder, count, replace(recipe, intrinsics=camera), workers)
    elif layout == 'bop':
        write_bop(folder, count, recipe, SCENE_SIZE, workers)
    elif layout == 'shards':
        write_frame_shards(folder, count, recipe.domain, recipe.split, recipe.resolution,
                           recipe.seed, source=recipe.source, workers=workers)
    else:
        raise ConfigurationError(f'unknown layout {layout!r}; choose nocs, bop or shards')


def write_nocs(root: Path, count: int, recipe: FrameRecipe, workers: Workers = ALONE) -> int:
    """Write frames as a CAMERA subset; what an interrupted call left out is made by the next.

    Args:
        root: Folder of the data set.
        count: Number of frames, rounded up to folders of ten.
        recipe: What to render. All frames of a folder have one camera, so it must name one.
        workers: Who makes the folders.

    Returns:
        The number of frames that are there.

    Raises:
        ConfigurationError: If the recipe has no camera, or the subset holds other data.
    """
    if recipe.intrinsics is None:
        raise ConfigurationError('a folder of the NOCS layout has one camera; give the recipe '
                                 'its intrinsics')
    root, subset = root.resolve(), NOCS_SUBSETS[recipe.split]
    claim_file(NocsLayout(root, subset).description_file, {'kind': 'nocs', **recipe.describe()})
    writer = NocsWriter(root, subset, recipe.source.categories)
    folders = -(-count // IMAGES_PER_FOLDER)
    missing = [number for number in range(folders) if not writer.is_written(number)]
    workers.finish(partial(_nocs_folder, root, recipe), missing, folders)
    writer.finish()
    return folders * IMAGES_PER_FOLDER


def claim_bop(root: Path, recipe: FrameRecipe, scene_size: int) -> None:
    """Note in a folder what a split of a BOP data set is made of, or check that it is this.

    Raises:
        ConfigurationError: If the split holds other data, or another split other objects.
    """
    # All splits number their models alike.
    claim_file(root / GENERATED_MODELS, recipe.source.describe())
    claim_file(root / f'generated_{recipe.split}.json',
               {'kind': 'bop', 'scene_size': scene_size, **recipe.describe()})


def write_bop(root: Path, count: int, recipe: FrameRecipe, scene_size: int = SCENE_SIZE,
              workers: Workers = ALONE) -> int:
    """Write frames as a split of a BOP data set, with its models; resumable by scene.

    As in the synthetic parts of BOP data sets, a scene is a folder of images that show different
    arrangements.

    Args:
        root: Folder of the data set.
        count: Number of frames, rounded up to whole scenes.
        recipe: What to render. Each of its objects becomes a numbered model, so they must be
            few: see `object_source.FewObjects`.
        scene_size: Frames per scene.
        workers: Who makes the scenes.

    Returns:
        The number of frames that are there.

    Raises:
        ConfigurationError: If there are too many objects, the split holds other data, or
            another split other objects.
    """
    root = root.resolve()
    claim_bop(root, recipe, scene_size)
    scenes = -(-count // scene_size)
    ids = _object_ids(recipe.source)
    writer = BopWriter(root, recipe.split, ids)
    missing = [number for number in range(scenes) if not writer.is_written(number)]
    workers.finish(partial(_bop_scene, root, recipe, ids, scene_size), missing, scenes)
    writer.finish()
    return scenes * scene_size


def _object_ids(source: ObjectSource) -> dict[str, int]:
    """Return the number of every model, the same in every process and for every split."""
    members = [(category.name, split, number) for split in SPLITS
               for category in source.categories
               for number in range(min(source.count(category.name, split), _MOST_MODELS))]
    if len(members) >= _MOST_MODELS:
        raise ConfigurationError(f'more than {_MOST_MODELS} objects are too many for a BOP data '
                                 'set, whose models are numbered; limit the instances per '
                                 'category')
    # An object that all splits show has one number.
    names = dict.fromkeys(source.model(*member).name for member in members)
    numbered = [_BOP_NAME.fullmatch(name) for name in names]
    if source.is_known and all(numbered):
        return {name: int(match[1]) for name, match in zip(names, numbered, strict=True) if match}
    return {name: number for number, name in enumerate(names, start=1)}


def _srgb_colors(solid: Solid) -> NDArray[np.uint8] | None:
    if solid.vertex_colors is None:
        return None
    return np.round(255 * linear_to_srgb(solid.vertex_colors)).astype(np.uint8)


def _nocs_folder(root: Path, recipe: FrameRecipe, number: int) -> None:
    subset = NOCS_SUBSETS[recipe.split]
    writer = NocsWriter(root, subset, recipe.source.categories)
    with writer.scene(number) as folder:
        for scene in recipe.scenes(number * IMAGES_PER_FOLDER, IMAGES_PER_FOLDER):
            synthetic = render_frame(scene, recipe.resolution)
            for instance in synthetic.instances:
                solid = scene.bodies[instance.id - 1].solid
                writer.add_model(solid.name, solid.category, solid.model_points)
            folder.write(annotated_frame(str(scene.seed), synthetic, recipe.source.categories))


def _bop_scene(root: Path, recipe: FrameRecipe, ids: Mapping[str, int], scene_size: int,
               number: int) -> None:
    writer = BopWriter(root, recipe.split, ids)
    symmetries = {category.name: category.symmetry for category in recipe.source.categories}
    with writer.scene(number) as folder:
        for scene in recipe.scenes(number * scene_size, scene_size):
            synthetic = render_frame(scene, recipe.resolution)
            for instance in synthetic.instances:
                solid = scene.bodies[instance.id - 1].solid
                writer.add_model(solid.name, solid.category, solid.mesh.vertices,
                                 solid.mesh.faces, symmetries[solid.category],
                                 _srgb_colors(solid))
            folder.write(annotated_frame(str(scene.seed), synthetic, recipe.source.categories),
                         full_masks(scene, synthetic))
