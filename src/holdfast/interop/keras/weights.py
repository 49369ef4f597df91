"""Finds the weights of each layer in a file of Keras: under its class since version 3, under its name before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor

from holdfast.errors import ConversionError, ModelFileError
from holdfast.interop.keras.hdf5 import Group
from holdfast.interop.keras.model import Layer

_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
"""The names of the group of all layers; Keras 2.12 used the second."""
_PARTS = (
    *("forward_layer", "backward_layer", "layer", "cell"),
    *(f"{start}{part}_dense" for part in ("query", "key", "value", "output") for start in ("", "_")),
)
"""Inner layers, in the order in which Keras lists their weights."""
_MAX_DEPTH = 4


def by_class(root: Group, layers: Sequence[Layer]) -> dict[str, list[Tensor]]:
    """The weights in a file of Keras 3, by the names of the layers.

    Args:
        root: The file.
        layers: The layers, in the model's order.

    Raises:
        ModelFileError: The file has no weights, or is damaged.
    """
    container = all_layers(root)
    if container is None:
        raise ModelFileError(f"{root.label} holds no weights of a Keras model; expected a group 'layers'.")
    result: dict[str, list[Tensor]] = {}
    for layer in layers:
        group = container.group(layer.key) if layer.key and not layer.shares else None
        if group is not None:
            result[layer.name] = of_group(group)
    return result


def all_layers(root: Group) -> Group | None:
    """The group of all layers in a file of Keras 3; None if there is none."""
    return next((group for name in _CONTAINERS if (group := root.group(name)) is not None), None)


def of_group(group: Group) -> list[Tensor]:
    """The weights of one layer and its inner layers in a file of Keras 3."""
    return list(_arrays(group))


def _arrays(group: Group, depth: int = 0) -> Iterator[Tensor]:
    """The weights of a layer and its inner layers, without the arrays that hold the state of a stateful layer."""
    inner = [part for name in _PARTS if (part := group.group(name)) is not None]
    variables = group.group("vars")
    if variables is not None and not inner:
        yield from _numbered(variables)
    if depth < _MAX_DEPTH:
        for part in inner:
            yield from _arrays(part, depth + 1)


def _numbered(group: Group) -> Iterator[Tensor]:
    for number in range(len(group.arrays) + len(group.refused)):
        array = group.array(str(number))
        if array is None:
            raise ModelFileError(
                f"{group.label} has no array {number}; expected all from 0 on. Take another copy of it."
            )
        yield array


def by_name(root: Group) -> dict[str, dict[str, Tensor]]:
    """The weights in a file of Keras 1 or 2, or in an ``.h5`` of Keras 3: per layer, by their names, in order.

    Raises:
        ModelFileError: The file has no weights, or is damaged.
    """
    root = root.group("model_weights") or root
    names = root.texts("layer_names")
    if names is None:
        raise ModelFileError(
            f"{root.label} holds no weights of a Keras model: it names no layers. Files of Keras before version 1 must "
            "first be saved by Keras 1."
        )
    result: dict[str, dict[str, Tensor]] = {}
    for name in names:
        group = root.group(name)
        weights = group.texts("weight_names") if group is not None else None
        if group is None or weights is None:
            raise ModelFileError(
                f"{root.label} has no weights of the layer {name!r}, which it names. Take another copy."
            )
        result[name] = {}
        for weight in weights:
            array = group.array(weight)
            if array is None:
                raise ModelFileError(f"{group.label} has no array {weight!r}, which it names. Take another copy of it.")
            result[name][weight] = array
    return result


def by_layer(weights: Mapping[str, Mapping[str, Tensor]], layers: Sequence[Layer]) -> dict[str, list[Tensor]]:
    """The weights of each layer; the weights of a nested model, which are in one list, are assigned by their names.

    Args:
        weights: The result of :func:`by_name`.
        layers: The layers, with those of nested models as ``MODEL/LAYER``.

    Raises:
        ConversionError: An array's name does not determine its layer.
    """
    names = {layer.name for layer in layers}
    within: dict[str, list[str]] = {}
    for layer in layers:
        if not layer.shares:
            within.setdefault(layer.name.partition("/")[0], []).append(layer.name)
    result: dict[str, list[Tensor]] = {}
    for name, arrays in weights.items():
        for weight, array in arrays.items():
            owner = name if name in names or name not in within else _owner(name, weight, within[name])
            result.setdefault(owner, []).append(array)
    return result


def _owner(model: str, weight: str, layers: list[str]) -> str:
    """The layer of a weight in a nested model: the layer whose names are all in the weight's name, in order."""
    parts = weight.split("/")[:-1]
    counts = {layer: _common(layer.split("/")[1:], parts) for layer in layers}
    most = max(counts.values(), default=0)
    best = [layer for layer, count in counts.items() if count == most]
    if not most or len(best) > 1:
        raise ConversionError(
            f"The nested model {model!r} has an array {weight!r}, whose name does not say to which of its layers it "
            "belongs. Save the model as .keras."
        )
    return best[0]


def _common(names: list[str], parts: list[str]) -> int:
    """The number of a layer's names that are in a weight's name, in order; 0 if the last one is not."""
    count = start = 0
    for name in names:
        if name in parts[start:]:
            start, count = parts.index(name, start) + 1, count + 1
    return count if names and names[-1] in parts else 0
