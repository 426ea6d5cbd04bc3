"""DISP6D from frames to poses, with networks small enough to check by hand."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))
pytest.importorskip('onnx', reason='models are written with onnx, which a node does not need')
pytest.importorskip('open3d', reason='objects are drawn with Open3D, which is optional')

from disp6d_models import (
    FARTHEST,
    RADIUS,
    TURNED,
    make_category_model,
    make_view_model,
)
from disp6d_objects import MIDDLE, depth_of_box, known_box, picture_of_box

from pose_estimation_ros.backends.base import BackendOptions, PoseBackend, TakesObjects
from pose_estimation_ros.backends.disp6d import DISP6DBackend
from pose_estimation_ros.backends.disp6d_model import ViewEncoder
from pose_estimation_ros.backends.disp6d_object_file import object_path, write_object
from pose_estimation_ros.backends.disp6d_objects import ObjectFolder
from pose_estimation_ros.backends.disp6d_options import DISP6DOptions
from pose_estimation_ros.backends.disp6d_translation import turned_to_ray
from pose_estimation_ros.backends.registry import create_backend
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import ConfigurationError, ModelError
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.object_pose import ObjectPose, Rejection
from pose_estimation_ros.core.rotation import angle_between, random_rotation
from pose_estimation_ros.core.se3 import make_transform, transform_points
from pose_estimation_ros.runtime import Model, ModelStore

CAMERA = CameraIntrinsics.pinhole(320, 240, 280.0, 280.0, 158.0, 121.0)
EMPTY = np.zeros((240, 320, 3), np.uint8)


@pytest.fixture(scope='module')
def view_model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return ModelStore().find(make_view_model(tmp_path_factory.mktemp('models') / 'views'))


@pytest.fixture(scope='module')
def objects(view_model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('objects')
    write_object(known_box(view_model), folder)
    return folder


@pytest.fixture(scope='module')
def category_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_category_model(tmp_path_factory.mktemp('models') / 'shapes', ('mug', 'can'))


def make_backend(model: Path, objects: Path, alignment: str = 'surfaces',
                 refinement: str = 'none', stance: str = 'any') -> PoseBackend:
    return create_backend('disp6d', BackendOptions(
        str(model), 'cpu', 1, disp6d=DISP6DOptions(str(objects), alignment, '', refinement,
                                                   stance)))


def frame_of(rgb: np.ndarray, depth: np.ndarray | None = None) -> RGBDFrame:
    return RGBDFrame(0, 'camera', rgb, depth, CAMERA)


def detection_of(mask: np.ndarray, label: str = 'block', score: float = 0.8) -> Detection:
    rows, columns = np.nonzero(mask)
    return Detection(label, score, np.array(
        [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float), mask)


class TestKnownObjects:
    def test_poses_come_from_colour_alone_wherever_the_object_is(
            self, view_model: Model, objects: Path) -> None:
        backend = make_backend(view_model.folder, objects)
        assert backend.needs == {'detections'}
        assert backend.categories == ('block',)
        generator = np.random.default_rng(3)
        for _ in range(6):
            middle = generator.uniform([-0.15, -0.1, 0.45], [0.15, 0.1, 0.6])
            R = random_rotation(generator)
            T = make_transform(R, middle - R @ MIDDLE)
            rgb, mask = picture_of_box(T, CAMERA)
            (pose,) = backend.estimate(frame_of(rgb), [detection_of(mask)])
            assert isinstance(pose, ObjectPose)
            assert pose.label == 'block'
            assert angle_between(pose.T_camera_object[:3, :3], R) < FARTHEST + np.radians(4)
            found = transform_points(pose.T_camera_object, MIDDLE[None])[0]
            assert abs(found[2] / middle[2] - 1) < 0.06
            np.testing.assert_allclose(found[:2] / found[2], middle[:2] / middle[2], atol=0.01)
            assert 0.7 < pose.score <= 0.8
            np.testing.assert_allclose(pose.size, 2 * (np.array([0.05, 0.035, 0.025])
                                                       + np.abs(MIDDLE)), rtol=1e-4)

    def test_with_depth_the_cad_model_is_fitted_to_it(self, view_model: Model, objects: Path
                                                      ) -> None:
        pytest.importorskip('small_gicp', reason='the fit to depth is optional')
        backend = make_backend(view_model.folder, objects, refinement='auto')
        assert backend.needs == {'detections', 'depth_if_any'}
        generator = np.random.default_rng(5)
        for _ in range(3):
            R = random_rotation(generator)
            T = make_transform(R, generator.uniform([-0.1, -0.1, 0.45], [0.1, 0.1, 0.6]))
            rgb, mask = picture_of_box(T, CAMERA)
            depth = depth_of_box(T, CAMERA)
            (rough,) = backend.estimate(frame_of(rgb), [detection_of(mask)])
            (fine,) = backend.estimate(frame_of(rgb, depth), [detection_of(mask)])
            assert np.linalg.norm(fine.T_camera_object[:3, 3] - T[:3, 3]) < 0.004
            assert angle_between(fine.T_camera_object[:3, :3], R) < np.radians(3)
            assert np.trace(fine.covariance[:3, :3]) < np.trace(rough.covariance[:3, :3])

    def test_a_box_without_mask_gets_one_where_depth_arrives(
            self, view_model: Model, objects: Path) -> None:
        pytest.importorskip('small_gicp', reason='the fit to depth is optional')
        backend = make_backend(view_model.folder, objects, refinement='auto')
        T = make_transform(random_rotation(np.random.default_rng(6)), np.array([0.03, 0, 0.5]))
        rgb, mask = picture_of_box(T, CAMERA)
        depth = depth_of_box(T, CAMERA)
        # A wall in the colours of the object: to its encoder all of the box looks alike.
        rgb = np.where(mask[..., None], rgb, rgb[mask].mean(axis=0)).astype(np.uint8)
        frame = frame_of(rgb, np.where(mask, depth, 0.9).astype(np.float32))
        box = detection_of(mask).box.astype(int)
        whole = np.zeros_like(mask)
        whole[box[1]:box[3], box[0]:box[2]] = True
        (pose,) = backend.estimate(frame, [detection_of(whole)])
        assert np.linalg.norm(pose.T_camera_object[:3, 3] - T[:3, 3]) < 0.006
        assert angle_between(pose.T_camera_object[:3, :3], T[:3, :3]) < np.radians(4)
        assert pose.detection.mask.sum() == pytest.approx(mask.sum(), rel=0.1)

    def test_depth_of_something_else_moves_nothing_but_the_distance(
            self, view_model: Model, objects: Path) -> None:
        pytest.importorskip('small_gicp', reason='the fit to depth is optional')
        backend = make_backend(view_model.folder, objects, refinement='auto')
        T = make_transform(np.eye(3), np.array([0.02, 0.0, 0.5]))
        rgb, mask = picture_of_box(T, CAMERA)
        wall = np.where(mask, np.linspace(0.3, 0.9, mask.shape[1])[None], np.nan)
        (rough,) = backend.estimate(frame_of(rgb), [detection_of(mask)])
        (fine,) = backend.estimate(frame_of(rgb, wall.astype(np.float32)), [detection_of(mask)])
        np.testing.assert_array_equal(fine.T_camera_object[:3, :3], rough.T_camera_object[:3, :3])
        # Of the object's middle: its file's origin is elsewhere.
        middles = [pose.placed_box(pose.T_camera_object)[0][:3, 3] for pose in (rough, fine)]
        rays = [middle / np.linalg.norm(middle) for middle in middles]
        np.testing.assert_allclose(rays[0], rays[1], atol=1e-9)
        # Too few pixels of depth tell nothing.
        few = np.full(mask.shape, np.nan, np.float32)
        few[120, 155:165] = 0.5
        (same,) = backend.estimate(frame_of(rgb, few), [detection_of(mask)])
        np.testing.assert_array_equal(same.T_camera_object, rough.T_camera_object)

    def test_the_covariance_holds_how_far_poses_are_off(self, view_model: Model,
                                                        objects: Path) -> None:
        backend = make_backend(view_model.folder, objects)
        R = random_rotation(np.random.default_rng(0))
        T = make_transform(R, np.array([0.05, 0.0, 0.5]))
        rgb, mask = picture_of_box(T, CAMERA)
        (pose,) = backend.estimate(frame_of(rgb), [detection_of(mask)])
        deviation = np.sqrt(np.diag(pose.covariance))
        assert np.all(np.abs(pose.T_camera_object[:3, 3] - T[:3, 3]) < 4 * deviation[:3])
        assert deviation[2] > deviation[0]
        np.testing.assert_allclose(deviation[3:], np.radians(29.3 / 3 ** 0.5) * (
            72 / 3888) ** (1 / 3), rtol=1e-6)

    def test_of_objects_that_are_detected_as_one_the_most_similar_is_taken(
            self, view_model: Model, tmp_path: Path) -> None:
        right = known_box(view_model, 'colourful', detected_as=('cup', 'mug'))
        grey = known_box(view_model, 'grey', detected_as=('cup',))
        grey.codes.numbers[:] = 0
        for entry in (right, grey):
            write_object(entry, tmp_path)
        backend = make_backend(view_model.folder, tmp_path)
        assert backend.categories == ('cup', 'mug')
        rgb, mask = picture_of_box(make_transform(np.eye(3), np.array([0, 0, 0.5])), CAMERA)
        poses = backend.estimate(frame_of(rgb), [detection_of(mask, label)
                                                 for label in ('cup', 'mug')])
        assert [pose.label for pose in poses] == ['colourful', 'colourful']

    def test_what_cannot_be_estimated_is_told_in_the_order_of_the_detections(
            self, view_model: Model, objects: Path) -> None:
        backend = make_backend(view_model.folder, objects)
        rgb, mask = picture_of_box(make_transform(np.eye(3), np.array([0, 0, 0.5])), CAMERA)
        flat = Detection('block', 0.9, np.array([10.0, 10.0, 30.0, 10.5]), mask)
        answers = backend.estimate(frame_of(rgb), [detection_of(mask, 'spoon'),
                                                   detection_of(mask), flat])
        assert [type(answer) for answer in answers] == [Rejection, ObjectPose, Rejection]
        assert "does not know 'spoon'; it knows block" in answers[0].reason
        assert 'holds no whole pixel' in answers[2].reason
        assert backend.estimate(frame_of(rgb), []) == []


class TestChangingObjects:
    def test_an_object_is_found_from_the_next_look_on(self, view_model: Model, objects: Path,
                                                      tmp_path: Path) -> None:
        now = [100.0]
        encoder = ViewEncoder(view_model, 'cpu', 1)
        backend = DISP6DBackend(encoder, None, encoder, ObjectFolder(
            tmp_path, encoder.fingerprint, 'views'), clock=lambda: now[0])
        rgb, mask = picture_of_box(make_transform(np.eye(3), np.array([0, 0, 0.5])), CAMERA)
        frame, detections = frame_of(rgb), [detection_of(mask)]
        backend.look_for_objects()
        assert isinstance(backend.estimate(frame, detections)[0], Rejection)
        assert backend.describe()['objects'] == 'none'
        path = object_path(tmp_path, 'block')
        path.write_bytes(object_path(objects, 'block').read_bytes())
        # The folder is not looked at with every frame.
        backend.look_for_objects()
        assert isinstance(backend.estimate(frame, detections)[0], Rejection)
        now[0] += 1.0
        assert backend.categories == ()
        # Detections are selected by the labels before they are estimated.
        backend.look_for_objects()
        assert backend.categories == ('block',)
        assert isinstance(backend.estimate(frame, detections)[0], ObjectPose)
        assert backend.describe()['objects'] == 'block'
        path.unlink()
        now[0] += 1.0
        backend.look_for_objects()
        assert isinstance(backend.estimate(frame, detections)[0], Rejection)
        assert backend.categories == ()

    def test_the_folder_can_be_looked_at_at_once(self, view_model: Model, objects: Path,
                                                 tmp_path: Path) -> None:
        backend = make_backend(view_model.folder, tmp_path)
        assert isinstance(backend, TakesObjects)
        assert backend.reload_objects().names == ()
        object_path(tmp_path, 'block').write_bytes(object_path(objects, 'block').read_bytes())
        object_path(tmp_path, 'cup').write_bytes(b'half')
        found = backend.reload_objects()
        assert found.names == ('block',)
        assert len(found.refused) == 1
        assert 'cup.npz is not the whole file' in found.refused[0]
        assert 'cup.npz' in backend.describe()['refused cup']


class TestCategories:
    SCALE, MIDDLE = 0.2, np.array([0.06, -0.04, 0.7])

    def scene(self) -> tuple[RGBDFrame, Detection]:
        """Return a ball that is `SCALE` times as large as the decoded one."""
        rays = np.linalg.inv(CAMERA.K) @ np.stack([*np.meshgrid(
            np.arange(320), np.arange(240)), np.ones((240, 320))]).reshape(3, -1)
        square, along = (rays ** 2).sum(axis=0), self.MIDDLE @ rays
        root = along ** 2 - square * (self.MIDDLE @ self.MIDDLE - (self.SCALE * RADIUS) ** 2)
        mask = (root > 0).reshape(240, 320)
        depth = ((along - np.sqrt(np.maximum(root, 0))) / square).reshape(240, 320)
        return (frame_of(EMPTY, np.where(mask, depth, 1.5).astype(np.float32)),
                detection_of(mask, 'mug'))

    @pytest.mark.parametrize(('alignment', 'tolerance'), [
        ('surfaces', 0.08), ('icp', 0.07), ('boxes', 0.08)])
    def test_pose_and_size_follow_from_codes_and_depth(
            self, category_model: Path, tmp_path: Path, alignment: str, tolerance: float) -> None:
        backend = make_backend(category_model, tmp_path, alignment)
        assert backend.needs == {'detections', 'depth_if_any'}
        assert backend.categories == ('mug', 'can')
        frame, detection = self.scene()
        (pose,) = backend.estimate(frame, [detection])
        assert isinstance(pose, ObjectPose)
        np.testing.assert_allclose(pose.T_camera_object[:3, 3], self.MIDDLE, atol=0.01)
        np.testing.assert_allclose(pose.size, 2 * RADIUS * self.SCALE, rtol=tolerance)
        t = pose.T_camera_object[:3, 3]
        assert angle_between(pose.T_camera_object[:3, :3], turned_to_ray(t) @ TURNED) < 1e-6
        np.testing.assert_allclose(pose.score, 0.8, rtol=1e-5)
        assert np.isfinite(pose.residual) == (alignment == 'icp')
        assert not pose.residual > 0.004
        in_camera = transform_points(pose.T_camera_object, pose.points)
        np.testing.assert_allclose(np.linalg.norm(in_camera - self.MIDDLE, axis=1),
                                   RADIUS * self.SCALE, atol=0.01)

    def test_on_a_ground_that_depth_shows_objects_rather_stand(
            self, category_model: Path, tmp_path: Path) -> None:
        frame, detection = self.scene()
        # The camera looks straight down at a table.
        np.testing.assert_allclose(frame.up, [0, 0, -1], atol=1e-3)
        poses = [make_backend(category_model, tmp_path, stance=stance).estimate(
            frame, [detection])[0] for stance in ('any', 'likely')]
        codes_alone, likely = (pose.T_camera_object[:3, :3] for pose in poses)
        lean = [np.arccos(R[:, 1] @ frame.up) for R in (codes_alone, likely)]
        assert np.radians(5) < lean[1] < lean[0] - np.radians(5)
        assert angle_between(codes_alone, likely) < np.radians(15)
        # The score stays that of the codes, and is no better than theirs alone.
        assert 0.7 < poses[1].score < poses[0].score

    def test_where_no_ground_is_seen_codes_alone_count(
            self, category_model: Path, tmp_path: Path) -> None:
        frame, detection = self.scene()
        alone = frame_of(EMPTY, np.where(detection.mask, frame.depth, np.nan))
        assert alone.up is None
        first, second = (make_backend(category_model, tmp_path, stance=stance).estimate(
            alone, [detection])[0] for stance in ('any', 'likely'))
        np.testing.assert_array_equal(first.T_camera_object, second.T_camera_object)

    def test_known_objects_may_have_a_model_of_their_own(
            self, category_model: Path, view_model: Model, objects: Path) -> None:
        backend = create_backend('disp6d', BackendOptions(
            str(category_model), 'cpu', 1,
            disp6d=DISP6DOptions(str(objects), object_model=str(view_model.folder))))
        assert backend.categories == ('mug', 'can', 'block')
        assert backend.describe()['object model'] == 'views'
        frame, ball = self.scene()
        T = make_transform(np.eye(3), np.array([-0.15, 0.0, 0.5]) - MIDDLE)
        rgb, mask = picture_of_box(T, CAMERA)
        poses = backend.estimate(frame_of(rgb, frame.depth), [
            ball, detection_of(mask), ball])
        assert [pose.label for pose in poses] == ['mug', 'block', 'mug']
        np.testing.assert_array_equal(poses[0].T_camera_object, poses[2].T_camera_object)
        assert angle_between(poses[1].T_camera_object[:3, :3], np.eye(3)) < FARTHEST

    def test_the_rotation_is_one_of_those_that_the_model_names(
            self, tmp_path: Path) -> None:
        folder = make_category_model(tmp_path / 'own', ('mug',), category_splits=0,
                                     category_turns=1)
        frame, detection = self.scene()
        (pose,) = make_backend(folder, tmp_path).estimate(frame, [detection])
        # With 12 rotations the nearest is far off.
        turned = turned_to_ray(pose.T_camera_object[:3, 3]) @ TURNED
        assert angle_between(pose.T_camera_object[:3, :3], turned) > np.radians(10)

    def test_objects_without_depth_are_told(self, category_model: Path, tmp_path: Path) -> None:
        backend = make_backend(category_model, tmp_path)
        _, detection = self.scene()
        (answer,) = backend.estimate(frame_of(EMPTY), [detection])
        assert isinstance(answer, Rejection)
        assert 'the disp6d backend needs a depth' in answer.reason
        unknown = np.full((240, 320), np.nan, np.float32)
        (answer,) = backend.estimate(frame_of(EMPTY, unknown), [detection])
        assert 'fewer than 20 pixels' in answer.reason


class TestModels:
    def test_without_a_model_the_cure_is_told(self, monkeypatch: pytest.MonkeyPatch,
                                              tmp_path: Path) -> None:
        monkeypatch.setattr('pose_estimation_ros.runtime.model_store.default_folders',
                            lambda: [tmp_path])
        with pytest.raises(ModelError, match=r"'disp6d_lite', is in none of .*docs/disp6d.md"):
            create_backend('disp6d', BackendOptions())

    def test_a_model_of_another_backend_is_refused(self, view_model: Model,
                                                   tmp_path: Path) -> None:
        folder = make_view_model(tmp_path / 'other')
        manifest = folder / 'model.yaml'
        manifest.write_text(manifest.read_text().replace('backend: disp6d', 'backend: mrc'))
        with pytest.raises(ModelError, match="made for the backend 'mrc'"):
            make_backend(folder, tmp_path)

    @pytest.mark.parametrize(('parameter', 'value', 'said'), [
        ('crop', 48, 'does not take crops of 48 pixels'), ('view_distance', 'far', 'positive'),
        ('perspective', 'none', 'exact, published')])
    def test_a_manifest_that_does_not_fit_is_refused(
            self, tmp_path: Path, parameter: str, value: object, said: str) -> None:
        folder = make_view_model(tmp_path / 'odd', **{parameter: value})
        with pytest.raises(ModelError, match=said):
            make_backend(folder, tmp_path)

    def test_a_network_with_other_tensors_is_refused(self, tmp_path: Path) -> None:
        folder = make_category_model(tmp_path / 'odd', ('mug',))
        manifest = folder / 'model.yaml'
        text = manifest.read_text()
        manifest.write_text(text.replace('conditioned_codes:', 'spare:')
                            .replace('depth_decoder:', 'conditioned_codes:')
                            .replace('spare:', 'depth_decoder:'))
        with pytest.raises(ModelError, match=r'conditioned_codes .* must take encoding, z_obj'):
            make_backend(folder, tmp_path)

    def test_an_unknown_choice_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match='choose one of surfaces, icp, boxes'):
            DISP6DOptions(alignment='best')
