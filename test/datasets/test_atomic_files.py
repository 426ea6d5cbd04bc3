"""Files and folders of several writers: whole, and by one of them."""

import pytest

from pose_estimation_ros.datasets.atomic_files import (
    publish,
    replacing,
    temporary_name,
    write_atomically,
)


def test_writers_of_the_same_file_do_not_share_a_partial_one(tmp_path):
    path = tmp_path / 'made' / 'file.txt'
    with replacing(path) as first, replacing(path) as second:
        first.write_text('first, closed last')
        second.write_text('second')
    assert path.read_text() == 'first, closed last'
    assert [entry.name for entry in path.parent.iterdir()] == ['file.txt']


def test_a_fault_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / 'file.txt'
    write_atomically(path, b'before')
    with pytest.raises(ZeroDivisionError), replacing(path) as partial:
        partial.write_text('half')
        raise ZeroDivisionError
    assert path.read_bytes() == b'before'
    assert [entry.name for entry in tmp_path.iterdir()] == ['file.txt']


def test_of_two_folders_the_first_one_stays(tmp_path):
    folder = tmp_path / '00000'
    for number in range(2):
        partial = temporary_name(folder)
        partial.mkdir()
        (partial / 'frame').write_text(str(number))
        publish(partial, folder)
    assert (folder / 'frame').read_text() == '0'


def test_a_folder_that_cannot_get_its_name_is_told(tmp_path):
    with pytest.raises(FileNotFoundError):
        publish(tmp_path / 'nothing', tmp_path / '00000')
