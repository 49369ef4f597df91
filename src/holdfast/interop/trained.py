"""Files of Holdfast as networks that other formats can say: saved networks, and models that are chains of layers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from holdfast.errors import ConversionError, HoldfastError, ModelFileError
from holdfast.files import container, storage
from holdfast.interop import network as networks
from holdfast.interop.network import Network, Node
from holdfast.layers.chain import Chain
from holdfast.layers.chain.parts import Embedding, Head, Linear, Part, Recurrent, Restored, Scaled
from holdfast.layers.chain.special import Repeated
from holdfast.layers.summary import LayerRow, of_chain
from holdfast.runtime import network as streams
from holdfast.runtime import old_files
from holdfast.runtime.network import STREAM
from holdfast.runtime.scaling import Scaling
from holdfast.tasks import model_file


def is_network(path: Path) -> bool:
    """Whether a file of Holdfast is a saved network, or an exported stream, rather than the model of a task.

    Raises:
        ModelFileError: There is no usable file.
    """
    path = container.model_path(path)
    return container.kind_of(path) == networks.KIND or storage.read(path, "model")[1].get("task") == STREAM


def read(path: Path) -> Network:
    """The network in a file of Holdfast, in evaluation mode.

    A classifier takes raw values, as :func:`holdfast.runtime.load` does, or ids, with 0 for padding, and gives scores
    before softmax; a language model and a tagger of numbers give them at every step. A regressor takes the same and
    gives values in the units of the targets.

    Args:
        path: A saved network, a model file, or a run directory.

    Raises:
        ModelFileError: There is no usable file.
        ConversionError: The model is no chain of layers; the message says which model it is.
    """
    path = container.model_path(path)
    if container.kind_of(path) == networks.KIND:
        return networks.load(path)
    return _network(*_read_chain(path), path)


def describe_layers(path: Path) -> tuple[LayerRow, ...]:
    """A row for each layer of a model file, which may be no network, for :class:`~holdfast.layers.summary.Summary`.

    Raises:
        ModelFileError: There is no usable file.
    """
    return of_chain(_read_chain(container.model_path(path))[0]).rows


def _read_chain(path: Path) -> tuple[Chain, Mapping[str, Tensor], str]:
    """The chain of a model file, its tensors by the names that the chain has for them, and the name of its task.

    Raises:
        ModelFileError: There is no usable file.
    """
    tensors, document = storage.read(path, "model")
    name = document.get("task")
    if "chain" not in document and name != STREAM:  # a task of format version 1 or 2
        task, model = model_file.load(path)
        return task.chain(model), model.state_dict(), task.name
    if "weights" in document:  # a stream with weights in fewer bits
        narrow = streams.read(path)
        return narrow.chain, {name: torch.from_numpy(array) for name, array in narrow.arrays.items()}, str(name)
    try:
        if "chain" in document:
            return Chain.from_document(document["chain"]), tensors, str(name)
        return *old_files.chain_and_arrays(document, tensors), STREAM
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RuntimeError) as error:
        reason = str(error).rstrip(".") if isinstance(error, HoldfastError) else "its description does not fit"
        raise ModelFileError(f"{path} is damaged: {reason}. Take another copy of it.") from error


def _network(chain: Chain, tensors: Mapping[str, Tensor], task: str, path: Path) -> Network:
    """The network of a chain.

    Args:
        chain: The chain.
        tensors: By the names that the chain has for them.
        task: What it is a model for, for messages.
        path: The file, for messages.

    Raises:
        ConversionError: A part has no counterpart in networks.
        ModelFileError: The tensors are not the chain's.
    """
    for name in chain.tensor_shapes():
        if name not in tensors:
            raise ModelFileError(f"{path} is damaged: it has no tensor {name!r}. Take another copy of it.")
    chain.refuse_own_parts()
    head = chain.find(Head)
    if head is not None and chain.find(Repeated) is None:  # a decoder is refused below
        layers = chain.recurrent
        direct = head.kind == "last_output" and not layers.bidirectional and not layers.residual
        if head.kind != "last_state" and not direct:
            raise ConversionError(
                f"{path} has model.head = {head.kind!r}; only a model with 'last_state' (or with 'last_output', in one "
                "direction and without residual connections) can be written in other formats."
            )
    builder = _Builder(chain, tensors)
    if not all(map(builder.add, chain.parts)):
        raise ConversionError(
            f"{path} is a model for the task {task!r}, which is no chain of layers; classifiers, regressors without "
            "quantiles, language models and taggers of numbers can be written in other formats."
        )
    with torch.device("meta"):
        network = Network([builder.input], [builder.value], builder.nodes)
    return networks.with_tensors(network, builder.tensors, path)


class _Builder:
    """Nodes one behind the other for the parts of a chain, and their tensors.

    Attributes:
        nodes: Those made so far.
        tensors: Theirs.
        input: The name of the value that the first node takes.
        value: The name of the value that the last node gives.
    """

    def __init__(self, chain: Chain, tensors: Mapping[str, Tensor]) -> None:
        self._chain, self._of_file, self._mask = chain, tensors, ""
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor] = {}
        self.input = self.value = "ids" if chain.parts[0].reads_ids else "inputs"

    def add(self, part: Part) -> bool:
        """Adds the node of a part; says False where networks have none."""
        match part:
            case Scaled():
                self._scaling(part.scaling, self._chain.input_size or 0)
            case Restored(quantiles=1):
                mean, std = (
                    torch.tensor(values, dtype=torch.float64) for values in (part.scaling.mean, part.scaling.std)
                )
                self._diagonal("restored", std, mean)
            case Embedding():
                sizes = {"num_embeddings": part.tokens, "embedding_dim": part.size}
                name = _node_name(part)
                outputs = (name, f"{name}.mask") if part.mask_zero else (name,)
                self._node(name, "Embedding", {**sizes, "mask_zero": part.mask_zero}, self._tensors(part), *outputs)
                self._mask = f"{name}.mask" if part.mask_zero else ""
            case Linear():
                sizes = {"in_features": part.inputs, "out_features": part.outputs, "bias": part.bias}
                self._node(_node_name(part), "Linear", sizes, self._tensors(part), _node_name(part))
            case Recurrent():
                tensors = {f"layer.{name}": tensor for name, tensor in self._tensors(part).items()}
                outputs = ("", _node_name(part)) if self._chain.find(Head) else (_node_name(part),)
                self._node(_node_name(part), "Recurrent", _options(part), tensors, *outputs)
            case Head():
                pass  # the recurrent layers give it: h after the last step
            case _:
                return False
        return True

    def _tensors(self, part: Embedding | Linear | Recurrent) -> dict[str, Tensor]:
        """The tensors of a part, by their names within it."""
        names = part.tensor_shapes()
        return {name.removeprefix(f"{part.name}."): self._of_file[name].detach().clone() for name in names}

    def _node(
        self, name: str, kind: str, options: dict[str, Any], tensors: Mapping[str, Tensor], *outputs: str
    ) -> None:
        inputs = (self.value, self._mask) if kind == "Recurrent" and self._mask else (self.value,)
        self.nodes.append(Node(name, kind, options, inputs, outputs))
        self.tensors |= {f"parts.{name}.{key}": tensor for key, tensor in tensors.items()}
        self.value = next(value for value in outputs if value)

    def _scaling(self, scaling: Scaling, count: int) -> None:
        """The node of what is done to raw values first."""
        if scaling.kind == "none":
            return
        mean = torch.tensor(scaling.mean if scaling.kind == "standard" else [0.0] * count, dtype=torch.float64)
        std = torch.tensor(scaling.std if scaling.kind == "standard" else [255.0] * count, dtype=torch.float64)
        self._diagonal("scaling", 1 / std, -mean / std)

    def _diagonal(self, name: str, weight: Tensor, bias: Tensor) -> None:
        """A linear layer with zeros beside the diagonal."""
        sizes = {"in_features": len(weight), "out_features": len(weight), "bias": True}
        self._node(name, "Linear", sizes, {"weight": torch.diag(weight).float(), "bias": bias.float()}, name)


def _node_name(part: Embedding | Linear | Recurrent) -> str:
    return part.name.partition(".")[0] or "recurrent"


def _options(part: Recurrent) -> dict[str, Any]:
    """The options of the node ``Recurrent``."""
    first, sizes = part.cells[0], [cell.hidden_size for cell in part.cells]
    options: dict[str, Any] = {"cell": first.kind, "input_size": first.input_size, "bias": first.bias}
    options |= {"hidden_size": sizes} if len(set(sizes)) > 1 else {"hidden_size": sizes[0], "num_layers": len(sizes)}
    options |= {name: getattr(part, name) for name in ("bidirectional", "merge", "residual", "reverse")}
    return {**options, **first.changed_options()}
