"""A cell's parameters on a module: their names, their initial values, and how they reach an engine."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holdfast.cells import CellSpec


def register(module: nn.Module, spec: CellSpec, suffix: str, device: Any, dtype: torch.dtype | None) -> None:
    """Puts the parameters of a cell on ``module``, named as torch.nn names them: ``weight_ih`` + ``suffix``, ...."""
    for name, shape in spec.parameter_shapes().items():
        module.register_parameter(name + suffix, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))


def collect(module: nn.Module, spec: CellSpec, suffix: str) -> dict[str, Tensor]:
    """The parameters of a cell by their names without the suffix, as they are stored."""
    return {name: one(module, name + suffix) for name in spec.parameter_names}


def one(module: nn.Module, name: str) -> Tensor:
    """The parameter of that name, which may be one that something else computes, such as torch's weight_norm."""
    parameter = module._parameters.get(name)  # getattr is slow
    return getattr(module, name) if parameter is None else parameter


def for_call(module: nn.Module, spec: CellSpec, suffix: str) -> dict[str, Tensor]:
    """The parameters for one call: while training, DropConnect drops recurrent weights (Merity et al. 2018)."""
    parameters = collect(module, spec, suffix)
    if spec.weight_dropout and module.training:
        parameters["weight_hh"] = F.dropout(parameters["weight_hh"], spec.weight_dropout)
    return parameters


@torch.no_grad()
def initialise(module: nn.Module, spec: CellSpec, suffix: str) -> None:
    """Sets the initial values of a cell's parameters.

    Input weights and projections are drawn from Xavier's uniform distribution (Glorot & Bengio 2010) and recurrent
    weights are orthogonal (Saxe et al. 2014), each gate by itself. Biases are 0, but the forget gate's in ``bias_ih``
    is ``forget_bias`` (with coupled gates, the input gate's is its negative). Gains are 1, peepholes 0: the cell
    starts as the one without them.
    """
    H = spec.hidden_size
    for name, parameter in collect(module, spec, suffix).items():
        if name == "weight_ih":
            for rows in torch.split(parameter, H):
                nn.init.xavier_uniform_(rows)
        elif name == "weight_hh":
            for rows in torch.split(parameter, H):
                exact = torch.empty_like(rows, dtype=torch.promote_types(rows.dtype, torch.float32))
                rows.copy_(nn.init.orthogonal_(exact))  # torch decomposes no matrix in half precision
        elif name == "weight_hr":
            nn.init.xavier_uniform_(parameter)
        elif name in ("norm_ih", "norm_hh", "norm_c"):
            nn.init.ones_(parameter)
        else:
            nn.init.zeros_(parameter)
            if name == "bias_ih" and spec.kind == "lstm":
                gate, sign = ("i", -1) if spec.coupled_gates else ("f", 1)
                k = spec.gates.index(gate)
                parameter[k * H : (k + 1) * H] = sign * spec.forget_bias
