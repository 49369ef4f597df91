"""Memory that is lent: the same again when nobody holds it, and never while anybody does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("keras")

from holdfast.keras.buffers import Buffers


def test_memory_comes_back_when_all_that_shares_it_is_gone() -> None:
    buffers = Buffers()
    first = buffers.take(1000, torch.float32)
    place = first.data_ptr()
    assert place % 64 == 0
    assert first.shape == (1000,)
    held = np.asarray(first.view(10, 100)[3:])  # as a backend holds it: another object on the same memory
    del first
    second = buffers.take(1000, torch.float32)
    assert second.data_ptr() != place
    del held
    assert buffers.take(1000, torch.float32).data_ptr() == place


def test_a_capsule_holds_it_too() -> None:
    buffers = Buffers()
    first = buffers.take(64, torch.float64)
    place, other_side = first.data_ptr(), torch.from_dlpack(first.__dlpack__())
    del first
    assert buffers.take(64, torch.float64).data_ptr() != place
    del other_side
    assert buffers.take(64, torch.float64).data_ptr() == place


def test_no_more_is_kept_than_was_said() -> None:
    buffers = Buffers(max_count=2)
    held = [buffers.take(16, torch.float32) for _ in range(5)]
    assert len({tensor.data_ptr() for tensor in held}) == 5
    assert len(buffers._lent) == 2
