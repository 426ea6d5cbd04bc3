"""The solids that objects are put together from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_estimation_ros.synthetic.shapes.curves import (
    arc_lengths,
    bezier,
    circle,
    join_rounded,
    resample,
    rounded_rectangle,
    superellipse,
)
from pose_estimation_ros.synthetic.shapes.parts import PART_INDEX, join, loft, signed_volume, torus
from pose_estimation_ros.synthetic.shapes.resting import resting_rotations, stable_directions
from pose_estimation_ros.synthetic.shapes.revolution import paint_band, revolve, ring
from pose_estimation_ros.synthetic.shapes.sweep import boxes, rounded_box, sweep

lengths = st.floats(0.01, 0.5)


@settings(deadline=None, max_examples=30)
@given(lengths, lengths)
def test_a_revolved_rectangle_has_the_volume_of_a_cylinder(radius, height):
    cylinder = revolve([(radius, 0), (radius, height)], 'body', circle(200))
    volume = signed_volume(cylinder.vertices, cylinder.faces)
    assert volume == pytest.approx(np.pi * radius**2 * height, rel=1e-3)


@settings(deadline=None, max_examples=30)
@given(lengths, lengths)
def test_the_sense_of_a_profile_does_not_turn_the_faces(radius, height):
    upward = revolve([(0, 0), (radius, 0), (radius, height), (0, height)], 'body')
    downward = revolve([(0, height), (radius, height), (radius, 0), (0, 0)], 'body')
    assert signed_volume(upward.vertices, upward.faces) > 0
    assert signed_volume(downward.vertices, downward.faces) == pytest.approx(
        signed_volume(upward.vertices, upward.faces)
    )


def test_a_ring_has_the_volume_of_a_torus():
    section = 0.01 * circle(64) + (0.05, 0)
    part = ring(section, 'metal', circle(200))
    expected = 2 * np.pi**2 * 0.05 * 0.01**2
    assert signed_volume(part.vertices, part.faces) == pytest.approx(expected, rel=5e-3)


@settings(deadline=None, max_examples=30)
@given(st.tuples(lengths, lengths, lengths), st.floats(0, 0.01))
def test_a_rounded_box_fills_its_size_and_little_less_than_its_volume(size, edge):
    part = rounded_box(size, edge, edge, 'body')
    np.testing.assert_allclose(np.ptp(part.vertices, axis=0), size, atol=1e-9)
    np.testing.assert_allclose(part.vertices.max(axis=0), np.array(size) / 2, atol=1e-9)
    volume = signed_volume(part.vertices, part.faces)
    assert 0.3 * np.prod(size) < volume <= np.prod(size) * (1 + 1e-9)


def test_plain_boxes_face_outward_each():
    centres = np.array([(0.0, 0, 0), (1.0, 2.0, 3.0)])
    part = boxes(centres, (0.1, 0.2, 0.3), 'keyboard')
    for first in (0, 12):
        volume = signed_volume(part.vertices, part.faces[first : first + 12])
        assert volume == pytest.approx(0.006)


def test_a_straight_sweep_is_a_prism_along_its_path():
    path = np.stack([np.linspace(0, 0.2, 5), np.zeros(5), np.zeros(5)], axis=1)
    part = sweep(path, rounded_rectangle(0.02, 0.04, 0.0), 'handle')
    assert signed_volume(part.vertices, part.faces) == pytest.approx(0.2 * 0.02 * 0.04)
    np.testing.assert_allclose(np.ptp(part.vertices, axis=0), (0.2, 0.02, 0.04), atol=1e-12)


def test_bands_carry_the_names_of_their_profile():
    part = revolve([(0, 0), (1, 0), (1, 1), (0, 1)], ['base', 'body', 'lid'])
    centres = part.face_centres()
    assert np.all(part.labels[centres[:, 1] == 0] == PART_INDEX['base'])
    assert np.all(part.labels[centres[:, 1] == 1] == PART_INDEX['lid'])
    assert np.all(part.labels[centres[:, 1] == 0.5] == PART_INDEX['body'])


def test_a_painted_band_has_straight_borders():
    heights = np.linspace(0, 1, 11)
    part = revolve(np.stack([np.ones(11), heights], axis=1), 'body')
    painted = paint_band(part, 0.3, 0.6)
    label = painted.vertices[painted.faces[painted.labels == PART_INDEX['label']]]
    assert label[..., 1].min() == pytest.approx(0.3)
    assert label[..., 1].max() == pytest.approx(0.6)
    assert len(label) == 2 * 48 * 3


def test_joined_parts_keep_their_faces_apart():
    one = rounded_box((1, 1, 1), 0, 0.1, 'body')
    both = join([one, one.moved((3, 0, 0)).painted(np.ones(len(one.faces), bool), 'lid')])
    assert both.faces[len(one.faces) :].min() == len(one.vertices)
    assert set(both.labels) == {PART_INDEX['body'], PART_INDEX['lid']}


def test_a_loft_of_reversed_rings_is_the_same_solid():
    rings = np.stack([
        np.stack([circle(12)[:, 0], np.full(12, y), circle(12)[:, 1]], 1) for y in (0.0, 1.0)
    ])
    volumes = [
        signed_volume(part.vertices, part.faces)
        for part in (loft(rings, 'body'), loft(rings[::-1], 'body'), loft(rings[:, ::-1], 'body'))
    ]
    assert volumes[0] > 0
    np.testing.assert_allclose(volumes, volumes[0])


def test_a_closed_ring_of_rings_faces_outward_whatever_its_sense():
    angle = np.linspace(0, 2 * np.pi, 30, endpoint=False)
    section = 0.2 * circle(12) + (1, 0)
    rings = np.stack([
        np.stack([section[:, 0] * np.cos(a), section[:, 1], section[:, 0] * np.sin(a)], 1)
        for a in angle
    ])
    for part in (torus(rings, 'rim'), torus(rings[::-1], 'rim')):
        assert signed_volume(part.vertices, part.faces) > 0


@settings(deadline=None, max_examples=30)
@given(st.floats(1.0, 8.0), st.floats(0.3, 1.0))
def test_superellipses_stay_within_their_box(exponent, aspect):
    outline = superellipse(48, exponent, aspect)
    assert len(outline) == 48
    assert np.abs(outline[:, 0]).max() <= 1 + 1e-9
    assert np.abs(outline[:, 1]).max() <= aspect + 1e-9


def test_resampling_spreads_points_evenly():
    curve = resample(np.array([(0.0, 0), (1, 0), (1, 3)]), 9)
    np.testing.assert_allclose(np.diff(arc_lengths(curve)), 0.5)


def test_a_bezier_curve_starts_and_ends_at_its_controls():
    curve = bezier([(0, 0), (1, 2), (3, 1)], 10)
    np.testing.assert_allclose(curve[[0, -1]], [(0, 0), (3, 1)])


def test_rounding_a_corner_keeps_the_rest_of_both_curves():
    joined = join_rounded(np.array([(0.0, 0), (1, 0)]), np.array([(1.0, 0), (1, 1)]), 0.2, 5)
    np.testing.assert_allclose(joined[[0, -1]], [(0, 0), (1, 1)])
    assert np.all(np.linalg.norm(joined - (1, 0), axis=1) > 0.07)


def test_a_tall_cylinder_rests_on_its_ends_and_its_side():
    part = revolve([(0.03, 0), (0.03, 0.2)], 'body')
    rotations = resting_rotations(
        part.vertices, part.faces, [(0, 1, 0), (1, 0, 0), (0, 0, -1)]
    )
    heights = [(rotation @ (0, 1, 0))[2] for rotation in rotations]
    np.testing.assert_allclose(heights, [1, -1, 0, 0], atol=0.05)


def test_a_cone_does_not_rest_on_its_tip():
    part = revolve([(0.05, 0), (0.0, 0.2)], 'body')
    stable = stable_directions(part.vertices, np.array([0, 0.06, 0]))
    assert stable[:, 1].max() < 0.5
    assert stable[:, 1].min() < -0.99
