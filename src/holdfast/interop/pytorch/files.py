"""PyTorch's files, read as a :class:`~holdfast.interop.network.Network` or as single recurrent layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from holdfast.cells import NAMES
from holdfast.cells.parameter_names import layer_suffix
from holdfast.errors import ConversionError, OptionError
from holdfast.interop.examples import example_inputs
from holdfast.interop.network import Network, Node, with_tensors
from holdfast.interop.pytorch.layers import Layer, find_layers, find_recurrent
from holdfast.interop.pytorch.reparametrised import effective_weights
from holdfast.interop.pytorch.tensors import is_safetensors, read_all_tensors, read_tensors
from holdfast.interop.pytorch.writing import tensor_prefixes, write
from holdfast.interop.selection import READ_LAYERS, LoneLayer, Selection, copied
from holdfast.layers.recurrent_layer import RecurrentLayer
from holdfast.layers.summary import LayerRow, sizes

__all__ = ["describe_layers", "difference", "list_layers", "read", "read_layers", "select", "write"]

Head = Literal["steps", "last"]
_MAX_PERMUTED = 5  # layers; more have too many orders to try
_HINT = (
    "Load the state dict into its PyTorch model, which knows how the layers are connected, and call "
    f"holdfast.replace_recurrent(model). {READ_LAYERS}"
)


def describe_layers(path: Path) -> list[LayerRow]:
    """A row per layer of a file, for :class:`~holdfast.layers.summary.Summary`.

    Args:
        path: The file.

    Raises:
        ModelFileError: The file cannot be read.
        ConversionError: A recurrent layer in it is incomplete.
    """
    return [
        LayerRow(
            layer.name,
            None,
            sum(tensor.numel() for tensor in layer.tensors.values()),
            NAMES.get(layer.kind, layer.kind.replace("_", " ")),
            sizes(layer.input_size, layer.output_size, **layer.options) if layer.input_size else "",
        )
        for layer in list_layers(path)
    ]


def list_layers(path: Path) -> list[Layer]:
    """The layers in a file of PyTorch, of any model.

    Args:
        path: The file.

    Raises:
        ModelFileError: The file cannot be read.
        ConversionError: A recurrent layer in it is incomplete.
    """
    return find_layers(effective_weights(read_tensors(path)))


def read_layers(path: Path | str, *, nonlinearity: str = "tanh") -> dict[str, RecurrentLayer]:
    """The recurrent layers alone of a file of PyTorch, of any model; other weights are ignored.

    ``weight_norm``, ``spectral_norm`` and pruning are applied to the weights. A cell becomes a layer with the same
    weights. The number of gates tells whether it is an LSTM, a GRU or an RNN.

    Args:
        path: A file of ``torch.save`` with a state dict, or with a checkpoint that contains state dicts; or a
            safetensors file.
        nonlinearity: The nonlinearity of RNNs, ``"tanh"`` or ``"relu"``; the file does not contain it.

    Returns:
        Layers, batch first, by the names of their modules, in the file's order; ``""`` for a layer saved alone.

    Raises:
        ModelFileError: The file cannot be read.
        ConversionError: It has no recurrent layer.
        OptionError: There is no such nonlinearity.

    Example::

        encoder = read_layers("model.pt")["encoder.rnn"]
    """
    return select(Path(path), nonlinearity=nonlinearity).modules(Path(path))


def select(path: Path, *, nonlinearity: str = "tanh") -> Selection:
    """The recurrent layers of a file, and the names of its other tensors; the arguments are :func:`read_layers`'.

    Args:
        path: The file.
        nonlinearity: As in :func:`read_layers`.

    Raises:
        ModelFileError: As in :func:`read_layers`.
        OptionError: As in :func:`read_layers`.
    """
    _check_option("nonlinearity", nonlinearity, ("tanh", "relu"))
    tensors = effective_weights(read_all_tensors(path))
    found, refused, others = find_recurrent(tensors)
    layers = {one.name: LoneLayer(_recurrent_options(one, nonlinearity), _layer_tensors(one)) for one in found}
    return Selection(layers, tuple(others), refused)


def read(path: Path, *, nonlinearity: str = "tanh", head: Head = "steps") -> Network:
    """The model in a file of PyTorch, if its tensors determine the model.

    A state dict holds names and weights, not how the model uses them. So this function only reads chains in the order
    of the state dict: an optional embedding, recurrent layers, an optional linear layer. Other layers are refused, as
    their use is unknown.

    Args:
        path: A file of ``torch.save(model.state_dict(), ...)``, or a safetensors file.
        nonlinearity: The nonlinearity of RNNs, ``"tanh"`` or ``"relu"``; the file does not contain it.
        head: The output of the recurrent layers: ``"steps"``, the output of every step; ``"last"``, the last layer's h
            after the last step (of both directions if there are two). The file does not contain this either.

    Returns:
        The model, batch first, in evaluation mode.

    Raises:
        ModelFileError: The file cannot be read.
        ConversionError: It has no recurrent layer, or layers that are not such a chain; the message names the layer.
        OptionError: There is no such nonlinearity or head.
    """
    _check_option("nonlinearity", nonlinearity, ("tanh", "relu"))
    _check_option("head", head, ("steps", "last"))
    layers = list_layers(path)
    layers = _order_chain(layers, path) if is_safetensors(path) else _check_chain(layers, path)
    nodes = list(_nodes(layers, nonlinearity, head))
    with torch.device("meta"):
        network = Network(nodes[0].inputs, nodes[-1].outputs[-1:], nodes)
    tensors: dict[str, Tensor] = {}
    for (prefix, _), layer in zip(tensor_prefixes(network), layers, strict=True):
        tensors |= copied(_layer_tensors(layer), prefix)
    return with_tensors(network, tensors, path)


def _check_option(name: str, value: str, known: tuple[str, str]) -> None:
    if value not in known:
        raise OptionError(f"PyTorch's files are read with {name} {known[0]!r} or {known[1]!r}; got {value!r}.")


def _order_chain(layers: list[Layer], path: Path) -> list[Layer]:
    """Finds the chain in a safetensors file, which has its tensors in the order of their names, not of the model."""
    ranked = sorted(layers, key=lambda layer: 0 if layer.kind == "matrix" else 1 if layer.is_recurrent else 2)
    chains = []
    for order in permutations(ranked) if len(ranked) <= _MAX_PERMUTED else [ranked]:
        try:
            chains.append(_check_chain(list(order), path))
        except ConversionError:
            continue
    if len(chains) > 1:
        raise ConversionError(
            f"{path} has layers that fit one another in {len(chains)} ways, and a safetensors file does not keep their "
            f"order. Give the file that torch.save wrote. {_HINT}"
        )
    return chains[0] if chains else _check_chain(ranked, path)  # raises with the reason


def _check_chain(layers: list[Layer], path: Path) -> list[Layer]:
    """The layers with their kinds, if they can only be a chain."""
    positions = [number for number, layer in enumerate(layers) if layer.is_recurrent]
    if not positions:
        raise ConversionError(f"{path} has no recurrent layer: no tensor in it is called weight_ih_l0 or weight_ih.")
    first, last = positions[0], positions[-1]
    for number, layer in enumerate(layers):
        known = layer.is_recurrent or (layer.kind == "matrix" and number == 0) or number == last + 1
        if layer.kind == "other" or not known:
            raise ConversionError(
                f"{path} has the layer {layer.name!r} ({layer.kind}) besides its recurrent layers, and does not say "
                f"how the model uses it. {_HINT}"
            )
    chain = [replace(layer, kind="linear") if layer.kind == "matrix" else layer for layer in layers]
    if first:
        rows, columns = layers[0].output_size, layers[0].input_size
        if rows == columns and "emb" not in layers[0].name.lower():
            raise ConversionError(
                f"{path} has the layer {layers[0].name!r} of {rows} by {columns} weights, which may be an embedding or "
                f"a linear layer. {_HINT}"
            )
        chain[0] = replace(layers[0], kind="embedding", input_size=rows, output_size=columns)
    for before, layer in pairwise(chain):
        if before.output_size != layer.input_size:
            raise ConversionError(
                f"{path} has {before.name!r}, which gives {before.output_size} values, before {layer.name!r}, which "
                f"takes {layer.input_size}: they are not a chain. {_HINT}"
            )
    return chain


def _nodes(layers: list[Layer], nonlinearity: str, head: Head) -> Iterator[Node]:
    value = "ids" if layers[0].kind == "embedding" else "inputs"
    last = max(number for number, layer in enumerate(layers) if layer.is_recurrent)
    for number, layer in enumerate(layers):
        name = layer.name or layer.kind
        output, kind = f"{name}.outputs", "Recurrent"
        outputs: tuple[str, ...] = (output,)
        options: dict[str, Any] = {"input_size": layer.input_size, **layer.options}
        if layer.is_recurrent:
            options = _recurrent_options(layer, nonlinearity)
            if number == last and head == "last":
                outputs = ("", output)
        elif layer.kind == "embedding":
            kind, options = "Embedding", {"num_embeddings": layer.input_size, "embedding_dim": layer.output_size}
        else:
            kind, options = "Linear", {"in_features": layer.input_size, "out_features": layer.output_size}
            options["bias"] = "bias" in layer.tensors
        yield Node(name, kind, options, (value,), outputs)
        value = output


def _recurrent_options(layer: Layer, nonlinearity: str) -> dict[str, Any]:
    cell = layer.kind.removesuffix("_cell")
    options = {"cell": cell, "input_size": layer.input_size, **layer.options}
    return {**options, "activation": nonlinearity} if cell == "rnn" else options


def _layer_tensors(layer: Layer) -> dict[str, Tensor]:
    """The tensors of a layer; the tensors of a cell get the names of a one-layer module."""
    suffix = layer_suffix(0) if layer.kind.endswith("_cell") else ""
    return {own + suffix: tensor for own, tensor in layer.tensors.items()}


def difference(path: Path, network: Network) -> float:
    """The largest difference, on random input, between a network and torch.nn's modules in float64 with its file.

    Args:
        path: The file that the network was read from.
        network: The result of :func:`read`.
    """
    names = {node.name for node in network.nodes}
    layers = {layer.name: layer for layer in find_layers(effective_weights(read_all_tensors(path)), names | {""})}
    values: dict[str, Any] = dict(zip(network.inputs, example_inputs(network), strict=True))
    with torch.inference_mode():
        ours = network(*values.values())
        for node in network.nodes:
            # In float64, so that the error is Holdfast's only; in float32, torch also warns about some LSTMs.
            weights = _layer_tensors(layers[node.name if node.name in layers else ""])
            tensors = {name: weight.double() for name, weight in weights.items()}
            x = values[node.inputs[0]]
            if node.kind == "Embedding":
                result = nn.functional.embedding(x, tensors["weight"])
            elif node.kind == "Linear":
                result = nn.functional.linear(x.double(), tensors["weight"], tensors.get("bias"))
            else:
                outputs, state = _torch_module(node, tensors)(x.double())
                h = state[0] if isinstance(state, tuple) else state
                last = torch.cat(list(h[-2:] if node.options.get("bidirectional") else h[-1:]), -1)
                result = outputs if node.outputs[0] else last
            values[node.outputs[-1]] = result
        pairs = zip(network.outputs, ours if isinstance(ours, tuple) else (ours,), strict=True)
        return max(float((output - values[name]).abs().max()) for name, output in pairs)


def _torch_module(node: Node, tensors: dict[str, Tensor]) -> nn.Module:
    """torch.nn's module for a recurrent node."""
    kind = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[node.options["cell"]]
    options = {name: value for name, value in node.options.items() if name not in ("cell", "activation")}
    if "activation" in node.options:
        options["nonlinearity"] = node.options["activation"]
    module: nn.Module = kind(batch_first=True, **options)
    module.load_state_dict(tensors, assign=True)
    return module.eval()
