"""The configuration of a Keras model, of version 1, 2 or 3, as plain data: its layers and how they are wired.

Keras writes it as JSON, and has changed what it looks like with every version. Here it becomes one form; what the
options of a layer mean is not looked at yet.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

from holdfast.errors import ConversionError, ModelFileError
from holdfast.interop.keras.model import MODELS, Layer, Model, Reference, rewired, snake_case, taken
from holdfast.interop.selection import READ_LAYERS

_DEPTH = 32  # of lists and objects in the arguments of a layer
_NEWEST = "3.15"  # of a configuration that says no more of its version than that it is of Keras 3
_MODELS_DEPTH = 16  # of models in one another


def parse(text: str, version: str, source: object, backend: str = "") -> Model:
    """The model of a configuration.

    Args:
        text: The JSON, as ``model.to_json()`` gives it.
        version: The version of Keras that wrote it; empty where only the configuration can say it.
        source: Where it comes from, for the messages.
        backend: What Keras 1 or 2 ran on, where the file says it beside the configuration.

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
    said = document.get("keras_version", _NEWEST if "module" in document else "2")
    version = version or (said if isinstance(said, str) else "2")
    model = parser.model(kind, config, version)
    if model is None:
        raise ConversionError(
            f"{source} is a {kind[:80]!r}: what it computes is code, and not in the file. Only Sequential and "
            f"Functional models can be converted. {READ_LAYERS}"
        )
    said = backend or document.get("backend", "")
    return replace(model, backend=said if isinstance(said, str) else "")


def is_whole(text: str) -> bool:
    """Whether a configuration is one of a model whose layers it lists; of any other, what is computed is code."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return True  # for the message of parse
    config = document.get("config") if isinstance(document, dict) else None
    return not isinstance(config, dict) or document.get("class_name") == "Sequential" or "layers" in config


class _Parser:
    """Takes a configuration apart, and says where it is not one."""

    def __init__(self, source: object) -> None:
        self.source, self._depth = source, 0

    def model(self, kind: str, config: Any, version: str) -> Model | None:
        """The model of a configuration; None where it is of another class."""
        if kind not in MODELS or (kind != "Sequential" and not (isinstance(config, dict) and "layers" in config)):
            return None
        self._depth += 1
        if self._depth > _MODELS_DEPTH:
            raise self.damaged(f"its models are more than {_MODELS_DEPTH} deep in one another")
        model = (self._sequential if kind == "Sequential" else self._functional)(config, version)
        self._depth -= 1
        return model

    def _sequential(self, config: Any, version: str) -> Model:
        entries = config if isinstance(config, list) else self.item(config, "layers", list)
        if not entries:
            raise self.damaged("the model has no layers")
        made = self._layers(entries, version)
        layers: list[Layer] = []
        if made[0].kind != "InputLayer":
            shape = {name: made[0].options[name] for name in _INPUT_SHAPES if name in made[0].options}
            layers.append(Layer(f"{made[0].name}_input", "InputLayer", shape))
        for layer in made:
            layers.append(replace(layer, inputs=(Reference(layers[-1].name),) if layers else ()))
        return self._model(version, layers, (layers[0].name,), (Reference(layers[-1].name),))

    def _functional(self, config: dict[str, Any], version: str) -> Model:
        entries = self.item(config, "layers", list)
        layers = []
        for layer, entry in zip(self._layers(entries, version), entries, strict=True):
            calls = self.item(entry, "inbound_nodes", list)
            if not calls and layer.kind != "InputLayer":
                raise self.damaged(f"layer {layer.name!r} has no inputs")
            if layer.kind in _OF_TENSORFLOW:
                raise ConversionError(
                    f"{layer.label} is an operation of TensorFlow between layers, which is not converted: put a layer "
                    f"in its place that says what it does. {READ_LAYERS}"
                )
            for number, call in enumerate(calls or [None]):
                wiring = {} if call is None else self._call(call, layer)
                if not wiring.get("inputs") and layer.kind != "InputLayer":
                    raise self.damaged(f"layer {layer.name!r} has no inputs")
                shares = layer.name if number else ""
                layers.append(replace(layer, name=_called(layer.name, number), shares=shares, **wiring))
        inputs = tuple(self._references(self.item(config, "input_layers", (list, dict))))
        outputs = tuple(self._references(self.item(config, "output_layers", (list, dict))))
        # A model within the model begins with a call of its own, which is not listed: its calls count from 1. Keras 3
        # counts so at the model's ends alone, and not in a Sequential.
        old = any(isinstance(call, list) for entry in entries for call in entry["inbound_nodes"])
        ends = {layer.name for layer in layers if layer.model and (old or layer.kind != "Sequential")}
        within = ends if old else set[str]()
        if old:
            called_first = {one.layer for one in (*inputs, *outputs, *chain(*map(taken, layers))) if one.call == 0}
            within = ends = ends - called_first
        layers = [rewired(layer, partial(_named, within)) for layer in layers]
        first, last = ([_named(ends, one) for one in some] for some in (inputs, outputs))
        return self._model(version, layers, tuple(one.layer for one in first), tuple(last))

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
            for one in taken(layer):
                if one.layer not in known:
                    raise self.damaged(f"layer {layer.name!r} takes its input from {one.layer!r}, which is not there")
        for name in (*inputs, *(one.layer for one in outputs)):
            if name not in known:
                raise self.damaged(f"the model begins or ends with {name!r}, which is not there")
        return Model(version, self._ordered(layers), inputs, outputs)

    def _ordered(self, layers: Sequence[Layer]) -> tuple[Layer, ...]:
        """The layers, each after those that it takes something from."""
        waiting = {layer.name: {one.layer for one in taken(layer)} for layer in layers}
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

    def _layers(self, entries: list[Any], version: str) -> list[Layer]:
        """The layers of a model, without what they are called with."""
        seen: Counter[str] = Counter()
        result = []
        for number, entry in enumerate(entries):
            layer = self._layer(entry, f"{self.text(entry, 'class_name')}_{number}", version)
            snake = snake_case(layer.kind.removeprefix("ops."))
            result.append(replace(layer, key=f"{snake}_{seen[snake]}" if seen[snake] else snake))
            seen[snake] += 1
        return result

    def _layer(self, entry: Any, default: str, version: str) -> Layer:
        """A layer of a model, or one within a wrapper."""
        kind, config = self.text(entry, "class_name"), self.item(entry, "config", (dict, list))
        options = config if isinstance(config, dict) else {}
        name = options.get("name", entry.get("name", default))
        if not isinstance(name, str) or not name or len(name) > 500:
            raise self.damaged(f"a layer is called {str(name)[:80]!r}")
        if _is_operation(entry, kind, options):
            kind = f"ops.{kind}"
        wrapped = options.get("layer") if kind == "TimeDistributed" else None
        return Layer(
            name,
            kind,
            options,
            model=self.model(kind, config, version),
            wrapped=self._layer(wrapped, name, version) if isinstance(wrapped, dict) else None,
        )

    def _call(self, call: Any, layer: Layer) -> dict[str, Any]:
        """What a layer is called with."""
        if isinstance(call, list):  # Keras 1 and 2: [[layer, call, output, keyword arguments], ...]
            keywords = [one[3] for one in call if isinstance(one, list) and len(one) > 3 and isinstance(one[3], dict)]
            taken = [one[:3] if isinstance(one, list) else one for one in call]
            return self._wiring(
                layer, list(self._references(taken)), {k: v for one in keywords for k, v in one.items()}
            )
        arguments = self.item(call, "args", list)
        split = len(arguments) if layer.kind == "MultiHeadAttention" or layer.kind.startswith("ops.") else 1
        wiring = self._wiring(layer, list(self._references(arguments[:split])), self.item(call, "kwargs", dict))
        later = tuple(self._references(arguments[split:]))
        constants = tuple(one for one in arguments[1:] if not any(self._references(one)))
        return {**wiring, "initial": wiring["initial"] or later, "constants": constants}

    def _wiring(self, layer: Layer, inputs: list[Reference], keywords: dict[str, Any]) -> dict[str, Any]:
        """The inputs, states, masks and other arguments of a call."""
        others = {}
        for key, value in keywords.items():
            references = tuple(self._references(value))
            if key not in _ARGUMENTS and (value or references):
                others[key] = references[0] if references else value
        if keywords.get("training") is True:
            others["training"] = True
        return {
            "inputs": tuple(inputs),
            "initial": tuple(self._references(keywords.get("initial_state"))),
            "masks": self._masks(keywords.get("mask")),
            "keywords": others,
        }

    def _masks(self, value: Any) -> tuple[Reference | None, ...]:
        """One mask for each input; None where there is none."""
        whole = tuple(self._references(value))
        if len(whole) < 2 and not (isinstance(value, list) and (None in value or len(value) == 1)):
            return whole
        found = [tuple(self._references(one)) for one in value] if isinstance(value, list) else []
        if any(len(one) > 1 for one in found):
            raise self.damaged("a layer is called with masks that belong to no input")
        return tuple(one[0] if one else None for one in found)

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
            if min(value[1:]) < 0:
                raise self.damaged(f"an output of layer {value[0][:80]!r} has a number below 0")
            yield Reference(value[0], value[2], value[1])
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
_OPERATIONS = (
    *("NotEqual", "Any", "All", "LogicalOr", "LogicalAnd", "LogicalNot", "ExpandDims", "ZerosLike", "OnesLike"),
    *("ConvertToTensor", "GetItem"),
)
_OF_TENSORFLOW = ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer", "ClassMethod", "InstanceMethod")
_ALSO_LAYERS = ("Add", "Subtract", "Multiply", "Maximum", "Minimum", "Concatenate")


def _is_operation(entry: dict[str, Any], kind: str, options: dict[str, Any]) -> bool:
    """Whether what is called is an operation of Keras 3; an ``.h5`` does not say from which module a class is."""
    if "module" in entry:
        return str(entry["module"]).startswith("keras.src.ops")
    of_layers = {"trainable", "dtype"} & options.keys()
    return kind in _OPERATIONS or (kind in _ALSO_LAYERS and not of_layers and "inbound_nodes" in entry)


def _named(within: set[str], one: Reference) -> Reference:
    """An output under the name of the layer's call; the calls of the layers in ``within`` count from 1."""
    return Reference(_called(one.layer, one.call - (one.layer in within)), one.output)


def _called(name: str, number: int) -> str:
    """The name of a layer's call."""
    return f"{name} ({number + 1})" if number else name
