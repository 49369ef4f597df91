"""Turns networks that take the time first, [T, B, ...], into networks that take the batch first, [B, T, ...]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from holdfast.interop.network import Network, Node

_SWAPPED = [1, 0, 2]
_EITHER_WAY = frozenset({"Activation", "Dropout", "Embedding", "Linear", "Recurrent"})
"""The kinds of parts that such a network may have besides transpositions: they work in both orders."""


def exchanges(node: Node) -> bool:
    """Whether a node only exchanges time and batch."""
    return node.options.get("op") == "Transpose" and list(node.options.get("perm") or []) == _SWAPPED


def of_layers_alone(network: Network) -> bool:
    """Whether a network takes any number of rows and steps, since all of its parts do."""
    return all(node.kind in _EITHER_WAY or exchanges(node) for node in network.nodes)


def batch_first(network: Network) -> Network:
    """A network that takes the time first, as one that takes the batch first; any other network is returned unchanged.

    The two give the same numbers: where the first takes x [T, B, I], the second takes ``x.transpose(0, 1)``. Outputs
    that have both time and batch are transposed in the same way.

    Args:
        network: The network. The result shares its tensors.
    """
    if not any(map(exchanges, network.nodes)) or not of_layers_alone(network):
        return network
    replaced: dict[str, str] = {}
    time_first = set(network.inputs)  # values with the time first
    kept: list[Node] = []
    for node in network.nodes:
        inputs = tuple(replaced.get(value, value) for value in node.inputs)
        if exchanges(node):
            replaced[node.outputs[0]] = inputs[0]
            if node.inputs[0] not in time_first:
                time_first.add(node.outputs[0])
            continue
        if node.inputs[0] in time_first:
            if node.kind == "Recurrent":
                return network  # it runs along the batch
            time_first.update(value for value in node.outputs if value)
        if any(value in network.inputs for value in node.inputs[1:]):
            return network  # states and lengths have other dimensions
        kept.append(replace(node, inputs=inputs))
    outputs = tuple(replaced.get(value, value) for value in network.outputs)
    if len(set(outputs)) < len(outputs):
        return network
    shapes = {name: _turned(sizes) for name, sizes in network.shapes.items()}
    with torch.device("meta"):
        result = Network(network.inputs, outputs, kept, shapes)
    prefixes = {id(part): name for name, part in result.named_modules()}
    tensors = {
        f"{prefixes[id(result.module(node.name))]}.{name}": tensor
        for node in kept
        for name, tensor in network.module(node.name).state_dict(keep_vars=True).items()
    }
    result.load_state_dict(tensors, assign=True)
    return result.eval()


def _turned(sizes: Sequence[int | None]) -> tuple[int | None, ...]:
    return (*sizes[1::-1], *sizes[2:])
