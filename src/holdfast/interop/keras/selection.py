"""The recurrent layers alone of a Keras file, with or without a configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from holdfast.errors import ConversionError, ModelFileError
from holdfast.interop import nodes
from holdfast.interop.keras import layers as keras_layers
from holdfast.interop.keras import model_from_weights
from holdfast.interop.keras import weights as keras_weights
from holdfast.interop.keras.hdf5 import Group
from holdfast.interop.keras.model import Layer, Model, Reference
from holdfast.interop.keras.options import RECURRENT
from holdfast.interop.selection import LoneLayer, Selection

_KINDS = (*RECURRENT, "Bidirectional")
_INPUT = "input of the recurrent layer"
Weights = Mapping[str, list[Tensor]]


def of_model(model: Model, arrays: Weights, path: Path) -> Selection:
    """The recurrent layers of a model without nested models.

    Args:
        model: The model.
        arrays: The weights of each layer, by its name.
        path: The file, for the messages.
    """
    layers = [layer for layer in model.layers if not layer.shares]
    recurrent, refused = _convert_each([layer for layer in layers if layer.kind in _KINDS], model, arrays, path)
    others = [layer.name for layer in layers if layer.kind not in _KINDS and arrays.get(layer.name)]
    return Selection(recurrent, tuple(others), refused)


def of_weights(root: Group, version: str, options: Mapping[str, Any], path: Path) -> Selection:
    """The recurrent layers in weights without a configuration.

    Args:
        root: The file.
        version: The version of Keras, if the file contains it.
        options: Options of every layer that the weights do not show, by Keras's names.
        path: The file, for the messages.
    """
    layers, others, arrays = [], [], {}
    old = keras_weights.all_layers(root) is None and (root.group("model_weights") or root).texts("layer_names")
    for name, weights in _by_name(root) if old else _by_place(root, ""):
        name = name if name not in arrays else f"layers/{name}"  # an attribute of the model and a class of its layers
        layer = model_from_weights.recurrent_layer(name, weights)
        if layer is None:
            others += [name] if weights else []
            continue
        arrays[name] = weights
        layers.append(replace(layer, options=_with_options(layer, options)))
    model = Model(version if old else version or "3", tuple(layers), (), ())
    recurrent, refused = _convert_each(layers, model, arrays, path)
    return Selection(recurrent, tuple(others), refused)


def _convert_each(
    layers: list[Layer], model: Model, arrays: Weights, path: Path
) -> tuple[dict[str, LoneLayer], dict[str, str]]:
    """Converts each layer as a model of its own that gives the output of every step; also returns why others fail."""
    converted, refused = {}, {}
    for layer in layers:
        single = replace(
            layer, inputs=(Reference(_INPUT),), options=_every_step(layer.options), initial=(), masks=(), keywords={}
        )
        wrapper = replace(
            model, layers=(Layer(_INPUT, "InputLayer", {}), single), inputs=(_INPUT,), outputs=(Reference(layer.name),)
        )
        try:
            network = keras_layers.network(wrapper, arrays, path)
        except (ConversionError, ModelFileError) as error:
            refused[layer.name] = str(error)
            continue
        for node in network.nodes:
            part = network.module(node.name)
            if isinstance(part, nodes.Recurrent):
                converted[node.name] = LoneLayer(node.options, part.layer.state_dict())
    return converted, refused


def _every_step(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with which a layer, or the layers of a Bidirectional, give only the output of every step."""
    changed = {**options, "return_sequences": True, "return_state": False, "stateful": False}
    for name in ("layer", "backward_layer"):
        inner = options.get(name)
        if isinstance(inner, dict) and isinstance(inner.get("config"), dict):
            changed[name] = {**inner, "config": _every_step(inner["config"])}
    if "layer" in options:  # a Bidirectional; without a merge mode, its directions would stay apart
        changed["merge_mode"] = options.get("merge_mode") or "concat"
        for name in ("return_sequences", "return_state", "stateful"):
            del changed[name]
    return changed


def _with_options(layer: Layer, options: Mapping[str, Any]) -> dict[str, Any]:
    """A layer's options and those of these that it has."""
    if layer.kind != "Bidirectional":
        kept = {name: value for name, value in options.items() if layer.kind != "SimpleRNN" or name == "activation"}
        return {**layer.options, **kept}
    inner = layer.options["layer"]
    inner_layer = Layer(layer.name, inner["class_name"], inner["config"])
    return {**layer.options, "layer": {**inner, "config": _with_options(inner_layer, options)}}


def _by_name(root: Group) -> Iterator[tuple[str, list[Tensor]]]:
    """Names and weights of possible layers in a file of Keras 1 or 2; a nested model's weights are split by layer."""
    for name, arrays in keras_weights.by_name(root).items():
        weights = list(arrays.values())
        parts: dict[str, list[Tensor]] = {}
        for weight, array in arrays.items():
            parts.setdefault(_owner(weight), []).append(array)
        if len(parts) < 2 or model_from_weights.recurrent_layer(name, weights) is not None:
            yield name, weights
            continue
        for part, part_weights in parts.items():
            yield f"{name}/{part}", part_weights


def _owner(weight: str) -> str:
    """The layer in the name of a weight: ``a/lstm`` for ``a/lstm/lstm_cell/kernel:0``."""
    parts = weight.split("/")[:-1]
    while parts and (parts[-1].endswith("cell") or parts[-1].startswith(("forward_", "backward_"))):
        parts.pop()
    return "/".join(parts)


def _by_place(group: Group, name: str) -> Iterator[tuple[str, list[Tensor]]]:
    """Names and weights of possible layers in a file of Keras 3, in any nested model."""
    for part, inner in group.groups.items():
        label = f"{name}/{part}" if name else part
        if {"cell", "forward_layer", "vars"} & inner.groups.keys() and "layers" not in inner.groups:
            weights = keras_weights.of_group(inner)
            if weights or not inner.groups.keys() - {"vars"}:
                yield label, weights
                continue
        yield from _by_place(inner, name if part in ("layers", "layer") else label)
