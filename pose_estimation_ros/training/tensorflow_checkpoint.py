"""Variables of TensorFlow's checkpoints, read without TensorFlow.

A checkpoint with the prefix `chkpt` is a table `chkpt.index`, from the names of variables to
where they lie, and files `chkpt.data-00000-of-00001` with their bytes. The table is one of
LevelDB: sorted entries in blocks, an index of the blocks, a footer that tells where the index is.

Source: LevelDB, doc/table_format.md; TensorFlow, core/protobuf/tensor_bundle.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.core.errors import ModelError

_INDEX_SUFFIX = '.index'
_FOOTER, _FOOTER_SIZE = struct.Struct('<40sQ'), 48
_MAGIC = 0xDB4775248B80FB57
_TRAILER = struct.Struct('<BI')
_UNCOMPRESSED = 0
_MASK, _HALF_WORD = 0xA282EAD8, 15
# tensorflow/core/framework/types.proto
_TYPES = {1: '<f4', 2: '<f8', 3: '<i4', 9: '<i8', 10: '|b1', 19: '<f2'}
# Kinds of fields of Protocol Buffers; those of fixed size with their bytes.
_VARINT, _BYTES, _FIXED = 0, 2, {1: 8, 5: 4}


@dataclass(frozen=True)
class StoredVariable:
    """Where a variable lies.

    Attributes:
        shape: Its shape.
        type: Its type, as a number of TensorFlow.
        shard: Number of the data file.
        offset: Of its first byte.
        size: Number of its bytes.
        checksum: CRC-32C of its bytes.
        whole: Whether it is stored in one piece.
    """

    shape: tuple[int, ...]
    type: int
    shard: int
    offset: int
    size: int
    checksum: int
    whole: bool


class TensorFlowCheckpoint:
    """A checkpoint as TensorFlow's `Saver` writes it."""

    def __init__(self, prefix: Path) -> None:
        """Read the table of a checkpoint.

        Args:
            prefix: Path of the checkpoint without `.index` or `.data-…`; the path of its
                `.index` does as well.

        Raises:
            ModelError: If there is none, or it is damaged or of another kind.
        """
        self._prefix = prefix.with_suffix('') if prefix.suffix == _INDEX_SUFFIX else prefix
        self._index = self._prefix.with_name(self._prefix.name + _INDEX_SUFFIX)
        if not self._index.is_file():
            raise ModelError(f'There is no checkpoint of TensorFlow at {self._prefix}: '
                             f'{self._index.name} is missing. Give the path before .index and '
                             '.data-00000-of-00001, and keep both files together.')
        try:
            entries = dict(_table(self._index.read_bytes()))
            header = _message(entries.pop(b''))
            self.variables: Mapping[str, StoredVariable] = {
                name.decode(): _stored_variable(entry) for name, entry in entries.items()}
        except (ValueError, IndexError, KeyError, struct.error) as error:
            raise ModelError(f'{self._index} is no table of a TensorFlow checkpoint, or it is '
                             f'damaged ({error}). Download it again.') from error
        self._shards = header.number(1)
        if header.number(2):
            raise ModelError(f'{self._index} was written by a machine with the highest byte '
                             'first, which is not supported; save it on another one')

    def read(self, name: str) -> NDArray[np.generic]:
        """Return a variable.

        Args:
            name: One of `variables`.

        Raises:
            ModelError: If there is none of that name, it is of an unknown type or in several
                pieces, or the data file is missing or damaged.
        """
        if name not in self.variables:
            raise ModelError(f'the checkpoint {self._prefix} has no variable {name!r}; it has '
                             f'{", ".join(sorted(self.variables)[:5])} and so on')
        stored = self.variables[name]
        if stored.type not in _TYPES or not stored.whole:
            raise ModelError(f'the variable {name!r} of {self._prefix} is in several pieces or '
                             f'of the type {stored.type}, which is not supported; save it whole, '
                             'as float32')
        file = self._prefix.with_name(
            f'{self._prefix.name}.data-{stored.shard:05d}-of-{self._shards:05d}')
        content = _part(file, stored.offset, stored.size)
        dtype = np.dtype(_TYPES[stored.type])
        expected = dtype.itemsize * int(np.prod(stored.shape, dtype=np.int64))
        if len(content) != stored.size or stored.size != expected or (
                _masked(google_crc32c.value(content)) != stored.checksum):
            raise ModelError(f'{file} is damaged: the {stored.size} bytes of {name!r} are not '
                             'those that were saved. Download it again.')
        return np.frombuffer(content, dtype).reshape(stored.shape)


def _part(file: Path, offset: int, size: int) -> bytes:
    try:
        with file.open('rb') as data:
            data.seek(offset)
            return data.read(size)
    except OSError as error:
        raise ModelError(f'{file} cannot be read ({error.strerror}). It belongs to the .index '
                         'beside it: download both into one folder.') from error


def _masked(checksum: int) -> int:
    """Return a checksum as it is stored, so that checksums of checksums differ."""
    turned = (checksum >> _HALF_WORD) | (checksum << (32 - _HALF_WORD))
    return (turned + _MASK) & 0xFFFFFFFF


def _table(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the entries of a table."""
    handles, magic = _FOOTER.unpack(content[-_FOOTER_SIZE:])
    if magic != _MAGIC:
        raise ValueError('the last bytes are not those of a table')
    _, place = _handle(handles, 0)
    index, _ = _handle(handles, place)
    for _, handle in _entries(_block(content, index)):
        yield from _entries(_block(content, _handle(handle, 0)[0]))


def _handle(content: bytes, place: int) -> tuple[tuple[int, int], int]:
    """Return offset and size of a block, and where their description ends."""
    offset, place = _varint(content, place)
    size, place = _varint(content, place)
    return (offset, size), place


def _block(content: bytes, handle: tuple[int, int]) -> bytes:
    offset, size = handle
    compression, checksum = _TRAILER.unpack_from(content, offset + size)
    if compression != _UNCOMPRESSED:
        raise ValueError('it is compressed, which TensorFlow itself does not do')
    if _masked(google_crc32c.value(content[offset:offset + size + 1])) != checksum:
        raise ValueError('a checksum is wrong')
    return content[offset:offset + size]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values of a block; keys leave out what they share with the one before."""
    restarts = int.from_bytes(block[-4:], 'little')
    end = len(block) - 4 * (restarts + 1)
    key, place = b'', 0
    while place < end:
        shared, place = _varint(block, place)
        own, place = _varint(block, place)
        length, place = _varint(block, place)
        key = key[:shared] + block[place:place + own]
        place += own
        yield key, block[place:place + length]
        place += length


def _stored_variable(entry: bytes) -> StoredVariable:
    """Return what a BundleEntryProto says."""
    found = _message(entry)
    dimensions = [_message(dimension).number(1)
                  for shape in found.parts.get(2, [])
                  for dimension in _message(shape).parts.get(2, [])]
    return StoredVariable(
        tuple(dimensions), type=found.number(1), shard=found.number(3), offset=found.number(4),
        size=found.number(5), checksum=found.number(6), whole=7 not in found.parts)


@dataclass(frozen=True)
class _Message:
    """The fields of a Protocol Buffers message by their number: numbers, and what is inside."""

    numbers: Mapping[int, int]
    parts: Mapping[int, list[bytes]]

    def number(self, field: int) -> int:
        """Return a number; what is 0 is not written."""
        return self.numbers.get(field, 0)


def _message(content: bytes) -> _Message:
    numbers: dict[int, int] = {}
    parts: dict[int, list[bytes]] = {}
    place = 0
    while place < len(content):
        tag, place = _varint(content, place)
        field, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            numbers[field], place = _varint(content, place)
        elif kind == _BYTES:
            size, place = _varint(content, place)
            parts.setdefault(field, []).append(content[place:place + size])
            place += size
        elif kind in _FIXED:
            size = _FIXED[kind]
            numbers[field] = int.from_bytes(content[place:place + size], 'little')
            place += size
        else:
            raise ValueError(f'a field has the unknown kind {kind}')
    return _Message(numbers, parts)


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """Return a number stored seven bits at a time, and where it ends."""
    value = shift = 0
    while True:
        byte = content[place]
        value |= (byte & 0x7F) << shift
        place += 1
        if byte < 0x80:
            return value, place
        shift += 7
