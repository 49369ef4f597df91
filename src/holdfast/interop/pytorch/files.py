"""PyTorch's files, read as a :class:`~holdfast.interop.network.Network` and written from one, or from any module."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save as safetensors_bytes
from torch import Tensor, nn

from holdfast.cells import NAMES
from holdfast.cells.parameter_names import layer_suffix
from holdfast.errors import ConversionError, ModelFileError, OptionError
from holdfast.files.container import replace_file
from holdfast.interop.examples import example_inputs
from holdfast.interop.listing import Line, sizes
from holdfast.interop.network import Network, Node, with_tensors
from holdfast.interop.nodes import Recurrent
from holdfast.interop.normalisation import LayerNorm
from holdfast.interop.pytorch.layers import Layer, find_layers, find_recurrent
from holdfast.interop.pytorch.reparametrised import plain
from holdfast.interop.pytorch.tensors import is_safetensors, read_all_tensors, read_tensors
from holdfast.interop.selection import READ_LAYERS, Alone, Selection
from holdfast.interop.windows import Convolution, TransposedConvolution
from holdfast.layers.recurrent_layer import RecurrentLayer

Head = Literal["steps", "last"]
_OF_TORCH = ("Recurrent", "Embedding", "Linear", "Convolution", "TransposedConvolution", "BatchNorm", "LayerNorm")
_MOST_ARRANGED = 5  # layers; more would be put into order in too many ways
_HINT = (
    "Load the state dict into the PyTorch model that it is of, where its layers meet, and call "
    f"holdfast.replace_recurrent(model). {READ_LAYERS}"
)
# Options of a cell that change nothing once the weights are there, or that the weights themselves show.
_NOT_SHOWN = frozenset({"recurrent_dropout", "recurrent_dropout_mode", "weight_dropout", "single_bias", "proj_size"})


def lines(path: Path) -> list[Line]:
    """A line for each layer in a file, for :class:`~holdfast.interop.listing.Listing`.

    Raises:
        ModelFileError: The file cannot be read.
        ConversionError: A recurrent layer in it is incomplete.
    """
    return [
        Line(
            layer.name,
            NAMES.get(layer.kind, layer.kind.replace("_", " ")),
            sizes(layer.input_size, layer.output_size, **layer.options) if layer.input_size else "",
            sum(tensor.numel() for tensor in layer.tensors.values()),
        )
        for layer in list_layers(path)
    ]


def list_layers(path: Path) -> list[Layer]:
    """The layers in a file of PyTorch, whatever model they are of.

    Raises:
        ModelFileError: The file cannot be read.
        ConversionError: A recurrent layer in it is incomplete.
    """
    return find_layers(plain(read_tensors(path)))


def read_layers(path: Path | str, *, nonlinearity: str = "tanh") -> dict[str, RecurrentLayer]:
    """The recurrent layers of a file of PyTorch alone, whatever model they are of; other weights are passed over.

    ``weight_norm``, ``spectral_norm`` and pruning are computed into the weights. Cells become layers of one step's
    weights. Whether it is an LSTM, a GRU or an RNN is told by the number of its gates.

    Args:
        path: What ``torch.save`` wrote of a state dict or of a checkpoint with state dicts in it, or a safetensors
            file.
        nonlinearity: That of the RNNs in it, ``"tanh"`` or ``"relu"``; the file does not say.

    Returns:
        Layers, batch first, by the names of their modules, in the file's order; ``""`` for one that was saved alone.

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

    Raises:
        ModelFileError: As in :func:`read_layers`.
        OptionError: As in :func:`read_layers`.
    """
    _check_option("nonlinearity", nonlinearity, ("tanh", "relu"))
    tensors = plain(read_all_tensors(path))
    found, refused, others = find_recurrent(tensors)
    layers = {layer.name: Alone(_recurrent_options(layer, nonlinearity), _of_layer(layer)) for layer in found}
    return Selection(layers, tuple(others), refused)


def read(path: Path, *, nonlinearity: str = "tanh", head: Head = "steps") -> Network:
    """The model in a file of PyTorch, where its tensors leave no doubt about it.

    A state dict has names and weights, and does not say how they are used. So this reads chains, in the order of the
    state dict: an embedding or none, recurrent layers, a linear layer or none. Anything else could have stood between
    them, and is refused.

    Args:
        path: What ``torch.save(model.state_dict(), ...)`` wrote, or a safetensors file.
        nonlinearity: That of the RNNs in it, ``"tanh"`` or ``"relu"``; the file does not say.
        head: What the model gives, and the linear layer is for: ``"steps"``, every step's output; ``"last"``, the last
            layer's h after the last step, of both directions where there are two. The file does not say that either.

    Returns:
        The model, batch first, in evaluation mode.

    Raises:
        ModelFileError: The file cannot be read.
        ConversionError: It has no recurrent layer, or others than such a chain; the message names the layer.
        OptionError: There is no such nonlinearity or head.
    """
    _check_option("nonlinearity", nonlinearity, ("tanh", "relu"))
    _check_option("head", head, ("steps", "last"))
    found = list_layers(path)
    layers = _arranged(found, path) if is_safetensors(path) else _chain(found, path)
    nodes = list(_nodes(layers, nonlinearity, head))
    with torch.device("meta"):
        network = Network(nodes[0].inputs, nodes[-1].outputs[-1:], nodes)
    tensors = {}
    for (prefix, _), layer in zip(_prefixes(network), layers, strict=True):
        for own, tensor in _of_layer(layer).items():
            tensors[prefix + own] = tensor.clone(memory_format=torch.contiguous_format)  # what was read may be views
    return with_tensors(network, tensors, path)


def _check_option(name: str, value: str, known: tuple[str, str]) -> None:
    if value not in known:
        raise OptionError(f"PyTorch's files are read with {name} {known[0]!r} or {known[1]!r}; got {value!r}.")


def _arranged(layers: list[Layer], path: Path) -> list[Layer]:
    """The chain in a safetensors file, which has its tensors in the order of their names, not of the model."""
    ranked = sorted(layers, key=lambda layer: 0 if layer.kind == "matrix" else 1 if layer.is_recurrent else 2)
    chains = []
    for order in permutations(ranked) if len(ranked) <= _MOST_ARRANGED else [ranked]:
        try:
            chains.append(_chain(list(order), path))
        except ConversionError:
            continue
    if len(chains) > 1:
        raise ConversionError(
            f"{path} has layers that fit one another in {len(chains)} ways, and a safetensors file does not keep their "
            f"order. Give the file that torch.save wrote. {_HINT}"
        )
    return chains[0] if chains else _chain(ranked, path)  # which says why there is none


def _chain(layers: list[Layer], path: Path) -> list[Layer]:
    """The same layers, if they can only be a chain."""
    places = [number for number, layer in enumerate(layers) if layer.is_recurrent]
    if not places:
        raise ConversionError(f"{path} has no recurrent layer: no tensor in it is called weight_ih_l0 or weight_ih.")
    first, last = places[0], places[-1]
    for number, layer in enumerate(layers):
        known = layer.is_recurrent or (layer.kind == "matrix" and number == 0) or number == last + 1
        if layer.kind == "other" or not known:
            raise ConversionError(
                f"{path} has the layer {layer.name!r} ({layer.kind}) beside its recurrent ones, and does not say what "
                f"it is for. {_HINT}"
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
                f"takes {layer.input_size}: they are not one behind the other. {_HINT}"
            )
    return chain


def _nodes(layers: list[Layer], nonlinearity: str, head: Head) -> Iterator[Node]:
    value = "ids" if layers[0].kind == "embedding" else "inputs"
    last = max(number for number, layer in enumerate(layers) if layer.is_recurrent)
    for number, layer in enumerate(layers):
        name = layer.name or layer.kind
        given, kind = f"{name}.outputs", "Recurrent"
        outputs: tuple[str, ...] = (given,)
        options: dict[str, Any] = {"input_size": layer.input_size, **layer.options}
        if layer.is_recurrent:
            options = _recurrent_options(layer, nonlinearity)
            if number == last and head == "last":
                outputs = ("", given)
        elif layer.kind == "embedding":
            kind, options = "Embedding", {"num_embeddings": layer.input_size, "embedding_dim": layer.output_size}
        else:
            kind, options = "Linear", {"in_features": layer.input_size, "out_features": layer.output_size}
            options["bias"] = "bias" in layer.tensors
        yield Node(name, kind, options, (value,), outputs)
        value = given


def _recurrent_options(layer: Layer, nonlinearity: str) -> dict[str, Any]:
    cell = layer.kind.removesuffix("_cell")
    options = {"cell": cell, "input_size": layer.input_size, **layer.options}
    return {**options, "activation": nonlinearity} if cell == "rnn" else options


def _of_layer(layer: Layer) -> dict[str, Tensor]:
    """The tensors of a layer; those of a cell, as of a layer of one cell."""
    suffix = layer_suffix(0) if layer.kind.endswith("_cell") else ""
    return {own + suffix: tensor for own, tensor in layer.tensors.items()}


def _prefixes(network: Network) -> Iterator[tuple[str, str]]:
    """For each node, what the names of its tensors begin with: in the network's state dict, and in PyTorch's."""
    own = [node for node in network.nodes if not node.shares]
    for key, node, part in zip(network.parts, own, network.parts.values(), strict=True):
        wrapped = isinstance(part, Recurrent | Convolution | TransposedConvolution)
        yield f"parts.{key}.layer." if wrapped else f"parts.{key}.", f"{node.name}."


def write(path: Path, model: nn.Module) -> None:
    """Writes the state dict of a model, for ``load_state_dict`` of a PyTorch model with layers of the same names.

    Args:
        path: The file; ``.safetensors`` for that format, anything else for ``torch.save``'s. One that is there is
            replaced.
        model: A network, whose layers keep their names, or any module. A second bias of zeros is written where a layer
            has one bias.

    Raises:
        ConversionError: A recurrent layer has an option that torch.nn's has not; the message names both.
        ModelFileError: The file cannot be written.
    """
    tensors = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    prefixes = dict(_prefixes(model)) if isinstance(model, Network) else {}
    if isinstance(model, Network):
        _check_kinds(model)
    for name, module in model.named_modules():
        if isinstance(module, RecurrentLayer):
            label = prefixes.get(f"{name}.", f"{name}.").rstrip(".")
            tensors |= {f"{name}.{own}".lstrip("."): zeros for own, zeros in _second_biases(module, label).items()}
    for ours, theirs in prefixes.items():
        tensors = {
            theirs + name.removeprefix(ours) if name.startswith(ours) else name: one for name, one in tensors.items()
        }
    if path.suffix == ".safetensors":
        apart = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
        data = safetensors_bytes(apart, {"format": "pt"})
    else:
        buffer = io.BytesIO()
        torch.save(tensors, buffer)
        data = buffer.getvalue()
    try:
        replace_file(path, data)
    except OSError as error:
        raise ModelFileError(f"{path} cannot be written: {error.strerror}. Choose another folder.") from error


def _check_kinds(network: Network) -> None:
    """Refuses weights that torch.nn has no module for."""
    for node in network.nodes:
        part: nn.Module = network.module(node.name)
        same = not isinstance(part, LayerNorm) or part.mode == "layer"
        if (node.kind not in _OF_TORCH or not same) and part.state_dict():
            learned = any(tensor.is_floating_point() for tensor in part.state_dict().values())
            numbers = "weights" if learned else "whole numbers"
            raise ConversionError(
                f"{node.name!r} is a {node.kind} with {numbers}, which is no module of torch.nn, so a state dict "
                "has no names for them. Keep the model in Holdfast's format."
            )


def _second_biases(layer: RecurrentLayer, label: str) -> dict[str, Tensor]:
    """The biases that torch.nn would have beyond those of a layer, which is one that torch.nn could have.

    Raises:
        ConversionError: torch.nn has no such layer.
    """
    changed = {spec: value for spec, value in layer.specs[0].computing_options().items() if spec not in _NOT_SHOWN}
    if layer.kind == "rnn" and changed.get("activation") == "relu":
        del changed["activation"]
    if len({spec.hidden_size for spec in layer.specs}) > 1:
        changed["hidden_size"] = layer.hidden_size
    if layer.bidirectional and layer.merge != "concat":
        changed["merge"] = layer.merge
    changed |= {name: True for name in ("residual", "reverse") if getattr(layer, name)}
    if changed:
        option, value = next(iter(changed.items()))
        kind = NAMES[layer.kind]
        raise ConversionError(
            f"The {kind} {label!r} has {option}={value!r}, and torch.nn.{kind} has no such thing: its weights would "
            "mean something else there. Keep the model in Holdfast's format."
        )
    single = {name: one for name, one in layer.named_parameters() if layer.specs[0].single_bias and "bias_ih" in name}
    return {name.replace("bias_ih", "bias_hh"): torch.zeros_like(one, device="cpu") for name, one in single.items()}


def difference(path: Path, network: Network) -> float:
    """The largest difference between what torch.nn's modules compute with a file, in float64, and what a network does.

    Args:
        path: The file that the network was read from.
        network: What :func:`read` gave.
    """
    names = {node.name for node in network.nodes}
    layers = {layer.name: layer for layer in find_layers(plain(read_all_tensors(path)), names | {""})}
    values: dict[str, Any] = dict(zip(network.inputs, example_inputs(network), strict=True))
    with torch.inference_mode():
        ours = network(*values.values())
        for node in network.nodes:
            # In float64, so that the difference is ours alone; and in float32, torch warns of some LSTMs.
            tensors = {
                own: one.double() for own, one in _of_layer(layers[node.name if node.name in layers else ""]).items()
            }
            x = values[node.inputs[0]]
            if node.kind == "Embedding":
                result = nn.functional.embedding(x, tensors["weight"])
            elif node.kind == "Linear":
                result = nn.functional.linear(x.double(), tensors["weight"], tensors.get("bias"))
            else:
                outputs, state = _module(node, tensors)(x.double())
                h = state[0] if isinstance(state, tuple) else state
                last = torch.cat(list(h[-2:] if node.options.get("bidirectional") else h[-1:]), -1)
                result = outputs if node.outputs[0] else last
            values[node.outputs[-1]] = result
        pairs = zip(network.outputs, ours if isinstance(ours, tuple) else (ours,), strict=True)
        return max(float((one - values[name]).abs().max()) for name, one in pairs)


def _module(node: Node, tensors: dict[str, Tensor]) -> nn.Module:
    """torch.nn's module of a recurrent layer."""
    kind = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[node.options["cell"]]
    options = {name: value for name, value in node.options.items() if name not in ("cell", "activation")}
    if "activation" in node.options:
        options["nonlinearity"] = node.options["activation"]
    module: nn.Module = kind(batch_first=True, **options)
    module.load_state_dict(tensors, assign=True)
    return module.eval()
