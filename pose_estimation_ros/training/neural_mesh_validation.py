"""How well features tell vertices apart on pictures that nothing was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from pose_estimation_ros.core.rotation import axis_angle_to_matrix
from pose_estimation_ros.training.neural_mesh_batches import window_batch
from pose_estimation_ros.training.neural_mesh_labels import (
    LabelSettings,
    clutter_cells,
    facing_camera,
    window_labels,
)
from pose_estimation_ros.training.neural_mesh_model import NeuralMeshModel
from pose_estimation_ros.training.neural_mesh_recipes import NeuralMeshRecipe
from pose_estimation_ros.training.neural_mesh_shapes import CategoryShape, turned_extents
from pose_estimation_ros.training.neural_mesh_windows import Window, plain_window
from pose_estimation_ros.training.object_pictures import ObjectPicture, PictureShards

# Only what stands free and is not small says how good the features are.
_LEAST_VISIBILITY, _LEAST_SIDE = 0.9, 32.0
_CLUTTER = 64
_BATCH = 16
# A vertex within so many cells of the right one is found.
_CELLS = 2.0
_FEWEST_POINTS = 8
_REACH_IN_CELLS = 1.0


@dataclass(frozen=True, eq=False)
class WindowFindings:
    """What was found in a window.

    Attributes:
        near: (N,) bool, whether the most similar vertex of the category is near the right one.
        own: (N,) bool, whether the most similar of all vertices and clutter is of the category.
        clutter: (M,) bool, whether a cell of clutter is more like clutter than like a vertex.
        rotation: Error of the rotation that the cells of the object agree on, radians.
    """

    near: NDArray[np.bool_]
    own: NDArray[np.bool_]
    clutter: NDArray[np.bool_]
    rotation: float


def validation_rows(pictures: PictureShards, count: int) -> NDArray[np.intp]:
    """Return up to `count` standing, unoccluded objects, spread over all pictures."""
    objects = pictures.objects
    side = (objects.box[:, 2:] - objects.box[:, :2]).max(axis=1)
    fit = np.flatnonzero(objects.standing & (objects.visibility >= _LEAST_VISIBILITY)
                         & (side >= _LEAST_SIDE))
    return fit[::max(1, len(fit) // count)][:count]


def vertex_errors(model: NeuralMeshModel, pictures: PictureShards, rows: Sequence[int],
                  shapes: Sequence[CategoryShape], recipe: NeuralMeshRecipe
                  ) -> dict[str, float]:
    """Return validation values of features.

    Args:
        model: In evaluation mode.
        pictures: What is looked at.
        rows: Which of their objects.
        shapes: The categories' cuboids.
        recipe: Of the model.

    Returns:
        error: share of visible vertices whose most similar vertex is more than two cells off;
        own: share whose most similar of everything is of the right category; clutter: share of
        clutter that is taken for such; rotation_30 and rotation_10: shares of objects whose
        cells, if the object's mask and extents are known, agree on a rotation within so many
        degrees, modulo the symmetry.
    """
    found: list[WindowFindings] = []
    for start in range(0, len(rows), _BATCH):
        found += _findings(model, pictures, rows[start:start + _BATCH], shapes, recipe)
    near, own, clutter = (np.concatenate([getattr(one, name) for one in found])
                          for name in ('near', 'own', 'clutter'))
    rotation = np.degrees([one.rotation for one in found])
    return {'error': float(1.0 - near.mean()), 'own': float(own.mean()),
            'clutter': float(clutter.mean()), 'rotation_30': float((rotation < 30.0).mean()),
            'rotation_10': float((rotation < 10.0).mean())}


def _findings(model: NeuralMeshModel, pictures: PictureShards, rows: Sequence[int],
              shapes: Sequence[CategoryShape], recipe: NeuralMeshRecipe) -> list[WindowFindings]:
    settings = LabelSettings(recipe.labels.stride, vertices=256, clutter=_CLUTTER)
    shown = [pictures.focus(int(row)) for row in rows]
    windows = [plain_window(picture, focus, recipe.windows) for picture, focus in shown]
    device = model.bank.vertices.device
    labels = [window_labels(picture, window, shapes, settings, np.random.default_rng(focus),
                            focus)
              for (picture, focus), window in zip(shown, windows, strict=True)]
    image = window_batch(windows, labels, shapes, settings.stride).image
    cells = model.cells(image.to(device)).float().reshape(len(windows), -1,
                                                          recipe.network.features)
    memory = torch.cat([model.bank.vertices, model.bank.clutter_center[None]])
    found = []
    for number, (window, label) in enumerate(zip(windows, labels, strict=True)):
        picture, focus = shown[number]
        category = int(picture.objects.category[focus])
        span = model.bank.of_category(category)
        seen = cells[number][torch.from_numpy(label.cell).to(device)] @ memory.t()
        best = seen.argmax(dim=1).cpu().numpy()
        nearest = seen[:, span].argmax(dim=1).cpu().numpy()
        other = cells[number][torch.from_numpy(clutter_cells(
            window.object_map, settings.stride, _CLUTTER, np.random.default_rng(focus))
        ).to(device)] @ memory.t()
        found.append(WindowFindings(
            _is_near(picture, window, focus, shapes[category], label.vertex, nearest, settings),
            (best >= span.start) & (best < span.stop),
            (other.argmax(dim=1) == len(memory) - 1).cpu().numpy(),
            _rotation_error(picture, window, focus, shapes[category],
                            (cells[number] @ memory[span].t()).max(dim=1).indices.cpu().numpy(),
                            settings.stride)))
    return found


def _is_near(picture: ObjectPicture, window: Window, focus: int, shape: CategoryShape,
             right: NDArray[np.int64], found: NDArray[np.int64],
             settings: LabelSettings) -> NDArray[np.bool_]:
    points = shape.mesh.vertices * (_own_extents(picture, focus, shape) / shape.mesh.extents)
    cell = (settings.stride * picture.objects.T_camera_object[focus, 2, 3]
            / (picture.K[0, 0] * window.scale))
    distance = np.linalg.norm(points[right] - points[found], axis=1)
    return np.asarray(distance <= _CELLS * cell)


def _own_extents(picture: ObjectPicture, focus: int,
                 shape: CategoryShape) -> NDArray[np.float64]:
    size = picture.objects.size[focus]
    return turned_extents(size) if shape.turns else size


def _rotation_error(picture: ObjectPicture, window: Window, focus: int, shape: CategoryShape,
                    vertex: NDArray[np.int64], stride: int) -> float:
    """Return the error of the pose that most cells of the object agree on, radians."""
    rows, columns = (side // stride for side in window.object_map.shape)
    share = (window.object_map == picture.objects.id[focus]).reshape(
        rows, stride, columns, stride).mean(axis=(1, 3))
    taken = np.flatnonzero(share.ravel() > 0.5)
    if len(taken) < _FEWEST_POINTS:
        return float(np.pi)
    points = shape.mesh.vertices * (_own_extents(picture, focus, shape) / shape.mesh.extents)
    pixels = stride * np.stack([taken % columns, taken // columns], axis=1) + 0.5 * (stride - 1)
    K = np.vstack([window.from_picture, [0.0, 0.0, 1.0]]) @ picture.K
    cv2.setRNGSeed(0)
    solved, turn, _, _ = cv2.solvePnPRansac(
        points[vertex[taken]], pixels.astype(np.float64), K, None, iterationsCount=200,
        reprojectionError=_REACH_IN_CELLS * stride, flags=cv2.SOLVEPNP_EPNP)
    if not solved:
        return float(np.pi)
    T = picture.objects.T_camera_object[focus]
    truth = facing_camera(T) if shape.turns else T
    return shape.category.symmetry.rotation_error(axis_angle_to_matrix(turn.ravel()),
                                                  truth[:3, :3])
