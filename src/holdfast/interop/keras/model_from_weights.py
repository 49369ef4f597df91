"""The model of weights that come without a configuration, where they leave little doubt: a chain of recurrent layers.

The shapes of the weights say the kind of cell, its sizes and whether there are biases. What no shape can say has
Keras's default: the activations, that directions are concatenated, and that the last layer gives its last output. Any
other layer has options that are seldom at their defaults (the activation of a Dense, the mask of an Embedding), and is
refused.
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
_MOST = 16  # layers whose order is looked for


@dataclass(frozen=True)
class _Found:
    """A recurrent layer that weights say.

    Attributes:
        name: Its name.
        kind: Its class.
        options: Those that the weights say.
        width: I.
        outputs: O of one direction, and of both side by side.
    """

    name: str
    kind: str
    options: Mapping[str, Any]
    width: int
    outputs: int


def by_name(weights: Mapping[str, list[Tensor]], version: str, path: Path) -> Model:
    """The model of weights in the order of its layers.

    Args:
        weights: Those of each layer.
        version: Of Keras.
        path: Where they come from, for the message.

    Raises:
        ConversionError: They leave open what the model is.
    """
    found = [_recurrent(name, arrays, path) for name, arrays in weights.items() if arrays or not _idle(name)]
    if not _fits(found):
        raise _unknown(path, "the layers do not follow one another")
    return _chain(found, version, path)


def by_class(root: Group, path: Path) -> tuple[Model, dict[str, list[Tensor]]]:
    """The model of weights that are named after classes, and the weights; their order is looked for.

    Raises:
        ConversionError: They leave open what the model is.
        ModelFileError: The file is damaged.
    """
    container = keras_weights.all_layers(root)
    names = list(container.groups) if container is not None else []
    weights = keras_weights.by_class(root, [Layer(name, "", {}, key=name) for name in names])
    found = [_recurrent(name, arrays, path) for name, arrays in weights.items() if arrays or not _idle(name)]
    if len(found) > _MOST:
        raise _unknown(path, f"it has {len(found)} layers, whose order it does not say")
    orders = _orders([], sorted(found, key=lambda one: _numbered(one.name)))
    first = next(orders, None)
    if first is None or next(orders, None) is not None:
        raise _unknown(
            path, "the order of its layers is not the only one possible" if first else "its layers fit in no order"
        )
    return _chain(first, "3", path), weights


def recurrent(name: str, arrays: list[Tensor]) -> Layer | None:
    """The recurrent layer that has these arrays; None where they are of another layer."""
    found = _found(name, arrays)
    return None if found is None else Layer(name, found.kind, found.options)


def _recurrent(name: str, arrays: list[Tensor], path: Path) -> _Found:
    """The recurrent layer that has these arrays.

    Raises:
        ConversionError: They are of another layer.
    """
    found = _found(name, arrays)
    if found is None:
        listed = ", ".join("x".join(map(str, array.shape)) for array in arrays[:6]) or "no weights"
        raise _unknown(path, f"layer {name!r} ({listed}) is not a recurrent layer with biases")
    return found


def _found(name: str, arrays: list[Tensor]) -> _Found | None:
    shapes = [tuple(array.shape) for array in arrays]
    half = len(shapes) // 2
    two = len(shapes) in (4, 6, 18, 24) and shapes[:half] == shapes[half:] and shapes[0] != shapes[1]
    if len(shapes) == 12 and shapes[:6] == shapes[6:]:  # of an LSTM of Keras 1, or a Bidirectional without biases
        two = False
    cell = _cell(shapes[:half] if two else shapes)
    if cell is None:
        return None
    kind, options, width = cell
    if two:
        inner = {"class_name": kind, "config": {**options}}
        return _Found(name, "Bidirectional", {"layer": inner}, width, 2 * options["units"])
    return _Found(name, kind, options, width, options["units"])


def _cell(shapes: list[tuple[int, ...]]) -> tuple[str, dict[str, Any], int] | None:
    if len(shapes) in (9, 12) and len(set(shapes)) <= 3:  # Keras 1: kernel, recurrent kernel and bias of each gate
        gates = len(shapes) // 3
        if len(shapes[0]) == 2 and shapes[1] == (shapes[0][1],) * 2:
            return (
                _GATES[gates],
                {"units": shapes[0][1], "reset_after": False} if gates == 3 else {"units": shapes[0][1]},
                shapes[0][0],
            )
        return None
    if len(shapes) not in (2, 3) or any(len(shape) != 2 for shape in shapes[:2]):
        return None
    (width, columns), (units, again) = shapes[:2]
    kind = _GATES.get(columns // units) if units and columns == again and columns % units == 0 else None
    if kind is None or (kind == "GRU" and len(shapes) == 2):
        return None
    options: dict[str, Any] = {"units": units, "use_bias": len(shapes) == 3}
    if kind == "GRU":
        options["reset_after"] = shapes[2] != (columns,)
    return kind, options, width


def _chain(found: list[_Found], version: str, path: Path) -> Model:
    if not found:
        raise _unknown(path, "it has no layers with weights")
    layers = [Layer("input", "InputLayer", {"batch_shape": [None, None, found[0].width]})]
    for number, one in enumerate(found):
        options, sequences = dict(one.options), {"return_sequences": number < len(found) - 1}
        if one.kind == "Bidirectional":
            options["layer"] = {**options["layer"], "config": {**options["layer"]["config"], **sequences}}
        else:
            options |= sequences
        layers.append(Layer(one.name, one.kind, options, (Reference(layers[-1].name),)))
    return Model(version, tuple(layers), ("input",), (Reference(layers[-1].name),))


def _orders(done: list[_Found], left: list[_Found]) -> Iterator[list[_Found]]:
    """Every order of layers in which each takes what the one before gives; those of one class stay in theirs."""
    if not left:
        yield done
        return
    seen = set()
    for one in left:
        label = _numbered(one.name)[0]
        if label not in seen and (not done or done[-1].outputs == one.width):
            yield from _orders([*done, one], [other for other in left if other is not one])
        seen.add(label)


def _fits(found: list[_Found]) -> bool:
    return all(one.outputs == two.width for one, two in itertools.pairwise(found))


def _numbered(name: str) -> tuple[str, int]:
    """A class and the number of a layer of it: ``lstm_1`` is the second of ``lstm``."""
    found = re.fullmatch(r"(.*?)_(\d{1,6})", name)
    return (found[1], int(found[2])) if found else (name, 0)


def _idle(name: str) -> bool:
    return _numbered(name)[0] in _WITHOUT_EFFECT


def _unknown(path: Path, reason: str) -> ConversionError:
    beside = path.name.removesuffix(".h5").removesuffix(".weights") + ".json"
    return ConversionError(
        f"{path} has weights and no configuration, and what model they are of cannot be told: {reason}. "
        f"Write `model.to_json()` of that model to {beside} beside it. {READ_LAYERS}"
    )
