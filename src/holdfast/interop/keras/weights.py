"""Where the weights of each layer lie in a file of Keras: under its class since version 3, under its name before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from holdfast.errors import ModelFileError
from holdfast.interop.keras.config import Layer
from holdfast.interop.keras.hdf5 import Group

_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
"""What the group of all layers is called; the second name was that of Keras 2.12."""
_PARTS = ("forward_layer", "backward_layer", "layer", "cell")
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
    groups = {layer.name: container.group(layer.key) for layer in layers if layer.key}
    return {name: list(_arrays(group)) for name, group in groups.items() if group is not None}


def all_layers(root: Group) -> Group | None:
    """The group of all layers in a file of Keras 3; None where there is none."""
    return next((group for name in _CONTAINERS if (group := root.group(name)) is not None), None)


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


def by_name(root: Group) -> dict[str, list[Tensor]]:
    """The weights in a file of Keras 1 or 2, or in an ``.h5`` of Keras 3, by the names of the layers, in their order.

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
    result = {}
    for name in names:
        group = root.group(name)
        weights = group.texts("weight_names") if group is not None else None
        if group is None or weights is None:
            raise ModelFileError(
                f"{root.label} has no weights of the layer {name!r}, which it names. Take another copy."
            )
        found = [(weight, group.array(weight)) for weight in weights]
        for weight, array in found:
            if array is None:
                raise ModelFileError(f"{group.label} has no array {weight!r}, which it names. Take another copy of it.")
        result[name] = [array for _, array in found if array is not None]
    return result
