"""A Keras model as plain data: its layers, and what each is called with. What their options mean is not looked at."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

MODELS = ("Sequential", "Functional", "Model")
"""The classes of models whose layers are in the file."""
_ATTENTION = ("return_attention_scores", "use_causal_mask")
KEYWORDS = {
    "Attention": _ATTENTION,
    "AdditiveAttention": _ATTENTION,
    "MultiHeadAttention": (*_ATTENTION, "value", "key", "query_mask", "value_mask", "key_mask", "attention_mask"),
}
"""What a layer may be called with by name, beside its state and its mask."""


@dataclass(frozen=True)
class Reference:
    """An output of a layer.

    Attributes:
        layer: The layer's name.
        output: Which of its outputs; with ``return_state``, 0 is the sequence and the states come after it.
        call: Which of its calls; 0 once the configuration is read, and the calls have names of their own.
    """

    layer: str
    output: int = 0
    call: int = 0


@dataclass(frozen=True)
class Layer:
    """A layer of a model, as it is called once.

    Attributes:
        name: Its name; no two calls have the same.
        kind: Its class; ``"ops.NAME"`` for an operation of Keras 3 that is called like a layer.
        options: Its configuration.
        inputs: What it is called with.
        initial: The initial state that it is called with.
        masks: The masks that it is called with, where these are outputs of a layer: one for each of its inputs.
        keywords: Other arguments that it is called with: outputs of layers, and constants.
        constants: Positional arguments that are no outputs of layers.
        key: Its place among the weights of a file of Keras 3, which are named after classes.
        shares: The name of its first call, where it is called once more; that has the weights.
        model: What it is, where it is a model within the model.
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
        """The layer as messages call it."""
        return f"Layer {self.name!r} ({self.kind})"


@dataclass(frozen=True)
class Model:
    """A model.

    Attributes:
        version: The version of Keras that wrote it, such as ``"2.2.4-tf"``.
        layers: Its layers, each after those that it takes its inputs from.
        inputs: The names of its input layers.
        outputs: What it gives.
        backend: What Keras 1 or 2 ran on, such as ``"theano"``; empty where that is not known.
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
        """Whether the version is this one or a later one."""
        numbers = [
            int(part) for part in self.version.split("-")[0].split(".")[:2] if part.isdecimal() and len(part) < 6
        ]
        return numbers >= [first, second]


def major(version: str) -> int:
    """The first number of a version of Keras; 2 where there is none, as it was before it was written down."""
    found = re.match(r"\d{1,3}", version)
    return int(found[0]) if found else 2


def taken(layer: Layer) -> tuple[Reference, ...]:
    """Every output of another layer that a layer is called with."""
    named = (one for one in layer.keywords.values() if isinstance(one, Reference))
    return (*layer.inputs, *layer.initial, *(one for one in layer.masks if one), *named)


def rewired(layer: Layer, change: Callable[[Reference], Reference]) -> Layer:
    """The layer, called with other outputs of layers."""
    return replace(
        layer,
        inputs=tuple(map(change, layer.inputs)),
        initial=tuple(map(change, layer.initial)),
        masks=tuple(change(one) if one else None for one in layer.masks),
        keywords={name: change(one) if isinstance(one, Reference) else one for name, one in layer.keywords.items()},
    )


def snake_case(name: str) -> str:
    """The name of a class as Keras 3 writes it in files of weights: ``SimpleRNN`` is ``simple_rnn``."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
