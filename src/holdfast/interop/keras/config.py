"""Parses the configuration of a Keras model, of version 1, 2 or 3: its layers and their connections.

Keras writes it as JSON, in a different form in every version. The parser makes one form of all; it does not interpret
the options of a layer.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any, cast

from holdfast.errors import ConversionError, ModelFileError
from holdfast.interop.keras import model as keras_model
from holdfast.interop.keras.model import MODELS, Layer, Model, Reference, map_references, references_of, snake_case
from holdfast.interop.selection import READ_LAYERS

_MAX_DEPTH = 32  # of lists and objects in the arguments of a layer
_NEWEST = "3.15"  # the version of a configuration that only shows that it is of Keras 3
_MAX_NESTED_MODELS = 16


def parse_configuration(text: str, version: str, source: object, backend: str = "") -> Model:
    """The model of a configuration.

    Args:
        text: The JSON of ``model.to_json()``.
        version: The version of Keras that wrote it; if empty, the configuration's own.
        source: Its origin, for the messages.
        backend: The backend of Keras 1 or 2, if the file names it outside of the configuration.

    Raises:
        ModelFileError: It is not JSON, or not the configuration of a model.
        ConversionError: The model has no counterpart here.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(
            f"{source} is damaged: its configuration is not JSON, or is nested too deep. Take another copy of it."
        ) from error
    parser = _Parser(source)
    kind, config = parser.text(document, "class_name"), parser.item(document, "config", (dict, list))
    own_version = document.get("keras_version", _NEWEST if "module" in document else "2")
    version = version or (own_version if isinstance(own_version, str) else "2")
    model = parser.model(kind, config, version)
    if model is None:
        raise ConversionError(
            f"{source} is a {kind[:80]!r}: it computes with code that is not in the file. Only Sequential and "
            f"Functional models can be converted. {READ_LAYERS}"
        )
    backend = backend or document.get("backend", "")
    return replace(model, backend=backend if isinstance(backend, str) else "")


def lists_layers(text: str) -> bool:
    """Whether a configuration lists the layers of its model. Any other model computes with code."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return True  # parse_configuration then raises
    config = document.get("config") if isinstance(document, dict) else None
    return not isinstance(config, dict) or document.get("class_name") == "Sequential" or "layers" in config


class _Parser:
    """Parses the parts of a configuration."""

    def __init__(self, source: object) -> None:
        self.source, self._depth = source, 0

    def model(self, kind: str, config: Any, version: str) -> Model | None:
        """The model of a configuration; None for a model of another class."""
        if kind not in MODELS or (kind != "Sequential" and not (isinstance(config, dict) and "layers" in config)):
            return None
        self._depth += 1
        if self._depth > _MAX_NESTED_MODELS:
            raise self.damaged(f"its models are nested more than {_MAX_NESTED_MODELS} deep")
        model = (self._sequential if kind == "Sequential" else self._functional)(config, version)
        self._depth -= 1
        return model

    def _sequential(self, config: Any, version: str) -> Model:
        entries = config if isinstance(config, list) else self.item(config, "layers", list)
        if not entries:
            raise self.damaged("the model has no layers")
        listed = self._layers(entries, version)
        layers: list[Layer] = []
        if listed[0].kind != "InputLayer":
            options = listed[0].options
            shape = {name: options[name] for name in ("batch_input_shape", "batch_shape") if name in options}
            layers.append(Layer(f"{listed[0].name}_input", "InputLayer", shape))
        for layer in listed:
            layers.append(replace(layer, inputs=(Reference(layers[-1].name),) if layers else ()))
        return self._model(version, layers, (layers[0].name,), (Reference(layers[-1].name),))

    def _functional(self, config: dict[str, Any], version: str) -> Model:
        entries = self.item(config, "layers", list)
        layers = []
        for layer, entry in zip(self._layers(entries, version), entries, strict=True):
            calls = self.item(entry, "inbound_nodes", list)
            if not calls and layer.kind != "InputLayer":
                raise self.damaged(f"layer {layer.name!r} has no inputs")
            if layer.kind in _TENSORFLOW_OPERATIONS:
                raise ConversionError(
                    f"{layer.label} is an operation of TensorFlow between layers, which is not converted: replace it "
                    f"by a layer that does the same. {READ_LAYERS}"
                )
            for number, call in enumerate(calls or [None]):
                wiring = {} if call is None else self._call(call, layer)
                if not wiring.get("inputs") and layer.kind != "InputLayer":
                    raise self.damaged(f"layer {layer.name!r} has no inputs")
                shares = layer.name if number else ""
                layers.append(replace(layer, name=_call_name(layer.name, number), shares=shares, **wiring))
        inputs = tuple(self._references(self.item(config, "input_layers", (list, dict))))
        outputs = tuple(self._references(self.item(config, "output_layers", (list, dict))))
        # A nested model has a first call of its own that is not listed, so its other calls count from 1. Keras 3 counts
        # so only for the model's inputs and outputs, and not in a Sequential.
        old = any(isinstance(call, list) for entry in entries for call in entry["inbound_nodes"])
        from_one = {layer.name for layer in layers if layer.model and (old or layer.kind != "Sequential")}
        if old:
            references = (*inputs, *outputs, *chain(*map(references_of, layers)))
            from_one -= {reference.layer for reference in references if reference.call == 0}
        layers = [map_references(layer, partial(_name_call, from_one if old else set[str]())) for layer in layers]
        first, last = ([_name_call(from_one, one) for one in references] for references in (inputs, outputs))
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
            for reference in references_of(layer):
                if reference.layer not in known:
                    raise self.damaged(
                        f"layer {layer.name!r} takes its input from {reference.layer!r}, which is not there"
                    )
        for name in (*inputs, *(output.layer for output in outputs)):
            if name not in known:
                raise self.damaged(f"the model begins or ends with {name!r}, which is not there")
        ordered = keras_model.sort_layers(layers)
        if ordered is None:
            raise self.damaged("its layers take their inputs from one another in a circle")
        return Model(version, ordered, inputs, outputs)

    def _layers(self, entries: list[Any], version: str) -> list[Layer]:
        """The layers of a model, without the arguments of their calls."""
        seen: Counter[str] = Counter()
        result = []
        for number, entry in enumerate(entries):
            layer = self._layer(entry, f"{self.text(entry, 'class_name')}_{number}", version)
            snake = snake_case(layer.kind.removeprefix("ops."))
            result.append(replace(layer, key=f"{snake}_{seen[snake]}" if seen[snake] else snake))
            seen[snake] += 1
        return result

    def _layer(self, entry: Any, default: str, version: str) -> Layer:
        """A layer of a model, or the layer in a wrapper."""
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
        """The arguments of a layer's call."""
        if isinstance(call, list):  # Keras 1 and 2: [[layer, call, output, keyword arguments], ...]
            keywords: dict[str, Any] = {}
            for entry in call:
                if isinstance(entry, list) and len(entry) > 3 and isinstance(entry[3], dict):
                    keywords |= entry[3]
            inputs = [entry[:3] if isinstance(entry, list) else entry for entry in call]
            return self._wiring(list(self._references(inputs)), keywords)
        arguments = self.item(call, "args", list)
        split = len(arguments) if layer.kind == "MultiHeadAttention" or layer.kind.startswith("ops.") else 1
        wiring = self._wiring(list(self._references(arguments[:split])), self.item(call, "kwargs", dict))
        initial = wiring["initial"] or tuple(self._references(arguments[split:]))
        constants = tuple(one for one in arguments[1:] if not any(self._references(one)))
        return {**wiring, "initial": initial, "constants": constants}

    def _wiring(self, inputs: list[Reference], keywords: dict[str, Any]) -> dict[str, Any]:
        """The inputs, states, masks and other arguments of a call, as arguments of :class:`Layer`."""
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
        """One mask per input; None if it has none."""
        all_masks = tuple(self._references(value))
        if len(all_masks) < 2 and not (isinstance(value, list) and (None in value or len(value) == 1)):
            return all_masks
        masks = [tuple(self._references(entry)) for entry in value] if isinstance(value, list) else []
        if any(len(of_input) > 1 for of_input in masks):
            raise self.damaged("a layer is called with masks that belong to no input")
        return tuple(of_input[0] if of_input else None for of_input in masks)

    def _references(self, value: Any, depth: int = 0) -> Iterator[Reference]:
        """Every output of a layer that a value names, in order."""
        if depth > _MAX_DEPTH:
            raise self.damaged("the arguments of a layer are nested too deep")
        if isinstance(value, dict):
            config = value.get("config")
            if value.get("class_name") == "__keras_tensor__" and isinstance(config, dict):
                value = config.get("keras_history")
            else:
                for inner in value.values():
                    yield from self._references(inner, depth + 1)
                return
        if not isinstance(value, list):
            return
        if len(value) == 3 and isinstance(value[0], str) and all(type(number) is int for number in value[1:]):
            if min(value[1:]) < 0:
                raise self.damaged(f"an output of layer {value[0][:80]!r} has a number below 0")
            yield Reference(value[0], value[2], value[1])
            return
        for inner in value:
            yield from self._references(inner, depth + 1)

    def text(self, entry: Any, name: str) -> str:
        """A text in an object."""
        return cast(str, self.item(entry, name, str))

    def item(self, entry: Any, name: str, kinds: type | tuple[type, ...]) -> Any:
        """An entry of an object, of one of the types."""
        value = entry.get(name) if isinstance(entry, dict) else None
        if not isinstance(value, kinds):
            raise self.damaged(f"its configuration has no {name!r} where one belongs")
        return value

    def damaged(self, reason: str) -> ModelFileError:
        """The error of a damaged configuration."""
        return ModelFileError(f"{self.source} is damaged: {reason}. Take another copy of it.")


_ARGUMENTS = ("initial_state", "mask", "training")
_OPERATIONS = (
    *("NotEqual", "Any", "All", "LogicalOr", "LogicalAnd", "LogicalNot", "ExpandDims", "ZerosLike", "OnesLike"),
    *("ConvertToTensor", "GetItem"),
)
_TENSORFLOW_OPERATIONS = ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer", "ClassMethod", "InstanceMethod")
_ALSO_LAYERS = ("Add", "Subtract", "Multiply", "Maximum", "Minimum", "Concatenate")


def _is_operation(entry: dict[str, Any], kind: str, options: dict[str, Any]) -> bool:
    """Whether an entry is an operation of Keras 3. An ``.h5`` file does not contain the module of a class."""
    if "module" in entry:
        return str(entry["module"]).startswith("keras.src.ops")
    is_layer = {"trainable", "dtype"} & options.keys()
    return kind in _OPERATIONS or (kind in _ALSO_LAYERS and not is_layer and "inbound_nodes" in entry)


def _name_call(from_one: set[str], reference: Reference) -> Reference:
    """The reference by the name of the layer's call; the calls of the layers in ``from_one`` count from 1."""
    number = reference.call - (reference.layer in from_one)
    return Reference(_call_name(reference.layer, number), reference.output)


def _call_name(name: str, number: int) -> str:
    """The name of a layer's call."""
    return f"{name} ({number + 1})" if number else name
