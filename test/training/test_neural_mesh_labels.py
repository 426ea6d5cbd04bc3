"""Vertices of neural meshes lie where the windows show them, in every kind of window."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.core.categories import CATEGORIES
from pose_estimation_ros.training.neural_mesh_labels import (
    AZIMUTHS,
    LabelSettings,
    clutter_cells,
    facing_camera,
    view_class,
    window_labels,
)
from pose_estimation_ros.training.neural_mesh_shapes import category_shapes, turned_extents
from pose_estimation_ros.training.neural_mesh_windows import (
    COVERED,
    WindowSettings,
    plain_window,
    random_window,
)

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))
from box_pictures import box_picture, points_at, standing_pose

BOTTLE, CAMERA, MUG = 0, 2, 5
SIZE = (0.12, 0.10, 0.15)
SHAPES = category_shapes(CATEGORIES, np.arange(6), np.array([[0.1, 0.12, 0.14]] * 6), 300)
PLAIN = WindowSettings(colors=0.0, patches=0.0, mirrored=0.0)
LABELS = LabelSettings(stride=4, vertices=0)


def labels_of(picture, window, settings=LABELS):
    return window_labels(picture, window, SHAPES, settings, np.random.default_rng(0))


@pytest.mark.parametrize('mirrored', [0.0, 1.0])
@pytest.mark.parametrize('category', [MUG, BOTTLE])
def test_the_colour_at_a_vertex_tells_its_place_in_the_box(category, mirrored):
    size = turned_extents(np.array(SIZE)) if category == BOTTLE else np.array(SIZE)
    T = facing_camera(standing_pose()) if category == BOTTLE else standing_pose()
    picture = box_picture(category, size, T)
    for seed in range(3):
        window = random_window(picture, 0, replace(PLAIN, mirrored=mirrored),
                               np.random.default_rng(seed))
        labels = labels_of(picture, window)
        assert len(labels.vertex) > 60
        mesh = SHAPES[category].mesh
        expected = mesh.vertices[labels.vertex] / mesh.extents
        # The mirror image of a mug is one with its other side here, that of a bottle turned.
        expected *= np.where(mirrored, [-1, 1, 1] if category == BOTTLE else [1, 1, -1], 1)
        found = points_at(window.rgb, labels.pixel) - 0.5
        error = np.abs(found - expected).max(axis=1)
        # At the outline a vertex may lie between the box and what is behind it.
        assert np.median(error) < 0.03
        assert (error < 0.12).mean() > 0.7


def test_a_symmetric_object_gives_the_same_vertices_however_it_is_turned():
    pictures = [box_picture(BOTTLE, (0.1, 0.2, 0.1), standing_pose(azimuth))
                for azimuth in (0.0, 2.1)]
    # Only the labels are looked at: a box shows its turn, a bottle does not.
    window = replace(plain_window(pictures[0], 0, PLAIN),
                     object_map=np.full((224, 224), 3, dtype=np.uint8))
    found = [labels_of(picture, window) for picture in pictures]
    assert len(found[0].vertex) > 60
    np.testing.assert_array_equal(found[0].vertex, found[1].vertex)
    np.testing.assert_array_equal(found[0].view, found[1].view)


def test_covered_vertices_are_not_visible_but_by_the_published_rule():
    middle = 165
    picture = box_picture(MUG, SIZE, standing_pose(), covered=middle)
    window = plain_window(picture, 0, PLAIN)
    edge = window.from_picture @ [middle, 100.0, 1.0]
    own = labels_of(picture, window)
    published = labels_of(picture, window, replace(LABELS, hidden='none'))
    assert own.pixel[:, 0].max() < edge[0]
    assert (published.pixel[:, 0] > edge[0] + 10).any()


def test_vertices_on_the_far_side_are_never_visible():
    picture = box_picture(MUG, SIZE, standing_pose(azimuth=0.7, elevation=0.5))
    labels = labels_of(picture, plain_window(picture, 0, PLAIN))
    mesh = SHAPES[MUG].mesh
    faces = {mesh.faces[face] for face in mesh.face_of_vertex[labels.vertex]}
    assert {(face.axis, face.upper) for face in faces} == {(0, True), (1, True), (2, True)}


def test_cells_contain_the_pixels_of_their_vertices():
    picture = box_picture(MUG, SIZE, standing_pose())
    labels = labels_of(picture, plain_window(picture, 0, PLAIN))
    cell = np.stack([labels.cell % 56, labels.cell // 56], axis=1)
    assert np.abs(4 * cell + 1.5 - labels.pixel).max() <= 2.0


def test_near_vertices_are_those_within_the_reach():
    picture = box_picture(MUG, SIZE, standing_pose())
    window = plain_window(picture, 0, PLAIN)
    metres = 4 * 1.5 * 0.6 / (300 * window.scale)
    own = labels_of(picture, window)
    points = SHAPES[MUG].mesh.vertices * (np.array(SIZE) / SHAPES[MUG].mesh.extents)
    distance = np.linalg.norm(points[own.vertex][:, None] - points, axis=2)
    clear = np.abs(distance / metres - 1) > 0.01
    near = own.near[:, :len(points)]
    np.testing.assert_array_equal(near[clear], (distance < metres)[clear])
    assert not own.near[:, len(points):].any()


def test_objects_that_lie_or_have_no_mirror_image_teach_nothing_where_they_should_not():
    lying = box_picture(MUG, SIZE, standing_pose(), standing=False)
    window = plain_window(lying, 0, PLAIN)
    assert len(labels_of(lying, window).vertex) > 0
    assert len(labels_of(lying, window, replace(LABELS, stances='standing')).vertex) == 0
    camera = box_picture(CAMERA, SIZE, standing_pose())
    mirrored = random_window(camera, 0, replace(PLAIN, mirrored=1.0), np.random.default_rng(0))
    assert len(labels_of(camera, mirrored).vertex) == 0


def test_the_view_class_tells_category_and_azimuth():
    assert view_class(MUG, SHAPES[MUG], np.array([0.0, 0.2, 1.0])) == AZIMUTHS * MUG
    quarter = view_class(MUG, SHAPES[MUG], np.array([1.0, 0.2, 0.0]))
    assert quarter == AZIMUTHS * MUG + AZIMUTHS // 4
    assert view_class(BOTTLE, SHAPES[BOTTLE], np.array([1.0, 0.2, 0.0])) == AZIMUTHS * BOTTLE


def test_clutter_is_taken_beside_objects_only():
    object_map = np.zeros((64, 64), dtype=np.uint8)
    object_map[20:41, 16:40] = 5
    object_map[:, 48:] = COVERED
    cells = clutter_cells(object_map, 8, 40, np.random.default_rng(0))
    shows = {(row, column) for row in range(2, 6) for column in range(2, 5)}
    assert len(cells) == 40
    assert not shows & {(cell // 8, cell % 8) for cell in cells.tolist()}
    assert any(cell % 8 >= 6 for cell in cells.tolist())
