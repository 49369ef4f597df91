"""Converts the attributes and weights of ONNX's operators LSTM, GRU and RNN to cells of Holdfast, and back.

The gate orders are in :data:`holdfast.interop.layouts.ONNX`. The inputs are X, W, R, B, sequence_lens, initial_h and,
for the LSTM, initial_c and P; the outputs are Y, Y_h and, for the LSTM, Y_c. The first dimension of W, R, B and P is
the direction; B holds both biases of a direction. With ``layout = 0`` the time comes first, with 1 the batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from holdfast.cells import CellSpec, Kind
from holdfast.cells.spec import make_spec
from holdfast.errors import ConversionError, OptionError
from holdfast.interop.layouts import ONNX, Weights
from holdfast.interop.onnx.activations import read_options, shortest, write_attributes
from holdfast.interop.onnx.graph import OnnxNode

KINDS: dict[str, Kind] = {"LSTM": "lstm", "GRU": "gru", "RNN": "rnn"}
INPUTS: dict[Kind, tuple[str, ...]] = {
    "rnn": ("X", "W", "R", "B", "sequence_lens", "initial_h"),
    "gru": ("X", "W", "R", "B", "sequence_lens", "initial_h"),
    "lstm": ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"),
}
WEIGHTS: tuple[str, ...] = ("W", "R", "B", "P")
_OUTPUTS: dict[Kind, tuple[str, ...]] = {"rnn": ("Y", "Y_h"), "gru": ("Y", "Y_h"), "lstm": ("Y", "Y_h", "Y_c")}
_ATTRIBUTES = ("activations", "activation_alpha", "activation_beta", "clip", "direction", "hidden_size", "layout")
_FURTHER_ATTRIBUTES: dict[Kind, tuple[str, ...]] = {
    "rnn": (),
    "gru": ("linear_before_reset",),
    "lstm": ("input_forget",),
}
_DIRECTIONS = ("forward", "reverse", "bidirectional")


class Settings(NamedTuple):
    """The settings of a node, besides its weights.

    Attributes:
        kind: The kind of cell.
        directions: For each direction, whether it runs backwards in time.
        options: For each direction, the options of its cell that the attributes set.
        batch_first: Whether the batch comes before the time.
        inputs: The values that it takes, by the names of :data:`INPUTS`, without those that are left out.
        outputs: A name for each output that there can be; ``""`` for one that is not used.
    """

    kind: Kind
    directions: tuple[bool, ...]
    options: tuple[dict[str, Any], ...]
    batch_first: bool
    inputs: dict[str, str]
    outputs: tuple[str, ...]


def settings(node: OnnxNode) -> Settings:
    """Reads the attributes, inputs and outputs of a node.

    Raises:
        ConversionError: An attribute is unknown, has a wrong value, or has no counterpart.
    """
    kind = KINDS[node.op]
    known = (*_ATTRIBUTES, *_FURTHER_ATTRIBUTES[kind])
    for name in node.attributes:
        if name not in known:
            raise ConversionError(f"{node.label} has an attribute {name!r}; expected only {', '.join(known)}.")
    names = INPUTS[kind]
    if not 3 <= len(node.inputs) <= len(names) or "" in node.inputs[:3]:
        raise ConversionError(
            f"{node.label} has inputs {node.inputs}; expected {', '.join(names)}, the first three set."
        )
    if len(node.outputs) > len(_OUTPUTS[kind]):
        raise ConversionError(f"{node.label} gives {node.outputs}; expected at most {', '.join(_OUTPUTS[kind])}.")
    inputs = {name: value for name, value in zip(names, node.inputs, strict=False) if value}
    direction = _attribute(node, "direction", str, "forward")
    if direction not in _DIRECTIONS:
        raise ConversionError(f"{node.label} has direction {direction!r}; expected one of {', '.join(_DIRECTIONS)}.")
    directions = (False, True) if direction == "bidirectional" else (direction == "reverse",)
    layout = _attribute(node, "layout", int, 0)
    if layout not in (0, 1):
        raise ConversionError(f"{node.label} has layout {layout}; expected 0 (time first) or 1 (batch first).")
    clip = shortest(_attribute(node, "clip", float, 0.0))
    shared: dict[str, Any] = {"gate_clip": clip} if clip else {}
    if kind == "lstm":
        shared |= {"coupled_gates": True} if _attribute(node, "input_forget", int, 0) else {}
        shared |= {"peepholes": True} if "P" in inputs else {}
    if kind == "gru" and not _attribute(node, "linear_before_reset", int, 0):
        shared["reset_after"] = False
    options = tuple({**shared, **activations} for activations in read_options(node, kind, len(directions)))
    outputs = (*node.outputs, *[""] * (len(_OUTPUTS[kind]) - len(node.outputs)))
    return Settings(kind, directions, options, bool(layout), inputs, outputs)


def _attribute(node: OnnxNode, name: str, kind: type, default: Any) -> Any:
    value = node.attributes.get(name, default)
    if not isinstance(value, kind):
        raise ConversionError(f"{node.label} has {name} = {value!r}; expected a {kind.__name__}.")
    return value


def specs(node: OnnxNode, settings: Settings, weights: Mapping[str, Tensor]) -> tuple[CellSpec, ...]:
    """The cell of each direction, from W, R and, if the node has them, B and P.

    Raises:
        ConversionError: The weights have shapes that do not fit one another or the node.
    """
    count = len(settings.directions)
    W, R = weights["W"], weights["R"]
    if W.ndim != 3 or R.ndim != 3 or not W.is_floating_point():
        raise ConversionError(
            f"{node.label} has W of shape {tuple(W.shape)} and R of shape {tuple(R.shape)}, {W.dtype}; expected "
            "[directions, rows, input_size] and [directions, rows, hidden_size], of floating point."
        )
    H = _attribute(node, "hidden_size", int, R.shape[2])
    if R.shape[2] != H:
        raise ConversionError(
            f"{node.label} has hidden_size {H}, and R of shape {tuple(R.shape)}; expected [.., .., {H}]."
        )
    for name, tensor in weights.items():
        if tensor.shape[:1] != (count,) or tensor.dtype != W.dtype:
            raise ConversionError(
                f"{node.label} has {name} of shape {tuple(tensor.shape)} and {tensor.dtype}; expected {count} first, a "
                f"part for each direction, and {W.dtype}, as W."
            )
    sizes = {"input_size": W.shape[2], "hidden_size": H, "bias": "B" in weights}
    try:
        return tuple(make_spec(settings.kind, {**sizes, **options}) for options in settings.options)
    except OptionError as error:
        raise ConversionError(f"{node.label} cannot be a cell of Holdfast: {error}") from error


def parameters(node: OnnxNode, spec: CellSpec, weights: Mapping[str, Tensor], direction: int) -> dict[str, Tensor]:
    """The parameters of one direction, as :meth:`CellSpec.parameter_shapes` names them.

    Raises:
        ConversionError: The weights do not fit the cell.
    """
    arrays = {name: tensor[direction] for name, tensor in weights.items()}
    for name, size in (("B", 2 * len(ONNX.gates[spec.kind]) * spec.hidden_size), ("P", 3 * spec.hidden_size)):
        if name in arrays and arrays[name].shape != (size,):
            shape = tuple(weights[name].shape)
            raise ConversionError(f"{node.label} has {name} of shape {shape}; expected {size} numbers a direction.")
    first, second = arrays["B"].chunk(2) if "B" in arrays else (None, None)
    peephole = arrays["P"].reshape(3, -1) if "P" in arrays else None
    return ONNX.inward(spec, Weights(arrays["W"], arrays["R"], first, second, peephole), node.label)


def check_exportable(spec: CellSpec, label: str) -> None:
    """Refuses a cell that the operators cannot express.

    Raises:
        ConversionError: An option has no counterpart; the message names it.
    """
    for option in ("layer_norm", "proj_size", "cell_clip", "zoneout_h", "zoneout_c"):
        value = getattr(spec, option)
        if value:
            raise ConversionError(
                f"{label} has {option} = {value}, which ONNX's operators LSTM, GRU and RNN lack; expected a cell "
                "without it. Export in another format, or train without this option."
            )


def attributes(spec: CellSpec, directions: int, reverse: bool, label: str) -> dict[str, Any]:
    """The attributes of the node for one layer; ``reverse`` means that its only direction runs backwards in time.

    Raises:
        ConversionError: The operators cannot express the cell.
    """
    check_exportable(spec, label)
    values: dict[str, Any] = {"hidden_size": spec.hidden_size}
    if directions == 2 or reverse:
        values["direction"] = "bidirectional" if directions == 2 else "reverse"
    if spec.gate_clip is not None:
        values["clip"] = float(spec.gate_clip)
    if spec.coupled_gates:
        values["input_forget"] = 1
    if spec.kind == "gru" and spec.reset_after:
        values["linear_before_reset"] = 1
    return {**values, **write_attributes(spec, directions, label)}


def weights(spec: CellSpec, parameters: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """W, R and, if the cell has them, B and P, from the parameters of each direction.

    A second bias that the cell does not have is zeros.
    """
    by_name: dict[str, list[Tensor]] = {}
    for direction in parameters:
        outward = ONNX.outward(spec, direction)
        arrays = {"W": outward.input, "R": outward.recurrent}
        if outward.bias is not None:
            second = torch.zeros_like(outward.bias) if outward.recurrent_bias is None else outward.recurrent_bias
            arrays["B"] = torch.cat([outward.bias, second])
        if outward.peephole is not None:
            arrays["P"] = outward.peephole.flatten()
        for name, array in arrays.items():
            by_name.setdefault(name, []).append(array)
    return {name: torch.stack(arrays) for name, arrays in by_name.items()}
