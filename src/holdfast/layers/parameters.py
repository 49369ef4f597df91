"""A cell's parameters on a module: their names, their initial values, and how they reach an engine."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holdfast.cells import CellSpec

Weights = Mapping[str, Tensor | None]
_IN_TORCH = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


def register(module: nn.Module, spec: CellSpec, suffix: str, device: Any, dtype: torch.dtype | None) -> None:
    """Puts the parameters of a cell on ``module``, named as torch.nn names them: ``weight_ih`` + ``suffix``, ...."""
    for name, shape in spec.parameter_shapes().items():
        module.register_parameter(name + suffix, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))


def collect(module: nn.Module, spec: CellSpec, suffix: str, weights: Weights | None = None) -> dict[str, Tensor]:
    """The stored parameters of a cell, by their names without the suffix.

    Args:
        module: The layer or cell.
        spec: Its cell.
        suffix: What follows the names: ``_l0``, ``_l1_reverse``, ... in a layer, nothing in a cell.
        weights: ``module.named_weights()``, if the caller has it already.
    """
    if weights is None:
        weights = cast(Weights, cast(Any, module).named_weights())
    parameters = {}
    for name in spec.parameter_names:
        parameter = weights.get(name + suffix)
        parameters[name] = get(module, name + suffix, weights) if parameter is None else parameter
    return parameters


def get(module: nn.Module, name: str, weights: Weights) -> Tensor:
    """One parameter. If it is not in ``weights``, ``module.named_weights()``, it is an attribute, which is slower."""
    parameter = weights.get(name)
    return cast(Tensor, getattr(module, name)) if parameter is None else parameter


def named(module: nn.Module, name: str) -> Tensor:
    """The parameter of that name, such as ``"recurrent.weight_ih_l0"``, of a module or of one in it."""
    inner, _, last = name.rpartition(".")
    owner = module.get_submodule(inner)
    weights: Weights = cast(Any, owner).named_weights() if hasattr(owner, "named_weights") else {}
    return get(owner, last, weights)


def for_call(module: nn.Module, spec: CellSpec, suffix: str, weights: Weights | None = None) -> dict[str, Tensor]:
    """The parameters for one call: while training, DropConnect drops recurrent weights (Merity et al. 2018)."""
    parameters = collect(module, spec, suffix, weights)
    if spec.weight_dropout and module.training:
        parameters["weight_hh"] = F.dropout(parameters["weight_hh"], spec.weight_dropout)
    return parameters


@torch.no_grad()
def initialise(module: nn.Module, spec: CellSpec, suffix: str) -> None:
    """Sets the initial values of a cell's parameters, as ``spec.init`` says.

    ``"holdfast"``: input weights and projections are drawn from Xavier's uniform distribution (Glorot & Bengio 2010)
    and recurrent weights are orthogonal (Saxe et al. 2014), each gate by itself. Biases are 0, except that the forget
    gate's rows of ``bias_ih`` are ``forget_bias`` (with coupled gates, the input gate's rows are its negative).

    ``"torch"``: all of these are drawn from the uniform distribution between plus and minus 1 / sqrt(hidden_size), in
    torch.nn's order, so that they are torch.nn's numbers for the same seed.

    With both, gains are 1 and peepholes 0: the cell starts like a cell without them.
    """
    H = spec.hidden_size
    for name, parameter in collect(module, spec, suffix).items():
        if spec.init == "torch" and name in _IN_TORCH:
            nn.init.uniform_(parameter, -1 / math.sqrt(H), 1 / math.sqrt(H))
        elif name == "weight_ih":
            for rows in torch.split(parameter, H):
                nn.init.xavier_uniform_(rows)
        elif name == "weight_hh":
            for rows in torch.split(parameter, H):
                exact = torch.empty_like(rows, dtype=torch.promote_types(rows.dtype, torch.float32))
                rows.copy_(nn.init.orthogonal_(exact))  # torch cannot decompose matrices in half precision
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
