"""The recurrent layers of a Keras file alone, with a configuration or by the weights alone."""

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
from holdfast.interop.selection import Alone, Selection

_KINDS = (*RECURRENT, "Bidirectional")
_INPUT = "input of the recurrent layer"
Weights = Mapping[str, list[Tensor]]


def of_model(model: Model, arrays: Weights, path: Path) -> Selection:
    """The recurrent layers of a model without models within it.

    Args:
        model: The model.
        arrays: The weights of each layer.
        path: The file, for the messages.
    """
    own = [layer for layer in model.layers if not layer.shares]
    found, refused = _read([layer for layer in own if layer.kind in _KINDS], model, arrays, path)
    others = [layer.name for layer in own if layer.kind not in _KINDS and arrays.get(layer.name)]
    return Selection(found, tuple(others), refused)


def of_weights(root: Group, version: str, options: Mapping[str, Any], path: Path) -> Selection:
    """The recurrent layers that weights without a configuration say.

    Args:
        root: The file.
        version: The version of Keras, where the file says it.
        options: Those of every layer that the weights do not say, by Keras's names.
        path: The file, for the messages.
    """
    layers, others, arrays = [], [], {}
    old = keras_weights.all_layers(root) is None and (root.group("model_weights") or root).texts("layer_names")
    for name, own in _by_name(root) if old else _by_place(root, ""):
        name = name if name not in arrays else f"layers/{name}"  # an attribute of the model, and a class of its layers
        layer = model_from_weights.recurrent_layer(name, own)
        if layer is None:
            others += [name] if own else []
            continue
        arrays[name] = own
        layers.append(replace(layer, options=_with(layer, options)))
    model = Model(version if old else version or "3", tuple(layers), (), ())
    found, refused = _read(layers, model, arrays, path)
    return Selection(found, tuple(others), refused)


def _read(layers: list[Layer], model: Model, arrays: Weights, path: Path) -> tuple[dict[str, Alone], dict[str, str]]:
    """Each layer as a model of its own, which gives the output of every step."""
    found, refused = {}, {}
    for layer in layers:
        alone = replace(
            layer,
            inputs=(Reference(_INPUT),),
            options=_every_step(layer.options),
            initial=(),
            masks=(),
            keywords={},
        )
        whole = replace(
            model, layers=(Layer(_INPUT, "InputLayer", {}), alone), inputs=(_INPUT,), outputs=(Reference(layer.name),)
        )
        try:
            network = keras_layers.network(whole, arrays, path)
        except (ConversionError, ModelFileError) as error:
            refused[layer.name] = str(error)
            continue
        for node in network.nodes:
            part = network.module(node.name)
            if isinstance(part, nodes.Recurrent):
                found[node.name] = Alone(node.options, part.layer.state_dict())
    return found, refused


def _every_step(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options by which a layer, or those in a Bidirectional, give every output, and nothing else."""
    changed = {**options, "return_sequences": True, "return_state": False, "stateful": False}
    for name in ("layer", "backward_layer"):
        inner = options.get(name)
        if isinstance(inner, dict) and isinstance(inner.get("config"), dict):
            changed[name] = {**inner, "config": _every_step(inner["config"])}
    if "layer" in options:  # of a Bidirectional; what merges its directions is needed for both to be read
        changed["merge_mode"] = options.get("merge_mode") or "concat"
        for name in ("return_sequences", "return_state", "stateful"):
            del changed[name]
    return changed


def _with(layer: Layer, options: Mapping[str, Any]) -> dict[str, Any]:
    if layer.kind != "Bidirectional":
        kept = {name: one for name, one in options.items() if layer.kind != "SimpleRNN" or name == "activation"}
        return {**layer.options, **kept}
    inner = layer.options["layer"]
    made = Layer(layer.name, inner["class_name"], inner["config"])
    return {**layer.options, "layer": {**inner, "config": _with(made, options)}}


def _by_name(root: Group) -> Iterator[tuple[str, list[Tensor]]]:
    """Names and weights of what may be layers in a file of Keras 1 or 2; those of a model within are told apart."""
    for name, arrays in keras_weights.by_name(root).items():
        whole = list(arrays.values())
        parts: dict[str, list[Tensor]] = {}
        for weight, array in arrays.items():
            parts.setdefault(_owner(weight), []).append(array)
        if len(parts) < 2 or model_from_weights.recurrent_layer(name, whole) is not None:
            yield name, whole
            continue
        for part, own in parts.items():
            yield f"{name}/{part}", own


def _owner(weight: str) -> str:
    """The layer that the name of a weight says: ``a/lstm/lstm_cell/kernel:0`` is of ``a/lstm``."""
    parts = weight.split("/")[:-1]
    while parts and (parts[-1].endswith("cell") or parts[-1].startswith(("forward_", "backward_"))):
        parts.pop()
    return "/".join(parts)


def _by_place(group: Group, name: str) -> Iterator[tuple[str, list[Tensor]]]:
    """Names and weights of what may be layers in a file of Keras 3, in whatever model they lie."""
    for part, inner in group.groups.items():
        label = f"{name}/{part}" if name else part
        if {"cell", "forward_layer", "vars"} & inner.groups.keys() and "layers" not in inner.groups:
            own = keras_weights.of_group(inner)
            if own or not inner.groups.keys() - {"vars"}:
                yield label, own
                continue
        yield from _by_place(inner, name if part in ("layers", "layer") else label)
