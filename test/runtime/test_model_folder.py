from pathlib import Path

import pytest

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.runtime.model_folder import new_model_folder


def test_a_model_appears_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / 'models' / 'spd'
    with new_model_folder(target) as folder:
        assert folder.name == 'spd'
        (folder / 'network.onnx').write_bytes(b'new')
        assert not target.exists()
    assert (target / 'network.onnx').read_bytes() == b'new'
    assert [path.name for path in target.parent.iterdir()] == ['spd']


def test_a_failure_leaves_the_model_that_was_there(tmp_path: Path) -> None:
    target = tmp_path / 'spd'
    target.mkdir()
    (target / 'model.yaml').touch()
    (target / 'network.onnx').write_bytes(b'old')
    with pytest.raises(ZeroDivisionError), new_model_folder(target) as folder:
        (folder / 'network.onnx').write_bytes(b'half')
        raise ZeroDivisionError
    assert (target / 'network.onnx').read_bytes() == b'old'
    assert [path.name for path in tmp_path.iterdir()] == ['spd']


def test_a_new_model_replaces_the_old_one_and_what_a_killed_attempt_left(tmp_path: Path) -> None:
    target = tmp_path / 'spd'
    for folder in (target, tmp_path / 'spd.part' / 'spd'):
        folder.mkdir(parents=True)
        (folder / 'model.yaml').touch()
    with new_model_folder(target) as folder:
        (folder / 'new').touch()
    assert [path.name for path in target.iterdir()] == ['new']


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(ModelError, match='file/spd cannot be written: Not a directory'), \
            new_model_folder(tmp_path / 'file' / 'spd'):
        pass


def test_a_folder_that_is_no_model_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / 'models' / 'spd').mkdir(parents=True)
    (tmp_path / 'models' / 'spd' / 'model.yaml').touch()
    (tmp_path / 'file').touch()
    for target in (tmp_path / 'models', tmp_path / 'file'):
        with pytest.raises(ModelError, match=f'{target.name} exists and is not the folder of a '
                                             'model'), new_model_folder(target):
            pass
    assert (tmp_path / 'models' / 'spd' / 'model.yaml').is_file()
    (tmp_path / 'empty').mkdir()
    with new_model_folder(tmp_path / 'empty') as folder:
        (folder / 'new').touch()
    assert (tmp_path / 'empty' / 'new').is_file()
