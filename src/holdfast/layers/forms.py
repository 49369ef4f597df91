"""Models in forms that other software can run: tensors in, tensors out, with names, sizes and the state in the open.

A form leaves out what is around the network in Holdfast: vocabularies, scaling, labels, searches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from holdfast.cells import NAMES
from holdfast.cells.parameter_names import layer_suffix
from holdfast.errors import ConversionError
from holdfast.layers.chain import Chain
from holdfast.layers.chain.parts import Embedding, Head
from holdfast.layers.recurrent_layer import RecurrentLayer

AXES = ("batch", "time", "words", "letters")


@dataclass(frozen=True)
class Input:
    """An input of a form.

    Attributes:
        axes: Its dimensions: a number for a fixed size, a name of :data:`AXES` for an open one.
        kind: ``"numbers"``; ``"ids"``, whole numbers from 0 to below ``bound``; or ``"lengths"``, from 0 to ``bound``.
        bound: A number, or the axis whose size it is.
        least: The smallest number of steps.
    """

    axes: tuple[int | str, ...]
    kind: Literal["numbers", "ids", "lengths"] = "numbers"
    bound: int | str = 0
    least: int = 1

    def sample(self, sizes: Mapping[str, int], generator: torch.Generator) -> Tensor:
        """A random value for this input."""
        named = {**sizes, "time": max(sizes["time"], self.least)}
        shape = [named[axis] if isinstance(axis, str) else axis for axis in self.axes]
        if self.kind == "numbers":
            return torch.randn(shape, generator=generator)
        bound = sizes[self.bound] if isinstance(self.bound, str) else self.bound
        return torch.randint(0, bound + (self.kind == "lengths"), shape, generator=generator)


LENGTHS = Input(("batch",), "lengths", "time")


@dataclass(frozen=True)
class Form:
    """A module, with names for what goes in and comes out.

    Attributes:
        module: Takes tensors, in the order of ``inputs``, and gives a tensor or a tuple of them.
        inputs: By name.
        outputs: The names of what it gives.
    """

    module: nn.Module
    inputs: Mapping[str, Input]
    outputs: tuple[str, ...]


def of_chain(model: nn.Module, chain: Chain, *, streaming: bool = False) -> Form:
    """The form of a plain chain of layers.

    Args:
        model: Called with inputs and lengths, or with inputs and ``state=``; gives scores and the final state.
        chain: What it computes; only the first part may be another than layers, and stands outside.
        streaming: The form that takes a few steps and the state before them, and gives the state after them.

    Raises:
        ConversionError: It is to stream and cannot.
    """
    head, first = chain.find(Head), chain.parts[0]
    if isinstance(first, Embedding):
        x = Input(("batch", "time"), "ids", first.tokens)
    else:
        x = Input(("batch", "time", chain.recurrent.input_size if chain.input_size is None else chain.input_size))
    if not streaming:
        return scored(model, {"inputs": x, "lengths": LENGTHS})
    if head is not None and head.kind not in ("last_state", "last_output"):
        raise ConversionError(
            f"The model's head is {head.kind!r}, over all steps of a sequence; the streaming form gives the values of "
            "its last output, so it needs head = 'last_state' or 'last_output'. Write the whole model instead."
        )
    layer = cast(RecurrentLayer, model.get_submodule(chain.recurrent.name))
    check_streams(layer)
    states = state_inputs(layer)
    return Form(_Steps(model, layer), {"inputs": x, **states}, ("scores", *states_after(states)))


def scored(model: nn.Module, inputs: Mapping[str, Input]) -> Form:
    """The form of a model that gives scores and a state, without the state."""
    return Form(_Scores(model), inputs, ("scores",))


class _Scores(nn.Module):
    """The inputs of a model in, scores out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor, lengths: Tensor, *others: Tensor) -> Tensor:
        scores: Tensor = self.model(inputs, lengths, *others)[0]
        return scores


class _Steps(nn.Module):
    """A few steps and the state in, scores and the state out."""

    def __init__(self, model: nn.Module, layer: RecurrentLayer) -> None:
        super().__init__()
        self.model = model
        self._layer = [layer]  # in a list, so that it is no second module: it is the model's

    def forward(self, inputs: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        scores, after = self.model(inputs, state=state_of(self._layer[0], state))
        return (scores, *parts_of(after))


def check_streams(layer: RecurrentLayer) -> None:
    """Refuses a layer that needs later steps.

    Raises:
        ConversionError: The layer is bidirectional or runs in reverse.
    """
    if layer.bidirectional or layer.reverse:
        reason = "is bidirectional" if layer.bidirectional else "runs in reverse"
        raise ConversionError(
            f"The {NAMES[layer.kind]} {reason}: its output depends on later steps. The streaming form "
            "needs a layer that runs forwards; write the whole model instead."
        )


def state_inputs(layer: RecurrentLayer) -> dict[str, Input]:
    """The parts of a layer's state: ``h_0`` and ``c_0``; for layers of different sizes ``h_0_l0``, ``h_0_l1``, ...."""
    inputs = {}
    for letter in layer.specs[0].state_sizes:
        sizes = [spec.state_sizes[letter] for spec in layer.specs]
        if len(set(sizes)) == 1:
            inputs[f"{letter}_0"] = Input((len(sizes) * layer.num_directions, "batch", sizes[0]))
        else:
            for number, size in enumerate(sizes):
                inputs[f"{letter}_0{layer_suffix(number)}"] = Input((layer.num_directions, "batch", size))
    return inputs


def states_after(states: Mapping[str, Input]) -> list[str]:
    """The names of the final state, ``h_n`` and so on, from those of :func:`state_inputs`."""
    return [name.replace("_0", "_n", 1) for name in states]


def state_of(layer: RecurrentLayer, parts: tuple[Tensor, ...]) -> Any:
    """The state of a layer, from its parts in the order of :func:`state_inputs`."""
    letters = len(layer.specs[0].state_sizes)
    if len(parts) == letters:
        return parts if letters > 1 else parts[0]
    count = len(parts) // letters
    columns = tuple(parts[k : k + count] for k in range(0, len(parts), count))
    return columns if letters > 1 else columns[0]


def parts_of(state: Any) -> tuple[Tensor, ...]:
    """The inverse of :func:`state_of`."""
    return (state,) if isinstance(state, Tensor) else tuple(tensor for part in state for tensor in parts_of(part))
