"""From a folder of meshes to a running backend: generate, priors, train, export, estimate."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / 'synthetic'))

from mesh_files import save_boxes_and_tubes

from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.backends.lite import LiteBackend
from pose_estimation_ros.backends.registry import create_backend
from pose_estimation_ros.cli.main import app
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.core.object_pose import ObjectPose, Rejection
from pose_estimation_ros.core.se3 import is_rigid
from pose_estimation_ros.runtime import Model
from pose_estimation_ros.runtime.manifest import read_manifest
from pose_estimation_ros.segmentation.preprocessing import InputSize
from pose_estimation_ros.synthetic.annotation import annotated_frame
from pose_estimation_ros.synthetic.mesh_objects import open_mesh_folder
from pose_estimation_ros.synthetic.recipe import FrameRecipe
from pose_estimation_ros.synthetic.scene_renderer import render_frame
from pose_estimation_ros.training.batch_plan import BatchRequest, PassOrder
from pose_estimation_ros.training.frame_sources import common_categories, stored_frames
from pose_estimation_ros.training.lite_export import export_model
from pose_estimation_ros.training.loop import run
from pose_estimation_ros.training.maskrcnn_export import export_model as export_detector
from pose_estimation_ros.training.maskrcnn_training import MaskRCNNTask
from pose_estimation_ros.training.shape_priors import read_priors
from pose_estimation_ros.training.sources import StoredSamples
from test.training.tiny_tasks import TINY_DETECTOR, settings

pytest.importorskip('open3d', reason='meshes are rendered with Open3D, which is optional')


def command(*arguments):
    answer = CliRunner().invoke(app, [str(argument) for argument in arguments],
                                catch_exceptions=False)
    assert answer.exit_code == 0, answer.output


@pytest.fixture(scope='module')
def work(tmp_path_factory):
    """Return a folder with meshes, crops, priors, a run of two steps and its model."""
    root = tmp_path_factory.mktemp('custom')
    meshes = save_boxes_and_tubes(root / 'meshes')
    command('dataset', 'crops', root / 'crops', '--objects', meshes, '--count', 16,
            '--shard-size', 16, '--points', 256, '--processes', 1)
    command('dataset', 'priors', root / 'priors.npz', '--objects', meshes)
    train = ('train', 'spd-lite', '--data', root / 'crops', '--priors', root / 'priors.npz',
             '--out', root / 'run', '--steps', 2, '--batch', 4, '--device', 'cpu', '--threads', 1,
             '--workers', 0)
    command(*train)
    (root / 'model').mkdir()
    export_model('spd-lite', root / 'run' / 'last.pt', root / 'model', {}, {})
    return root


def test_the_priors_are_of_the_folders_categories(work):
    priors = read_priors(work / 'priors.npz')
    assert priors.categories == open_mesh_folder(work / 'meshes').categories
    assert priors.points.shape == (2, 1024, 3)
    box, tube = np.ptp(priors.points, axis=1)
    # As tall as wide are neither; the tube is 15 by 6 cm, boxes are flat along z.
    assert tube[1] / tube[0] == pytest.approx(2.5, rel=0.05)
    assert box[2] < 0.6 * box[0]


def test_the_manifest_carries_categories_and_symmetries(work):
    manifest = read_manifest(work / 'model' / 'model.yaml')
    assert manifest.categories == ('box', 'tube')
    assert manifest.symmetry_of('tube').axis == (0.0, 1.0, 0.0)
    assert len(manifest.symmetry_of('box').rotations) == 4


def test_the_backend_labels_its_objects_and_knows_their_symmetries(work):
    source = open_mesh_folder(work / 'meshes')
    backend = LiteBackend(Model(read_manifest(work / 'model' / 'model.yaml'), work / 'model'),
                          BackendOptions(device='cpu', threads=1))
    assert backend.categories == ('box', 'tube')
    poses = []
    for scene in FrameRecipe('primary', 'test', source, 0, (320, 240)).scenes(0, 4):
        frame = annotated_frame('', render_frame(scene, (320, 240)), source.categories)
        seen = [item for item in frame.objects if frame.mask(item).sum() > 300]
        detections = [Detection(item.label, 1.0, np.array([0.0, 0.0, 320.0, 240.0]),
                                frame.mask(item)) for item in seen]
        answers = backend.estimate(frame.frame, detections)
        assert [answer.detection.label if isinstance(answer, Rejection) else answer.label
                for answer in answers] == [item.label for item in seen]
        poses += [answer for answer in answers if isinstance(answer, ObjectPose)]
    backend.close()
    assert poses
    wanted = {category.name: category.symmetry for category in source.categories}
    for pose in poses:
        assert is_rigid(pose.T_camera_object)
        assert np.isfinite(pose.size).all() and (pose.size > 0).all()
        np.testing.assert_allclose(pose.symmetry.rotations, wanted[pose.label].rotations,
                                   atol=1e-9)
        assert pose.symmetry.axis == wanted[pose.label].axis


@pytest.mark.parametrize('network', ['crnet-lite', 'acr-lite'])
def test_networks_that_look_at_colours_learn_the_folders_categories_too(work, tmp_path, network):
    command('dataset', 'crops', tmp_path / 'crops', '--objects', work / 'meshes', '--colored',
            '--count', 8, '--shard-size', 8, '--processes', 1)
    command('train', network, '--data', tmp_path / 'crops', '--priors', work / 'priors.npz',
            '--start-from', work / 'run' / 'last.pt', '--out', tmp_path / 'run', '--steps', 1,
            '--batch', 4, '--device', 'cpu', '--threads', 1, '--workers', 0)
    command('export', network, '--checkpoint', tmp_path / 'run' / 'last.pt', '--out',
            tmp_path / 'model')
    scene = next(iter(FrameRecipe('primary', 'test', open_mesh_folder(work / 'meshes')).scenes(
        0, 1)))
    frame = annotated_frame('', render_frame(scene), open_mesh_folder(work / 'meshes').categories)
    seen = [item for item in frame.objects if frame.mask(item).sum() > 300]
    backend = create_backend(network.split('-')[0],
                             BackendOptions(tmp_path / 'model', 'cpu', threads=1))
    answers = backend.estimate(frame.frame, [
        Detection(item.label, 1.0, np.array([0.0, 0.0, 640.0, 480.0]), frame.mask(item))
        for item in seen])
    backend.close()
    assert backend.categories == ('box', 'tube')
    assert [answer.label for answer in answers if isinstance(answer, ObjectPose)]


def test_the_model_is_evaluated_on_its_own_categories(work, tmp_path):
    command('dataset', 'generate', tmp_path / 'frames', '--format', 'shards', '--objects',
            work / 'meshes', '--count', 1, '--resolution', '160x120', '--processes', 1)
    command('evaluate', tmp_path / 'frames', '--frames', 6, '--protocol', 'poses', '--masks',
            'truth', '--model', work / 'model', '--out', tmp_path / 'results')
    rows = json.loads((tmp_path / 'results' / 'pose-recall.json').read_text())['rows']
    assert {row['category'] for row in rows} == {'box', 'tube', 'mean'}
    assert all(row['objects'] > 0 for row in rows)


def test_priors_of_other_categories_are_refused(work, tmp_path):
    command('dataset', 'priors', tmp_path / 'priors.npz', '--objects', work / 'meshes',
            '--categories', 'box')
    with pytest.raises(ConfigurationError, match='box, tube'):
        command('train', 'spd-lite', '--data', work / 'crops', '--priors',
                tmp_path / 'priors.npz', '--out', tmp_path / 'run', '--steps', 1, '--workers', 0)


def test_the_detector_learns_the_folders_categories(work, tmp_path):
    command('dataset', 'generate', tmp_path / 'frames', '--format', 'shards', '--objects',
            work / 'meshes', '--count', 1, '--resolution', '80x60', '--processes', 1)
    categories = common_categories([str(tmp_path / 'frames'), f'synthetic:{work / "meshes"}'])
    assert categories == open_mesh_folder(work / 'meshes').categories
    frames = stored_frames(str(tmp_path / 'frames'))
    task = MaskRCNNTask(
        [StoredSamples(lambda items: [frames[int(item)] for item in items],
                       PassOrder(len(frames)))],
        None, replace(TINY_DETECTOR, num_classes=3), InputSize(80, 60), categories)
    classes = {int(label) for request in range(8)
               for target in task.batch(BatchRequest(0, request, 4))[1]
               for label in target['labels']}
    assert classes == {1, 2}
    run(task, settings(1, 2, average=0.9), tmp_path / 'run')
    manifest = export_detector(tmp_path / 'run' / 'last.pt', tmp_path / 'detector')
    assert manifest.categories == ('box', 'tube')
    assert manifest.parameters['labels'] == {1: 'box', 2: 'tube'}


def test_frames_of_different_categories_are_not_mixed(work):
    with pytest.raises(ConfigurationError, match='mix data of equal categories'):
        common_categories([f'synthetic:{work / "meshes"}', 'synthetic'])
