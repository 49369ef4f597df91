"""Networks that take the time first, [T, B, ...], as the same ones that take the batch first, [B, T, ...]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from holdfast.interop.network import Network, Node

_SWAPPED = [1, 0, 2]
_EITHER_WAY = frozenset({"Activation", "Dropout", "Embedding", "Linear", "Recurrent"})
"""The kinds of parts beside transpositions that such a network may have."""


def exchanges(node: Node) -> bool:
    """Whether a part exchanges time and batch, and does nothing else."""
    return node.options.get("op") == "Transpose" and list(node.options.get("perm") or []) == _SWAPPED


def of_layers_alone(network: Network) -> bool:
    """Whether a network takes any number of rows and of steps, since it has parts alone that do."""
    return all(node.kind in _EITHER_WAY or exchanges(node) for node in network.nodes)


def batch_first(network: Network) -> Network:
    """A network that takes the time first, as one that takes the batch first; any other as it is.

    The two give the same numbers: where one is given x [T, B, I], the other is given ``x.transpose(0, 1)``, and gives
    what has time and batch exchanged where it has both.

    Args:
        network: The network. Its tensors are shared.
    """
    if not any(map(exchanges, network.nodes)) or not of_layers_alone(network):
        return network
    same: dict[str, str] = {}
    swapped = set(network.inputs)  # values with the time first
    left: list[Node] = []
    for node in network.nodes:
        inputs = tuple(same.get(value, value) for value in node.inputs)
        if exchanges(node):
            same[node.outputs[0]] = inputs[0]
            if node.inputs[0] not in swapped:
                swapped.add(node.outputs[0])
            continue
        if node.inputs[0] in swapped:
            if node.kind == "Recurrent":
                return network  # it takes the time for the batch
            swapped.update(value for value in node.outputs if value)
        if any(value in network.inputs for value in node.inputs[1:]):
            return network  # states and lengths have dimensions of their own
        left.append(replace(node, inputs=inputs))
    outputs = tuple(same.get(value, value) for value in network.outputs)
    if len(set(outputs)) < len(outputs):
        return network
    with torch.device("meta"):
        found = Network(network.inputs, outputs, left, {name: _turned(one) for name, one in network.shapes.items()})
    prefixes = {id(part): name for name, part in found.named_modules()}
    tensors = {
        f"{prefixes[id(found.module(node.name))]}.{name}": tensor
        for node in left
        for name, tensor in network.module(node.name).state_dict(keep_vars=True).items()
    }
    found.load_state_dict(tensors, assign=True)
    return found.eval()


def _turned(sizes: Sequence[int | None]) -> tuple[int | None, ...]:
    return (*sizes[1::-1], *sizes[2:])
