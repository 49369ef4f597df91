"""A cell's parameters in Holdfast's layout from TensorFlow 1's variables, under the names that these have in its scope.

An LSTM has ``kernel`` [I + O, 4H] and ``bias``, perhaps ``w_f_diag``, ``w_i_diag``, ``w_o_diag``, and
``projection/kernel`` [H, P]; an RNN ``kernel`` [I + H, H] and ``bias``; a GRU ``gates/kernel`` [I + H, 2H],
``candidate/kernel`` [I + H, H] and their biases. The GRU whose weights come from cuDNN has two candidates,
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
    """The cell that variables belong to.

    Args:
        kind: The kind of cell.
        variables: The tensors by their names.
        label: The cell, for the message.
        options: What the variables do not tell: options of :class:`CellSpec`, such as ``activation``.

    Raises:
        ConversionError: A variable is missing, or has no shape that one of these has.
        OptionError: An option is unknown or out of range.
    """
    after = f"{_CANDIDATES[0]}/kernel" in variables
    needed = ["kernel", "bias"]
    if kind == "gru":
        needed = [f"{part}/{sort}" for part in ("gates", *_candidates(after)) for sort in needed]
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
    found = {"input_size": inputs, "hidden_size": units, "single_bias": not after}
    if kind == "lstm":
        found |= {"proj_size": proj_size, "peepholes": peepholes}
    elif kind == "gru":
        found["reset_after"] = after
    return make_spec(kind, {**found, **options})


def parameters(spec: CellSpec, variables: Mapping[str, Tensor], forget_bias: float, label: str) -> dict[str, Tensor]:
    """The parameters of a cell, with gradients to the variables.

    Args:
        spec: The cell.
        variables: The tensors by their names.
        forget_bias: What TensorFlow 1 adds to the forget gate at run time. LSTM.
        label: The cell, for the message.

    Raises:
        ConversionError: A variable has not the shape that the cell says.
    """
    peephole = None
    if spec.kind == "gru":
        kernels, biases = _of_gru(spec, variables)
    else:
        kernels, biases = list(_split(spec, variables["kernel"])), [variables["bias"]]
    if spec.peepholes:
        peephole = torch.stack([variables[f"w_{gate}_diag"] for gate in TF1.peepholes])
    second = biases[1] if len(biases) > 1 else None
    found = TF1.inward(spec, Weights(kernels[0], kernels[1], biases[0], second, peephole), label)
    if spec.proj_size:
        if variables[PROJECTION].shape != (spec.hidden_size, spec.proj_size):
            raise ConversionError(
                f"{label} has a projection of shape {tuple(variables[PROJECTION].shape)}; expected "
                f"{(spec.hidden_size, spec.proj_size)}."
            )
        found["weight_hr"] = variables[PROJECTION].T.contiguous()
    return with_forget_bias(spec, found, forget_bias) if spec.kind == "lstm" and forget_bias else found


def _candidates(after: bool) -> tuple[str, ...]:
    return _CANDIDATES if after else ("candidate",)


def _split(spec: CellSpec, kernel: Tensor) -> tuple[Tensor, Tensor]:
    """The rows of the input and those of the state."""
    return kernel[: spec.input_size], kernel[spec.input_size :]


def _of_gru(spec: CellSpec, variables: Mapping[str, Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Gates and candidate side by side: kernels of input and state, and the bias of each that has one."""
    gates, bias = _split(spec, variables["gates/kernel"]), variables["gates/bias"]
    if not spec.reset_after:
        candidate = _split(spec, variables["candidate/kernel"])
        kernels = [torch.cat(pair, 1) for pair in zip(gates, candidate, strict=True)]
        return kernels, [torch.cat([bias, variables["candidate/bias"]])]
    parts = zip(gates, (bias, torch.zeros_like(bias)), _CANDIDATES, strict=True)  # the gates' bias is the input's
    both = [
        (torch.cat([rows, variables[f"{name}/kernel"]], 1), torch.cat([of_gates, variables[f"{name}/bias"]]))
        for rows, of_gates, name in parts
    ]
    return [kernel for kernel, _ in both], [of_part for _, of_part in both]
