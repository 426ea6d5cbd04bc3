"""Checkpoints of TensorFlow are read without it, and damaged ones are refused."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / 'support'))

import tensorflow_tables

from pose_estimation_ros.core.errors import ModelError
from pose_estimation_ros.training.tensorflow_checkpoint import TensorFlowCheckpoint

DATA = Path(__file__).parents[1] / 'data' / 'disp6d'


def _values(count: int = 60) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {f'scope/layer_{number}/kernel': generator.standard_normal(
        (number % 4 + 1, 3), dtype=np.float32) for number in range(count)}


def test_what_tensorflow_saved_is_read_bit_by_bit() -> None:
    # Written by tf.compat.v1.train.Saver of TensorFlow 2.21.
    checkpoint = TensorFlowCheckpoint(DATA / 'saved_by_tensorflow')
    with np.load(DATA / 'saved_by_tensorflow.npz') as file:
        assert set(checkpoint.variables) == set(file.files)
        assert len(file.files) == 7
        for name in file.files:
            value = checkpoint.read(name)
            assert (value.dtype, value.shape) == (file[name].dtype, file[name].shape)
            np.testing.assert_array_equal(value, file[name])


@pytest.mark.parametrize(('block_size', 'shards'), [(1, 1), (300, 3), (1 << 20, 1)])
def test_tables_of_many_blocks_and_files_are_read(block_size: int, shards: int, tmp_path: Path
                                                   ) -> None:
    values = _values()
    prefix = tensorflow_tables.save_checkpoint(tmp_path / 'chkpt-50000', values, block_size,
                                               shards)
    checkpoint = TensorFlowCheckpoint(prefix.with_name('chkpt-50000.index'))
    assert set(checkpoint.variables) == set(values)
    for name, value in values.items():
        np.testing.assert_array_equal(checkpoint.read(name), value)


def test_changed_bytes_are_noticed(tmp_path: Path) -> None:
    prefix = tensorflow_tables.save_checkpoint(tmp_path / 'chkpt', _values())
    data, index = (tmp_path / f'chkpt{end}' for end in ('.data-00000-of-00001', '.index'))
    content = bytearray(data.read_bytes())
    content[5] ^= 1
    data.write_bytes(content)
    with pytest.raises(ModelError, match=r"damaged: .*'scope/layer_0/kernel'"):
        TensorFlowCheckpoint(prefix).read('scope/layer_0/kernel')
    TensorFlowCheckpoint(prefix).read('scope/layer_1/kernel')
    table = bytearray(index.read_bytes())
    table[20] ^= 1
    index.write_bytes(table)
    with pytest.raises(ModelError, match='a checksum is wrong'):
        TensorFlowCheckpoint(prefix)


def test_files_cut_short_are_noticed(tmp_path: Path) -> None:
    prefix = tensorflow_tables.save_checkpoint(tmp_path / 'chkpt', _values())
    data, index = (tmp_path / f'chkpt{end}' for end in ('.data-00000-of-00001', '.index'))
    data.write_bytes(data.read_bytes()[:-8])
    with pytest.raises(ModelError, match='Download it again'):
        TensorFlowCheckpoint(prefix).read('scope/layer_9/kernel')
    index.write_bytes(index.read_bytes()[:-1])
    with pytest.raises(ModelError, match='no table of a TensorFlow checkpoint'):
        TensorFlowCheckpoint(prefix)
    index.write_bytes(b'')
    with pytest.raises(ModelError, match='no table of a TensorFlow checkpoint'):
        TensorFlowCheckpoint(prefix)


def test_missing_files_and_names_are_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r'chkpt\.index is missing'):
        TensorFlowCheckpoint(tmp_path / 'chkpt')
    prefix = tensorflow_tables.save_checkpoint(tmp_path / 'chkpt', _values(3))
    checkpoint = TensorFlowCheckpoint(prefix)
    with pytest.raises(ModelError, match="no variable 'other'; it has scope/layer_0/kernel"):
        checkpoint.read('other')
    (tmp_path / 'chkpt.data-00000-of-00001').unlink()
    with pytest.raises(ModelError, match='download both into one folder'):
        checkpoint.read('scope/layer_1/kernel')
