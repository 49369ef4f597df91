"""What the models of the tasks look like as ONNX models: the network alone, between what encodes and what decodes.

What stands around the network in Holdfast (vocabularies, scaling, labels, searches) is no part of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.errors import ConversionError
from holdfast.interop.onnx import export as onnx_export
from holdfast.interop.onnx.export import Form, Input
from holdfast.interop.onnx.states import check_streams, parts_of, state_inputs, state_of
from holdfast.layers.attention import Memory
from holdfast.layers.recurrent_layer import RecurrentLayer
from holdfast.tasks.forecast.network import Forecaster
from holdfast.tasks.tag.sums import SumEncoder
from holdfast.tasks.task import RecipeTask
from holdfast.tasks.translate.network import Decoding

_MOST_ROWS = 50
_LENGTHS = Input(("batch",), "lengths", "time")


def write(path: Path, task: RecipeTask[Any], model: nn.Module, *, streaming: bool = False) -> dict[Path, float]:
    """Writes the model of a task as ONNX, in one file or in two.

    Args:
        path: The file; of two parts, ``NAME.PART.onnx`` each: ``encoder`` and ``decoder`` of a translator, ``window``
            and ``row`` of a forecaster that streams.
        task: The task.
        model: Its model.
        streaming: Write the form that takes a few steps and the state before them, and gives the state after them.

    Returns:
        The files, each with the largest difference to onnxruntime, as :func:`holdfast.interop.onnx.export.write`.

    Raises:
        ConversionError: ONNX's operators cannot say the model, or it cannot stream; no file is written.
        ModelFileError: A file cannot be written.
        MissingLibraryError: A library of the extra ``onnx`` is not installed.
    """
    found = forms(task, model, streaming=streaming)
    return onnx_export.write_all(
        {path.with_suffix(f".{part}{path.suffix}") if part else path: form for part, form in found.items()}
    )


def forms(task: RecipeTask[Any], model: nn.Module, *, streaming: bool = False) -> dict[str, Form]:
    """The ONNX models that the model of a task becomes, by what they are; ``""`` where there is one alone.

    Raises:
        ConversionError: It is to stream and cannot.
    """
    return _FORMS[task.name](task, model, streaming)


class _Scores(nn.Module):
    """Sequences and lengths in, scores out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor, lengths: Tensor, *spelled: Tensor) -> Tensor:
        scores: Tensor = self.model(inputs, lengths, *spelled)[0]
        return scores


class _Steps(nn.Module):
    """A few steps and the state in, scores and the state out."""

    def __init__(self, model: nn.Module, layer: RecurrentLayer) -> None:
        super().__init__()
        self.model = model
        self._layer = [layer]  # no module of this one: it is the model's

    def forward(self, inputs: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        scores, after = self.model(inputs, state=state_of(self._layer[0], state))
        return (scores, *parts_of(after))


def _scored(model: Any, x: Input, streaming: bool, spelled: Mapping[str, Input] | None = None) -> dict[str, Form]:
    """The forms of a model that takes inputs, lengths and state and gives scores and state."""
    if not streaming:
        return {"": Form(_Scores(model), {"inputs": x, "lengths": _LENGTHS, **(spelled or {})}, ("scores",))}
    check_streams(model.recurrent)
    states = state_inputs(model.recurrent)
    after = [name.replace("_0", "_n", 1) for name in states]
    return {"": Form(_Steps(model, model.recurrent), {"inputs": x, **states}, ("scores", *after))}


def _classify(task: Any, model: Any, streaming: bool) -> dict[str, Form]:
    if streaming and model.head not in ("last_state", "last_output"):
        raise ConversionError(
            f"The classifier's head is {model.head!r}, over all steps of a sequence; the streaming form gives the "
            "scores of its last output, so it needs head = 'last_state' or 'last_output'. Write the whole model "
            "instead."
        )
    if model.embedding is None:
        return _scored(model, Input(("batch", "time", task.encoder.channels)), streaming)
    return _scored(model, Input(("batch", "time"), "ids", len(task.encoder.vocabulary)), streaming)


def _tag(task: Any, model: Any, streaming: bool) -> dict[str, Form]:
    if isinstance(task.encoder, SumEncoder):
        return _scored(model, Input(("batch", "time", model.recurrent.input_size)), streaming)
    words = Input(("batch", "time"), "ids", len(task.encoder.words))
    if streaming:
        raise ConversionError(
            "The tagger reads words by their spelling, a sentence at once; the streaming form is for numbers. Write "
            "the whole model instead."
        )
    spelled = {
        "spellings": Input(("words", "letters"), "ids", len(task.encoder.characters)),
        "spelling_lengths": Input(("words",), "lengths", "letters"),
        "places": Input(("batch", "time"), "ids", "words"),
    }
    return _scored(model, words, False, spelled if model.words.spelling is not None else None)


def _generate(task: Any, model: Any, streaming: bool) -> dict[str, Form]:
    return _scored(model, Input(("batch", "time"), "ids", len(task.vocabulary)), streaming)


def _transcribe(task: Any, model: Any, streaming: bool) -> dict[str, Form]:
    return _scored(model, Input(("batch", "time", model.recurrent.input_size)), streaming)


class _Forecast(nn.Module):
    """A window and, where something is known of them, the rows that follow it in; the forecast of these rows out."""

    def __init__(self, model: nn.Module, horizon: int) -> None:
        super().__init__()
        self.model, self.horizon = model, horizon

    def forward(self, inputs: Tensor, *future: Tensor) -> Tensor:
        known = future[0] if future else inputs.new_zeros(inputs.shape[0], self.horizon, 0)
        forecast: Tensor = self.model(inputs, known)
        return forecast


class _Window(nn.Module):
    """A window in; the row after it, the state, and what the window is scaled by out."""

    def __init__(self, model: Forecaster) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        scale = self.model.statistics(inputs[..., : self.model.targets])
        row, state = self.model.follow(inputs, scale)
        return (row, *scale, *parts_of(state))


class _Rows(nn.Module):
    """The rows since then in; the row after them and the state out."""

    def __init__(self, model: Forecaster) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor, centre: Tensor, spread: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        row, after = self.model.follow(inputs, (centre, spread), state_of(self.model.recurrent, state))
        return (row, *parts_of(after))


def _forecast_by_rows(task: Any, model: Forecaster) -> dict[str, Form]:
    if not model.recursive:
        raise ConversionError(
            "The forecaster says all rows of its horizon at once; only one with model.method = 'recursive' has a "
            "streaming form. Write the whole model instead."
        )
    check_streams(model.recurrent)
    rows = {"inputs": Input(("batch", "time", sum(task.encoder.channels)))}
    states = state_inputs(model.recurrent)
    after = [name.replace("_0", "_n", 1) for name in states]
    scale = {name: Input(("batch", 1, model.targets)) for name in ("centre", "spread")}
    return {
        "window": Form(_Window(model), rows, ("forecast", *scale, *after)),
        "row": Form(_Rows(model), {**rows, **scale, **states}, ("forecast", *after)),
    }


def _forecast(task: Any, model: Any, streaming: bool) -> dict[str, Form]:
    if streaming:
        return _forecast_by_rows(task, model)
    if model.recursive and task.horizon > _MOST_ROWS:
        raise ConversionError(
            f"The forecaster says {task.horizon} rows one by one, and an ONNX model of it holds each of them; at most "
            f"{_MOST_ROWS} are written. Write the streaming form, which goes row by row."
        )
    known = task.encoder.channels[-1]
    inputs = {"inputs": Input(("batch", "time", sum(task.encoder.channels)))}
    if known:
        inputs["future"] = Input(("batch", task.horizon, known))
    return {"": Form(_Forecast(model, task.horizon), inputs, ("forecast",))}


class _Encoder(nn.Module):
    """Sources in; the decoder's initial state out, and what its attention looks at."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        state = self.model.begin(inputs, lengths)
        memory = () if state.memory is None else (state.memory.values, state.memory.keys)
        return (*parts_of(state.recurrent), *memory)


class _Decoder(nn.Module):
    """A token of each sentence and the state in; the next one's log probabilities and the state out."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        parts, memory = others, None
        if self.model.attention is not None:
            *parts, values, keys, lengths = others  # type: ignore[assignment]
            padding = torch.arange(values.shape[1], device=values.device) >= lengths[:, None]
            memory = Memory(values, keys, padding)
        state = Decoding(state_of(self.model.decoder, tuple(parts)), memory)
        scores, after = self.model.step(tokens[:, None], state)
        return (scores[:, 0], *parts_of(after.recurrent))


def _translate(task: Any, model: Any, streaming: bool) -> dict[str, Form]:
    if streaming:
        raise ConversionError(
            "A translator is written as an encoder, which reads a source whole, and a decoder, which goes step by step "
            "as it is; there is no other streaming form. Write it without streaming."
        )
    sources = {"inputs": Input(("batch", "time"), "ids", len(task.source)), "lengths": _LENGTHS}
    states = state_inputs(model.decoder)
    after = [name.replace("_0", "_n", 1) for name in states]
    memory: dict[str, Input] = {}
    if model.attention is not None:
        width = model.attention.memory_size
        keys = model.attention.keys(torch.zeros(1, 1, width, dtype=model.output.weight.dtype))
        memory = {"memory": Input(("batch", "time", width)), "keys": Input(("batch", "time", keys.shape[-1]))}
    tokens = {"tokens": Input(("batch",), "ids", len(task.target))}
    lengths = {"lengths": _LENGTHS} if memory else {}
    return {
        "encoder": Form(_Encoder(model), sources, (*states, *memory)),
        "decoder": Form(_Decoder(model), {**tokens, **states, **memory, **lengths}, ("scores", *after)),
    }


_FORMS: dict[str, Callable[[Any, Any, bool], dict[str, Form]]] = {
    "classify": _classify,
    "tag": _tag,
    "forecast": _forecast,
    "generate": _generate,
    "translate": _translate,
    "transcribe": _transcribe,
}
