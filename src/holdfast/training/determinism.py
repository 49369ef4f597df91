"""What makes runs repeatable: seeds, random states, threads and deterministic kernels."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch


def seed_everything(seed: int, *, stream: int | tuple[int, ...] = 0) -> None:
    """Seeds the global generators of torch (every device), numpy and Python.

    Args:
        seed: Zero or more.
        stream: Streams of one seed are independent. ``fit`` uses 1, so that dropout does not repeat the numbers of
            the initial values; a chunk of a batch has ``(2, update, chunk)``.
    """
    key = (stream,) if isinstance(stream, int) else stream
    words = np.random.SeedSequence(seed, spawn_key=key if stream else ()).generate_state(4)
    torch.manual_seed(seed % 2**63 if stream == 0 else int(words[:2].view(np.uint64)[0] >> np.uint64(1)))
    np.random.seed(words)
    random.seed(int(words[2]) << 32 | int(words[3]))


def random_state() -> dict[str, Any]:
    """The states of the global generators, as tensors and numbers; see ``restore_random_state``."""
    version, numbers, gauss = random.getstate()
    cuda_in_use = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]  # torch left it untyped
    kind, keys, position, has_gauss, cached = np.random.get_state()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if cuda_in_use else [],
        "numpy": (
            str(kind),
            torch.from_numpy(np.asarray(keys).astype(np.int64)),
            int(position),
            int(has_gauss),
            float(cached),
        ),
        "python": (version, torch.tensor(numbers), gauss),
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Sets the global generators to what ``random_state`` returned."""
    torch.set_rng_state(state["torch"])
    for index, device_state in enumerate(state["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(device_state, index)
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers.tolist()), gauss))


@contextlib.contextmanager
def untouched_random_state() -> Iterator[None]:
    """Restores the global generators at the end of the block."""
    state = random_state()
    try:
        yield
    finally:
        restore_random_state(state)


@contextlib.contextmanager
def reproducible(threads: int) -> Iterator[None]:
    """In the block, torch uses this number of threads and cuDNN its deterministic kernels.

    Args:
        threads: 0 does not change the number.
    """
    before = torch.get_num_threads(), torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    if threads:
        torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        yield
    finally:
        if threads:
            torch.set_num_threads(before[0])
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before[1:]
