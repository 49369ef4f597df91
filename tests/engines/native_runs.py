"""What the tests of the native engine share: the activations of the kernels, options that fit a size, and threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from holdfast.cells import ACTIVATIONS
from holdfast.runtime.kernels import function
from variants import PARAMETRISED

# The activations that the kernels have.
NAMES = [name for name in (*ACTIVATIONS, *PARAMETRISED) if function(name)]


def fitting(options: dict[str, Any], units: int) -> dict[str, Any]:
    """The options for a layer of so many units: its projection is smaller, and more than a vector where it can be."""
    if "proj_size" not in options:
        return options
    projected = {**options, "proj_size": units * 2 // 3}
    return projected if projected["proj_size"] else {**projected, "proj_clip": None}


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
