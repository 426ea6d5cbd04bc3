"""The checksum CRC-32C (Castagnoli) of large buffers, by NumPy.

A buffer is laid out as many rows of equal length whose checksums are computed side by side, then
joined in pairs: appending bytes to a row changes its checksum by a linear map over bits.
Source: RFC 3720, appendix B.4, for the polynomial; Mark Adler's crc32_combine for the joining.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL = 0x82F63B78
_ALL_BITS = 0xFFFFFFFF
_MOST_ROWS = 1 << 14
_FEWEST_COLUMNS = 64

Words = NDArray[np.uint32]


def crc32c(data: bytes | memoryview) -> int:
    """Return the CRC-32C of some bytes."""
    octets = np.frombuffer(data, dtype=np.uint8)
    rows = 1
    while rows < _MOST_ROWS and len(octets) // (2 * rows) >= _FEWEST_COLUMNS:
        rows *= 2
    columns = len(octets) // rows
    whole = octets[:rows * columns].reshape(rows, columns)
    registers = np.zeros(rows, dtype=np.uint32)
    # Beginning with all bits set is the same as having them in the first register alone.
    registers[0] = _ALL_BITS
    for column in np.ascontiguousarray(whole.T):
        registers = _pushed(registers, column)
    shift = _appended_zeros(columns)
    while len(registers) > 1:
        registers = _applied(shift, registers[::2]) ^ registers[1::2]
        shift = _applied(shift, shift)
    for octet in octets[rows * columns:]:
        registers = _pushed(registers, octet)
    return int(registers[0]) ^ _ALL_BITS


def _pushed(registers: Words, octets: NDArray[np.uint8] | np.uint8) -> Words:
    """Return the registers after one more byte each."""
    return np.asarray(_TABLE[(registers ^ octets) & 0xFF] ^ (registers >> np.uint32(8)))


def _appended_zeros(count: int) -> Words:
    """Return the (32,) images of each single bit under appending zero bytes."""
    result, shift = _BITS, _pushed(_BITS, np.uint8(0))
    while count:
        if count & 1:
            result = _applied(shift, result)
        shift = _applied(shift, shift)
        count >>= 1
    return result


def _applied(shift: Words, registers: Words) -> Words:
    """Return the images of registers under the linear map given by the images of single bits."""
    result = np.zeros_like(registers)
    for bit in range(32):
        result ^= ((registers >> np.uint32(bit)) & np.uint32(1)) * shift[bit]
    return result


def _table() -> Words:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1)
    return table


_BITS = np.uint32(1) << np.arange(32, dtype=np.uint32)
_TABLE = _table()
