"""The final features of vertices and clutter: their means over many windows.

While a network is trained its features move, and the bank follows them. Afterwards they stand
still, and the maximum-likelihood estimate is the normalised mean of all that is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional as F

from pose_estimation_ros.backends.neural_mesh_archive import CategoryMesh
from pose_estimation_ros.training.neural_mesh_batches import focus_weights, window_batch
from pose_estimation_ros.training.neural_mesh_labels import window_labels
from pose_estimation_ros.training.neural_mesh_model import NeuralMeshModel
from pose_estimation_ros.training.neural_mesh_recipes import NeuralMeshRecipe
from pose_estimation_ros.training.neural_mesh_shapes import CategoryShape
from pose_estimation_ros.training.neural_mesh_windows import random_window
from pose_estimation_ros.training.object_pictures import PictureShards

_BATCH = 16
# What fewer windows showed is not known.
_FEWEST_VIEWS = 3


@torch.no_grad()
def measured_meshes(model: NeuralMeshModel, pictures: Sequence[PictureShards],
                    shapes: Sequence[CategoryShape], recipe: NeuralMeshRecipe,
                    windows: int) -> dict[str, CategoryMesh]:
    """Return the neural mesh of each category.

    Args:
        model: In evaluation mode.
        pictures: Where vertices and clutter are looked at; those of the training.
        shapes: The categories' cuboids.
        recipe: Of the model.
        windows: How many windows are looked at.
    """
    generator = np.random.default_rng(0)
    # As a camera shows them: other colours are for learning only.
    drawn = replace(recipe.windows, colors=0.0, patches=0.0)
    taken = replace(recipe.labels, vertices=0)
    bank = model.bank
    total, clutter = torch.zeros_like(bank.vertices), torch.zeros_like(bank.clutter[0])
    views = torch.zeros(len(total), dtype=torch.int64)
    chances = [focus_weights(part, recipe.lying) for part in pictures]
    for number in range(-(-windows // _BATCH)):
        part = number % len(pictures)
        shown = [pictures[part].focus(int(row)) for row in generator.choice(
            len(chances[part]), _BATCH, p=chances[part] / chances[part].sum())]
        cut = [random_window(picture, focus, drawn, generator) for picture, focus in shown]
        labels = [window_labels(picture, window, shapes, taken, generator)
                  for (picture, _), window in zip(shown, cut, strict=True)]
        batch = window_batch(cut, labels, shapes, taken.stride)
        cells = model.cells(batch.image.to(total.device)).float()
        vertex = batch.vertex.to(total.device)
        total.index_add_(0, vertex, cells[batch.cell.to(total.device)])
        clutter += cells[batch.clutter.to(total.device)].sum(dim=0)
        views += torch.bincount(batch.vertex, minlength=len(views))
    features = torch.where((views >= _FEWEST_VIEWS)[:, None].to(total.device),
                           F.normalize(total, dim=1), torch.zeros_like(total)).cpu().numpy()
    center = F.normalize(clutter, dim=0)[None].cpu().numpy()
    return {shape.category.name: CategoryMesh(
        shape.aspects, shape.mesh.counts, features[bank.of_category(number)], center)
        for number, shape in enumerate(shapes)}
