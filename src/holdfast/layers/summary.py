"""The summary table of a model: its layers, what each puts out, and how many parameters it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.errors import ShapeError
from holdfast.layers.recurrent_layer import RecurrentLayer

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class LayerRow:
    """One layer.

    Attributes:
        name: Its name in the model and its class, such as ``"recurrent (LSTM)"``.
        output_shape: The shape of its output; None for the batch, and for a number of steps that is not fixed.
        parameters: How many numbers it learns.
    """

    name: str
    output_shape: Shape
    parameters: int


@dataclass(frozen=True)
class Summary:
    """The layers of a model in the order they run; ``print`` it for a table.

    Attributes:
        rows: The layers.
        total: Parameters of the whole model.
        trainable: Those of them that are trained.
    """

    rows: tuple[LayerRow, ...]
    total: int
    trainable: int

    def __str__(self) -> str:
        head = ("Layer", "Output shape", "Parameters")
        body = [(row.name, str(row.output_shape), f"{row.parameters:,}") for row in self.rows]
        name, shape, count = (max(len(line[column]) for line in [head, *body]) for column in range(3))
        lines = [f"{a:<{name}}  {b:<{shape}}  {c:>{count}}" for a, b, c in [head, *body]]
        lines.insert(1, "-" * (name + shape + count + 4))
        lines.append(lines[1])
        lines.append(f"Total parameters: {self.total:,} ({self.trainable:,} trainable)")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        rows = [{"layer": r.name, "output_shape": r.output_shape, "parameters": r.parameters} for r in self.rows]
        return {"layers": rows, "parameters": self.total, "trainable": self.trainable}


def summarise(model: nn.Module, inputs: Sequence[int | None] | Callable[[int], tuple[Any, ...]]) -> Summary:
    """Runs a model and notes what each layer puts out.

    Args:
        model: Its mode, its weights and torch's random state are left alone.
        inputs: The shape of one example, without the batch, such as ``(28, 28)``, for a model that takes a batch of
            numbers; None for a number of steps that is not fixed. Or what makes up arguments for a model that takes
            something else, given how many examples and steps are wanted.

    Returns:
        A row for every layer without layers of its own, and for every recurrent layer.

    Raises:
        ShapeError: The model cannot take inputs of this shape.
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
