"""Writes layers and networks as ONNX files: the names, dimensions and order of their inputs and outputs."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from holdfast.interop.network import Network
from holdfast.interop.onnx.export import Form, Input
from holdfast.interop.onnx.export import write as write_form
from holdfast.interop.onnx.network_form import of_network
from holdfast.interop.onnx.states import check_streams, parts_of, state_inputs, state_of
from holdfast.layers.recurrent_layer import RecurrentLayer

LENGTHS = Input(("batch",), "lengths", "time")


def write(path: Path | str, model: RecurrentLayer | Network, *, streaming: bool = False) -> float:
    """Writes a layer or a network; see :func:`holdfast.interop.onnx.export.write` for the result and the errors.

    Args:
        path: The file.
        model: The model.
        streaming: Write the streaming form: it takes some steps and the state before them, and gives the state after.
    """
    if isinstance(model, RecurrentLayer):
        return write_form(Path(path), of_layer(model, streaming=streaming))
    return write_form(Path(path), of_network(model, streaming=streaming))


def of_layer(layer: RecurrentLayer, *, streaming: bool = False) -> Form:
    """A layer: the inputs ``x`` and ``lengths``, or ``x`` and the state for streaming; ``y`` and the final state.

    Raises:
        ConversionError: The layer is for streaming and does not run forwards.
    """
    axes = ("batch", "time") if layer.batch_first else ("time", "batch")
    states = state_inputs(layer)
    outputs = ("y", *(name.replace("_0", "_n", 1) for name in states))
    inputs = {"x": Input((*axes, layer.input_size))}
    if streaming:
        check_streams(layer)
        return Form(_Layer(layer, streaming=True), {**inputs, **states}, outputs)
    return Form(_Layer(layer, streaming=False), {**inputs, "lengths": LENGTHS}, outputs)


class _Layer(nn.Module):
    def __init__(self, layer: RecurrentLayer, *, streaming: bool) -> None:
        super().__init__()
        self.layer, self.streaming = layer, streaming

    def forward(self, x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        if self.streaming:
            y, state = self.layer(x, state_of(self.layer, others))
        else:
            y, state = self.layer(x, lengths=others[0])
        return (y, *parts_of(state))
