"""An independent small writer of TensorFlow's checkpoints: LevelDB tables of bundle entries."""

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

TYPES = {'float32': 1, 'float64': 2, 'int32': 3, 'int64': 9, 'float16': 19}
MAGIC = 0xDB4775248B80FB57


def save_checkpoint(prefix: Path, values: Mapping[str, np.ndarray], block_size: int = 256,
                    shards: int = 1) -> Path:
    """Write a checkpoint of variables, the n-th one into data file n modulo `shards`."""
    entries = {b'': _field(1, shards) + _bytes_field(3, _field(1, 1))}
    data = [b''] * shards
    for number, (name, value) in enumerate(sorted(values.items())):
        shard = number % shards
        content = value.tobytes()
        dimensions = b''.join(_bytes_field(2, _field(1, size)) for size in value.shape)
        entries[name.encode()] = (
            _field(1, TYPES[value.dtype.name]) + _bytes_field(2, dimensions) + _field(3, shard)
            + _field(4, len(data[shard])) + _field(5, len(content))
            + bytes([6 << 3 | 5]) + struct.pack('<I', masked(crc(content))))
        data[shard] += content
    prefix.parent.mkdir(parents=True, exist_ok=True)
    for shard, content in enumerate(data):
        prefix.with_name(f'{prefix.name}.data-{shard:05d}-of-{shards:05d}').write_bytes(content)
    prefix.with_name(f'{prefix.name}.index').write_bytes(_table(entries, block_size))
    return prefix


def crc(content: bytes) -> int:
    """Return the CRC-32C bit by bit."""
    register = 0xFFFFFFFF
    for byte in content:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def masked(checksum: int) -> int:
    """Return a checksum as LevelDB stores it."""
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _varint(value: int) -> bytes:
    content = b''
    while value >= 0x80:
        content += bytes([value & 0x7F | 0x80])
        value >>= 7
    return content + bytes([value])


def _field(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value) if value else b''


def _bytes_field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _table(entries: Mapping[bytes, bytes], block_size: int) -> bytes:
    content, handles, block = b'', {}, {}
    for key, value in entries.items():
        block[key] = value
        if sum(map(len, block.values())) >= block_size:
            content, handles[key] = _with_block(content, block)
            block = {}
    if block:
        content, handles[key] = _with_block(content, block)
    content, meta = _with_block(content, {})
    content, index = _with_block(content, handles)
    return content + (meta + index).ljust(40, b'\0') + struct.pack('<Q', MAGIC)


def _with_block(content: bytes, entries: Mapping[bytes, bytes]) -> tuple[bytes, bytes]:
    """Return the file with one more block, and the block's handle."""
    block, restarts, previous = b'', [], b''
    for number, (key, value) in enumerate(entries.items()):
        shared = 0
        if number % 4 == 0:
            restarts.append(len(block))
        else:
            while shared < min(len(key), len(previous)) and key[shared] == previous[shared]:
                shared += 1
        block += (_varint(shared) + _varint(len(key) - shared) + _varint(len(value))
                  + key[shared:] + value)
        previous = key
    block += struct.pack(f'<{len(restarts)}I', *restarts) + struct.pack('<I', len(restarts))
    handle = _varint(len(content)) + _varint(len(block))
    return content + block + b'\0' + struct.pack('<I', masked(crc(block + b'\0'))), handle
