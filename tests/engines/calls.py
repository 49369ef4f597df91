"""What the tests of the ways of calling share: two inputs, and the comparison with a plain call."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

X = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(1))
OTHER = torch.randn(3, 7, 3, generator=torch.Generator().manual_seed(2))  # other sizes
CLOSE = 1e-6  # of 1, and of the value where that is larger


@contextmanager
def quiet() -> Iterator[None]:
    """What torch says of tracing: that it is deprecated, and where Python looked at a size."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def near(got: Any, expected: Any) -> None:
    torch.testing.assert_close(got, expected, rtol=CLOSE, atol=CLOSE)


def in_onnxruntime(path: Path) -> Callable[[Tensor], Tensor]:
    session = pytest.importorskip("onnxruntime").InferenceSession(path)
    return lambda x: torch.from_numpy(session.run(None, {"x": x.numpy()})[0])
