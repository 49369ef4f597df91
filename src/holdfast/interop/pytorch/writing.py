"""Files of PyTorch, written from a network or from any module."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save as safetensors_bytes
from torch import Tensor, nn

from holdfast.cells import NAMES
from holdfast.errors import ConversionError, ModelFileError
from holdfast.files.container import replace_file
from holdfast.interop.network import Network
from holdfast.interop.nodes import Recurrent
from holdfast.interop.normalisation import LayerNorm
from holdfast.interop.windows import Convolution, TransposedConvolution
from holdfast.layers.recurrent_layer import RecurrentLayer

_KINDS_IN_TORCH = ("Recurrent", "Embedding", "Linear", "Convolution", "TransposedConvolution", "BatchNorm", "LayerNorm")
# Options of a cell that do not change the result once the weights exist, or that the weights themselves show.
_IMPLIED = frozenset({"recurrent_dropout", "recurrent_dropout_mode", "weight_dropout", "single_bias", "proj_size"})


def write(path: Path, model: nn.Module) -> None:
    """Writes the state dict of a model. A PyTorch model with layers of the same names can load it.

    Args:
        path: The file: in the safetensors format if it ends in ``.safetensors``, else in ``torch.save``'s. An existing
            file is replaced.
        model: A network, whose layers keep their names, or any module. A layer with one bias gets a second one of
            zeros.

    Raises:
        ConversionError: A part has no counterpart in torch.nn, or a recurrent layer has an option that torch.nn's layer
            does not have; the message names both.
        ModelFileError: The file cannot be written.
    """
    tensors = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    prefixes = dict(tensor_prefixes(model)) if isinstance(model, Network) else {}
    if isinstance(model, Network):
        _check_kinds(model)
    for name, module in model.named_modules():
        if isinstance(module, RecurrentLayer):
            label = prefixes.get(f"{name}.", f"{name}.").rstrip(".")
            tensors |= {f"{name}.{key}".lstrip("."): bias for key, bias in _second_biases(module, label).items()}
    for ours, theirs in prefixes.items():
        tensors = {theirs + k.removeprefix(ours) if k.startswith(ours) else k: one for k, one in tensors.items()}
    if path.suffix == ".safetensors":
        unshared = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
        data = safetensors_bytes(unshared, {"format": "pt"})
    else:
        buffer = io.BytesIO()
        torch.save(tensors, buffer)
        data = buffer.getvalue()
    try:
        replace_file(path, data)
    except OSError as error:
        raise ModelFileError(f"{path} cannot be written: {error.strerror}. Choose another folder.") from error


def _check_kinds(network: Network) -> None:
    """Refuses parts with weights that no module of torch.nn has."""
    for node in network.nodes:
        part: nn.Module = network.module(node.name)
        known = node.kind in _KINDS_IN_TORCH and not (isinstance(part, LayerNorm) and part.mode != "layer")
        if not known and part.state_dict():
            learned = any(tensor.is_floating_point() for tensor in part.state_dict().values())
            numbers = "weights" if learned else "whole numbers"
            raise ConversionError(
                f"{node.name!r} is a {node.kind} with {numbers}, and torch.nn has no such module, so a state dict has "
                "no names for them. Keep the model in Holdfast's format."
            )


def _second_biases(layer: RecurrentLayer, label: str) -> dict[str, Tensor]:
    """Biases of zeros for the second biases that torch.nn's layer has and this one does not.

    Raises:
        ConversionError: torch.nn has no layer with these options.
    """
    changed = {option: value for option, value in layer.specs[0].computing_options().items() if option not in _IMPLIED}
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
            f"The {kind} {label!r} has {option}={value!r}, and torch.nn.{kind} has no such option: its weights would "
            "mean something else there. Keep the model in Holdfast's format."
        )
    if not layer.specs[0].single_bias:
        return {}
    biases = {name: bias for name, bias in layer.named_parameters() if "bias_ih" in name}
    return {name.replace("bias_ih", "bias_hh"): torch.zeros_like(bias, device="cpu") for name, bias in biases.items()}


def tensor_prefixes(network: Network) -> Iterator[tuple[str, str]]:
    """The prefixes of each node's tensor names: in the network's state dict, and in PyTorch's."""
    nodes = [node for node in network.nodes if not node.shares]
    for key, node, part in zip(network.parts, nodes, network.parts.values(), strict=True):
        wrapped = isinstance(part, Recurrent | Convolution | TransposedConvolution)
        yield f"parts.{key}.layer." if wrapped else f"parts.{key}.", f"{node.name}."
