"""Poses equal those of the published code, and those of the network before its export."""

from pathlib import Path

import numpy as np
import pytest

from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.backends.mrc_crops import (
    classifier_aux,
    color_input,
    crop_pixels,
    crop_square,
    crop_view,
    detection_box_map,
    regressor_aux,
    rendering_input,
)
from pose_estimation_ros.backends.mrc_poses import PoseGrid, coarse_poses, corrected
from pose_estimation_ros.backends.registry import create_backend
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.detection import Detection
from pose_estimation_ros.core.frame import RGBDFrame
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.core.site_translation import TranslationGrid
from pose_estimation_ros.core.so3_grid import so3_grid
from pose_estimation_ros.core.symmetry import NO_SYMMETRY
from pose_estimation_ros.rendering.primitives import box

WHOLE = Path(__file__).parents[2].parent / 'shared/specs/fixtures/rgb/mrcnet_parity_he.npz'
CAMERA = CameraIntrinsics.pinhole(160, 120, 140.0, 141.0, 79.5, 59.5)
BOXES = {'block': [60.0, 40.0, 100.0, 70.0], 'can': [20.0, 20.0, 60.0, 90.0]}


@pytest.mark.skipif(not WHOLE.is_file(), reason='the whole fixtures are not beside the repository')
def test_coarse_and_final_poses_equal_the_published_ones():
    published = np.load(WHOLE)
    # The range of T-LESS, in metres.
    grid = PoseGrid.of(so3_grid(4), TranslationGrid(256, 64, 1000, 0.05e-3, 1.7e-3))
    K = published['in_K'].astype(np.float64)

    coarse = coarse_poses({'rotation': published['pose_logits'],
                           'depth': published['depth_logits'], 'xy': published['trans_logits']},
                          grid, K)
    final = corrected(coarse, {'rotation': published['pose_res'],
                                 'depth': 1e-3 * published['depth_res'],
                                 'xy': published['trans_res']}, grid, K).T

    np.testing.assert_allclose(coarse.R, published['coarse_R'], atol=1e-5)
    np.testing.assert_allclose(1e3 * coarse.t, published['coarse_t3d'], rtol=1e-5)
    np.testing.assert_allclose(final[:, :3, :3], published['final_R'], atol=1e-5)
    np.testing.assert_allclose(1e3 * final[:, :3, 3], published['final_t3d'], rtol=1e-5)


@pytest.fixture(scope='module', params=['group', 'batch'])
def exported(request, tmp_path_factory):
    """Return a small network with random weights, its objects, and its folder."""
    torch = pytest.importorskip('torch', reason='training only; a node runs without')
    pytest.importorskip('onnx', reason='models are written with onnx, which a node does not need')
    pytest.importorskip('open3d', reason='objects are rendered with Open3D, which is optional')
    from pose_estimation_ros.networks.mrc import MRCConfig, MRCNet
    from pose_estimation_ros.training.mrc_export import write_mrc_model
    from pose_estimation_ros.training.mrc_objects import CadObject

    torch.manual_seed(0)
    config = MRCConfig(objects=2, crop=64, width=16, blocks=(1, 1, 1, 1), norm=request.param,
                       nside=1, depth_bins=16, cells=8, nearest=5e-4, farthest=8e-3, radius=2)
    network = MRCNet(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            # Where a training begins, the answers are all alike.
            parameter.add_(0.05 * torch.randn_like(parameter))
    meshes = {'block': box([0.1, 0.06, 0.04]), 'can': box([0.05, 0.12, 0.05])}
    objects = [CadObject(name, mesh, NO_SYMMETRY) for name, mesh in meshes.items()]
    folder = tmp_path_factory.mktemp(request.param) / 'random'
    # Weights of 'lite' would be rounded.
    write_mrc_model(network, objects, 'full', folder, {}, {})
    return network, meshes, folder


def picture():
    rgb = np.random.default_rng(3).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    return RGBDFrame(0, 'camera', rgb, None, CAMERA)


def detection(label):
    return Detection(label, 1.0, np.array(BOXES[label]), np.ones((2, 2), bool))


def poses_of_network(network, meshes, labels, turns=(0,)):
    """Return (B, 4, 4) poses in the views, by the network itself, all views as one batch."""
    import torch

    from pose_estimation_ros.rendering.view_renderer import make_view_renderer

    config, names = network.config, list(meshes)
    grid = PoseGrid.of(so3_grid(config.nside), config.translation_grid)
    views = [crop_view(CAMERA.K, crop_square(BOXES[label]), config.crop, turn)
             for label in labels for turn in turns]
    index = np.repeat([names.index(label) for label in labels], len(turns))
    K = np.stack([view.K for view in views])
    image = picture().rgb.astype(np.float32)

    def tensor(arrays):
        return torch.from_numpy(np.stack(list(arrays)))

    def arrays(answer):
        return {name: value.numpy() for name, value in answer._asdict().items()}

    with torch.inference_mode():
        real = network.encode(tensor(color_input(crop_pixels(image, view),
                                                 detection_box_map(view)) for view in views),
                              torch.from_numpy(index))
        coarse = coarse_poses(arrays(network.classify(
            real, tensor(classifier_aux(view) for view in views))), grid, K)
        drawn = make_view_renderer(list(meshes.values())).render(
            index, make_transform(coarse.R, coarse.t), K, config.crop)
        rendered = network.encode(tensor(map(rendering_input, drawn.shade, drawn.depth)),
                                  torch.from_numpy(index))
        residual = network.regress(real, rendered, tensor(map(regressor_aux, views, coarse.t)))
    return coarse, corrected(coarse, arrays(residual), grid, K).T


def test_the_exported_model_gives_the_poses_of_its_network(exported):
    network, meshes, folder = exported
    backend = create_backend('mrc', BackendOptions(str(folder), 'cpu', 1))
    labels = ['can', 'block', 'can']

    answers = backend.estimate(picture(), [detection(label) for label in labels])

    if network.config.norm == 'group':
        _, expected = poses_of_network(network, meshes, labels)
    else:
        expected = []
        for label in labels:
            # As published: an object alone with its four copies, of which the surest counts.
            coarse, poses = poses_of_network(network, meshes, [label], range(4))
            best = int(coarse.rotation_logit.argmax())
            turn = crop_view(CAMERA.K, crop_square(BOXES[label]), 64, best).R_turned_camera
            expected.append(make_transform(turn.T, np.zeros(3)) @ poses[best])
    for answer, T in zip(answers, expected, strict=True):
        np.testing.assert_allclose(answer.T_camera_object, T, atol=1e-4)
    assert np.abs(answers[0].T_camera_object - answers[1].T_camera_object).max() > 1e-3


def test_an_object_gets_the_same_pose_whatever_else_is_in_the_frame(exported):
    _, _, folder = exported
    backend = create_backend('mrc', BackendOptions(str(folder), 'cpu', 1))
    together = backend.estimate(picture(), [detection('block'), detection('can')])
    for label, answer in zip(('block', 'can'), together, strict=True):
        (alone,) = backend.estimate(picture(), [detection(label)])
        np.testing.assert_allclose(answer.T_camera_object, alone.T_camera_object, atol=1e-5)
