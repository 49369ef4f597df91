"""The configuration of a Keras model, of version 1, 2 or 3, as plain data: its layers and how they are wired.

Keras writes it as JSON, and has changed what it looks like with every version. Here it becomes one form; what the
options of a layer mean is not looked at yet.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.errors import ConversionError, ModelFileError

_DEPTH = 32  # of lists and objects in the arguments of a layer


@dataclass(frozen=True)
class Reference:
    """An output of a layer.

    Attributes:
        layer: The layer's name.
        output: Which of its outputs; with ``return_state``, 0 is the sequence and the states come after it.
    """

    layer: str
    output: int = 0


@dataclass(frozen=True)
class Layer:
    """A layer of a model.

    Attributes:
        name: Its name; no two layers have the same.
        kind: Its class.
        options: Its configuration.
        inputs: What it is called with.
        initial: The initial state that it is called with.
        mask: The mask that it is called with, where it is an output of a layer.
        constants: Positional arguments that are numbers.
        key: Its place among the weights of a file of Keras 3, which are named after classes.
    """

    name: str
    kind: str
    options: Mapping[str, Any]
    inputs: tuple[Reference, ...] = ()
    initial: tuple[Reference, ...] = ()
    mask: Reference | None = None
    constants: tuple[float, ...] = ()
    key: str = ""

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
    """

    version: str
    layers: tuple[Layer, ...]
    inputs: tuple[str, ...]
    outputs: tuple[Reference, ...]

    @property
    def major(self) -> int:
        """The first number of the version."""
        return major(self.version)


def major(version: str) -> int:
    """The first number of a version of Keras; 2 where there is none, as it was before it was written down."""
    found = re.match(r"\d{1,3}", version)
    return int(found[0]) if found else 2


def parse(text: str, version: str, source: object) -> Model:
    """The model of a configuration.

    Args:
        text: The JSON, as ``model.to_json()`` gives it.
        version: The version of Keras that wrote it; empty where only the configuration can say it.
        source: Where it comes from, for the messages.

    Raises:
        ModelFileError: It is not JSON, or no configuration of a model.
        ConversionError: It is the configuration of a model that has no counterpart here.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(
            f"{source} is damaged: its configuration is not JSON, or nested too deep. Take another copy of it."
        ) from error
    parser = _Parser(source)
    kind, config = parser.text(document, "class_name"), parser.item(document, "config", (dict, list))
    said = document.get("keras_version", "3" if "module" in document else "2")
    version = version or (said if isinstance(said, str) else "2")
    if kind == "Sequential":
        return parser.sequential(config, version)
    if kind in ("Functional", "Model") and isinstance(config, dict) and "layers" in config:
        return parser.functional(config, version)
    raise ConversionError(
        f"{source} is a {kind[:80]!r}: what it computes is code, and not in the file. Only Sequential and Functional "
        "models can be converted."
    )


class _Parser:
    """Takes a configuration apart, and says where it is not one."""

    def __init__(self, source: object) -> None:
        self.source = source

    def sequential(self, config: Any, version: str) -> Model:
        entries = config if isinstance(config, list) else self.item(config, "layers", list)
        layers: list[Layer] = []
        names = self._names(entries)
        if not entries:
            raise self.damaged("the model has no layers")
        if names[0][1] != "InputLayer":
            options, name = self.item(entries[0], "config", dict), f"{names[0][0]}_input"
            layers.append(Layer(name, "InputLayer", {k: options[k] for k in _INPUT_SHAPES if k in options}))
        for (name, kind, key), entry in zip(names, entries, strict=True):
            before = (Reference(layers[-1].name),) if layers else ()  # none for an input layer of its own
            layers.append(Layer(name, kind, self.item(entry, "config", dict), before, key=key))
        return self._model(version, layers, (layers[0].name,), (Reference(layers[-1].name),))

    def functional(self, config: dict[str, Any], version: str) -> Model:
        entries = self.item(config, "layers", list)
        layers = []
        for (name, kind, key), entry in zip(self._names(entries), entries, strict=True):
            calls = self.item(entry, "inbound_nodes", list)
            if len(calls) > 1:
                raise ConversionError(
                    f"Layer {name!r} of {self.source} is used {len(calls)} times; only layers that are used once can "
                    "be converted."
                )
            wiring = self._call(calls[0], name) if calls else {}
            if not wiring.get("inputs") and kind != "InputLayer":
                raise self.damaged(f"layer {name!r} has no inputs")
            layers.append(Layer(name, kind, self.item(entry, "config", dict), key=key, **wiring))
        inputs = tuple(one.layer for one in self._references(self.item(config, "input_layers", (list, dict))))
        outputs = tuple(self._references(self.item(config, "output_layers", (list, dict))))
        return self._model(version, layers, inputs, outputs)

    def _model(
        self, version: str, layers: Sequence[Layer], inputs: tuple[str, ...], outputs: tuple[Reference, ...]
    ) -> Model:
        known = {layer.name for layer in layers}
        if len(known) != len(layers):
            twice = next(name for name, count in Counter(layer.name for layer in layers).items() if count > 1)
            raise self.damaged(f"two layers are called {twice!r}")
        if not inputs or not outputs:
            raise self.damaged("the model has no inputs or no outputs")
        for layer in layers:
            for one in _taken(layer):
                if one.layer not in known:
                    raise self.damaged(f"layer {layer.name!r} takes its input from {one.layer!r}, which is not there")
        for name in (*inputs, *(one.layer for one in outputs)):
            if name not in known:
                raise self.damaged(f"the model begins or ends with {name!r}, which is not there")
        return Model(version, self._ordered(layers), inputs, outputs)

    def _ordered(self, layers: Sequence[Layer]) -> tuple[Layer, ...]:
        """The layers, each after those that it takes something from."""
        waiting = {layer.name: {one.layer for one in _taken(layer)} for layer in layers}
        named = {layer.name: layer for layer in layers}
        takers: dict[str, list[str]] = {}
        for name, sources in waiting.items():
            for source in sources:
                takers.setdefault(source, []).append(name)
        ready = [name for name, sources in waiting.items() if not sources]
        for name in ready:  # it grows
            for taker in takers.get(name, ()):
                waiting[taker].discard(name)
                if not waiting[taker]:
                    ready.append(taker)
        if len(ready) != len(layers):
            raise self.damaged("its layers take their inputs from one another in a circle")
        return tuple(named[name] for name in ready)

    def _names(self, entries: list[Any]) -> list[tuple[str, str, str]]:
        """The name, the class and the key of each layer."""
        seen: Counter[str] = Counter()
        result = []
        for number, entry in enumerate(entries):
            kind = self.text(entry, "class_name")
            config = self.item(entry, "config", dict) if not isinstance(entry.get("config"), list) else {}
            name = config.get("name", entry.get("name", f"{kind}_{number}"))
            if not isinstance(name, str) or not name or len(name) > 500:
                raise self.damaged(f"a layer is called {str(name)[:80]!r}")
            if kind in ("Sequential", "Functional", "Model"):
                raise ConversionError(
                    f"Layer {name!r} of {self.source} is a model within the model ({kind}), which is not converted: "
                    "write its layers into the outer model, and save that."
                )
            snake = snake_case(kind)
            result.append((name, kind, f"{snake}_{seen[snake]}" if seen[snake] else snake))
            seen[snake] += 1
        return result

    def _call(self, call: Any, name: str) -> dict[str, Any]:
        """What a layer is called with."""
        if isinstance(call, list):  # Keras 1 and 2: [[layer, call, output, keyword arguments], ...]
            keywords = [one[3] for one in call if isinstance(one, list) and len(one) > 3 and isinstance(one[3], dict)]
            taken = [one[:3] if isinstance(one, list) else one for one in call]
            return self._wiring(name, list(self._references(taken)), {k: v for one in keywords for k, v in one.items()})
        arguments = self.item(call, "args", list)
        inputs = list(self._references(arguments[:1]))
        wiring = self._wiring(name, inputs, self.item(call, "kwargs", dict))
        later = tuple(self._references(arguments[1:]))
        constants = tuple(float(one) for one in arguments[1:] if type(one) in (int, float))
        return {**wiring, "initial": wiring["initial"] or later, "constants": constants}

    def _wiring(self, name: str, inputs: list[Reference], keywords: dict[str, Any]) -> dict[str, Any]:
        """The inputs, states and mask of a call; other keyword arguments must be constants that change nothing."""
        for key, value in keywords.items():
            if key not in _ARGUMENTS and (value or any(self._references(value))):
                raise ConversionError(
                    f"Layer {name!r} of {self.source} is called with {key}=..., which is not converted."
                )
        masks = list(self._references(keywords.get("mask")))
        if keywords.get("training") is True:
            raise ConversionError(
                f"Layer {name!r} of {self.source} is called with training=True: it would drop values when it predicts."
            )
        return {
            "inputs": tuple(inputs),
            "initial": tuple(self._references(keywords.get("initial_state"))),
            "mask": masks[0] if len(masks) == 1 else None,
        }

    def _references(self, value: Any, depth: int = 0) -> Iterator[Reference]:
        """Every output of a layer that is named in a value, in order."""
        if depth > _DEPTH:
            raise self.damaged("the arguments of a layer are nested too deep")
        if isinstance(value, dict):
            config = value.get("config")
            if value.get("class_name") == "__keras_tensor__" and isinstance(config, dict):
                value = config.get("keras_history")
            else:
                for one in value.values():
                    yield from self._references(one, depth + 1)
                return
        if not isinstance(value, list):
            return
        if len(value) == 3 and isinstance(value[0], str) and all(type(number) is int for number in value[1:]):
            if value[1] != 0 or value[2] < 0:
                raise ConversionError(
                    f"Layer {value[0]!r} of {self.source} is used more than once; only layers that are used once can "
                    "be converted."
                )
            yield Reference(value[0], value[2])
            return
        for one in value:
            yield from self._references(one, depth + 1)

    def text(self, entry: Any, name: str) -> str:
        """An entry that is a text."""
        value: str = self.item(entry, name, str)
        return value

    def item(self, entry: Any, name: str, kinds: type | tuple[type, ...]) -> Any:
        """An entry of an object, of one of the types."""
        value = entry.get(name) if isinstance(entry, dict) else None
        if not isinstance(value, kinds):
            raise self.damaged(f"its configuration has no {name!r} where one belongs")
        return value

    def damaged(self, what: str) -> ModelFileError:
        """The error of a configuration that is not one."""
        return ModelFileError(f"{self.source} is damaged: {what}. Take another copy of it.")


_INPUT_SHAPES = ("batch_input_shape", "batch_shape")
_ARGUMENTS = ("initial_state", "mask", "training")


def _taken(layer: Layer) -> tuple[Reference, ...]:
    return (*layer.inputs, *layer.initial, *((layer.mask,) if layer.mask else ()))


def snake_case(name: str) -> str:
    """The name of a class as Keras 3 writes it in files of weights: ``SimpleRNN`` is ``simple_rnn``."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
