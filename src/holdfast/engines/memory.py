"""What is kept for the backward pass: everything, states between segments (Chen et al. 2016), or copies on the host."""

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
    """Refuses a memory policy that does not exist, and segments shorter than a step.

    Raises:
        OptionError: One of them.
    """
    if memory not in MEMORY_POLICIES:
        raise OptionError(f"There is no memory policy {memory!r}: {did_you_mean(str(memory), MEMORY_POLICIES)}")
    if segment is not None and not (isinstance(segment, Integral) and segment >= 1):
        raise OptionError(
            f"segment is {segment!r}; expected at least 1 step, or None for the square root of all steps."
        )


def run_again_in_backward(run: Run, cell: Any, inputs: Tensor, state: Any) -> tuple[Tensor, Any, Any]:
    """``run(cell, inputs, state)``, with the steps computed again in the backward pass, any order of derivative.

    For a cell of Holdfast it is known what the steps depend on, so neither tensors nor the graph of the steps are kept.
    For any other cell, torch's checkpoint finds that out; it keeps the graph without the tensors: about 15 KB per step,
    for all sizes.
    """
    is_closed = isinstance(cell, BoundCell) and cell.is_closed and not torch.is_autocast_enabled(inputs.device.type)
    if not is_closed:
        return cast(tuple[Tensor, Any, Any], checkpoint(run, cell, inputs, state, use_reentrant=False))
    single = isinstance(state, Tensor)
    names, parts = tuple(cell.parameters), 1 if single else len(state)

    def flat_run(inputs: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        parameters = dict(zip(names, tensors[parts:], strict=True))
        initial = tensors[0] if single else tensors[:parts]
        outputs, final, states = run(replace(cell, parameters=parameters), inputs, initial)
        return outputs, *((final,) if single else final), *(() if states is None else (states,) if single else states)

    tensors = (state,) if single else state
    results = _RunAgain.apply(flat_run, inputs, *tensors, *cell.parameters.values())  # type: ignore[no-untyped-call]
    final, states = results[1 : 1 + parts], results[1 + parts :]
    if single:
        return results[0], final[0], states[0] if states else None
    return results[0], final, states or None


class _RunAgain(torch.autograd.Function):
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
            computed = torch.autograd.grad(
                [y for y, _ in pairs],
                [x for x in tensors if x.requires_grad],
                [g for _, g in pairs],
                create_graph=create_graph,
                allow_unused=True,
            )
        remaining = iter(computed)
        return (None, *(next(remaining) if x.requires_grad else None for x in tensors))


def host_copies() -> torch.autograd.graph.saved_tensors_hooks:
    """A context that copies to host memory what autograd keeps for the backward pass.

    Leaves, such as weights, stay where they are. A tensor that is kept more than once is copied once, such as weights
    that DropConnect has changed, which every step keeps.
    """
    copies: MutableMapping[Tensor, dict[Any, Tensor]] = WeakTensorKeyDictionary()

    def pack(tensor: Tensor) -> tuple[torch.device | None, Tensor]:
        base = tensor if tensor._base is None else tensor._base
        if base.is_leaf:
            return None, tensor
        base_copies = copies.setdefault(base, {})
        view = (tensor._version, tensor.storage_offset(), tensor.shape, tensor.stride())
        if view not in base_copies:
            base_copies[view] = tensor.to("cpu", copy=True)
        return tensor.device, base_copies[view]

    def unpack(packed: tuple[torch.device | None, Tensor]) -> Tensor:
        device, tensor = packed
        return tensor if device is None else tensor.to(device)

    return torch.autograd.graph.saved_tensors_hooks(pack, unpack)
