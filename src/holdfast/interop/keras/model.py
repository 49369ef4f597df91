"""A Keras model as plain data: its layers and the arguments of their calls. The options are not interpreted."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

MODELS = ("Sequential", "Functional", "Model")
"""The classes of models whose layers the file lists."""
_ATTENTION = ("return_attention_scores", "use_causal_mask")
KEYWORDS = {
    "Attention": _ATTENTION,
    "AdditiveAttention": _ATTENTION,
    "MultiHeadAttention": (*_ATTENTION, "value", "key", "query_mask", "value_mask", "key_mask", "attention_mask"),
}
"""The keyword arguments that a layer may be called with, besides its state and its mask."""


@dataclass(frozen=True)
class Reference:
    """An output of a layer.

    Attributes:
        layer: The layer's name.
        output: The number of the output; with ``return_state``, 0 is the sequence and the states follow it.
        call: The number of the call. After the configuration is read it is 0, as each call has its own name.
    """

    layer: str
    output: int = 0
    call: int = 0


@dataclass(frozen=True)
class Layer:
    """One call of a layer of a model.

    Attributes:
        name: The unique name of the call.
        kind: The layer's class; ``"ops.NAME"`` for an operation of Keras 3 that is called like a layer.
        options: Its configuration.
        inputs: The inputs of the call.
        initial: The initial state in the call.
        masks: The masks in the call that are outputs of layers: one per input.
        keywords: The other keyword arguments of the call: outputs of layers, and constants.
        constants: The positional arguments that are not outputs of layers.
        key: Its place among the weights of a file of Keras 3, which are named after classes.
        shares: For a repeated call, the name of the first call, which has the weights.
        model: The nested model, if the layer is one.
        wrapped: The layer that a TimeDistributed runs at every step.
    """

    name: str
    kind: str
    options: Mapping[str, Any]
    inputs: tuple[Reference, ...] = ()
    initial: tuple[Reference, ...] = ()
    masks: tuple[Reference | None, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)
    constants: tuple[Any, ...] = ()
    key: str = ""
    shares: str = ""
    model: Model | None = None
    wrapped: Layer | None = None

    @property
    def label(self) -> str:
        """The layer's name and class, for messages."""
        return f"Layer {self.name!r} ({self.kind})"


@dataclass(frozen=True)
class Model:
    """A model.

    Attributes:
        version: The version of Keras that wrote it, such as ``"2.2.4-tf"``.
        layers: Its layers, each after the layers that it takes its inputs from.
        inputs: The names of its input layers.
        outputs: Its outputs.
        backend: The backend of Keras 1 or 2, such as ``"theano"``; empty if unknown.
    """

    version: str
    layers: tuple[Layer, ...]
    inputs: tuple[str, ...]
    outputs: tuple[Reference, ...]
    backend: str = ""

    @property
    def major(self) -> int:
        """The first number of the version."""
        return major(self.version)

    def since(self, first: int, second: int) -> bool:
        """Whether the version is at least this one."""
        numbers = [
            int(part) for part in self.version.split("-")[0].split(".")[:2] if part.isdecimal() and len(part) < 6
        ]
        return numbers >= [first, second]


def major(version: str) -> int:
    """The first number of a version of Keras; 2 if there is none, as in files before versions were stored."""
    match = re.match(r"\d{1,3}", version)
    return int(match[0]) if match else 2


def references_of(layer: Layer) -> tuple[Reference, ...]:
    """Every output of another layer in a layer's call."""
    named = (value for value in layer.keywords.values() if isinstance(value, Reference))
    return (*layer.inputs, *layer.initial, *(value for value in layer.masks if value), *named)


def sort_layers(layers: Sequence[Layer]) -> tuple[Layer, ...] | None:
    """The layers, each after the layers that it takes its inputs from; None if some depend on one another."""
    waiting = {layer.name: {reference.layer for reference in references_of(layer)} for layer in layers}
    named = {layer.name: layer for layer in layers}
    takers: dict[str, list[str]] = {}
    for name, sources in waiting.items():
        for source in sources:
            takers.setdefault(source, []).append(name)
    ready = [name for name, sources in waiting.items() if not sources]
    for name in ready:  # the loop extends it
        for taker in takers.get(name, ()):
            waiting[taker].discard(name)
            if not waiting[taker]:
                ready.append(taker)
    return tuple(named[name] for name in ready) if len(ready) == len(layers) else None


def map_references(layer: Layer, change: Callable[[Reference], Reference]) -> Layer:
    """The layer with every output of another layer in its call replaced."""
    return replace(
        layer,
        inputs=tuple(map(change, layer.inputs)),
        initial=tuple(map(change, layer.initial)),
        masks=tuple(change(value) if value else None for value in layer.masks),
        keywords={
            name: change(value) if isinstance(value, Reference) else value for name, value in layer.keywords.items()
        },
    )


def snake_case(name: str) -> str:
    """The name of a class in Keras 3's files of weights: ``SimpleRNN`` becomes ``simple_rnn``."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
