"""A request as one node LSTM, GRU or RNN of ONNX, for torch.onnx.export (``dynamo=True``)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from holdfast.cells import NAMES, CellSpec, Kind
from holdfast.engines.request import Request, Result

# As in holdfast.interop.layouts, which engines cannot import; a test compares the two.
GATES: dict[Kind, str] = {"lstm": "iofg", "gru": "zrn", "rnn": "h"}
PEEPHOLES = "iof"
_INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
_OPTIONS_OF_ONNX = ("peepholes", "coupled_gates", "gate_clip", "reset_after", "single_bias", "weight_dropout")
_VERSION = 18


def lacks(request: Request) -> str | None:
    """One sentence that names what ONNX's operators lack for a request, or None when they can express it."""
    spec, name = request.spec, f"ONNX's {NAMES[request.spec.kind]}"
    for option, value in spec.computing_options().items():
        training_only = option.startswith("recurrent_dropout") and request.noise is None
        relu = (spec.kind, option, value) == ("rnn", "activation", "relu")
        if not (option in _OPTIONS_OF_ONNX or training_only or relu):
            return f"{name} has no {option}={value.__name__ if callable(value) else repr(value)}."
    if request.return_states and spec.kind == "lstm":
        return f"{name} does not give the cell state after every step."
    if request.inputs.dtype not in (torch.float32, torch.float64, torch.float16):
        return f"{name} does not compute in {request.inputs.dtype}."
    return None


def run(request: Request) -> Result:
    """The results of the node; they have shapes and no values."""
    spec, (batch, steps, _) = request.spec, request.inputs.shape
    weights = _weights(spec, dict(request.parameters))
    node_inputs: dict[str, Tensor] = {"X": request.inputs.transpose(0, 1), **weights}
    if request.lengths is not None:
        node_inputs["sequence_lens"] = request.lengths.to(torch.int32)
    node_inputs |= {name: part[None] for name, part in zip(("initial_h", "initial_c"), request.state, strict=False)}
    names = [name for name in _INPUTS if spec.kind == "lstm" or name not in ("initial_c", "P")]
    state = (1, batch, spec.hidden_size)
    shapes = [(steps, *state), *[state] * len(request.state)]
    y, *final = torch.onnx.ops.symbolic_multi_out(
        NAMES[spec.kind],
        [node_inputs.get(name) for name in names],
        _attributes(request),
        dtypes=[request.inputs.dtype] * len(shapes),
        shapes=shapes,
        version=_VERSION,
    )
    outputs = y[:, 0].transpose(0, 1)
    final_state = tuple(part[0] for part in final)
    if not request.return_states:
        return Result(outputs, final_state)
    states = outputs
    if request.lengths is not None:
        padding = torch.arange(steps, device=y.device) >= request.lengths[:, None]
        constant = (request.state if request.reverse else final_state)[0]
        states = torch.where(padding[:, :, None], constant[:, None], outputs)
    return Result(outputs, final_state, (states,))


def _attributes(request: Request) -> dict[str, Any]:
    spec = request.spec
    attributes: dict[str, Any] = {"hidden_size": spec.hidden_size}
    if request.reverse:
        attributes["direction"] = "reverse"
    if spec.gate_clip is not None:
        attributes["clip"] = float(spec.gate_clip)
    if spec.coupled_gates:
        attributes["input_forget"] = 1
    if spec.kind == "gru" and spec.reset_after:
        attributes["linear_before_reset"] = 1
    if spec.activation == "relu":
        attributes["activations"] = ["Relu"]
    return attributes


def _weights(spec: CellSpec, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
    """W, R and, where the cell has them, B and P: [1, rows, ...], the gates in ONNX's order."""
    arrays = {"W": _ordered(spec, parameters["weight_ih"]), "R": _ordered(spec, parameters["weight_hh"])}
    if spec.bias:
        first = _ordered(spec, parameters["bias_ih"])
        second = torch.zeros_like(first) if spec.single_bias else _ordered(spec, parameters["bias_hh"])
        arrays["B"] = torch.cat([first, second])
    if spec.peepholes:
        peephole_gates = [gate for gate in spec.gates if gate != "g"]
        rows = {gate: parameters["weight_peephole"][k] for k, gate in enumerate(peephole_gates)}
        zeros = torch.zeros_like(parameters["weight_peephole"][0])
        arrays["P"] = torch.cat([rows.get(gate, zeros) for gate in PEEPHOLES])
    return {name: array[None] for name, array in arrays.items()}


def _ordered(spec: CellSpec, array: Tensor) -> Tensor:
    """The rows of each gate in ONNX's order; a forget gate that the cell lacks is zeros, which are not read."""
    size = spec.hidden_size  # slices: exporters fold constant slices, and do not fold a split
    rows = {gate: array[k * size : (k + 1) * size] for k, gate in enumerate(spec.gates)}
    zeros = torch.zeros_like(array[:size])
    return torch.cat([rows.get(gate, zeros) for gate in GATES[spec.kind]])
