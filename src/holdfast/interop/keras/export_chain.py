"""Converts a network to a chain of Keras layers, or says why it is not one."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import takewhile

from torch import Tensor

from holdfast.errors import ConversionError
from holdfast.interop.keras import export_layers, export_recurrent
from holdfast.interop.keras.export_layers import KerasLayer
from holdfast.interop.network import Network, Node
from holdfast.interop.nodes import Recurrent
from holdfast.interop.windows import Convolution, GlobalPooling, TransposedConvolution


def export_chain(network: Network) -> list[KerasLayer]:
    """The layers of a network, beginning with the input.

    Raises:
        ConversionError: The network is not a chain, or a part has no counterpart in Keras; the message names it.
    """
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        raise ConversionError(
            f"The network has {len(network.inputs)} inputs and {len(network.outputs)} outputs; only a chain of layers, "
            "with one of each, is written for Keras."
        )
    walk = _Walk(network)
    layers = list(walk.layers())
    if walk.value != network.outputs[0]:
        raise ConversionError(f"The network gives {network.outputs[0]!r}, which is not the output of its last node.")
    return [walk.input(), *layers]


class _Walk:
    """Goes along the nodes, and tracks the masks and sizes that Keras tracks.

    Attributes:
        value: The last value of the chain so far.
    """

    def __init__(self, network: Network) -> None:
        self._network, self.value = network, network.inputs[0]
        self._mask = ""  # the mask that Keras passes on by itself
        self._left = list(network.nodes)
        self._names: set[str] = set()
        self._steps: int | None = None  # of the input, if a layer needs the number
        self._repeated: int | None = None  # of the value, after a RepeatVector
        self._width: int | None = None
        self._same_steps = True  # the value has the input's number of steps
        self._flat = False  # the value has no steps
        self._taken = [name for node in network.nodes for name in node.inputs] + list(network.outputs)

    def layers(self) -> Iterator[KerasLayer]:
        """The layers after the input."""
        while self._left:
            node = self._left.pop(0)
            if not node.inputs or node.inputs[0] != self.value or node.shares:
                raise ConversionError(
                    f"{_label(node)} does not take the output of the node before it, so this is not a chain of layers."
                )
            write = _WRITERS.get(node.kind)
            if write is None:
                raise ConversionError(f"{_label(node)} has no counterpart in Keras; known are {', '.join(_WRITERS)}.")
            for layer in write(self, node):
                layer.name = layer.name or self._named(node.name)
                yield layer

    def input(self) -> KerasLayer:
        """The input layer, from the layers; to be called after :meth:`layers`."""
        shape: list[int | None] = [None]
        dtype = "float32"
        for node in self._network.nodes:
            part = self._network.module(node.name)
            if isinstance(part, Recurrent):
                shape += [self._steps, part.layer.input_size]
            elif node.kind == "Embedding":
                shape, dtype = [None, self._steps], "int32"
            elif node.kind == "Linear":
                before_repeat = takewhile(lambda other: other.kind != "RepeatVector", self._network.nodes)
                flat = not any(other.kind in ("Recurrent", "Masking") for other in before_repeat)
                shape += [node.options["in_features"]] if flat else [self._steps, node.options["in_features"]]
            elif node.kind == "RepeatVector":
                shape += [self._recurrent_width()]
            elif isinstance(part, Convolution | TransposedConvolution):
                shape += [*[None] * (part.layer.weight.ndim - 2), part.layer.in_channels]
            elif node.kind in _SEEN_THROUGH:
                continue
            break
        if len(shape) == 1 or (shape[-1] is None and dtype == "float32"):
            raise ConversionError("The network does not determine its input's size; expected a layer with weights.")
        return KerasLayer("InputLayer", {"batch_shape": shape, "dtype": dtype, "sparse": False}, self._named("input"))

    def _recurrent_width(self) -> int | None:
        """The input size of the first recurrent layer."""
        parts = (self._network.module(node.name) for node in self._network.nodes)
        return next((part.layer.input_size for part in parts if isinstance(part, Recurrent)), None)

    def _named(self, name: str) -> str:
        """A unique name that Keras accepts."""
        base = re.sub(r"[/\s]", "_", name) or "layer"
        name, number = base, 1
        while name in self._names:
            name, number = f"{base}_{number}", number + 1
        self._names.add(name)
        return name

    def _take_output(self, node: Node, outputs: tuple[int, ...] = (0,)) -> int:
        """The number of the only used output of a node, which becomes the value of the chain."""
        used = [number for number, name in enumerate(node.outputs) if name and name in self._taken]
        used = [number for number in used if number in outputs or node.kind == "Recurrent"]
        if len(used) != 1 or used[0] not in outputs or self._taken.count(node.outputs[used[0]]) != 1:
            raise ConversionError(f"{_label(node)} has several used outputs, or none: this is not a chain of layers.")
        self.value = node.outputs[used[0]]
        return used[0]

    # A method for each kind of node.

    def embedding(self, node: Node) -> Iterator[KerasLayer]:
        """Embedding."""
        self._take_output(node)
        options = node.options
        masked = bool(options.get("mask_zero"))
        self._mask, self._width = _mask_output(node) if masked else "", options["embedding_dim"]
        config = {"input_dim": options["num_embeddings"], "output_dim": options["embedding_dim"], "mask_zero": masked}
        yield KerasLayer("Embedding", config, weights={"": [self._tensor(node, "weight")]})

    def masking(self, node: Node) -> Iterator[KerasLayer]:
        """Masking."""
        self._take_output(node)
        self._mask = _mask_output(node)
        yield KerasLayer("Masking", {"mask_value": node.options.get("value", 0.0)})

    def linear(self, node: Node) -> Iterator[KerasLayer]:
        """Dense, with the activation after it."""
        self._take_output(node)
        bias = node.options.get("bias", True)
        weights = [self._tensor(node, "weight").T.contiguous(), *([self._tensor(node, "bias")] if bias else [])]
        self._width = node.options["out_features"]
        name, activation = self._named(node.name), "linear"
        following = self._left[0] if self._left else None
        if following is not None and following.kind == "Activation" and following.inputs[0] == self.value:
            kind, config = export_recurrent.activation_layer(following.options["name"], _label(following))
            if kind == "Activation" and following.options.get("dim", -1) == -1:
                self._left.pop(0)
                self._take_output(following)
                activation = config["activation"]
        config = {"units": self._width, "use_bias": bias, "activation": activation}
        yield KerasLayer("Dense", config, name, {"": weights})

    def activation(self, node: Node) -> Iterator[KerasLayer]:
        """Activation, or a layer with its parameter."""
        self._take_output(node)
        if (dim := node.options.get("dim", -1)) != -1:
            yield KerasLayer("Softmax", {"axis": dim})
        else:
            yield KerasLayer(*export_recurrent.activation_layer(node.options["name"], _label(node)))

    def dropout(self, node: Node) -> Iterator[KerasLayer]:
        """Dropout, or SpatialDropout1D."""
        self._take_output(node)
        yield KerasLayer("SpatialDropout1D" if node.options.get("locked") else "Dropout", {"rate": node.options["p"]})

    def other(self, node: Node) -> Iterator[KerasLayer]:
        """The other parts that Keras has a layer for."""
        part, counts = self._network.module(node.name), node.inputs[1] if len(node.inputs) > 1 else ""
        averages = isinstance(part, GlobalPooling) and part.mode == "mean"
        if counts != (self._mask if averages else ""):
            raise ConversionError(f"{_label(node)} is called with another mask than Keras would pass to it.")
        self._take_output(node)
        layer = export_layers.export_layer(node.kind, part, _label(node))
        self._mask = self._mask if node.kind in export_layers.KEEP_MASKS else ""
        if not self._flat and self._same_steps and self._steps is None:
            self._steps = export_layers.required_steps(part)
        self._same_steps = self._same_steps and node.kind in export_layers.KEEP_STEPS
        self._flat = self._flat or (isinstance(part, GlobalPooling) and not part.keepdims)
        if isinstance(part, Convolution | TransposedConvolution):
            self._width = part.layer.out_channels
        yield layer

    def reshape(self, node: Node) -> Iterator[KerasLayer]:
        """Flatten and Reshape; Keras must know the number of steps."""
        self._take_output(node)
        shape, following = node.options["shape"], self._left[0] if self._left else None
        total = math.prod(shape) if -1 not in shape else None
        if list(shape) == [-1] and following is not None and following.kind == "Linear":
            total = following.options["in_features"]
        if self._repeated is None and self._steps is None and self._width and total:
            self._steps = total // self._width
        if self._repeated is None and (self._steps is None or not self._same_steps):
            raise ConversionError(
                f"{_label(node)} does not show how many steps it takes, and Keras must know this number."
            )
        self._mask, self._width, self._repeated = "", shape[-1] if shape[-1] > 0 else total, None
        self._flat = len(shape) == 1
        yield KerasLayer("Flatten", {}) if list(shape) == [-1] else KerasLayer("Reshape", {"target_shape": list(shape)})

    def repeat_vector(self, node: Node) -> Iterator[KerasLayer]:
        """RepeatVector."""
        self._take_output(node)
        self._mask, self._repeated, self._flat = "", node.options["count"], False
        yield KerasLayer("RepeatVector", {"n": node.options["count"]})

    def recurrent(self, node: Node) -> Iterator[KerasLayer]:
        """LSTM, GRU and SimpleRNN, one per layer, and Bidirectional."""
        other, merge = self._left[:2] if len(self._left) > 1 else (None, None)
        pair = other is not None and merge is not None and other.kind == "Recurrent" and merge.kind == "Merge"
        if pair and other is not None and merge is not None and other.inputs == node.inputs:
            yield from self._two(node, other, merge)
            return
        part = self._part(node)
        sequences = self._take_output(node, (0, 1)) == 0
        if part.layer.reverse and sequences:
            flip = self._left.pop(0) if self._left and self._left[0].kind == "Flip" else None
            if flip is None or flip.inputs != (self.value,):
                raise ConversionError(
                    f"{_label(node)} runs in reverse and gives its outputs in order of time; Keras gives the outputs "
                    "of go_backwards in reverse order, and has no layer that reverses them."
                )
            self._take_output(flip)
        exported = export_recurrent.export_recurrent(part, _label(node), sequences=sequences, masked=bool(self._mask))
        for number, layer in enumerate(exported):
            layer.name = self._named(node.name if not number else f"{node.name}_{number}")
            yield layer
        self._width = part.layer.output_size
        self._mask, self._flat = self._mask if sequences else "", not sequences

    def _two(self, node: Node, other: Node, merge: Node) -> Iterator[KerasLayer]:
        """Bidirectional of two different layers."""
        del self._left[:2]
        parts = [self._part(node), self._part(other)]
        start = self.value
        positions = [self._take_output(node, (0, 1))]
        ends = [self.value]
        self.value = start
        positions.append(self._take_output(other, (0, 1)))
        ends.append(self.value)
        if positions[0] != positions[1] or merge.inputs != tuple(ends):
            raise ConversionError(
                f"{_label(merge)} does not merge the outputs of the two layers before it: not a chain."
            )
        sequences = positions[0] == 0
        layer = export_recurrent.export_bidirectional(
            parts, merge.options["mode"], [_label(node), _label(other)], sequences=sequences, masked=bool(self._mask)
        )
        self._take_output(merge)
        sizes = [part.layer.output_size for part in parts]
        self._width = sum(sizes) if merge.options["mode"] == "concat" else sizes[0]
        self._mask, self._flat = self._mask if sequences else "", not sequences
        layer.name = self._named(merge.name)
        yield layer

    def _part(self, node: Node) -> Recurrent:
        """The recurrent part of a node, after a check that Keras would call it in the same way."""
        counts = node.inputs[1] if len(node.inputs) > 1 else ""
        if counts != self._mask or any(node.inputs[2:]):
            raise ConversionError(
                f"{_label(node)} is called with its own lengths, mask or state; in Keras, a chain of layers only has "
                "the mask of an earlier Masking or Embedding."
            )
        part = self._network.module(node.name)
        assert isinstance(part, Recurrent)
        return part

    def _tensor(self, node: Node, name: str) -> Tensor:
        tensor: Tensor = getattr(self._network.module(node.name), name)
        return tensor.detach()


_WRITERS = {
    "Recurrent": _Walk.recurrent,
    "Embedding": _Walk.embedding,
    "Masking": _Walk.masking,
    "Linear": _Walk.linear,
    "Activation": _Walk.activation,
    "Dropout": _Walk.dropout,
    "Reshape": _Walk.reshape,
    "RepeatVector": _Walk.repeat_vector,
    **dict.fromkeys(export_layers.KINDS, _Walk.other),
}
_SEEN_THROUGH = (
    *("Masking", "Dropout", "Activation", "Noise", "BatchNorm", "LayerNorm", "Pooling", "ZeroPadding", "Cropping"),
    "Upsampling",
)
"""The kinds of nodes that do not show the size of the input."""


def _mask_output(node: Node) -> str:
    """The name of a node's mask output; a name that no node uses if the output has none."""
    return (node.outputs[1] if len(node.outputs) > 1 else "") or f"{node.name} (mask)"


def _label(node: Node) -> str:
    return f"{node.name!r} ({node.kind})"
