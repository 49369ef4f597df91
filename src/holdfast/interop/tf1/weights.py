"""A cell's parameters in Holdfast's layout, from TensorFlow 1's variables by their names in the cell's scope.

An LSTM has ``kernel`` [I + O, 4H] and ``bias``, and optionally ``w_f_diag``, ``w_i_diag``, ``w_o_diag``, and
``projection/kernel`` [H, P]; an RNN ``kernel`` [I + H, H] and ``bias``; a GRU ``gates/kernel`` [I + H, 2H],
``candidate/kernel`` [I + H, H] and their biases. The GRU with weights from cuDNN has two candidates,
``candidate/input_projection`` and ``candidate/hidden_projection``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from holdfast.cells import NAMES, CellSpec, Kind, make_spec
from holdfast.errors import ConversionError
from holdfast.interop.layouts import TF1, Weights, with_forget_bias

DIAGONALS = ("w_f_diag", "w_i_diag", "w_o_diag")
PROJECTION = "projection/kernel"
_CANDIDATES = ("candidate/input_projection", "candidate/hidden_projection")


def spec_of(kind: Kind, variables: Mapping[str, Tensor], label: str, options: Mapping[str, Any]) -> CellSpec:
    """The description of a cell, from its variables.

    Args:
        kind: The kind of cell.
        variables: The tensors by name.
        label: The cell's name, for the message.
        options: Options that the variables do not show, of :class:`CellSpec`, such as ``activation``.

    Raises:
        ConversionError: A variable is missing or has an impossible shape.
        OptionError: An option is unknown or out of range.
    """
    reset_after = f"{_CANDIDATES[0]}/kernel" in variables
    needed = ["kernel", "bias"]
    if kind == "gru":
        needed = [f"{part}/{array}" for part in ("gates", *_candidates(reset_after)) for array in needed]
    peepholes = kind == "lstm" and any(name in variables for name in DIAGONALS)
    for name in needed + list(DIAGONALS if peepholes else ()):
        if name not in variables:
            raise ConversionError(f"{label} has no variable {name}; expected one, as every such {NAMES[kind]} has one.")
    for name, variable in variables.items():
        dimensions = 2 if name.endswith("kernel") else 1
        if variable.ndim != dimensions:
            raise ConversionError(
                f"{label} has variable {name} of shape {tuple(variable.shape)}; expected {dimensions} dimensions."
            )
    kernel = variables[needed[0]]
    units = kernel.shape[1] // {"lstm": 4, "gru": 2, "rnn": 1}[kind]
    proj_size = variables[PROJECTION].shape[1] if kind == "lstm" and PROJECTION in variables else 0
    inputs = kernel.shape[0] - (proj_size or units)
    if inputs < 1 or units < 1:
        raise ConversionError(
            f"{label} has a kernel of shape {tuple(kernel.shape)}; expected (inputs + units, gates * units)."
        )
    settings = {"input_size": inputs, "hidden_size": units, "single_bias": not reset_after}
    if kind == "lstm":
        settings |= {"proj_size": proj_size, "peepholes": peepholes}
    elif kind == "gru":
        settings["reset_after"] = reset_after
    return make_spec(kind, {**settings, **options})


def parameters(spec: CellSpec, variables: Mapping[str, Tensor], forget_bias: float, label: str) -> dict[str, Tensor]:
    """The parameters of a cell; gradients flow back to the variables.

    Args:
        spec: The cell.
        variables: The tensors by name.
        forget_bias: The number that TensorFlow 1 adds to the forget gate of an LSTM at run time.
        label: The cell's name, for the message.

    Raises:
        ConversionError: A variable does not have the shape of the cell.
    """
    peephole = None
    if spec.kind == "gru":
        kernels, biases = _of_gru(spec, variables)
    else:
        kernels, biases = list(_split(spec, variables["kernel"])), [variables["bias"]]
    if spec.peepholes:
        peephole = torch.stack([variables[f"w_{gate}_diag"] for gate in TF1.peepholes])
    second = biases[1] if len(biases) > 1 else None
    result = TF1.inward(spec, Weights(kernels[0], kernels[1], biases[0], second, peephole), label)
    if spec.proj_size:
        if variables[PROJECTION].shape != (spec.hidden_size, spec.proj_size):
            raise ConversionError(
                f"{label} has a projection of shape {tuple(variables[PROJECTION].shape)}; expected "
                f"{(spec.hidden_size, spec.proj_size)}."
            )
        result["weight_hr"] = variables[PROJECTION].T.contiguous()
    return with_forget_bias(spec, result, forget_bias) if spec.kind == "lstm" and forget_bias else result


def _candidates(after: bool) -> tuple[str, ...]:
    return _CANDIDATES if after else ("candidate",)


def _split(spec: CellSpec, kernel: Tensor) -> tuple[Tensor, Tensor]:
    """The rows of the inputs and the rows of the state."""
    return kernel[: spec.input_size], kernel[spec.input_size :]


def _of_gru(spec: CellSpec, variables: Mapping[str, Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Gates and candidate concatenated: the kernels of input and state, and one bias or two."""
    gates, bias = _split(spec, variables["gates/kernel"]), variables["gates/bias"]
    if not spec.reset_after:
        candidate = _split(spec, variables["candidate/kernel"])
        kernels = [torch.cat(pair, 1) for pair in zip(gates, candidate, strict=True)]
        return kernels, [torch.cat([bias, variables["candidate/bias"]])]
    parts = zip(gates, (bias, torch.zeros_like(bias)), _CANDIDATES, strict=True)  # the gates have an input bias only
    joined = [
        (torch.cat([rows, variables[f"{name}/kernel"]], 1), torch.cat([gate_bias, variables[f"{name}/bias"]]))
        for rows, gate_bias, name in parts
    ]
    return [kernel for kernel, _ in joined], [joined_bias for _, joined_bias in joined]
