"""CAD models are fitted to the depth of what can be seen of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip('small_gicp', reason='the fit to depth is optional')
pytest.importorskip('open3d', reason='objects are drawn with Open3D, which is optional')

from pose_estimation_ros.backends.depth_refinement import ModelSurface, refined
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose
from pose_estimation_ros.core.pose_covariance import at_other_point, sight_covariance
from pose_estimation_ros.core.rotation import (
    angle_between,
    axis_angle_to_matrix,
    random_rotation,
)
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Y_AXIS_SYMMETRY, Symmetry
from pose_estimation_ros.rendering.mesh import Mesh, concatenate
from pose_estimation_ros.rendering.open3d_renderer import Open3DRayCaster
from pose_estimation_ros.rendering.primitives import box
from pose_estimation_ros.rendering.renderer import camera_rays

CAMERA = CameraIntrinsics.pinhole(320, 240, 280.0, 280.0, 158.0, 121.0)


def bracket() -> Mesh:
    """Return something with three different arms, which fits itself in one way only."""
    arms = [(0.02, 0.02, 0.16), (0.12, 0.02, 0.03), (0.03, 0.08, 0.02)]
    shifts = [(0.0, 0.0, 0.0), (0.05, 0.0, 0.06), (0.0, 0.04, -0.05)]
    return concatenate([Mesh(box(arm).vertices + np.float32(shift), box(arm).faces)
                        for arm, shift in zip(arms, shifts, strict=True)])


def depth_of(mesh: Mesh, T: np.ndarray) -> np.ndarray:
    """Return the (H, W) depth of a mesh alone, with a millimetre of noise."""
    hits = Open3DRayCaster([mesh]).cast(camera_rays(CAMERA, np.linalg.inv(T)))
    noise = np.random.default_rng(0).normal(0, 0.001, hits.distance.shape)
    return np.where(hits.mesh >= 0, hits.distance + noise, np.nan).astype(np.float32)


def pose_at(T: np.ndarray, mask: np.ndarray, symmetry: Symmetry = NO_SYMMETRY) -> ObjectPose:
    rows, columns = np.nonzero(mask)
    edges = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float)
    return ObjectPose(label='bracket', score=0.8, T_camera_object=T, size=np.full(3, 0.2),
                      symmetry=symmetry, source='disp6d',
                      detection=Detection('bracket', 0.8, edges, mask))


def grown(mask: np.ndarray) -> np.ndarray:
    """Return a mask that is one pixel too large all around."""
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)


def box_of(mask: np.ndarray) -> np.ndarray:
    """Return the mask of a whole box."""
    rows, columns = np.nonzero(mask)
    filled = np.zeros_like(mask)
    filled[rows.min():rows.max() + 1, columns.min():columns.max() + 1] = True
    return filled


def before_a_wall(shown: np.ndarray) -> RGBDFrame:
    """Return a black object without depth, and a grey wall at 0.75 m."""
    depth = np.random.default_rng(1).normal(0.75, 0.001, shown.shape).astype(np.float32)
    depth[shown] = np.nan
    rgb = np.where(shown[..., None], 20, 140).astype(np.uint8).repeat(3, axis=2)
    return RGBDFrame(0, 'camera', rgb, depth, CAMERA)


def errors(pose: ObjectPose, T: np.ndarray) -> tuple[float, float]:
    """Return metres and radians."""
    return (float(np.linalg.norm(pose.T_camera_object[:3, 3] - T[:3, 3])),
            float(angle_between(pose.T_camera_object[:3, :3], T[:3, :3])))


@pytest.mark.parametrize('shown', [1.0, 0.55])
def test_a_pose_that_is_a_little_off_is_put_right_also_where_much_is_hidden(shown: float) -> None:
    mesh = bracket()
    surface = ModelSurface.of(mesh)
    generator = np.random.default_rng(1)
    found = []
    for _ in range(8):
        T = make_transform(random_rotation(generator), np.array([0.03, -0.02, 0.6]))
        depth = depth_of(mesh, T)
        mask = np.isfinite(depth)
        mask &= np.arange(mask.shape[1]) <= np.quantile(np.nonzero(mask)[1], shown)
        off = T.copy()
        turn = axis_angle_to_matrix(np.radians(8) * np.array([0.6, -0.64, 0.48]))
        off[:3, :3] = turn @ T[:3, :3]
        off[:3, 3] *= 1.08
        frame = RGBDFrame(0, 'camera', np.zeros((240, 320, 3), np.uint8), depth, CAMERA)
        found.append(errors(refined(pose_at(off, mask), surface, frame), T))
    shift, turn = np.array(found).T
    # Views along an arm tell less. All began 49 mm and 8 degrees off.
    assert np.median(shift) < 0.004 and shift.max() < 0.03
    assert np.median(turn) < np.radians(2.5)


def test_a_box_with_a_wall_and_something_that_hides_the_object_will_do() -> None:
    """A box holds the wall behind the object and something that hides its left third."""
    mesh = bracket()
    surface = ModelSurface.of(mesh)
    generator = np.random.default_rng(3)
    found = []
    for _ in range(8):
        T = make_transform(random_rotation(generator), np.array([0.03, -0.02, 0.6]))
        depth = depth_of(mesh, T)
        rows, columns = np.nonzero(np.isfinite(depth))
        depth[np.isnan(depth)] = 0.8
        depth[:, columns.min():int(np.quantile(columns, 0.33))] = 0.4
        mask = np.zeros(depth.shape, bool)
        mask[rows.min():rows.max() + 1, columns.min():columns.max() + 1] = True
        off = T.copy()
        off[:3, :3] = axis_angle_to_matrix(np.radians([4.8, -5.1, 3.8])) @ T[:3, :3]
        off[:3, 3] *= 1.05
        colors = np.array([(200, 40, 30), (30, 40, 200), (120, 110, 100)], np.uint8)
        rgb = colors[np.where(depth == np.float32(0.8), 2, depth == np.float32(0.4))]
        frame = RGBDFrame(0, 'camera', rgb, depth, CAMERA)
        found.append(errors(refined(pose_at(off, mask), surface, frame), T))
    shift, turn = np.array(found).T
    assert np.median(shift) < 0.005
    assert np.median(turn) < np.radians(2.5)


@pytest.mark.parametrize('hidden', [0.4, 0.6, 0.7])
@pytest.mark.parametrize(('nearer', 'limit'), [(0.2, 0.02), (0.3, 0.02), (0.4, 0.02),
                                               (0.5, 0.05)])
def test_what_hides_most_of_a_box_does_not_pull_a_right_pose_to_itself(
        nearer: float, limit: float, hidden: float) -> None:
    """What is as near to the object as its own parts are to each other may be taken for it."""
    mesh = bracket()
    surface = ModelSurface.of(mesh)
    for seed in range(4):
        T = make_transform(random_rotation(np.random.default_rng(seed)), np.array([0, 0, 0.6]))
        depth = depth_of(mesh, T)
        rows, columns = np.nonzero(np.isfinite(depth))
        mask = np.zeros(depth.shape, bool)
        mask[rows.min():rows.max() + 1, columns.min():columns.max() + 1] = True
        depth[:, :int(np.quantile(columns, hidden))] = nearer
        frame = RGBDFrame(0, 'camera', np.zeros((240, 320, 3), np.uint8), depth, CAMERA)
        assert errors(refined(pose_at(T, mask), surface, frame), T)[0] < limit


def test_points_that_cannot_be_compared_are_no_evidence() -> None:
    """All that is seen lies far before the object: nothing tells that a pose is right or wrong."""
    mesh = bracket()
    surface = ModelSurface.of(mesh)
    T = make_transform(np.eye(3), np.array([0.0, 0.0, 0.6]))
    grid = np.stack(np.meshgrid(np.linspace(-0.05, 0.05, 20), np.linspace(-0.05, 0.05, 20)), -1)
    before = np.concatenate([grid.reshape(-1, 2), np.full((400, 1), 0.3)], axis=1)
    assert np.isnan(surface.agreement(T, before))
    assert surface.agreement(T, surface.facing(T)) > 0.9


def test_an_object_of_which_only_the_distance_is_found_says_how_sure_that_is() -> None:
    mesh = bracket()
    surface = ModelSurface.of(mesh)
    T = make_transform(axis_angle_to_matrix([0.0, 0.4, 0.0]), np.array([0.06, 0.0, 0.7]))
    depth = depth_of(mesh, T)
    wrong = T.copy()
    wrong[:3, :3] = axis_angle_to_matrix([0.0, 2.0, 0.0]) @ T[:3, :3]
    wrong[:3, 3] *= 1.4
    far = replace(pose_at(wrong, np.isfinite(depth)),
                  covariance=sight_covariance(wrong[:3, 3], 0.3, 0.01, 0.05))
    frame = RGBDFrame(0, 'camera', np.zeros((240, 320, 3), np.uint8), depth, CAMERA)
    pose = refined(far, surface, frame)
    np.testing.assert_array_equal(pose.T_camera_object[:3, :3], wrong[:3, :3])
    assert pose.covariance is not None
    sight = pose.T_camera_object[:3, 3] / np.linalg.norm(pose.T_camera_object[:3, 3])
    along = (sight @ pose.covariance[:3, :3] @ sight) ** 0.5
    assert 0.01 < along < 0.05
    assert errors(pose, T)[0] < 3 * along
    np.testing.assert_allclose(pose.covariance[3:, 3:], far.covariance[3:, 3:])


def test_no_pose_gets_behind_the_camera() -> None:
    """The surface of this part is a quarter of a metre behind its file's origin."""
    mesh = bracket()
    mesh = Mesh(mesh.vertices + np.float32([0, 0, 0.25]), mesh.faces)
    T = make_transform(np.eye(3), np.array([0.0, 0.0, 0.4]))
    depth = depth_of(mesh, T)
    mask = np.isfinite(depth)
    for nearer in (0.05, 0.15, 0.2):
        hidden = np.where(mask, nearer, np.nan).astype(np.float32)
        frame = RGBDFrame(0, 'camera', np.zeros((240, 320, 3), np.uint8), hidden, CAMERA)
        assert refined(pose_at(T, mask), ModelSurface.of(mesh), frame).T_camera_object[2, 3] > 0


def test_a_pose_that_is_far_off_keeps_its_rotation_and_gets_the_distance() -> None:
    mesh = bracket()
    T = make_transform(random_rotation(np.random.default_rng(2)), np.array([0.0, 0.0, 0.7]))
    depth = depth_of(mesh, T)
    far = T.copy()
    far[:3, :3] = axis_angle_to_matrix([0.0, 2.0, 0.0]) @ T[:3, :3]
    far[2, 3] = 1.0
    frame = RGBDFrame(0, 'camera', np.zeros((240, 320, 3), np.uint8), depth, CAMERA)
    pose = refined(pose_at(far, np.isfinite(depth)), ModelSurface.of(mesh), frame)
    if errors(pose, far)[1] > 1e-6:
        assert errors(pose, far)[1] < np.radians(30)
    assert abs(pose.T_camera_object[2, 3] - 0.7) < 0.08


def test_a_turn_about_an_axis_of_symmetry_stays_unknown() -> None:
    mesh = bracket()
    T = make_transform(np.eye(3), np.array([0.0, 0.0, 0.6]))
    depth = depth_of(mesh, T)
    frame = RGBDFrame(0, 'camera', np.zeros((240, 320, 3), np.uint8), depth, CAMERA)
    pose = refined(pose_at(T, np.isfinite(depth), Y_AXIS_SYMMETRY), ModelSurface.of(mesh), frame)
    assert pose.covariance is not None
    about = np.diag(pose.covariance)[3:]
    assert about[1] > 1.0 and max(about[0], about[2]) < np.radians(5) ** 2


def test_without_depth_nothing_changes() -> None:
    mesh = bracket()
    pose = pose_at(make_transform(np.eye(3), np.array([0.0, 0.0, 0.6])),
                   np.ones((240, 320), bool))
    for depth in (None, np.full((240, 320), np.nan, np.float32)):
        frame = RGBDFrame(0, 'camera', np.zeros((240, 320, 3), np.uint8), depth, CAMERA)
        assert refined(pose, ModelSurface.of(mesh), frame) is pose


def placed_brackets() -> Iterator[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """Yield poses of a bracket and the pixels that show it."""
    for seed in range(8):
        T = make_transform(random_rotation(np.random.default_rng(seed)),
                           np.array([0.03, -0.02, 0.6]))
        yield T, np.isfinite(depth_of(bracket(), T))


@pytest.mark.parametrize('region', ['mask', 'box'])
@pytest.mark.parametrize('off', [0.0, 0.05, -0.05])
def test_an_object_without_depth_is_not_moved_to_the_wall_behind_it(
        off: float, region: str) -> None:
    """It is black: the rim of a mask that is too large, or a box's corners, have depth alone."""
    surface = ModelSurface.of(bracket())
    for T, shown in placed_brackets():
        frame = before_a_wall(shown)
        start = T.copy()
        start[2, 3] += off
        pose = pose_at(start, grown(shown) if region == 'mask' else box_of(shown))
        assert refined(pose, surface, frame) is pose


def test_a_mask_without_depth_tells_also_where_a_pose_beside_it_has_depth() -> None:
    surface = ModelSurface.of(bracket())
    for T, shown in placed_brackets():
        beside = T.copy()
        beside[0, 3] += 0.06
        pose = pose_at(beside, grown(shown))
        assert refined(pose, surface, before_a_wall(shown)) is pose


def test_an_object_with_holes_in_its_depth_is_still_fitted() -> None:
    mesh = bracket()
    T = make_transform(random_rotation(np.random.default_rng(1)), np.array([0.03, -0.02, 0.6]))
    depth = depth_of(mesh, T)
    mask = np.isfinite(depth)
    depth[np.random.default_rng(0).random(depth.shape) < 0.4] = np.nan
    off = T.copy()
    off[:3, 3] *= 1.08
    frame = RGBDFrame(0, 'camera', np.zeros((240, 320, 3), np.uint8), depth, CAMERA)
    assert errors(refined(pose_at(off, mask), ModelSurface.of(mesh), frame), T)[0] < 0.01


def test_a_file_that_is_inside_out_makes_no_difference() -> None:
    mesh = bracket()
    inside_out = ModelSurface.of(Mesh(mesh.vertices, mesh.faces[:, ::-1]))
    for seed in range(4):
        T = make_transform(random_rotation(np.random.default_rng(seed)),
                           np.array([0.03, -0.02, 0.6]))
        depth = depth_of(mesh, T)
        off = T.copy()
        off[:3, 3] *= 1.08
        frame = RGBDFrame(0, 'camera', np.zeros((240, 320, 3), np.uint8), depth, CAMERA)
        pose = refined(pose_at(off, np.isfinite(depth)), inside_out, frame)
        assert errors(pose, T)[0] < 0.01


@pytest.mark.parametrize('shown', [1.0, 0.1])
def test_where_the_file_has_its_origin_makes_no_difference(shown: float) -> None:
    mesh = bracket()
    shift = np.array([0.2, -0.3, 0.1])
    elsewhere = Mesh(mesh.vertices + shift.astype(np.float32), mesh.faces)
    T_file_origin = make_transform(np.eye(3), shift)
    generator = np.random.default_rng(4)
    for _ in range(4):
        T = make_transform(random_rotation(generator), np.array([0.03, -0.02, 0.6]))
        depth = depth_of(mesh, T)
        mask = np.isfinite(depth)
        mask &= np.arange(mask.shape[1]) <= np.quantile(np.nonzero(mask)[1], shown)
        off = T.copy()
        off[:3, :3] = axis_angle_to_matrix(np.radians([4.8, -5.1, 3.8])) @ T[:3, :3]
        off[:3, 3] *= 1.08
        covariance = sight_covariance(off[:3, 3], 0.03, 0.005, 0.05)
        frame = RGBDFrame(0, 'camera', np.zeros((240, 320, 3), np.uint8), depth, CAMERA)
        usual = refined(replace(pose_at(off, mask), covariance=covariance),
                        ModelSurface.of(mesh), frame)
        far_off = off @ np.linalg.inv(T_file_origin)
        far = refined(replace(pose_at(far_off, mask), covariance=at_other_point(
            covariance, far_off[:3, 3] - off[:3, 3])), ModelSurface.of(elsewhere), frame)
        np.testing.assert_allclose(far.T_camera_object @ T_file_origin, usual.T_camera_object,
                                   atol=2e-3)
        assert usual.covariance is not None and far.covariance is not None
        assert np.linalg.eigvalsh(far.covariance).min() > 0
        # One lever away, where it is not turned.
        back = at_other_point(far.covariance, far.T_camera_object[:3, :3] @ shift)
        np.testing.assert_allclose(np.diag(back), np.diag(usual.covariance), rtol=0.05)
