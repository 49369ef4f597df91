"""Subclasses of torch.nn's recurrent modules, and the checks that a replaced module equals the original."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import holdfast

F64 = torch.float64
X = torch.randn(4, 2, 3, dtype=F64, generator=torch.Generator().manual_seed(1))


class Shifted(nn.LSTM):
    """Changes what goes in and what comes out."""

    def __init__(self, *args: Any, shift: float = 1.0, **options: Any) -> None:
        super().__init__(*args, **options)
        self.shift = shift

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        output, state = super().forward(input / 2, hx)
        return output + self.shift, state


class Twice(Shifted):
    def forward(self, input: Tensor, hx: Any = None) -> Any:
        return super().forward(*self.between(input, super().forward(input, hx)[1]))

    def between(self, input: Tensor, state: Any) -> Any:
        return input - 1, state


class WithNorm(nn.GRU):
    """Has a parameter and a child of its own, and returns the output alone."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.norm = nn.LayerNorm(5, dtype=F64)
        self.gain = nn.Parameter(torch.full((5,), 2.0, dtype=F64))

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        return self.norm(super().forward(input, hx)[0]) * self.gain


class Renamed(nn.RNN):
    """Overrides nothing."""


class Explicit(nn.GRU):
    def forward(self, input: Tensor, hx: Any = None) -> Any:
        return nn.GRU.forward(self, input * 2, hx)


class Doubled(nn.LSTMCell):
    def forward(self, input: Tensor, hx: Any = None) -> Any:
        return tuple(2 * part for part in super().forward(input, hx))


class Simple(nn.RNNCell):
    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return super().forward(input[:, :3], hx)


class Gated(nn.GRUCell):
    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return super().forward(input, super().forward(input, hx))


SUBCLASSES: dict[str, Callable[[], Any]] = {
    "LSTM": lambda: Shifted(3, 5, 2, bidirectional=True, dtype=F64, shift=3.0),
    "LSTM, projected": lambda: Shifted(3, 5, proj_size=2, dtype=F64),
    "a subclass of a subclass": lambda: Twice(3, 5, dtype=F64),
    "GRU": lambda: WithNorm(3, 5, dtype=F64),
    "GRU, torch's forward by name": lambda: Explicit(3, 5, dtype=F64),
    "RNN": lambda: Renamed(3, 5, nonlinearity="relu", bias=False, dtype=F64),
    "LSTMCell": lambda: Doubled(3, 5, dtype=F64),
    "RNNCell": lambda: Simple(3, 5, nonlinearity="relu", dtype=F64),
    "GRUCell": lambda: Gated(3, 5, dtype=F64),
}
PLAIN: dict[str, Callable[[], Any]] = {
    "LSTM": lambda: nn.LSTM(3, 5, 2, bidirectional=True, dtype=F64),
    "GRU": lambda: nn.GRU(3, 5, dtype=F64),
    "RNN": lambda: nn.RNN(3, 5, nonlinearity="relu", dtype=F64),
    "LSTMCell": lambda: nn.LSTMCell(3, 5, dtype=F64),
    "GRUCell": lambda: nn.GRUCell(3, 5, bias=False, dtype=F64),
    "RNNCell": lambda: nn.RNNCell(3, 5, nonlinearity="relu", dtype=F64),
}


def tensors(value: Any) -> list[Tensor]:
    return [value] if isinstance(value, Tensor) else [tensor for part in value for tensor in tensors(part)]


def run(module: Any, x: Tensor = X) -> list[Tensor]:
    return tensors(module(x if isinstance(module, nn.RNNBase) else x[0]))


def assert_same(got: list[Tensor], expected: list[Tensor]) -> None:
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def assert_gradients_are_the_same(ours: Any, theirs: Any) -> None:
    for module in (ours, theirs):
        module.zero_grad()
        sum(out.sin().sum() for out in run(module)).backward()
    for (name, a), (other, b) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert name == other
        torch.testing.assert_close(a.grad, b.grad, rtol=0, atol=1e-12)


def replaced(module: Any) -> Any:
    assert not holdfast.replace_recurrent(module).left
    return module
