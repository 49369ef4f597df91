"""Files of Holdfast as networks that other formats can say: saved networks, and trained models that are chains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.data import Encoder
from holdfast.errors import ConversionError
from holdfast.files import container
from holdfast.interop import network as networks
from holdfast.interop.network import Network, Node
from holdfast.layers.recurrent_layer import RecurrentLayer
from holdfast.tasks import model_file
from holdfast.tasks.classify.task import Classifier, ClassifyTask
from holdfast.tasks.generate.network import LanguageModel
from holdfast.tasks.tag.task import Tagger
from holdfast.tasks.task import RecipeTask


def is_network(path: Path) -> bool:
    """Whether a file of Holdfast is a saved network, rather than the model of a task.

    Raises:
        ModelFileError: There is no usable file.
    """
    return container.kind_of(container.model_path(path)) == networks.KIND


def read(path: Path) -> Network:
    """The network in a file of Holdfast, in evaluation mode.

    A classifier takes raw values, as :func:`holdfast.runtime.load` does, or ids, with 0 for padding, and gives scores
    before softmax; a language model and a tagger of numbers give them at every step.

    Args:
        path: A saved network, a model file, or a run directory.

    Raises:
        ModelFileError: There is no usable file.
        ConversionError: The model is no chain of layers; the message says which model it is.
    """
    path = container.model_path(path)
    if is_network(path):
        return networks.load(path)
    task, model = model_file.load(path)
    return _of_task(task, model, path)


def _of_task(task: RecipeTask[Any], model: nn.Module, path: Path) -> Network:
    chain = _Chain()
    if isinstance(model, Classifier):
        layer = model.recurrent
        direct = model.head == "last_output" and not layer.bidirectional and not layer.residual
        if model.head != "last_state" and not direct:
            raise ConversionError(
                f"{path} is a classifier with model.head = {model.head!r}; only one with 'last_state' (or with "
                "'last_output', in one direction and without residual connections) can be written in other formats."
            )
        if model.embedding is not None:
            chain.embedding("embedding", model.embedding.table, mask_zero=True)
        elif isinstance(task, ClassifyTask) and isinstance(task.encoder, Encoder):
            chain.scaling(task.encoder)
        if model.input is not None:
            chain.linear("input", model.input)
        chain.recurrent("recurrent", layer, last=True)
        chain.linear("output", model.output)
    elif isinstance(model, LanguageModel):
        chain.embedding("embedding", model.embedding, mask_zero=False)
        chain.recurrent("recurrent", model.recurrent)
        chain.linear("output", model.output)
    elif isinstance(model, Tagger) and model.words is None:
        chain.recurrent("recurrent", model.recurrent)
        chain.linear("output", model.output)
    else:
        raise ConversionError(
            f"{path} is a model for the task {task.name!r} ({type(model).__name__}), which is no chain of layers; "
            "classifiers, language models and taggers of numbers can be written in other formats."
        )
    return chain.network(path)


class _Chain:
    """Nodes one behind the other, and their tensors."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor] = {}
        self._value, self._mask, self._first = "inputs", "", "inputs"

    def network(self, path: Path) -> Network:
        with torch.device("meta"):
            network = Network([self._first], [self._value], self.nodes)
        return networks.with_tensors(network, self.tensors, path)

    def _add(self, name: str, kind: str, options: dict[str, Any], module: nn.Module, *outputs: str) -> None:
        inputs = (self._value, self._mask) if kind == "Recurrent" and self._mask else (self._value,)
        self.nodes.append(Node(name, kind, options, inputs, outputs))
        prefix = f"parts.{name}.layer." if kind == "Recurrent" else f"parts.{name}."
        self.tensors |= {prefix + own: tensor.detach().clone() for own, tensor in module.state_dict().items()}
        self._value = next(value for value in outputs if value)

    def embedding(self, name: str, table: nn.Embedding, *, mask_zero: bool) -> None:
        self._first = self._value = "ids"
        sizes = {"num_embeddings": table.num_embeddings, "embedding_dim": table.embedding_dim}
        outputs = (name, f"{name}.mask") if mask_zero else (name,)
        self._add(name, "Embedding", {**sizes, "mask_zero": mask_zero}, table, *outputs)
        self._mask = f"{name}.mask" if mask_zero else ""

    def scaling(self, encoder: Encoder) -> None:
        """What is done to raw values first, as a linear layer with nothing beside the diagonal."""
        kind, count = encoder.scaling.kind, encoder.channels
        if kind == "none":
            return
        mean = torch.tensor(encoder.scaling.mean if kind == "standard" else [0.0] * count, dtype=torch.float64)
        std = torch.tensor(encoder.scaling.std if kind == "standard" else [255.0] * count, dtype=torch.float64)
        layer = nn.Linear(count, count)
        with torch.no_grad():
            layer.weight.copy_(torch.diag(1 / std))
            layer.bias.copy_(-mean / std)
        self.linear("scaling", layer)

    def linear(self, name: str, layer: nn.Linear) -> None:
        sizes = {"in_features": layer.in_features, "out_features": layer.out_features}
        self._add(name, "Linear", {**sizes, "bias": layer.bias is not None}, layer, name)

    def recurrent(self, name: str, layer: RecurrentLayer, *, last: bool = False) -> None:
        options: dict[str, Any] = {"cell": layer.kind, "input_size": layer.input_size, "bias": layer.bias}
        options["hidden_size"] = layer.hidden_size if isinstance(layer.hidden_size, int) else [*layer.hidden_size]
        if isinstance(layer.hidden_size, int):
            options["num_layers"] = layer.num_layers
        options |= {one: getattr(layer, one) for one in ("bidirectional", "merge", "residual", "reverse")}
        self._add(name, "Recurrent", {**options, **layer.specs[0].changed_options()}, layer, *([""] * last), name)
