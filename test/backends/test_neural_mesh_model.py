import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))
pytest.importorskip('onnx', reason='models are written with onnx, which a node does not need')

from neural_mesh_models import BACKGROUND, features_of, make_neural_mesh_model, picture

from pose_estimation_ros.backends.neural_mesh_archive import CategoryMesh, write_category_meshes
from pose_estimation_ros.backends.neural_mesh_model import NeuralMeshModel
from pose_estimation_ros.core.camera import CameraIntrinsics
from pose_estimation_ros.core.cuboid_mesh import centered_cuboid
from pose_estimation_ros.core.cuboid_raster import rasterize
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.core.rotation import axis_rotation
from pose_estimation_ros.core.se3 import make_transform
from pose_estimation_ros.runtime import ModelStore
from pose_estimation_ros.runtime.manifest import file_sha256

SIZE = (0.12, 0.1, 0.08)
CAMERA = CameraIntrinsics.pinhole(320, 256, 280.0, 280.0, 159.0, 128.0)
UPRIGHT = axis_rotation((1, 0, 0), np.pi + 0.4) @ axis_rotation((0, 1, 0), 0.5)


@pytest.fixture
def folder(tmp_path):
    return make_neural_mesh_model(tmp_path / 'colours', {'mug': SIZE})


def load(folder):
    return NeuralMeshModel(ModelStore().find(str(folder), task='pose'), 'cpu', 1)


def rewrite(folder, old, new):
    manifest = folder / 'model.yaml'
    text = manifest.read_text()
    assert old in text
    manifest.write_text(text.replace(old, new))


def test_images_are_scaled_to_the_working_size_with_their_camera(folder):
    model = load(folder)
    T = make_transform(UPRIGHT, [0.03, -0.02, 0.5])
    found = model.extract(picture(CAMERA, [(0, SIZE, T)])[0], CAMERA)
    assert found.features.shape == (32, 32, 40)
    mesh = model.meshes['mug']
    raster = rasterize(mesh.cuboid(), T[None], found.K, found.cells)
    mask = raster.masks()[0]
    rendered = raster.images(raster.interpolate(mesh.features))[0]
    likeness = np.einsum('hwd,dhw->hw', rendered, found.features)
    assert np.median(likeness[mask]) > 0.97
    background = features_of(np.full((1, 3), BACKGROUND / 255))[0]
    np.testing.assert_allclose(found.features[:, 0, 0], background, atol=1e-5)
    model.close()


def test_images_of_other_proportions_keep_theirs(folder):
    wide = CameraIntrinsics.pinhole(320, 128, 280.0, 280.0, 159.0, 64.0)
    found = load(folder).extract(np.zeros((128, 320, 3), np.uint8), wide)
    assert found.cells == (16, 40)


def test_the_spread_of_sizes_is_stated_or_guessed(folder):
    assert load(folder).size_spread == {'mug': 0.2}
    rewrite(folder, 'mug: 0.2', 'mug: 0.31')
    assert load(folder).size_spread == {'mug': 0.31}
    # All that was trained on had one size: depth that is a little off must not rule it out.
    rewrite(folder, 'mug: 0.31', 'mug: 0.0')
    assert load(folder).size_spread == {'mug': 0.02}


@pytest.mark.parametrize(('old', 'new', 'said'), [
    ('- mug', '- duck', "knows 'duck', but .*meshes.npz has no neural mesh of it, only of mug"),
    ('width: 160', 'breadth: 160', 'must give parameters.width and height'),
    ('width: 160', 'width: 16', 'working size 16x128; both must be 32 or more'),
])
def test_a_manifest_that_does_not_fit_is_refused(folder, old, new, said):
    rewrite(folder, old, new)
    with pytest.raises(ModelError, match=said):
        load(folder)


def test_files_of_different_models_are_refused(folder):
    mesh = centered_cuboid(SIZE, 100)
    path = folder / 'meshes.npz'
    before = file_sha256(path), path.stat().st_size
    write_category_meshes(path, {'mug': CategoryMesh(
        np.array([SIZE]), mesh.counts, np.ones((len(mesh.vertices), 5), np.float32),
        np.ones((1, 5), np.float32))})
    rewrite(folder, before[0], file_sha256(path))
    rewrite(folder, f'bytes: {before[1]}', f'bytes: {path.stat().st_size}')
    with pytest.raises(ModelError, match='length 32, but its neural meshes have .5.; the files'):
        load(folder)
