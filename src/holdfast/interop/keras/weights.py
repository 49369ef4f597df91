"""Where the weights of each layer lie in a file of Keras: under its class since version 3, under its name before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor

from holdfast.errors import ConversionError, ModelFileError
from holdfast.interop.keras.hdf5 import Group
from holdfast.interop.keras.model import Layer

_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
"""What the group of all layers is called; the second name was that of Keras 2.12."""
_PARTS = (
    *("forward_layer", "backward_layer", "layer", "cell"),
    *(f"{start}{part}_dense" for part in ("query", "key", "value", "output") for start in ("", "_")),
)
"""Layers within a layer, in the order in which Keras lists their weights."""
_DEPTH = 4


def by_class(root: Group, layers: Sequence[Layer]) -> dict[str, list[Tensor]]:
    """The weights in a file of Keras 3, by the names of the layers.

    Args:
        root: The file.
        layers: The layers, in the order in which the model lists them.

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
    """The group of all layers in a file of Keras 3; None where there is none."""
    return next((group for name in _CONTAINERS if (group := root.group(name)) is not None), None)


def of_group(group: Group) -> list[Tensor]:
    """The weights of one layer in a file of Keras 3, with those of the layers in it."""
    return list(_arrays(group))


def _arrays(group: Group, depth: int = 0) -> Iterator[Tensor]:
    """The weights of a layer and of those within it; those that hold the state of a stateful layer are not weights."""
    inner = [part for name in _PARTS if (part := group.group(name)) is not None]
    own = group.group("vars")
    if own is not None and not inner:
        yield from _numbered(own)
    if depth < _DEPTH:
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
    """The weights in a file of Keras 1 or 2, or in an ``.h5`` of Keras 3: of each layer, by their names, in order.

    Raises:
        ModelFileError: The file has no weights, or is damaged.
    """
    root = root.group("model_weights") or root
    names = root.texts("layer_names")
    if names is None:
        raise ModelFileError(
            f"{root.label} holds no weights of a Keras model: it names no layers. Files of Keras before version 1 have "
            "to be saved anew by Keras 1."
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


def spread(weights: Mapping[str, Mapping[str, Tensor]], layers: Sequence[Layer]) -> dict[str, list[Tensor]]:
    """The weights of each layer, where those of a model within the model come as one list: told by their names.

    Args:
        weights: As :func:`by_name` gives them.
        layers: The layers, those of the models within included, called ``MODEL/LAYER``.

    Raises:
        ConversionError: A name does not say which layer an array belongs to.
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
    """The layer in a model that a weight belongs to: the one whose names are all in that of the weight, in order."""
    parts = weight.split("/")[:-1]
    fits = {one: _common(one.split("/")[1:], parts) for one in layers}
    most = max(fits.values(), default=0)
    found = [one for one, count in fits.items() if count == most]
    if not most or len(found) > 1:
        raise ConversionError(
            f"The model {model!r} within the model has an array {weight!r}, whose name does not say which of its "
            "layers it belongs to. Save the model as .keras."
        )
    return found[0]


def _common(names: list[str], parts: list[str]) -> int:
    """How many of the names of a layer stand in those of a weight, in order; 0 where the last one does not."""
    count = start = 0
    for name in names:
        if name in parts[start:]:
            start, count = parts.index(name, start) + 1, count + 1
    return count if names and names[-1] in parts else 0
