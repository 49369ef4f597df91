"""TensorFlow 1's cells, written down once more from its documentation, for the tests: a step each, on torch tensors.

``v`` holds a cell's variables by their names in its scope; gates are side by side in a kernel's columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

Variables = Mapping[str, Tensor]
Step = Callable[[Tensor, Any], tuple[Tensor, Any]]
σ = torch.sigmoid


def lstm(
    v: Variables,
    forget_bias: float = 1.0,
    φ: Callable[[Tensor], Tensor] = torch.tanh,
    cell_clip: float | None = None,
    proj_clip: float | None = None,
    mask: Tensor | None = None,
) -> Step:
    """BasicLSTMCell and LSTMCell: the state is (c, m)."""

    def step(x: Tensor, state: Any) -> tuple[Tensor, Any]:
        c, m = state
        i, j, f, o = (torch.cat([x, m], 1) @ v["kernel"] + v["bias"]).chunk(4, 1)
        if "w_f_diag" in v:
            f, i = f + v["w_f_diag"] * c, i + v["w_i_diag"] * c
        g = φ(j) if mask is None else φ(j) * mask
        c = σ(f + forget_bias) * c + σ(i) * g
        if cell_clip is not None:
            c = c.clamp(-cell_clip, cell_clip)
        m = σ(o + v["w_o_diag"] * c if "w_o_diag" in v else o) * φ(c)
        if "projection/kernel" in v:
            m = m @ v["projection/kernel"]
            if proj_clip is not None:
                m = m.clamp(-proj_clip, proj_clip)
        return m, (c, m)

    return step


def gru(v: Variables, φ: Callable[[Tensor], Tensor] = torch.tanh) -> Step:
    """GRUCell; with two candidates, CudnnCompatibleGRUCell."""

    def step(x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        r, u = σ(torch.cat([x, h], 1) @ v["gates/kernel"] + v["gates/bias"]).chunk(2, 1)
        if "candidate/kernel" in v:
            c = φ(torch.cat([x, r * h], 1) @ v["candidate/kernel"] + v["candidate/bias"])
        else:
            of_x, of_h = (
                value @ v[f"candidate/{part}_projection/kernel"] + v[f"candidate/{part}_projection/bias"]
                for part, value in (("input", x), ("hidden", h))
            )
            c = φ(of_x + r * of_h)
        h = u * h + (1 - u) * c
        return h, h

    return step


def rnn(v: Variables, φ: Callable[[Tensor], Tensor] = torch.tanh) -> Step:
    """BasicRNNCell."""

    def step(x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        h = φ(torch.cat([x, h], 1) @ v["kernel"] + v["bias"])
        return h, h

    return step


def normalised_lstm(v: Variables, forget_bias: float = 1.0, mask: Tensor | None = None) -> Step:
    """LayerNormBasicLSTMCell."""

    def norm(place: str, a: Tensor) -> Tensor:
        mean = a.mean(1, keepdim=True)
        variance = ((a - mean) ** 2).mean(1, keepdim=True)
        return (a - mean) / (variance + 1e-12).sqrt() * v[f"{place}/gamma"] + v[f"{place}/beta"]

    def step(x: Tensor, state: Any) -> tuple[Tensor, Any]:
        c, h = state
        i, j, f, o = (torch.cat([x, h], 1) @ v["kernel"]).chunk(4, 1)
        g = torch.tanh(norm("transform", j))
        g = g if mask is None else g * mask
        c = c * σ(norm("forget", f) + forget_bias) + σ(norm("input", i)) * g
        c = norm("state", c)
        h = torch.tanh(c) * σ(norm("output", o))
        return h, (c, h)

    return step


def sru(v: Variables, φ: Callable[[Tensor], Tensor] = torch.tanh) -> Step:
    """SRUCell."""

    def step(x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        x_bar, f, r, x_hat = (x @ v["kernel"]).chunk(4, 1)
        f, r = σ(torch.cat([f, r], 1) + v["bias"]).chunk(2, 1)
        c = f * c + (1 - f) * x_bar
        return r * φ(c) + (1 - r) * x_hat, c

    return step


def over_time(step: Step, x: Tensor, state: Any, lengths: list[int] | None = None, reverse: bool = False) -> Any:
    """Outputs [B, T, O] and the final state, a row at a time; past a row's length the output is zero."""
    rows, finals = [], []
    for b in range(len(x)):
        length = x.shape[1] if lengths is None else lengths[b]
        one = tuple(part[b : b + 1] for part in state) if isinstance(state, tuple) else state[b : b + 1]
        outputs: dict[int, Tensor] = {}
        for t in reversed(range(length)) if reverse else range(length):
            outputs[t], one = step(x[b : b + 1, t], one)
        width = step(x[b : b + 1, 0].nan_to_num(), one)[0]
        rows.append(torch.cat([outputs.get(t, torch.zeros_like(width)) for t in range(x.shape[1])])[None])
        finals.append(one)
    if isinstance(state, tuple):
        return torch.cat(rows), tuple(torch.cat([final[k] for final in finals]) for k in range(len(state)))
    return torch.cat(rows), torch.cat(finals)
