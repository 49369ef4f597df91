"""What turns the layers of a Keras model, one after the other, into the nodes of a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from holdfast.errors import ConversionError
from holdfast.files import storage
from holdfast.interop.keras.model import KEYWORDS, Layer, Model, Reference
from holdfast.interop.keras.options import Options
from holdfast.interop.network import Network, Node
from holdfast.interop.selection import READ_LAYERS


@dataclass(frozen=True)
class Value:
    """What a layer gives.

    Attributes:
        name: The network's value.
        mask: The value that says which of its steps count; empty for all.
        width: Its last dimension; None where that is not known.
        state: Whether it is the state of a layer: [1, B, H] here and [B, H] in Keras.
    """

    name: str
    mask: str = ""
    width: int | None = None
    state: bool = False


Make = Callable[["Builder", Layer, list[Value]], list[Value]]
"""What a layer gives, from what it takes; its nodes are added on the way."""


@dataclass(frozen=True)
class Entry:
    """A class of layer that is known.

    Attributes:
        make: What adds its nodes.
        several: Whether it takes several inputs.
        states: Whether inputs after the first are its initial state.
    """

    make: Make
    several: bool = False
    states: bool = False


class Builder:
    """Nodes of a network, layer after layer.

    Attributes:
        model: The model.
        tests: What each mask asks for, so that it is known again where Keras 3 writes it down: the value that is
            compared, and with what.
    """

    def __init__(self, model: Model, arrays: Mapping[str, Sequence[Tensor]], known: Mapping[str, Entry]) -> None:
        self.model, self._arrays, self._known = model, arrays, known
        self.tests: dict[str, tuple[str, float]] = {}
        self._values: dict[Reference, Value] = {}
        self._nodes: dict[str, Node] = {}
        self._tensors: dict[str, dict[str, Tensor]] = {}
        self._now: Layer | None = None

    def network(self, source: Path) -> Network:
        """The network of all layers, in evaluation mode.

        Raises:
            ConversionError: A layer has no counterpart, or its weights are not those of its settings.
            ModelFileError: An option means nothing.
        """
        for layer in self.model.layers:
            self._layer(layer)
        outputs = [self.taken(reference, state=False).name for reference in self.model.outputs]
        nodes = self._needed(outputs)
        with torch.device("meta"):
            result = Network(self.model.inputs, outputs, nodes)
        for node in nodes:
            if not node.shares:
                storage.fit_tensors(result.module(node.name), self._tensors[node.name], source, assign=True)
        return result.eval()

    def _needed(self, outputs: Sequence[str]) -> list[Node]:
        """The nodes that something of the outputs depends on, and those whose modules these share."""
        values, names, result = set(outputs), set[str](), []
        for node in reversed(self._nodes.values()):
            if values.isdisjoint(node.outputs) and node.name not in names:
                continue
            values.update(name for name in node.inputs if name)
            names.add(node.shares)
            result.append(node)
        return result[::-1]

    def _layer(self, layer: Layer) -> None:
        if layer.kind == "Lambda":
            raise ConversionError(
                f"{layer.label} holds Python code, which is never run: put a layer in its place that says what it "
                f"does. {READ_LAYERS}"
            )
        entry = self.entry(layer)
        inputs = [self.taken(one, state=entry.states and bool(number)) for number, one in enumerate(layer.inputs)]
        if len(inputs) > 1 and not entry.several and not entry.states:
            raise ConversionError(f"{layer.label} is called with {len(inputs)} inputs; expected one.")
        for name in layer.keywords:
            if name == "training":
                raise ConversionError(
                    f"{layer.label} is called with training=True: it would drop values when it predicts. {READ_LAYERS}"
                )
            if name not in KEYWORDS.get(layer.kind, ()) and not layer.kind.startswith("ops."):
                raise ConversionError(f"{layer.label} is called with {name}=..., which is not converted. {READ_LAYERS}")
        if layer.initial and not entry.states:
            raise ConversionError(f"{layer.label} is called with an initial state; expected a recurrent layer.")
        for number, mask in enumerate(layer.masks[: len(inputs)]):
            if mask is not None:
                inputs[number] = self.with_mask(inputs[number], mask)
        self._now = layer
        made = entry.make(self, layer, inputs)
        self._values |= {Reference(layer.name, number): value for number, value in enumerate(made)}

    def entry(self, layer: Layer) -> Entry:
        """What is known of a layer's class.

        Raises:
            ConversionError: Nothing.
        """
        if layer.kind not in self._known:
            known = ", ".join(sorted(name for name in self._known if name.isidentifier()))
            raise ConversionError(
                f"{layer.label} has no counterpart here; known are {known}. Cut the model there, and convert the rest. "
                f"{READ_LAYERS}"
            )
        return self._known[layer.kind]

    def with_mask(self, value: Value, mask: Reference) -> Value:
        """An input with the mask that a layer is called with; Keras 3 says again the one that comes with the input."""
        given = self.taken(mask, state=False).name
        if value.mask and self.tests.get(value.mask) == self.tests.get(given, ""):
            return value
        return replace(value, mask=given)

    def taken(self, reference: Reference, *, state: bool) -> Value:
        """The value that a layer takes, as a state of a layer or as Keras has it.

        Raises:
            ConversionError: There is none.
        """
        value = self._values.get(reference)
        if value is None:
            raise ConversionError(
                f"Output {reference.output} of layer {reference.layer!r} is asked for, and it has none of that number."
            )
        if value.state == state:
            return value
        name = f"{value.name}/{'state' if state else 'output'}"
        if name not in self._nodes:
            self._now = None
            self.node(name, "Unsqueeze" if state else "Squeeze", (value.name,), {"dim": 0})
        return replace(value, name=name, state=state)

    def node(
        self,
        name: str,
        kind: str,
        inputs: tuple[str, ...],
        options: dict[str, Any] | None = None,
        outputs: tuple[str, ...] = (),
        tensors: dict[str, Tensor] | None = None,
    ) -> str:
        """Adds a node, which gives a value of its own name if no other ``outputs`` are said; returns its name."""
        if name in self._nodes:
            raise ConversionError(f"Two layers of the model would be called {name!r}; expected a name for each.")
        node, now = Node(name, kind, options or {}, inputs, outputs or (name,)), self._now
        if now is not None and now.shares and (tensors or kind == "Recurrent"):
            first = self._nodes.get(now.shares + name.removeprefix(now.name))
            if first is not None and (first.kind, first.options) == (kind, node.options):
                node = replace(node, shares=first.shares or first.name)
        self._nodes[name] = node
        self._tensors[name] = tensors or {}
        return name

    def options(self, layer: Layer) -> Options:
        """The options of a layer, to be taken."""
        return Options(layer.label, layer.options, self.model.major)

    def weights(self, layer: Layer, *counts: int) -> list[Tensor]:
        """The arrays of a layer, as many as one of ``counts`` where that is said.

        Raises:
            ConversionError: They are fewer or more.
        """
        found = list(self._arrays.get(layer.shares or layer.name, ()))
        if counts and len(found) not in counts:
            raise ConversionError(
                f"{layer.label} has {len(found)} arrays of weights; expected {' or '.join(map(str, counts))}. "
                "Its weights and its settings are not of one model."
            )
        return found


def activated(build: Builder, layer: Layer, value: Value, activation: str) -> Value:
    """What a layer gives, with its own activation."""
    if activation == "linear":
        return value
    return replace(
        value, name=build.node(f"{layer.name}/activation", "Activation", (value.name,), {"name": activation})
    )


def check_shape(layer: Layer, what: str, array: Tensor, expected: tuple[int, ...]) -> None:
    """Refuses an array of another shape than the settings of its layer say.

    Raises:
        ConversionError: It has another.
    """
    if tuple(array.shape) != expected:
        raise ConversionError(
            f"{layer.label} has a {what} of shape {tuple(array.shape)}; expected {expected}. Its weights and its "
            "settings are not of one model."
        )


def inner_layer(layer: Layer, config: Any) -> Layer:
    """The layer within a wrapper, under the wrapper's name.

    Raises:
        ConversionError: There is none.
    """
    kind = config.get("class_name") if isinstance(config, dict) else None
    options = config.get("config") if isinstance(config, dict) else None
    if not isinstance(kind, str) or not isinstance(options, dict):
        raise ConversionError(f"{layer.label} does not say what it wraps. Its configuration is damaged.")
    return replace(layer, kind=kind, options=options)
