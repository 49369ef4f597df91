"""Who computes which chunk, and the order in which chunks are added."""

from __future__ import annotations

import pytest
import torch

from holdfast.training.chunk_tree import branches, halves, owned, total
from holdfast.training.processes import Processes

COUNTS = [(chunks, size) for chunks in (1, 2, 3, 4, 5, 7, 8, 12) for size in (1, 2, 3, 4, 5)]


@pytest.mark.parametrize(("chunks", "size"), COUNTS)
def test_every_chunk_has_one_owner_and_the_shares_are_equal_up_to_one(chunks: int, size: int) -> None:
    shares = [owned(chunks, Processes(rank, size)) for rank in range(size)]
    assert [chunk for share in shares for chunk in share] == list(range(chunks))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert len(shares[0]) >= 1


def test_the_first_half_has_a_power_of_two() -> None:
    assert halves((0, 2)) == ((0, 1), (1, 2))
    assert halves((0, 5)) == ((0, 4), (4, 5))
    assert halves((4, 7)) == ((4, 6), (6, 7))


@pytest.mark.parametrize(("chunks", "size"), COUNTS)
def test_any_number_of_processes_adds_to_the_same_bits(chunks: int, size: int) -> None:
    values = torch.randn(chunks, 50, generator=torch.Generator().manual_seed(chunks)) * torch.logspace(-6, 6, 50)

    def leaf(branch: tuple[int, int]) -> torch.Tensor | None:
        return values[branch[0]] if branch[1] - branch[0] == 1 else None

    known = {}
    for rank in range(size):
        for branch in branches(owned(chunks, Processes(rank, size)), (0, chunks)):
            known[branch] = total(branch, leaf)
    assert torch.equal(total((0, chunks), known.get), total((0, chunks), leaf))


def test_the_sum_has_every_chunk_once() -> None:
    for chunks in range(1, 20):
        value = total((0, chunks), lambda branch: torch.tensor(2 ** branch[0]) if branch[1] - branch[0] == 1 else None)
        assert value == 2**chunks - 1
