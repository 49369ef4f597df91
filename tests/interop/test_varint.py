"""Variable-length integers, one by one and packed."""

from __future__ import annotations

import numpy as np
import pytest

from holdfast.interop.varint import FormatError, read_packed, read_varint, signed

EXAMPLES = {0: b"\x00", 1: b"\x01", 127: b"\x7f", 128: b"\x80\x01", 300: b"\xac\x02", 2**64 - 1: b"\xff" * 9 + b"\x01"}


@pytest.mark.parametrize("number", EXAMPLES)
def test_a_number_and_the_position_after_it(number: int) -> None:
    data = memoryview(b"\x05" + EXAMPLES[number] + b"\x07")
    assert read_varint(data, 1) == (number, 1 + len(EXAMPLES[number]))


def test_packed_numbers_are_the_same() -> None:
    numbers = read_packed(memoryview(b"".join(EXAMPLES.values())))
    assert numbers.dtype == np.uint64
    assert numbers.tolist() == list(EXAMPLES)


def test_bits_above_the_64th_are_dropped() -> None:
    data = memoryview(b"\x83" + b"\x80" * 8 + b"\x7e")
    assert read_varint(data, 0) == (3, 10)
    assert read_packed(data).tolist() == [3]


@pytest.mark.parametrize("data", [b"\x80", b"\xff" * 9, b"\xff" * 10 + b"\x01"])
def test_a_number_must_end(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"^a number does not end$"):
        read_varint(memoryview(data), 0)
    with pytest.raises(FormatError, match=r"^a number does not end$"):
        read_packed(memoryview(data))


def test_no_byte_at_the_end_or_after_it_is_read() -> None:
    with pytest.raises(FormatError, match=r"^a number does not end$"):
        read_varint(memoryview(b"\x80\x01"), 0, 1)
    with pytest.raises(FormatError, match=r"^a number does not end$"):
        read_varint(memoryview(b"\x01"), 1)


def test_signed_numbers_are_in_two_s_complement() -> None:
    assert [signed(number) for number in (0, 2**63 - 1, 2**63, 2**64 - 1)] == [0, 2**63 - 1, -(2**63), -1]
