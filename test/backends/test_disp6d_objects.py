"""The folder of known objects: files come, change, are not whole, and go."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))
pytest.importorskip('onnx', reason='models are written with onnx, which a node does not need')
pytest.importorskip('open3d', reason='objects are drawn with Open3D, which is optional')

from disp6d_models import make_view_model
from disp6d_objects import known_box

from pose_estimation_ros.backends.disp6d_model import fingerprint_of
from pose_estimation_ros.backends.disp6d_object_file import (
    KnownObject,
    ObjectIdentity,
    object_path,
    read_object,
    write_object,
)
from pose_estimation_ros.backends.disp6d_objects import ObjectFolder, default_objects_folder
from pose_estimation_ros.core.errors import InvalidInputError, ModelError
from pose_estimation_ros.core.symmetry import NO_SYMMETRY, Symmetry
from pose_estimation_ros.runtime import Model, ModelStore


@pytest.fixture(scope='module')
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return ModelStore().find(make_view_model(tmp_path_factory.mktemp('models') / 'views',
                                             splits=0, turns=4))


@pytest.fixture(scope='module')
def block(model: Model) -> KnownObject:
    return known_box(model)


@pytest.fixture
def folder(model: Model, tmp_path: Path) -> ObjectFolder:
    return ObjectFolder(tmp_path / 'objects', fingerprint_of(model.manifest), 'views')


def renamed(known: KnownObject, name: str, **changes: object) -> KnownObject:
    values = {**known.__dict__, 'identity': ObjectIdentity(name, (name,), NO_SYMMETRY), **changes}
    return KnownObject(**values)


def test_a_file_gives_back_what_was_written(block: KnownObject, tmp_path: Path) -> None:
    identity = ObjectIdentity('my drill 2.0', ('drill', 'tool'), Symmetry(axis=(0.0, 1.0, 0.0)))
    path = write_object(renamed(block, 'x', identity=identity), tmp_path / 'new' / 'folder')
    assert path.name == 'my drill 2.0.npz'
    found = read_object(path)
    assert found.identity == identity
    assert (found.encoder, found.distance) == (block.encoder, block.distance)
    for one, other in ((found.codes.numbers, block.codes.numbers), (found.boxes, block.boxes),
                       (found.mesh.vertices, block.mesh.vertices), (found.center, block.center),
                       (found.rotations.matrices(), block.rotations.matrices())):
        np.testing.assert_array_equal(one, other)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize('name', ['', '../drill', '.drill', 'a/b', 'a\nb'])
def test_a_name_that_is_none_of_a_file_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match='no name for an object'):
        ObjectIdentity(name, ('drill',), NO_SYMMETRY)


def test_objects_are_found_when_they_come_and_forgotten_when_they_go(
        folder: ObjectFolder, block: KnownObject) -> None:
    assert not folder.present.objects
    write_object(block, folder.folder)
    cup = write_object(renamed(block, 'cup'), folder.folder)
    assert set(folder.refresh().objects) == {'block', 'cup'}
    kept = folder.present.objects['block']
    cup.unlink()
    assert set(folder.refresh().objects) == {'block'}
    assert folder.present.objects['block'] is kept
    shutil.rmtree(folder.folder)
    assert not folder.refresh().objects


def test_a_replaced_object_is_the_new_one(folder: ObjectFolder, block: KnownObject) -> None:
    write_object(block, folder.folder)
    folder.refresh()
    write_object(renamed(block, 'block', distance=2.0), folder.folder)
    assert folder.refresh().objects['block'].known.distance == 2.0


def test_a_half_written_file_changes_nothing_until_it_is_whole(
        folder: ObjectFolder, block: KnownObject, tmp_path: Path) -> None:
    path = write_object(block, folder.folder)
    folder.refresh()
    newer = write_object(renamed(block, 'block', distance=2.0), tmp_path / 'elsewhere')
    path.write_bytes(newer.read_bytes()[:-300])
    present = folder.refresh()
    assert present.objects['block'].known.distance == block.distance
    assert 'not the whole file of an object' in present.refused['block']
    assert 'add-object' in present.refused['block']
    assert folder.refresh().refused == present.refused
    path.write_bytes(newer.read_bytes())
    present = folder.refresh()
    assert not present.refused
    assert present.objects['block'].known.distance == 2.0


@pytest.mark.parametrize('content', [b'', b'\x93NUMPY\x01\x00', b'PK\x03\x04 and so on'])
def test_other_files_are_refused_and_the_rest_stays_in_use(
        content: bytes, folder: ObjectFolder, block: KnownObject) -> None:
    write_object(block, folder.folder)
    (folder.folder / 'other.npz').write_bytes(content)
    with (folder.folder / 'array.npz').open('wb') as file:
        np.save(file, np.zeros(3))
    (folder.folder / 'nothing.npz').symlink_to('nothing.npz')
    present = folder.refresh()
    assert set(present.objects) == {'block'}
    assert set(present.refused) == {'other', 'array'}


def test_a_folder_that_cannot_be_read_changes_nothing(
        folder: ObjectFolder, block: KnownObject, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_object(block, folder.folder)
    folder.refresh()

    def denied(_folder: Path) -> None:
        raise PermissionError(13, 'Permission denied')

    with monkeypatch.context() as patch:
        patch.setattr('pose_estimation_ros.backends.disp6d_objects.os.scandir', denied)
        present = folder.refresh()
        assert set(present.objects) == {'block'}
        assert 'Permission denied' in present.refused[folder.folder.name]
    present = folder.refresh()
    assert set(present.objects) == {'block'}
    assert not present.refused
    with monkeypatch.context() as patch:
        patch.setattr('pose_estimation_ros.backends.disp6d_objects.os.scandir', denied)
        folder.refresh()
    path.unlink()
    assert not folder.refresh().objects
    assert not folder.present.refused


def test_files_that_are_still_written_are_no_objects(folder: ObjectFolder,
                                                     block: KnownObject) -> None:
    path = write_object(block, folder.folder)
    path.rename(path.with_name('.block.npz.0123.part'))
    shutil.copy(path.with_name('.block.npz.0123.part'), path.with_name('.block.npz'))
    assert not folder.refresh().objects
    assert not folder.present.refused


def test_codes_of_another_encoder_are_refused(folder: ObjectFolder, block: KnownObject) -> None:
    write_object(renamed(block, 'block', encoder='0123456789abcdef'), folder.folder)
    reason = folder.refresh().refused['block']
    assert "made with another encoder (0123456789ab…) than that of the model 'views'" in reason
    assert not folder.present.objects


def test_the_fingerprint_is_of_the_encoder_and_of_how_its_crops_are_made(
        model: Model, tmp_path: Path) -> None:
    same = ModelStore().find(make_view_model(tmp_path / 'same', splits=0, turns=4))
    other = ModelStore().find(make_view_model(tmp_path / 'other', splits=0, turns=4, margin=1.5))
    assert fingerprint_of(same.manifest) == fingerprint_of(model.manifest)
    assert fingerprint_of(other.manifest) != fingerprint_of(model.manifest)


def test_a_file_under_another_name_is_refused(folder: ObjectFolder, block: KnownObject) -> None:
    path = write_object(block, folder.folder)
    path.rename(object_path(folder.folder, 'brick'))
    assert "is the file of 'block'" in folder.refresh().refused['brick']


@pytest.mark.parametrize('spoil', ['format', 'codes', 'boxes'])
def test_a_file_that_contradicts_itself_is_refused(spoil: str, block: KnownObject,
                                                   tmp_path: Path) -> None:
    path = write_object(block, tmp_path)
    with np.load(path) as archive:
        arrays = dict(archive)
    if spoil == 'format':
        arrays['identity'] = np.array(json.dumps(
            {**json.loads(str(arrays['identity'])), 'format': 99}))
    else:
        arrays[spoil] = arrays[spoil][:-1]
    np.savez(path, **arrays)
    with pytest.raises(ModelError, match=r'block.npz.*add it again'):
        read_object(path)


def test_a_flat_object_of_an_older_version_is_refused_and_the_rest_stays_in_use(
        folder: ObjectFolder, block: KnownObject) -> None:
    """Its pose would have no size, and every frame that shows it would fail."""
    path = write_object(renamed(block, 'plate'), folder.folder)
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays['vertices'][:, 2] = 0.0
    np.savez(path, **arrays)
    write_object(block, folder.folder)
    present = folder.refresh()
    assert set(present.objects) == {'block'}
    assert "CAD model of 'plate' is flat, 100 x 70 x 0 mm; give it the thickness" in (
        present.refused['plate'])


def test_several_objects_may_be_detected_as_one(folder: ObjectFolder, block: KnownObject) -> None:
    for name in ('red cup', 'blue cup'):
        write_object(renamed(block, name, identity=ObjectIdentity(name, ('cup',), NO_SYMMETRY)),
                     folder.folder)
    present = folder.refresh()
    assert present.labels == ('cup',)
    assert {entry.known.identity.name for entry in present.candidates('cup')} == {'red cup',
                                                                                  'blue cup'}


def test_objects_lie_in_a_folder_of_their_model(monkeypatch: pytest.MonkeyPatch,
                                                tmp_path: Path) -> None:
    monkeypatch.delenv('POSE_ESTIMATION_OBJECTS', raising=False)
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path))
    assert default_objects_folder('mine') == tmp_path / 'pose_estimation_ros/objects/mine'
    monkeypatch.setenv('POSE_ESTIMATION_OBJECTS', '/srv/objects')
    assert default_objects_folder('mine') == Path('/srv/objects/mine')
