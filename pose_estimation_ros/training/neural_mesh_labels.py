"""Which vertex of which category each cell of a window's features shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.training.neural_mesh_shapes import CategoryShape, turned_extents
from pose_estimation_ros.training.neural_mesh_windows import COVERED, Window
from pose_estimation_ros.training.object_pictures import ObjectPicture

FloatArray = NDArray[np.float64]
Nearness = Literal['surface', 'image']
Hiding = Literal['mask', 'none']
Stances = Literal['all', 'standing']

AZIMUTHS = 24
# Objects of which less is seen teach nothing, and are no clutter either.
_LEAST_VISIBILITY, _LEAST_PIXELS = 0.1, 40
# As published: vertices nearer than this to another one's pixel are not told apart from it.
_PUBLISHED_REACH = 48.0
# How far from an object clutter is taken from its surroundings, cells.
_SURROUNDINGS = 6


@dataclass(frozen=True)
class LabelSettings:
    """What is taken from a window.

    Attributes:
        stride: Pixels of a cell's side.
        vertices: Vertices of an object that are taken at most; 0 = all.
        clutter: Cells of clutter that are taken.
        nearness: Where vertices are too near to be told apart: on the 'surface', by cells as the
            object is seen, or in the 'image' within 48 pixels, as published.
        reach: How many cells that are on the surface.
        hidden: 'mask': what other things cover is not visible; 'none' as published: all of a box.
        stances: 'all' objects, or those that are 'standing': others are no clutter either.
    """

    stride: int
    vertices: int = 64
    clutter: int = 12
    nearness: Nearness = 'surface'
    reach: float = 1.5
    hidden: Hiding = 'mask'
    stances: Stances = 'all'


@dataclass(frozen=True, eq=False)
class WindowLabels:
    """N vertices and M cells of clutter of a window.

    Attributes:
        cell: (N,) int64 row * columns + column of the cell that shows the vertex.
        vertex: (N,) int64 the vertex, in the order of its category's mesh.
        category: (N,) int64.
        view: (N,) int64 the view class of the object, see `view_class`.
        near: (N, W) bool vertices of the category too near to be told apart.
        pixel: (N, 2) float64 where the vertex projects to, window pixels.
        clutter: (M,) int64 cells.
    """

    cell: NDArray[np.int64]
    vertex: NDArray[np.int64]
    category: NDArray[np.int64]
    view: NDArray[np.int64]
    near: NDArray[np.bool_]
    pixel: FloatArray
    clutter: NDArray[np.int64]


def window_labels(picture: ObjectPicture, window: Window, shapes: Sequence[CategoryShape],
                  settings: LabelSettings, generator: np.random.Generator,
                  only: int | None = None) -> WindowLabels:
    """Return what a window teaches.

    Args:
        picture: What the window is cut out of.
        window: The window.
        shapes: The categories' cuboids.
        settings: What is taken.
        generator: Chooses.
        only: The only object that is taken; None = all of them.
    """
    width = max(len(shape.mesh.vertices) for shape in shapes)
    columns = window.object_map.shape[1] // settings.stride
    cells, vertices, categories, views, nears, pixels = [], [], [], [], [], []
    for row in range(len(picture.objects)) if only is None else (only,):
        shape = shapes[picture.objects.category[row]]
        if not _teaches(picture, window, shape, row, settings):
            continue
        view = projected_vertices(picture, window, shape, row)
        visible = view.turned_to_camera & _shown(
            window, view.pixels, int(picture.objects.id[row]), settings)
        chosen = np.flatnonzero(visible)
        if settings.vertices and len(chosen) > settings.vertices:
            chosen = generator.choice(chosen, settings.vertices, replace=False)
        cell = np.floor((view.pixels[chosen] + 0.5) / settings.stride).astype(np.int64)
        near = np.zeros((len(chosen), width), dtype=bool)
        near[:, :len(view.pixels)] = _near(view, chosen, settings)
        cells.append(cell[:, 1] * columns + cell[:, 0])
        vertices.append(chosen)
        categories.append(np.full(len(chosen), picture.objects.category[row]))
        views.append(np.full(len(chosen), view_class(
            int(picture.objects.category[row]), shape, view.eye)))
        nears.append(near)
        pixels.append(view.pixels[chosen])
    clutter = clutter_cells(window.object_map, settings.stride, settings.clutter, generator)
    if not cells:
        none = np.zeros(0, dtype=np.int64)
        return WindowLabels(none, none, none, none, np.zeros((0, width), bool),
                            np.zeros((0, 2)), clutter)
    return WindowLabels(np.concatenate(cells), np.concatenate(vertices),
                        np.concatenate(categories), np.concatenate(views),
                        np.concatenate(nears), np.concatenate(pixels), clutter)


@dataclass(frozen=True, eq=False)
class ProjectedVertices:
    """The vertices of an object's own cuboid in a window.

    Attributes:
        pixels: (V, 2) window pixels.
        points: (V, 3) metres, object frame.
        turned_to_camera: (V,) bool.
        eye: (3,) the camera, metres, object frame.
        cell: Metres that a window pixel covers at the object.
    """

    pixels: FloatArray
    points: FloatArray
    turned_to_camera: NDArray[np.bool_]
    eye: FloatArray
    cell: float


def projected_vertices(picture: ObjectPicture, window: Window, shape: CategoryShape,
                       row: int) -> ProjectedVertices:
    """Return the vertices of an object as a window shows them.

    What turns about its y axis is turned so that the camera is at azimuth 0, over +z. A mirror
    image shows the mirrored object: its vertices are on the other side.

    Args:
        picture: What the window is cut out of.
        window: The window.
        shape: The category's cuboid; the object's own has other extents.
        row: Which object.
    """
    T, size = picture.objects.T_camera_object[row], picture.objects.size[row]
    if shape.turns:
        T, size = facing_camera(T), turned_extents(size)
    mesh = shape.mesh
    points = mesh.vertices * (size / mesh.extents)
    # Seen from the front, what turns about y is symmetric in x; other mirrors are in z.
    mirror = np.ones(3)
    if window.mirrored:
        mirror[0 if shape.turns else 2] = -1.0
    eye = mirror * -(T[:3, :3].T @ T[:3, 3])
    turned = mesh.faces_turned_to(eye * mesh.extents / size)[mesh.face_of_vertex]
    in_camera = (points * mirror) @ T[:3, :3].T + T[:3, 3]
    depth = np.maximum(in_camera[:, 2:], 1e-6)
    in_picture = in_camera @ picture.K.T
    in_picture = in_picture[:, :2] / depth
    pixels = in_picture @ window.from_picture[:, :2].T + window.from_picture[:, 2]
    return ProjectedVertices(pixels, points, turned & (in_camera[:, 2] > 1e-3), eye,
                             float(T[2, 3] / (picture.K[0, 0] * window.scale)))


def view_class(category: int, shape: CategoryShape, eye: FloatArray) -> int:
    """Return which category is seen from which of `AZIMUTHS` sides, all categories counted on.

    Args:
        category: Number of the category.
        shape: Its cuboid; what turns about its y axis is seen from the first side.
        eye: (3,) the camera, object frame.
    """
    turn = np.arctan2(eye[0], eye[2]) / (2 * np.pi)
    return AZIMUTHS * category + (0 if shape.turns else round(turn * AZIMUTHS) % AZIMUTHS)


def facing_camera(T_camera_object: FloatArray) -> FloatArray:
    """Return the pose turned about its y axis so that the camera lies over +z, x being 0."""
    eye = -(T_camera_object[:3, :3].T @ T_camera_object[:3, 3])
    turned = T_camera_object.copy()
    turned[:3, :3] = T_camera_object[:3, :3] @ axis_rotation(
        (0.0, 1.0, 0.0), np.arctan2(eye[0], eye[2]))
    return turned


def clutter_cells(object_map: NDArray[np.uint8], stride: int, count: int,
                  generator: np.random.Generator) -> NDArray[np.int64]:
    """Return cells that show no part of an object, half of them near to one.

    Args:
        object_map: (h, w) uint8, 0 = no object, `COVERED`, or an object's id.
        stride: Pixels of a cell's side.
        count: How many cells; fewer if there are not so many.
        generator: Chooses.
    """
    rows, columns = (side // stride for side in object_map.shape)
    is_object = (object_map > 0) & (object_map != COVERED)
    taken = is_object.reshape(rows, stride, columns, stride).any(axis=(1, 3))
    side = 2 * _SURROUNDINGS + 1
    near = cv2.dilate(taken.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    parts = []
    for candidates, wanted in ((near & ~taken, count // 2), (~taken, count - count // 2)):
        free = np.flatnonzero(candidates)
        parts.append(generator.choice(free, min(wanted, len(free)), replace=False))
    return np.concatenate(parts).astype(np.int64)


def _teaches(picture: ObjectPicture, window: Window, shape: CategoryShape, row: int,
             settings: LabelSettings) -> bool:
    return bool((settings.stances == 'all' or picture.objects.standing[row])
                and picture.objects.visibility[row] >= _LEAST_VISIBILITY
                and not (window.mirrored and not shape.category.mirrors)
                and (window.object_map == picture.objects.id[row]).sum() >= _LEAST_PIXELS)


def _shown(window: Window, pixels: FloatArray, number: int,
           settings: LabelSettings) -> NDArray[np.bool_]:
    """Return which (V, 2) pixels are within the window and not covered."""
    height, width = window.object_map.shape
    place = np.floor(pixels + 0.5)
    inside = np.asarray(((place >= 0) & (place < (width, height))).all(axis=1))
    if settings.hidden == 'none':
        return inside
    x, y = np.where(inside[:, None], place, 0).astype(int).T
    # Half a cell beyond the outline a cell still shows the object.
    seen = cv2.dilate((window.object_map == number).astype(np.uint8),
                      np.ones((settings.stride - 1, settings.stride - 1), np.uint8))
    other = (window.object_map > 0) & (window.object_map != number)
    return np.asarray(inside & (seen[y, x] > 0) & ~other[y, x])


def _near(view: ProjectedVertices, chosen: NDArray[np.intp],
          settings: LabelSettings) -> NDArray[np.bool_]:
    if settings.nearness == 'image':
        places, reach = view.pixels, _PUBLISHED_REACH
    else:
        places, reach = view.points, settings.reach * settings.stride * view.cell
    places = places.astype(np.float32)
    # One product of matrices instead of a difference for each pair.
    length = np.square(places).sum(axis=1)
    squared = length[chosen, None] + length - 2.0 * places[chosen] @ places.T
    return np.asarray(squared < reach ** 2)
