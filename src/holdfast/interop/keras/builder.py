"""Turns the layers of a Keras model, one by one, into the nodes of a network."""

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
    """An output of a layer.

    Attributes:
        name: The name of the network's value.
        mask: The name of the mask of the steps that count; empty if all count.
        width: The size of its last dimension; None if unknown.
        state: Whether it is the state of a layer: [1, B, H] here and [B, H] in Keras.
    """

    name: str
    mask: str = ""
    width: int | None = None
    state: bool = False


Make = Callable[["Builder", Layer, list[Value]], list[Value]]
"""Adds the nodes of a layer for its inputs, and returns its outputs."""


@dataclass(frozen=True)
class Entry:
    """A known class of layers.

    Attributes:
        make: The function that adds its nodes.
        several: Whether it takes several inputs.
        states: Whether the inputs after the first are its initial state.
    """

    make: Make
    several: bool = False
    states: bool = False


class Builder:
    """Collects the nodes of a network, layer by layer.

    Attributes:
        model: The model.
        tests: The comparison behind each mask, as the compared value and the number, to recognise a mask that Keras 3
            writes as operations.
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
            ConversionError: A layer has no counterpart, or its weights do not fit its settings.
            ModelFileError: An option has an invalid value.
        """
        for layer in self.model.layers:
            self._layer(layer)
        outputs = [self.value(reference, state=False).name for reference in self.model.outputs]
        nodes = self._needed(outputs)
        with torch.device("meta"):
            result = Network(self.model.inputs, outputs, nodes)
        for node in nodes:
            if not node.shares:
                storage.fit_tensors(result.module(node.name), self._tensors[node.name], source, assign=True)
        return result.eval()

    def _needed(self, outputs: Sequence[str]) -> list[Node]:
        """The nodes that the outputs depend on, and the nodes whose modules these share."""
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
                f"{layer.label} holds Python code, which is never run: replace it by a layer that does the "
                f"same. {READ_LAYERS}"
            )
        entry = self.entry(layer)
        inputs = [self.value(one, state=entry.states and bool(number)) for number, one in enumerate(layer.inputs)]
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
        """The entry of a layer's class.

        Raises:
            ConversionError: The class is unknown.
        """
        if layer.kind not in self._known:
            known = ", ".join(sorted(name for name in self._known if name.isidentifier()))
            raise ConversionError(
                f"{layer.label} has no counterpart here; known are {known}. Cut the model there, and convert the rest. "
                f"{READ_LAYERS}"
            )
        return self._known[layer.kind]

    def with_mask(self, value: Value, mask: Reference) -> Value:
        """An input with the mask of the call; Keras 3 may repeat the mask that the input has already."""
        name = self.value(mask, state=False).name
        if value.mask and self.tests.get(value.mask) == self.tests.get(name, ""):
            return value
        return replace(value, mask=name)

    def value(self, reference: Reference, *, state: bool) -> Value:
        """The value of a reference, in the shape of a layer's state here, or in Keras's shape.

        Raises:
            ConversionError: There is no such value.
        """
        value = self._values.get(reference)
        if value is None:
            raise ConversionError(
                f"A layer takes output {reference.output} of layer {reference.layer!r}, which does not have that "
                "output."
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
        """Adds a node and returns its name, which is also the name of its output unless ``outputs`` names others."""
        if name in self._nodes:
            raise ConversionError(f"Two layers of the model would be called {name!r}; expected unique names.")
        new_node, layer = Node(name, kind, options or {}, inputs, outputs or (name,)), self._now
        if layer is not None and layer.shares and (tensors or kind == "Recurrent"):
            first = self._nodes.get(layer.shares + name.removeprefix(layer.name))
            if first is not None and (first.kind, first.options) == (kind, new_node.options):
                new_node = replace(new_node, shares=first.shares or first.name)
        self._nodes[name] = new_node
        self._tensors[name] = tensors or {}
        return name

    def apply(
        self,
        layer: Layer,
        kind: str,
        value: Value,
        options: dict[str, Any] | None = None,
        tensors: dict[str, Tensor] | None = None,
    ) -> Value:
        """Adds a layer's node with one input; returns the input's value under the node's name."""
        return replace(value, name=self.node(layer.name, kind, (value.name,), options, tensors=tensors))

    def options(self, layer: Layer) -> Options:
        """The options of a layer."""
        return Options(layer.label, layer.options, self.model.major)

    def weights(self, layer: Layer, *counts: int) -> list[Tensor]:
        """The arrays of a layer.

        Raises:
            ConversionError: ``counts`` is given and does not contain their number.
        """
        arrays = list(self._arrays.get(layer.shares or layer.name, ()))
        if counts and len(arrays) not in counts:
            raise ConversionError(
                f"{layer.label} has {len(arrays)} arrays of weights; expected {' or '.join(map(str, counts))}. "
                "Its weights and its settings are not from the same model."
            )
        return arrays


def identity(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    """The output of a layer that does not change values."""
    return inputs[:1]


def with_activation(build: Builder, layer: Layer, value: Value, activation: str) -> Value:
    """The output of a layer after its activation."""
    if activation == "linear":
        return value
    return replace(
        value, name=build.node(f"{layer.name}/activation", "Activation", (value.name,), {"name": activation})
    )


def check_shape(layer: Layer, array_name: str, array: Tensor, expected: tuple[int, ...]) -> None:
    """Checks the shape of an array.

    Raises:
        ConversionError: It does not have the shape from the layer's settings.
    """
    if tuple(array.shape) != expected:
        raise ConversionError(
            f"{layer.label} has a {array_name} of shape {tuple(array.shape)}; expected {expected}. Its weights and its "
            "settings are not from the same model."
        )


def inner_layer(layer: Layer, config: Any) -> Layer:
    """The inner layer of a wrapper, under the wrapper's name.

    Raises:
        ConversionError: There is no inner layer.
    """
    kind = config.get("class_name") if isinstance(config, dict) else None
    options = config.get("config") if isinstance(config, dict) else None
    if not isinstance(kind, str) or not isinstance(options, dict):
        raise ConversionError(f"{layer.label} does not say what it wraps. Its configuration is damaged.")
    return replace(layer, kind=kind, options=options)
