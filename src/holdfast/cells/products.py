"""The two matrix products that every cell starts from, with their layer normalisation.

    input product       a = W_ih x + b_ih        with layer_norm   a = LN(W_ih x; γ_ih) + b_ih
    recurrent product   u = W_hh h + b_hh        with layer_norm   u = LN(W_hh h; γ_hh) + b_hh

LN(a; γ) = γ ⊙ (a - mean(a)) / sqrt(var(a) + ε), over the gates that :attr:`CellSpec.norm_groups` groups
(Ba, Kiros & Hinton 2016, equations 20 to 22; the shift of a normalisation is the bias that follows it).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from holdfast.cells.spec import CellSpec

Parameters = Mapping[str, Tensor]
"""The parameters of a cell by name, such as ``weight_ih`` [gates * H, I] and ``bias_ih`` [gates * H]."""

EPSILON = 1e-5  # ε, as in torch.nn.LayerNorm
LARGE = 2.0**40  # far above ε; its square times any number of units is far from overflow


def input_product(spec: CellSpec, p: Parameters, x: Tensor) -> Tensor:
    """W_ih x + b_ih for any number of steps at once: [..., I] -> [..., gates * H]."""
    return _product(spec, x, p["weight_ih"], p.get("bias_ih"), p.get("norm_ih"), spec.norm_groups)


def recurrent_product(spec: CellSpec, p: Parameters, h: Tensor) -> Tensor:
    """W_hh h + b_hh: [B, O], or [B, gates, O] where each gate has its own h, -> [B, gates * H]."""
    return _product(spec, h, p["weight_hh"], p.get("bias_hh"), p.get("norm_hh"), spec.norm_groups, h.dim() == 3)


def recurrent_product_of(spec: CellSpec, p: Parameters, h: Tensor, first: int, last: int) -> Tensor:
    """The recurrent product of the gates ``first``, ..., ``last - 1``: [B, O] -> [B, (last - first) * H].

    Where each gate has its own h, ``h`` has those of these gates, [B, last - first, O].
    """
    rows = slice(first * spec.hidden_size, last * spec.hidden_size)
    bias, gain = (None if p.get(name) is None else p[name][rows] for name in ("bias_hh", "norm_hh"))
    return _product(spec, h, p["weight_hh"][rows], bias, gain, (last - first,), h.dim() == 3)


def _product(
    spec: CellSpec,
    x: Tensor,
    W: Tensor,
    b: Tensor | None,
    gain: Tensor | None,
    groups: tuple[int, ...],
    h_per_gate: bool = False,
) -> Tensor:
    if gain is None and not h_per_gate:
        return F.linear(x, W, b)
    a = _linear_per_gate(spec, x, W) if h_per_gate else F.linear(x, W)
    if gain is not None:
        sizes = [gates * spec.hidden_size for gates in groups]
        parts = zip(torch.split(a, sizes, -1), torch.split(gain, sizes), strict=True)
        normalised = [layer_norm(size, *part) for size, part in zip(sizes, parts, strict=True)]
        a = torch.cat(normalised, -1)
    return a if b is None else a + b


def _linear_per_gate(spec: CellSpec, x: Tensor, W: Tensor) -> Tensor:
    """Each gate's rows of W times its own part of x: [B, gates, O] -> [B, gates * H]."""
    gates = zip(x.unbind(1), torch.split(W, spec.hidden_size), strict=True)
    return torch.cat([F.linear(x_gate, W_gate) for x_gate, W_gate in gates], -1)


def layer_norm(size: int, a: Tensor, gain: Tensor, shift: Tensor | None = None) -> Tensor:
    """LN(a; gain, shift) over the last dimension, which has ``size`` values.

    LN(s a) = LN(a) for values far above ε: values whose squares could overflow are scaled down first.
    """
    s = (LARGE / a.detach().abs().amax(-1, keepdim=True)).clamp(max=1)
    return F.layer_norm(s * a, (size,), gain, shift, EPSILON)
