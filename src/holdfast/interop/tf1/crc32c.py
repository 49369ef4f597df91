"""CRC-32C (Castagnoli; RFC 3720, appendix B.4), with NumPy: the checksum of LevelDB tables and of TensorFlow.

Every byte of a checkpoint goes through it. So the data is split into lanes that are computed in parallel and combined
in the end: the sum is linear in the bits, and a run of zeros multiplies it by a matrix of bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LANES = 4096  # a power of two


def _table() -> NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0x82F63B78), table >> 1)
    return table


_TABLE = _table()
_LIST = _TABLE.tolist()


def crc32c(data: bytes | bytearray | memoryview) -> int:
    """The checksum of ``data``."""
    state, start = 0xFFFFFFFF, 0
    length = len(data) // _LANES
    if length >= 8:
        start = length * _LANES
        state = _of_lanes(np.frombuffer(data, np.uint8, start).reshape(_LANES, length), state)
    for byte in memoryview(data)[start:]:
        state = _LIST[(state ^ byte) & 255] ^ (state >> 8)
    return state ^ 0xFFFFFFFF


def _of_lanes(lanes: NDArray[np.uint8], state: int) -> int:
    """The state after all lanes [L, n], in order."""
    states = np.zeros(_LANES + 32, np.uint32)
    states[0] = state
    states[_LANES:] = np.uint32(1) << np.arange(32, dtype=np.uint32)  # each bit after n zeros
    bytes_ = np.zeros(_LANES + 32, np.uint32)
    for k in range(lanes.shape[1]):
        bytes_[:_LANES] = lanes[:, k]
        states = _TABLE[(states ^ bytes_) & 255] ^ (states >> 8)
    sums, zeros = states[:_LANES], states[_LANES:]
    while len(sums) > 1:
        sums = _times(zeros, sums[0::2]) ^ sums[1::2]
        zeros = _times(zeros, zeros)
    return int(sums[0])


def _times(matrix: NDArray[np.uint32], vectors: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """A matrix of bits, as its 32 columns, times each vector of bits."""
    product = np.zeros_like(vectors)
    for bit, column in enumerate(matrix):
        product ^= np.where((vectors >> np.uint32(bit)) & 1, column, np.uint32(0))
    return product


def unmasked(stored: int) -> int:
    """The checksum in a stored one: LevelDB rotates it and adds a constant, as the data may contain checksums."""
    rotated = (stored - 0xA282EAD8) & 0xFFFFFFFF
    return ((rotated >> 17) | (rotated << 15)) & 0xFFFFFFFF
