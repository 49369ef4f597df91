"""Cells of your own, for tests of what takes them."""

from __future__ import annotations

import torch
from torch import nn


class MinGRU(nn.Module):
    """z = sigmoid(Wz x), h' = (1 - z) h + z (W x) (Feng et al. 2024)."""

    def __init__(self, input_size, hidden_size, *, bias=True):
        super().__init__()
        self.hidden_size = hidden_size
        self.gates = nn.Linear(input_size, 2 * hidden_size, bias=bias)

    def initial_state(self, batch, dtype=None, device=None):
        return torch.zeros(batch, self.hidden_size, dtype=dtype, device=device)

    def forward(self, x, h):
        z, candidate = self.gates(x).chunk(2, -1)
        z = torch.sigmoid(z)
        h = (1 - z) * h + z * candidate
        return h, h


class Counter(nn.Module):
    """Its output has other values than its state: a number of steps first, then the values."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.linear = nn.Linear(input_size, hidden_size)

    def initial_state(self, batch, dtype=None, device=None):
        return {"steps": torch.zeros(batch, 1, dtype=dtype, device=device)}

    def forward(self, x, state):
        return torch.tanh(self.linear(x)), {"steps": state["steps"] + 1}


class LastTwo(nn.Module):
    """A head: the outputs of the last two steps side by side."""

    def __init__(self, input_size):
        super().__init__()
        self.linear = nn.Linear(2 * input_size, 5)

    def forward(self, outputs, lengths):
        if lengths is None:
            lengths = torch.full((len(outputs),), outputs.shape[1])
        rows = torch.arange(len(outputs))
        last, before = (lengths - 1).clamp(min=0), (lengths - 2).clamp(min=0)
        return self.linear(torch.cat([outputs[rows, last], outputs[rows, before]], -1))


def focal(scores, targets):
    """The focal loss of classes (Lin et al. 2017): cross-entropy times (1 - p)^2."""
    logarithms = torch.log_softmax(scores, -1)[torch.arange(len(targets)), targets]
    return -((1 - logarithms.exp()) ** 2) * logarithms


def mean_square(outputs, targets):
    """A loss of numbers."""
    return (outputs - targets).square().flatten(1).mean(1)
