"""`pose-estimation models add-object` and its kin as a user types them."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('onnx', reason='models are written with onnx, which a node does not need')
pytest.importorskip('open3d', reason='objects are drawn with Open3D, which is optional')

from disp6d_models import make_view_model
from disp6d_objects import colored_box
from typer.testing import CliRunner, Result

from pose_estimation_ros.backends.disp6d_object_file import read_object
from pose_estimation_ros.cli.main import app
from pose_estimation_ros.core.errors import InvalidInputError, ModelError
from pose_estimation_ros.datasets.mesh_files import write_ply
from pose_estimation_ros.rendering.primitives import cylinder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ['models', *map(str, arguments)])


@pytest.fixture(scope='module')
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('cad') / 'drill.ply'
    shape, colors = colored_box()
    write_ply(path, shape.vertices.astype(float), shape.faces, 0.001, colors)
    return path


@pytest.fixture
def objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the objects of the default model belong."""
    make_view_model(tmp_path / 'models' / 'disp6d_lite', splits=0, turns=4)
    monkeypatch.setattr('pose_estimation_ros.runtime.model_store.default_folders',
                        lambda: [tmp_path / 'models'])
    monkeypatch.setenv('POSE_ESTIMATION_OBJECTS', str(tmp_path / 'mine'))
    return tmp_path / 'mine' / 'disp6d_lite'


def test_an_object_is_added_listed_and_removed(mesh: Path, objects: Path) -> None:
    answer = run('add-object', mesh, '--name', 'drill', '--unit', 'mm')
    assert answer.exit_code == 0, answer.output
    assert 'drill: 48 views in ' in answer.stdout
    assert f'at {objects}/drill.npz' in answer.stdout
    assert 'once their detector finds drill' in answer.stdout
    assert '48/48' in answer.stderr
    known = read_object(objects / 'drill.npz')
    np.testing.assert_allclose(np.ptp(known.mesh.bounds, axis=0).ravel(), [0.10, 0.07, 0.05],
                               rtol=1e-4)
    listed = run('objects').stdout.splitlines()
    assert listed[0] == f'1 objects of disp6d_lite in {objects}'
    assert listed[1].split()[:8] == ['drill', '100', 'x', '70', 'x', '50', 'mm,', '48']
    assert listed[1].endswith('detected as drill')
    assert run('remove-object', 'drill').stdout == f'drill is removed from {objects}\n'
    assert list(objects.iterdir()) == []


def test_the_symmetry_of_a_shape_can_be_found(mesh: Path, objects: Path) -> None:
    answer = run('add-object', mesh, '--name', 'drill', '--unit', 'mm', '--symmetry', 'auto')
    assert 'symmetry found from the shape: any turn about none, and' in answer.stdout
    # The frame's axes do not go through the middle of the box.
    assert answer.stdout.count('left out: its axis passes the origin of the mesh at ') == 3
    assert read_object(objects / 'drill.npz').identity.symmetry.axis is None


@pytest.mark.parametrize('off', [0.0, 0.02])
def test_a_stated_symmetry_must_go_through_the_origin(
        off: float, objects: Path, tmp_path: Path) -> None:
    shape = cylinder(0.03, 0.10, 32)
    write_ply(tmp_path / 'can.ply', shape.vertices.astype(float) + [off, 0, 0.05], shape.faces, 1)
    answer = run('add-object', tmp_path / 'can.ply', '--name', 'can', '--symmetry', 'z')
    if off:
        assert isinstance(answer.exception, InvalidInputError)
        assert str(answer.exception).startswith(
            "--symmetry z of 'can' moves it off itself: its middle, (20.0, 0.0, 50.0) mm, by ")
        assert 'move the origin of the mesh onto the axis' in str(answer.exception)
        assert not objects.exists()
    else:
        assert answer.exit_code == 0, answer.output
        assert read_object(objects / 'can.npz').identity.symmetry.axis == (0.0, 0.0, 1.0)


def test_an_object_is_detected_under_other_labels(mesh: Path, objects: Path) -> None:
    answer = run('add-object', mesh, '--name', 'my cup', '--unit', 'mm', '--detected-as', 'cup',
                 '--detected-as', 'mug')
    assert 'finds cup or mug' in answer.stdout
    assert read_object(objects / 'my cup.npz').identity.detected_as == ('cup', 'mug')


def test_refused_objects_are_listed_with_the_reason(mesh: Path, objects: Path) -> None:
    assert run('add-object', mesh, '--name', 'drill', '--unit', 'mm').exit_code == 0
    (objects / 'drill.npz').write_bytes((objects / 'drill.npz').read_bytes()[:1000])
    listed = run('objects').stdout.splitlines()
    assert listed[0].startswith('0 objects')
    assert listed[1].startswith('refused: ')
    assert 'is not the whole file of an object' in listed[1]


def test_a_wrong_unit_is_told_before_anything_is_drawn(mesh: Path, objects: Path) -> None:
    answer = run('add-object', mesh, '--name', 'drill')
    assert isinstance(answer.exception, InvalidInputError)
    assert 'with --unit m: the model is 100' in str(answer.exception)
    assert 'probably in millimetres' in str(answer.exception)
    assert not objects.exists()


def test_a_flat_object_is_refused_before_anything_is_drawn(objects: Path, tmp_path: Path) -> None:
    """Each of its poses would be refused for its size, and with it all others of the frame."""
    corners = np.array([[0, 0, 0], [0.1, 0, 0], [0.1, 0.07, 0], [0, 0.07, 0]])
    write_ply(tmp_path / 'plate.ply', corners, np.array([[0, 1, 2], [0, 2, 3]]), 1.0)
    answer = run('add-object', tmp_path / 'plate.ply', '--name', 'plate')
    assert isinstance(answer.exception, InvalidInputError)
    assert "CAD model of 'plate' is flat, 100 x 70 x 0 mm; give it the thickness" in str(
        answer.exception)
    assert not objects.exists()


@pytest.mark.parametrize('name', ['drill', '../disp6d_lite/drill', '.drill', ''])
def test_only_an_object_that_is_there_is_removed(name: str, objects: Path) -> None:
    objects.mkdir(parents=True)
    (objects / 'cup.npz').write_bytes(b'')
    answer = run('remove-object', name)
    assert isinstance(answer.exception, ModelError)
    assert str(answer.exception).endswith('there are cup')


def test_a_name_that_is_none_of_a_file_is_refused_at_once(mesh: Path, objects: Path) -> None:
    answer = run('add-object', mesh, '--name', 'a/b', '--unit', 'mm')
    assert isinstance(answer.exception, InvalidInputError)
    assert not objects.exists()
