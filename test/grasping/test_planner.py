"""Grasps on the true shapes of generated objects, told as a perfect estimate would."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / 'core'))

from grasp_objects import LARGE, UP, UPRIGHT, estimate_of, true_object
from strategies import poses

from pose_estimation_ros.core.boxes import box_corners
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import inverse, is_rigid, make_transform, transform_points
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Symmetry
from pose_estimation_ros.evaluation.grasp_trial import try_grasp
from pose_estimation_ros.grasping import (
    KINDS,
    GraspLimits,
    GraspPlanner,
    GraspPlannerOptions,
    Gripper,
    Surroundings,
)

CATEGORIES = ('bottle', 'bowl', 'camera', 'can', 'laptop', 'mug')
SEEDS = (19, 29, 39)
LIMITS = GraspLimits()


def plan(pose, gripper=LARGE, up=UP, limits=LIMITS, robot=(0.0, 0.0, 0.0)):
    planner = GraspPlanner(GraspPlannerOptions(gripper, limits))
    (found,) = planner.plan([pose], Surroundings(up, np.array(robot)))
    return found


@pytest.mark.parametrize('category', CATEGORIES)
def test_grasps_of_every_category_hold_the_true_object(category):
    held = []
    for seed in SEEDS:
        pose = estimate_of(category, seed)
        _, surface = true_object(category, seed)
        for grasp in plan(pose).grasps:
            trial = try_grasp(inverse(pose.T_camera_object) @ grasp.T_camera_grasp,
                              grasp.opening, surface, LARGE)
            held.append(trial.holds(LIMITS.friction))
    assert len(held) > 0
    assert np.mean(held) >= 0.6


@pytest.mark.parametrize('category', CATEGORIES)
@pytest.mark.parametrize('gripper', [Gripper(), LARGE])
def test_every_grasp_keeps_the_rules(category, gripper):
    for seed in SEEDS:
        pose = estimate_of(category, seed)
        to_object = inverse(pose.T_camera_object)
        low = (transform_points(UPRIGHT, pose.points) @ UP).min()
        found = plan(pose, gripper).grasps
        assert [grasp.score for grasp in found] == sorted(
            (grasp.score for grasp in found), reverse=True)
        for grasp in found:
            T = grasp.T_camera_grasp
            opening = grasp.opening
            assert is_rigid(T) and grasp.kind in KINDS and 0 <= grasp.score <= 1
            # The fingers open wide enough for the object, and the gripper opens that wide.
            assert 0 < grasp.width + 2 * LIMITS.clearance <= opening + 1e-9
            assert opening <= gripper.opening + 1e-9
            # Not from below the table, and no part of the open gripper in it.
            assert T[:3, 2] @ UP <= np.sin(LIMITS.max_tilt - np.pi / 2) + 1e-9
            centres, halves = gripper.boxes(opening)
            for centre, half in zip(centres, halves, strict=True):
                corners = box_corners(T @ make_transform(np.eye(3), centre), 2 * half)
                assert (corners @ UP).min() >= low + LIMITS.clearance - 1e-9
                # Nothing of the object within a finger or the palm.
                points = transform_points(inverse(T), transform_points(
                    pose.T_camera_object, pose.points))
                assert not (np.abs(points - centre) < half).all(axis=1).any()
            if grasp.kind in {'top', 'side'} and category in {'bottle', 'can'}:
                # Beside a convex body the fingers stay out of its box, or touch it in the corner.
                across = np.abs(to_object[:3, :3] @ T[:3, 1])
                assert opening / 2 >= 0.4 * (across * pose.size).max() or grasp.kind == 'top'


def test_pregrasp_and_retreat_lie_back_along_the_approach_and_straight_up():
    for grasp in plan(estimate_of('mug', 19)).grasps:
        back = inverse(grasp.T_camera_grasp) @ grasp.T_camera_pregrasp
        np.testing.assert_allclose(back, make_transform(
            np.eye(3), [0, 0, -LIMITS.pregrasp_distance]), atol=1e-9)
        np.testing.assert_allclose(grasp.T_camera_retreat[:3, 3] - grasp.T_camera_grasp[:3, 3],
                                   LIMITS.retreat_distance * UP, atol=1e-9)


@settings(deadline=None, max_examples=15)
@given(poses())
def test_grasps_move_with_object_up_and_robot(moved):
    pose = estimate_of('mug', 29)
    other = replace(pose, T_camera_object=moved @ pose.T_camera_object)
    here = plan(pose).grasps
    there = plan(other, up=moved[:3, :3] @ UP, robot=moved[:3, 3]).grasps
    assert [grasp.kind for grasp in here] == [grasp.kind for grasp in there]
    for a, b in zip(here, there, strict=True):
        np.testing.assert_allclose(moved @ a.T_camera_grasp, b.T_camera_grasp, atol=1e-6)
        assert a.width == pytest.approx(b.width, abs=1e-6)


def test_a_standing_can_is_held_from_all_around_and_a_lying_one_from_above():
    can = estimate_of('can', 29)
    around = [grasp.T_camera_grasp[:3, 2] for grasp in plan(
        can, limits=replace(LIMITS, max_grasps=64)).grasps if grasp.kind == 'side']
    level = np.array([(axis @ UPRIGHT[:3, 0], axis @ UPRIGHT[:3, 2]) for axis in around])
    angles = np.sort(np.arctan2(level[:, 1], level[:, 0]))
    gaps = np.diff(np.concatenate([angles, angles[:1] + 2 * np.pi]))
    assert gaps.max() < np.radians(30.0)

    lying = replace(can, T_camera_object=UPRIGHT @ make_transform(
        axis_rotation((1, 0, 0), np.pi / 2), np.zeros(3)))
    kinds = {grasp.kind for grasp in plan(lying).grasps}
    assert 'top' in kinds


def test_a_robot_that_reaches_forward_only_gets_no_grasps_from_behind():
    can = estimate_of('can', 29)
    away = can.T_camera_object[:3, 3] - (can.T_camera_object[:3, 3] @ UP) * UP
    found = plan(can, limits=replace(LIMITS, max_turn=np.radians(60.0)))
    sideways = [g.T_camera_grasp[:3, 2] for g in found.grasps if g.kind == 'side']
    assert sideways
    for approach in sideways:
        assert approach @ away / np.linalg.norm(away) >= 0.49
    assert found.refused['the gripper would come from behind'] > 0


def test_of_the_gripper_turned_by_half_a_turn_the_upper_one_is_given():
    for grasp in plan(estimate_of('can', 29)).grasps:
        if grasp.kind == 'side':
            assert grasp.T_camera_grasp[:3, 0] @ UP > 0.9


def test_what_is_too_large_is_refused_with_the_reason():
    pose = ObjectPose('crate', 0.9, UPRIGHT, np.array([0.4, 0.3, 0.5]), NO_SYMMETRY, 'test')
    found = plan(pose)
    assert found.grasps == ()
    assert found.refused['wider than the gripper opens'] > 0


def test_an_object_of_no_known_category_and_without_shape_is_held_by_its_box():
    pose = ObjectPose('brick', 0.9, UPRIGHT, np.array([0.2, 0.1, 0.05]), NO_SYMMETRY, 'test')
    found = plan(pose, Gripper()).grasps
    assert found[0].kind == 'top'
    for grasp in found:
        assert grasp.width == pytest.approx(0.05, abs=1e-6)
        assert abs(grasp.T_camera_grasp[:3, 1] @ UPRIGHT[:3, 2]) == pytest.approx(1.0)


def test_the_mesh_of_a_known_object_is_taken_as_it_is():
    model, _ = true_object('camera', 29)
    pose = replace(estimate_of('camera', 29), points=model.mesh.vertices, faces=model.mesh.faces)
    assert plan(pose).grasps


def test_taught_grasps_take_the_place_of_found_ones_with_all_that_symmetry_makes_equal(
        tmp_path):
    half_turn = tuple(np.diag([-1.0, -1.0, 1.0]).reshape(-1))
    pose = ObjectPose('drill', 0.9, UPRIGHT, np.array([0.2, 0.1, 0.05]),
                      Symmetry(discrete=(half_turn,)), 'test')
    file = tmp_path / 'grasps.yaml'
    file.write_text('drill:\n'
                    '- position: [0.0, 0.02, 0.0]\n'
                    '  orientation: [0.0, 0.0, 0.70711, 0.70711]\n'
                    '  width: 0.03\n'
                    '  score: 0.8\n')
    planner = GraspPlanner(GraspPlannerOptions(LARGE, LIMITS, str(file)))
    (found,) = planner.plan([pose], Surroundings(UPRIGHT[:3, :3] @ [0.0, 0.0, -1.0]))
    placed = [inverse(UPRIGHT) @ grasp.T_camera_grasp for grasp in found.grasps]
    assert len(placed) == 2
    assert {grasp.kind for grasp in found.grasps} == {'given'}
    positions = sorted(tuple(np.round(entry[:3, 3], 6)) for entry in placed)
    assert positions == [(0.0, -0.02, 0.0), (0.0, 0.02, 0.0)]


def test_a_taught_grasp_that_is_wider_than_the_gripper_opens_is_refused(tmp_path):
    pose = ObjectPose('drill', 0.9, UPRIGHT, np.array([0.2, 0.1, 0.05]), NO_SYMMETRY, 'test')
    file = tmp_path / 'grasps.yaml'
    file.write_text('drill:\n'
                    '- {position: [0, 0, 0], orientation: [0, 0, 0, 1], width: 0.5, score: 0.8}\n')
    planner = GraspPlanner(GraspPlannerOptions(LARGE, LIMITS, str(file)))
    (found,) = planner.plan([pose], Surroundings(UPRIGHT[:3, :3] @ [0.0, 0.0, -1.0]))
    assert found.grasps == ()
    assert found.refused['wider than the gripper opens'] == 1


@pytest.mark.parametrize('height', [0.01, 0.02, 0.04])
def test_a_box_lower_than_the_fingers_are_long_is_grasped_from_above_off_the_table(height):
    box = ObjectPose('box', 0.9, UPRIGHT, np.array([0.05, height, 0.12]), NO_SYMMETRY, 'test')
    found = plan(box, Gripper())
    assert 'top' in {grasp.kind for grasp in found.grasps}
    table = UPRIGHT[:3, 3] @ UP - 0.5 * height
    for grasp in found.grasps:
        assert grasp.T_camera_grasp[:3, 3] @ UP >= table + LIMITS.clearance


@pytest.mark.parametrize('category', ['bottle', 'can', 'mug'])
def test_the_gripper_is_above_the_table_before_it_advances(category):
    pose = estimate_of(category, SEEDS[0])
    found = plan(pose)
    table = (transform_points(pose.T_camera_object, pose.points) @ UP).min()
    assert found.grasps
    for grasp in found.grasps:
        centres, halves = LARGE.boxes(grasp.opening)
        R, t = grasp.T_camera_pregrasp[:3, :3], grasp.T_camera_pregrasp[:3, 3]
        low = t @ UP + centres @ (UP @ R) - halves @ np.abs(UP @ R)
        assert low.min() >= table - 1e-6


@pytest.mark.parametrize('height', [0.02, 0.04, 0.1])
def test_where_the_origin_of_a_cad_model_lies_changes_no_grasp(height):
    half = np.array([0.03, 0.03, 0.5 * height])
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    faces = np.array([[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
                      [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]])
    standing = UPRIGHT[:3, :3] @ axis_rotation((1, 0, 0), -0.5 * np.pi)

    def grasps(origin):
        vertices = half * signs - origin
        T = make_transform(standing, np.array([0.0, 0.1, 0.7]) + standing @ origin)
        pose = ObjectPose('part', 1.0, T, 2 * np.abs(vertices).max(axis=0), NO_SYMMETRY, 'mrc',
                          points=vertices, faces=faces)
        return plan(pose).grasps

    centred, based, cornered = (grasps(half * place)
                                for place in ([0, 0, 0], [0, 0, -1], [-1, -1, -1]))
    assert centred
    for others in (based, cornered):
        assert {grasp.kind for grasp in others} == {grasp.kind for grasp in centred}
        assert len(others) == pytest.approx(len(centred), abs=2)
        # Of equally good ones, any may come first.
        assert others[0].score == pytest.approx(centred[0].score, abs=0.05)
        held = others[0].T_camera_grasp[:3, 3] - np.array([0.0, 0.1, 0.7])
        assert np.all(np.abs(standing.T @ held) <= half + 1e-9)
