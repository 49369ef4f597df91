"""The model of weights without a configuration, if they determine it: a chain of recurrent layers.

The shapes of the weights show the kind of cell, its sizes and whether there are biases. Everything else has Keras's
default: the activations, concatenated directions, and a last layer that gives its last output. Other layers often have
options that are not the defaults (the activation of a Dense, the mask of an Embedding), so they are refused.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from holdfast.errors import ConversionError
from holdfast.interop.keras import weights as keras_weights
from holdfast.interop.keras.hdf5 import Group
from holdfast.interop.keras.model import Layer, Model, Reference
from holdfast.interop.selection import READ_LAYERS

_GATES = {4: "LSTM", 3: "GRU", 1: "SimpleRNN"}
_WITHOUT_EFFECT = ("input", "input_layer", "dropout", "spatial_dropout1d")
_MAX_SORTED = 16  # layers whose order is searched


@dataclass(frozen=True)
class _Inferred:
    """A recurrent layer inferred from its weights.

    Attributes:
        name: Its name.
        kind: Its class.
        options: The options that the weights show.
        width: I.
        outputs: O; for two directions, the sum of both.
    """

    name: str
    kind: str
    options: Mapping[str, Any]
    width: int
    outputs: int


def by_name(weights: Mapping[str, list[Tensor]], version: str, path: Path) -> Model:
    """The model of weights that are listed in the order of its layers.

    Args:
        weights: The weights of each layer, by its name.
        version: The version of Keras.
        path: Their file, for the message.

    Raises:
        ConversionError: They do not determine the model.
    """
    layers = [_recurrent(name, arrays, path) for name, arrays in weights.items() if arrays or not _is_idle(name)]
    if any(first.outputs != second.width for first, second in itertools.pairwise(layers)):
        raise _unknown(path, "the layers do not follow one another")
    return _chain(layers, version, path)


def by_class(root: Group, path: Path) -> tuple[Model, dict[str, list[Tensor]]]:
    """The model of weights that are named after classes, and the weights. The order of the layers is searched.

    Raises:
        ConversionError: They do not determine the model.
        ModelFileError: The file is damaged.
    """
    container = keras_weights.all_layers(root)
    names = list(container.groups) if container is not None else []
    weights = keras_weights.by_class(root, [Layer(name, "", {}, key=name) for name in names])
    layers = [_recurrent(name, arrays, path) for name, arrays in weights.items() if arrays or not _is_idle(name)]
    if len(layers) > _MAX_SORTED:
        raise _unknown(path, f"it has {len(layers)} layers, and does not say in which order")
    orders = _orders([], sorted(layers, key=lambda layer: _split_number(layer.name)))
    first = next(orders, None)
    if first is None or next(orders, None) is not None:
        raise _unknown(path, "more than one order of its layers is possible" if first else "its layers fit in no order")
    return _chain(first, "3", path), weights


def recurrent_layer(name: str, arrays: list[Tensor]) -> Layer | None:
    """The recurrent layer with these arrays; None if they are of another layer."""
    inferred = _infer(name, arrays)
    return None if inferred is None else Layer(name, inferred.kind, inferred.options)


def _recurrent(name: str, arrays: list[Tensor], path: Path) -> _Inferred:
    """The recurrent layer with these arrays.

    Raises:
        ConversionError: They are of another layer.
    """
    inferred = _infer(name, arrays)
    if inferred is None:
        listed = ", ".join("x".join(map(str, array.shape)) for array in arrays[:6]) or "no weights"
        raise _unknown(path, f"layer {name!r} ({listed}) is not a recurrent layer with biases")
    return inferred


def _infer(name: str, arrays: list[Tensor]) -> _Inferred | None:
    shapes = [tuple(array.shape) for array in arrays]
    half = len(shapes) // 2
    bidirectional = len(shapes) in (4, 6, 18, 24) and shapes[:half] == shapes[half:] and shapes[0] != shapes[1]
    cell = _cell(shapes[:half] if bidirectional else shapes)
    if cell is None:
        return None
    kind, options, width = cell
    if bidirectional:
        inner = {"class_name": kind, "config": {**options}}
        return _Inferred(name, "Bidirectional", {"layer": inner}, width, 2 * options["units"])
    return _Inferred(name, kind, options, width, options["units"])


def _cell(shapes: list[tuple[int, ...]]) -> tuple[str, dict[str, Any], int] | None:
    if len(shapes) in (9, 12) and len(set(shapes)) <= 3:  # Keras 1: kernel, recurrent kernel and bias of each gate
        gates = len(shapes) // 3
        if len(shapes[0]) == 2 and shapes[1] == (shapes[0][1],) * 2:
            settings: dict[str, Any] = {"units": shapes[0][1]} | ({"reset_after": False} if gates == 3 else {})
            return _GATES[gates], settings, shapes[0][0]
        return None
    if len(shapes) not in (2, 3) or any(len(shape) != 2 for shape in shapes[:2]):
        return None
    (width, columns), (units, recurrent_columns) = shapes[:2]
    kind = _GATES.get(columns // units) if units and columns == recurrent_columns and columns % units == 0 else None
    if kind is None or (kind == "GRU" and len(shapes) == 2):
        return None
    options: dict[str, Any] = {"units": units, "use_bias": len(shapes) == 3}
    if kind == "GRU":
        options["reset_after"] = shapes[2] != (columns,)
    return kind, options, width


def _chain(chain: list[_Inferred], version: str, path: Path) -> Model:
    if not chain:
        raise _unknown(path, "it has no layers with weights")
    layers = [Layer("input", "InputLayer", {"batch_shape": [None, None, chain[0].width]})]
    for number, layer in enumerate(chain):
        options, sequences = dict(layer.options), {"return_sequences": number < len(chain) - 1}
        if layer.kind == "Bidirectional":
            options["layer"] = {**options["layer"], "config": {**options["layer"]["config"], **sequences}}
        else:
            options |= sequences
        layers.append(Layer(layer.name, layer.kind, options, (Reference(layers[-1].name),)))
    return Model(version, tuple(layers), ("input",), (Reference(layers[-1].name),))


def _orders(done: list[_Inferred], left: list[_Inferred]) -> Iterator[list[_Inferred]]:
    """Every order in which each layer takes the previous layer's outputs; layers of one class keep their order."""
    if not left:
        yield done
        return
    seen = set()
    for layer in left:
        label = _split_number(layer.name)[0]
        if label not in seen and (not done or done[-1].outputs == layer.width):
            yield from _orders([*done, layer], [other for other in left if other is not layer])
        seen.add(label)


def _split_number(name: str) -> tuple[str, int]:
    """The class and the number in a layer's name: ``lstm_1`` is the second ``lstm``."""
    match = re.fullmatch(r"(.*?)_(\d{1,6})", name)
    return (match[1], int(match[2])) if match else (name, 0)


def _is_idle(name: str) -> bool:
    return _split_number(name)[0] in _WITHOUT_EFFECT


def _unknown(path: Path, reason: str) -> ConversionError:
    json_name = path.name.removesuffix(".h5").removesuffix(".weights") + ".json"
    return ConversionError(
        f"{path} has weights and no configuration, and they do not determine the model: {reason}. "
        f"Write `model.to_json()` of that model to {json_name} in the same folder. {READ_LAYERS}"
    )
