"""The summary of a model as a table: its layers, their sizes, and how many parameters each has.

:func:`summarise` runs a model and records the output of each layer; :func:`of_chain` reads a description; and
:mod:`holdfast.interop.listing` goes through a network of another software's file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.cells import NAMES
from holdfast.errors import ShapeError
from holdfast.layers.chain import Chain
from holdfast.layers.chain.parts import Embedding, Part, Recurrent
from holdfast.layers.recurrent_layer import RecurrentLayer

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class LayerRow:
    """One layer.

    Attributes:
        name: Its name in the model; in a summary with output shapes also its class, such as ``"recurrent (LSTM)"``.
        output_shape: The shape of its output; None for the batch, and for a number of steps that is not fixed. None
            where the model was not run.
        parameters: How many numbers it learns.
        kind: What it is, such as ``"LSTM"``, where the model was not run.
        sizes: Values in and out of a step, and how many layers and directions, in words, where the model was not run.
    """

    name: str
    output_shape: Shape | None
    parameters: int
    kind: str = ""
    sizes: str = ""


@dataclass(frozen=True)
class Summary:
    """The layers of a model in the order they run; ``print`` it for a table.

    Attributes:
        rows: The layers.
        total: Parameters of the whole model.
        trainable: Those of them that are trained; None where the model was not run.
        note: A sentence about the layers, such as why they are no network; empty for none.
    """

    rows: tuple[LayerRow, ...]
    total: int
    trainable: int | None = None
    note: str = ""

    def __str__(self) -> str:
        if self.trainable is None:
            head: tuple[str, ...] = ("Layer", "Kind", "Sizes", "Parameters")
            body: list[tuple[str, ...]] = [(row.name, row.kind, row.sizes, f"{row.parameters:,}") for row in self.rows]
        else:
            head = ("Layer", "Output shape", "Parameters")
            body = [(row.name, str(row.output_shape), f"{row.parameters:,}") for row in self.rows]
        widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
        table = [
            "  ".join([*map(str.ljust, words, widths), count.rjust(widths[-1])]) for *words, count in [head, *body]
        ]
        rule = "-" * (sum(widths) + 2 * len(widths) - 2)
        trained = "" if self.trainable is None else f" ({self.trainable:,} trainable)"
        lines = [table[0], rule, *table[1:], rule, f"Total parameters: {self.total:,}{trained}"]
        return "\n".join([*lines, self.note] if self.note else lines)

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        shown = ("kind", "sizes") if self.trainable is None else ("output_shape",)
        rows = [
            {"layer": row.name, **{key: getattr(row, key) for key in shown}, "parameters": row.parameters}
            for row in self.rows
        ]
        document = {"layers": rows, "parameters": self.total}
        document |= {} if self.trainable is None else {"trainable": self.trainable}
        return document | ({"note": self.note} if self.note else {})


def listed(rows: Iterable[LayerRow], note: str = "") -> Summary:
    """The summary of layers that were not run."""
    rows = tuple(rows)
    return Summary(rows, sum(row.parameters for row in rows), note=note)


def of_chain(chain: Chain) -> Summary:
    """The summary of a chain: its parts that have tensors."""
    return listed(row for part in chain.parts for row in _rows(part))


def _rows(part: Part) -> Iterable[LayerRow]:
    """The row of a part, if it has tensors of its own, and those of the parts that it is made of."""
    if shapes := part.own_shapes():
        kind, words = type(part).__name__, ""
        if isinstance(part, Recurrent):
            kind = NAMES[part.cells[0].kind]
            words = sizes(part.input_size, part.output_size, len(part.cells), part.bidirectional)
        elif part.output_size is not None:
            words = sizes(part.tokens if isinstance(part, Embedding) else part.input_size or 0, part.output_size)
        yield LayerRow(getattr(part, "name", ""), None, sum(map(prod, shapes.values())), kind, words)
    for inner in part.inner:
        yield from _rows(inner)


def sizes(inputs: int, outputs: int, num_layers: int = 1, bidirectional: bool = False, **_: Any) -> str:
    """Sizes in words, such as ``"28 -> 256, 2 layers, both directions"``.

    Args:
        inputs: Values in.
        outputs: Values out.
        num_layers: Layers on top of one another.
        bidirectional: Whether there are two directions.
        **_: Other options of the layer.
    """
    words = [f"{inputs} -> {outputs}"]
    words += [f"{num_layers} layers"] if num_layers > 1 else []
    return ", ".join([*words, *(["both directions"] if bidirectional else [])])


def summarise(model: nn.Module, inputs: Sequence[int | None] | Callable[[int], tuple[Any, ...]]) -> Summary:
    """Runs a model and records the output of each layer.

    Args:
        model: Its mode, its weights and torch's random state are left alone.
        inputs: The shape of one example, without the batch, such as ``(28, 28)``, for a model that takes a batch of
            numbers; None for a number of steps that is not fixed. Or what makes up arguments for a model that takes
            something else, given how many examples and steps are wanted.

    Returns:
        A row for every layer without layers of its own, and for every recurrent layer.

    Raises:
        ShapeError: The model cannot take inputs of this shape.

    Example:
        >>> import holdfast
        >>> summary = holdfast.summarise(holdfast.LSTM(28, 128, batch_first=True), (None, 28))
        >>> summary.total
        80896
    """
    parameter = next(model.parameters(), torch.empty(0))
    shapes: list[dict[nn.Module, Shape]] = [_output_shapes(model, inputs, size, parameter) for size in (2, 3)]
    names = {module: name for name, module in model.named_modules()}
    rows = []
    for module, shape in shapes[0].items():
        # A dimension that follows the batch or the free number of steps differs between the two runs.
        fixed = tuple(a if a == b else None for a, b in zip(shape, shapes[1][module], strict=True))
        kind = type(module).__name__
        label = f"{names[module]} ({kind})" if names[module] else kind
        rows.append(LayerRow(label, fixed, sum(p.numel() for p in module.parameters())))
    counts = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return Summary(tuple(rows), sum(n for n, _ in counts), sum(n for n, trained in counts if trained))


def _output_shapes(
    model: nn.Module, inputs: Sequence[int | None] | Callable[[int], tuple[Any, ...]], free: int, like: Tensor
) -> dict[nn.Module, Shape]:
    """The output shape of each layer in the order they run; the batch and free dimensions are ``free`` long."""
    found: dict[nn.Module, Shape] = {}

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple) else output
        if isinstance(first, Tensor):
            found[module] = tuple(first.shape)

    layers = [module for module in model.modules() if isinstance(module, RecurrentLayer) or not any(module.children())]
    hooks = [module.register_forward_hook(note) for module in layers]
    was_training = model.training
    if callable(inputs):
        arguments = inputs(free)
        shown = ", ".join(str(tuple(one.shape[1:])) for one in arguments if isinstance(one, Tensor))
    else:
        shape = [free, *(free if size is None else size for size in inputs)]
        arguments, shown = (torch.zeros(shape, dtype=like.dtype, device=like.device),), str(tuple(inputs))
    try:
        model.eval()
        with torch.inference_mode():
            model(*arguments)
    except (RuntimeError, ValueError) as error:
        raise ShapeError(f"The model cannot take an input of shape {shown} (without the batch): {error}") from error
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    return found
