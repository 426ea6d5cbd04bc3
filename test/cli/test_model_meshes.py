"""A model without the CAD models of its objects says what it lacks, and is given them."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('onnx', reason='models are written with onnx, which a node does not need')
pytest.importorskip('open3d', reason='objects are drawn with Open3D, which is optional')

from mrc_models import KnownObject, make_mrc_model
from typer.testing import CliRunner, Result

from pose_estimation_ros.backends.base import BackendOptions
from pose_estimation_ros.backends.registry import create_backend
from pose_estimation_ros.cli.main import app
from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.datasets.mesh_files import write_ply
from pose_estimation_ros.rendering.mesh_archive import read_mesh_archive
from pose_estimation_ros.rendering.primitives import box
from pose_estimation_ros.runtime import ModelStore

BLOCK = KnownObject('block', box([0.1, 0.06, 0.04]), rotation=17, depth=4, cell=5)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ['models', *map(str, arguments)])


def load(folder: Path) -> None:
    create_backend('mrc', BackendOptions(str(folder), 'cpu', 1)).close()


def cad_folder(folder: Path, name: str) -> Path:
    folder.mkdir()
    write_ply(folder / f'{name}.ply', BLOCK.mesh.vertices.astype(float), BLOCK.mesh.faces, 0.001)
    (folder / 'objects.yaml').write_text('frame: cad\nunit: mm\n')
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    make_mrc_model(tmp_path / 'mine', [BLOCK])
    return tmp_path / 'mine'


def test_meshes_are_taken_out_and_added_again(model: Path, tmp_path: Path) -> None:
    load(model)
    assert run('remove-meshes', model).exit_code == 0
    assert not list(model.glob('*.npz'))
    with pytest.raises(ModelError, match=r'models add-meshes mine --objects'):
        load(model)

    added = run('add-meshes', model, '--objects', cad_folder(tmp_path / 'cad', 'block'))
    assert added.exit_code == 0, added.output
    load(model)
    mesh = read_mesh_archive(ModelStore().find(model).file('meshes'))['block']
    np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0), [0.1, 0.06, 0.04], atol=1e-6)


def test_cad_models_of_other_objects_are_refused_by_name(model: Path, tmp_path: Path) -> None:
    answer = run('add-meshes', model, '--objects', cad_folder(tmp_path / 'cad', 'brick'))
    assert isinstance(answer.exception, ModelError)
    assert 'no CAD model of block, only of brick' in str(answer.exception)
    load(model)


def test_models_of_categories_hold_no_meshes() -> None:
    answer = run('remove-meshes', 'spd_lite')
    assert isinstance(answer.exception, ModelError)
    assert "backend 'spd'" in str(answer.exception)
