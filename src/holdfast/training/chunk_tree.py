"""Who computes which chunk of a batch, and the binary tree in whose order the chunks are added."""

from __future__ import annotations

from collections.abc import Callable

import torch

from holdfast.training.processes import Processes

Branch = tuple[int, int]
"""The chunks from the first number to before the second one."""


def owned(chunks: int, processes: Processes) -> range:
    """The numbers of the chunks that a process computes: consecutive ones, about as many as any other."""
    first, after = (-(-number * chunks // processes.size) for number in (processes.rank, processes.rank + 1))
    return range(first, after)


def halves(branch: Branch) -> tuple[Branch, Branch]:
    """The two branches of a branch: the first has the largest power of two of chunks that leaves some for the other."""
    first, after = branch
    middle = first + (1 << (after - first - 1).bit_length() - 1)
    return (first, middle), (middle, after)


def branches(chunks: range, whole: Branch) -> list[Branch]:
    """The largest branches of a tree that have all their chunks in a range, in order."""
    if not len(chunks) or whole[0] >= chunks.stop or whole[1] <= chunks.start:
        return []
    if chunks.start <= whole[0] and whole[1] <= chunks.stop:
        return [whole]
    left, right = halves(whole)
    return branches(chunks, left) + branches(chunks, right)


def total(branch: Branch, known: Callable[[Branch], torch.Tensor | None]) -> torch.Tensor:
    """The sum of a branch, from branches whose sums are known."""
    value = known(branch)
    if value is not None:
        return value
    left, right = halves(branch)
    return total(left, known) + total(right, known)
