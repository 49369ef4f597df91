"""What is kept for the backward pass: everything, the ends of segments (Chen et al. 2016), or copies on the host."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import replace
from numbers import Integral
from typing import Any, Literal, cast

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from torch.utils.weak import WeakTensorKeyDictionary

from holdfast.cells import BoundCell
from holdfast.errors import OptionError, did_you_mean

Memory = Literal["keep", "recompute", "offload"]
MEMORY_POLICIES = ("keep", "recompute", "offload")

# (cell, inputs [S, B, ...], state) -> outputs [S, B, ...], new state, state after every step or None
Run = Callable[[Any, Tensor, Any], tuple[Tensor, Any, Any]]


def check_memory(memory: str, segment: int | None) -> None:
    """Refuses a memory policy that does not exist.

    Raises:
        OptionError: It has no such name, or its segments are shorter than a step.
    """
    if memory not in MEMORY_POLICIES:
        raise OptionError(f"There is no memory policy {memory!r}: {did_you_mean(str(memory), MEMORY_POLICIES)}")
    if segment is not None and not (isinstance(segment, Integral) and segment >= 1):
        raise OptionError(
            f"segment is {segment!r}; expected at least 1 step, or None for the square root of all steps."
        )


def run_again_in_backward(run: Run, cell: Any, inputs: Tensor, state: Any) -> tuple[Tensor, Any, Any]:
    """``run(cell, inputs, state)``, with the steps computed again in the backward pass, any order of derivative.

    Of a cell of Holdfast everything that its steps depend on is known, and neither tensors nor the graph of its steps
    are kept. For any other cell torch's checkpoint finds out what the steps depend on; it keeps the graph without the
    tensors: some 15 KB a step, whatever the sizes.
    """
    closed = isinstance(cell, BoundCell) and cell.is_closed and not torch.is_autocast_enabled(inputs.device.type)
    if not closed:
        return cast(tuple[Tensor, Any, Any], checkpoint(run, cell, inputs, state, use_reentrant=False))
    alone = isinstance(state, Tensor)
    names, parts = tuple(cell.parameters), 1 if alone else len(state)

    def flat_run(inputs: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        parameters = dict(zip(names, tensors[parts:], strict=True))
        start = tensors[0] if alone else tensors[:parts]
        outputs, new, every = run(replace(cell, parameters=parameters), inputs, start)
        return outputs, *((new,) if alone else new), *(() if every is None else (every,) if alone else every)

    tensors = (state,) if alone else state
    found = _Again.apply(flat_run, inputs, *tensors, *cell.parameters.values())  # type: ignore[no-untyped-call]
    new, every = found[1 : 1 + parts], found[1 + parts :]
    if alone:
        return found[0], new[0], every[0] if every else None
    return found[0], new, every or None


class _Again(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, run: Callable[..., tuple[Tensor, ...]], *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.run = run
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        return run(*tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        create_graph = torch.is_grad_enabled()
        with torch.enable_grad():
            tensors = [x.view_as(x) if x.requires_grad else x for x in ctx.saved_tensors]
            results = zip(ctx.run(*tensors), gradients, strict=True)
            pairs = [(y, g) for y, g in results if g is not None and y.requires_grad]
            found = torch.autograd.grad(
                [y for y, _ in pairs],
                [x for x in tensors if x.requires_grad],
                [g for _, g in pairs],
                create_graph=create_graph,
                allow_unused=True,
            )
        remaining = iter(found)
        return (None, *(next(remaining) if x.requires_grad else None for x in tensors))


def host_copies() -> torch.autograd.graph.saved_tensors_hooks:
    """A context in which what is computed and kept for the backward pass is kept in host memory.

    Tensors that were given, such as weights, stay where they are. What is kept more than once, such as weights that
    DropConnect has changed, at every step, is copied once.
    """
    copies: MutableMapping[Tensor, dict[Any, Tensor]] = WeakTensorKeyDictionary()

    def pack(tensor: Tensor) -> tuple[torch.device | None, Tensor]:
        base = tensor if tensor._base is None else tensor._base
        if base.is_leaf:
            return None, tensor
        made = copies.setdefault(base, {})
        view = (tensor._version, tensor.storage_offset(), tensor.shape, tensor.stride())
        if view not in made:
            made[view] = tensor.to("cpu", copy=True)
        return tensor.device, made[view]

    def unpack(packed: tuple[torch.device | None, Tensor]) -> Tensor:
        device, tensor = packed
        return tensor if device is None else tensor.to(device)

    return torch.autograd.graph.saved_tensors_hooks(pack, unpack)
