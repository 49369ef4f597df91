"""Writes layers and networks as ONNX files: the names, dimensions and order of their inputs and outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from holdfast.interop.network import Network
from holdfast.interop.onnx.export import write as write_form
from holdfast.interop.onnx.export import write_all
from holdfast.interop.onnx.network_form import of_network
from holdfast.layers.forms import LENGTHS, Form, Input, check_streams, parts_of, state_inputs, state_of, states_after
from holdfast.layers.recurrent_layer import RecurrentLayer
from holdfast.tasks.task import RecipeTask


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


def write_trained(path: Path, task: RecipeTask[Any], model: nn.Module, *, streaming: bool = False) -> dict[Path, float]:
    """Writes the model of a task, in one file or in several.

    Args:
        path: The file; of several parts, ``NAME.PART.onnx`` each: ``encoder`` and ``decoder`` of a translator,
            ``window`` and ``row`` of a forecaster that streams.
        task: The task.
        model: Its model.
        streaming: Write the streaming form: it takes some steps and the state before them, and gives the state after.

    Returns:
        The files, each with the largest difference to onnxruntime, as :func:`holdfast.interop.onnx.export.write`.

    Raises:
        ConversionError: ONNX's operators cannot say the model, or it cannot stream; no file is written.
        OptionError: The model has a part of your own.
        ModelFileError: A file cannot be written.
        MissingLibraryError: A library of the extra ``onnx`` is not installed.
    """
    task.chain(model).refuse_own_parts()
    forms = task.exports(model, streaming=streaming)
    return write_all(
        {path.with_suffix(f".{part}{path.suffix}") if part else path: form for part, form in forms.items()}
    )


def of_layer(layer: RecurrentLayer, *, streaming: bool = False) -> Form:
    """A layer: the inputs ``x`` and ``lengths``, or ``x`` and the state for streaming; ``y`` and the final state.

    Raises:
        ConversionError: The layer is for streaming and does not run forwards.
    """
    axes = ("batch", "time") if layer.batch_first else ("time", "batch")
    states = state_inputs(layer)
    outputs = ("y", *states_after(states))
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
