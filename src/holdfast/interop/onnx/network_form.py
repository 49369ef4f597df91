"""Exports networks to ONNX: finds out what their inputs are, and makes the streaming form."""

from __future__ import annotations

from dataclasses import replace

import torch

from holdfast.errors import ConversionError
from holdfast.interop import nodes
from holdfast.interop.examples import SEEN_THROUGH
from holdfast.interop.network import Network, Node
from holdfast.interop.time_first import exchanges
from holdfast.interop.windows import Convolution, Cropping, Pooling
from holdfast.layers.forms import AXES, Form, Input, check_streams, state_inputs

_KEEPS_DIMENSIONS = (*SEEN_THROUGH, nodes.Merge)
"""The parts whose outputs have the dimensions of their inputs."""


def of_network(network: Network, *, streaming: bool = False) -> Form:
    """A network with its own inputs and outputs; for streaming, also with the states of its layers.

    Raises:
        ConversionError: The kind of an input is unknown; or the network cannot stream.
    """
    for node in network.nodes:
        part = network.module(node.name)
        if isinstance(part, nodes.Recurrent) and part.stateful and not streaming:
            raise ConversionError(
                f"{node.name} is stateful: it keeps its state from batch to batch, which an ONNX model cannot. Write "
                "the streaming form, or build the layer without stateful."
            )
    inputs = {name: _known_input(network, name) for name in network.inputs}
    if streaming:
        network, states = _with_states(network)
        inputs |= states
    return Form(network, inputs, network.outputs)


def _known_input(network: Network, value: str) -> Input:
    described = _input(network, value)
    if described is None:
        raise ConversionError(
            f"The input {value!r} goes into no layer that says what it is; expected a recurrent layer, an embedding "
            "or a linear layer. Write the network in another format."
        )
    return described


def _input(network: Network, value: str) -> Input | None:
    """The description of an input, by the first part that takes it; None if that part does not tell."""
    for node in network.nodes:
        part = network.module(node.name)
        for place, name in enumerate(node.inputs):
            if name != value:
                continue
            if exchanges(node) and (inner := _input(network, node.outputs[0])):
                return replace(inner, axes=(inner.axes[1], inner.axes[0], *inner.axes[2:]))
            if isinstance(part, nodes.Embedding):
                transposed = any(exchanges(other) and other.inputs[0] in node.outputs for other in network.nodes)
                axes = ("time", "batch") if transposed else AXES[: len(network.shapes.get(value, AXES[:2]))]
                return Input(_stated(network, value, axes), "ids", part.num_embeddings)
            if isinstance(part, nodes.Recurrent):
                if place == 1:
                    return Input(("batch",), "lengths", "time")
                if place > 1:
                    return list(state_inputs(part.layer).values())[place - 2]
                return Input(_stated(network, value, ("batch", "time", part.layer.input_size)))
            if isinstance(part, nodes.Linear):
                count = 2 if _feeds_steps(network, node) else 1
                lead = AXES[: len(network.shapes[value]) - 1 if value in network.shapes else count]
                return Input(_stated(network, value, (*lead, part.in_features)))
            if isinstance(part, Convolution) and part.layer.weight.ndim == 3:
                return Input(("batch", "time", part.layer.in_channels), least=_min_steps(network))
            joins = isinstance(part, nodes.Merge) and part.mode == "concat"  # its output is wider than each input
            if isinstance(part, _KEEPS_DIMENSIONS) and not joins and (inner := _input(network, node.outputs[0])):
                return inner
    return None


def _stated(network: Network, value: str, axes: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """The dimensions of an input, with numbers where the network requires them."""
    stated = network.shapes.get(value, (None,) * len(axes))
    return tuple(axis if size is None else size for axis, size in zip(axes, stated, strict=True))


def _min_steps(network: Network) -> int:
    """The smallest number of steps for which every window of the network gives an output."""
    reach = distance = 1
    for node in network.nodes:
        part = network.module(node.name)
        if isinstance(part, Convolution) and part.padding == "valid":
            reach += distance * (part.layer.kernel_size[0] - 1) * part.layer.dilation[0]
        if isinstance(part, Pooling) and part.padding == "valid":
            reach += distance * (part.size[0] - 1)
        if isinstance(part, Cropping):
            reach += distance * sum(part.around[0])
        if isinstance(part, Convolution | Pooling):
            distance *= (part.layer.stride if isinstance(part, Convolution) else part.stride)[0]
    return reach


def _feeds_steps(network: Network, node: Node) -> bool:
    """Whether a linear layer works on every step of sequences: whether its output reaches a recurrent layer."""
    values = set(node.outputs)
    for other in network.nodes:
        if values & set(other.inputs):
            if isinstance(network.module(other.name), nodes.Recurrent):
                return True
            values.update(other.outputs)
    return False


def _with_states(network: Network) -> tuple[Network, dict[str, Input]]:
    """The network with the states of its layers as inputs and outputs, and the same tensors; and the new inputs."""
    states: dict[str, Input] = {}
    changed, finals = [], []
    for node in network.nodes:
        part = network.module(node.name)
        if isinstance(part, nodes.Recurrent):
            check_streams(part.layer)
            if any(node.inputs[1:]):
                raise ConversionError(
                    f"{node.name} is given lengths, a mask or a state; the streaming form needs layers that take the "
                    "sequence alone. Write the whole model instead."
                )
            inputs = {f"{node.name}_{name}": state for name, state in state_inputs(part.layer).items()}
            states |= inputs
            outputs = [name.removesuffix("_0") + "_n" for name in inputs]
            finals += outputs
            first = (*node.outputs, "", "")[:2]
            options = {**node.options, "stateful": False}
            node = replace(node, options=options, inputs=(node.inputs[0], "", *inputs), outputs=(*first, *outputs))
        changed.append(node)
    with torch.device("meta"):
        streaming = Network((*network.inputs, *states), (*network.outputs, *finals), changed)
    streaming.load_state_dict(network.state_dict(), assign=True)
    return streaming.eval(), states
