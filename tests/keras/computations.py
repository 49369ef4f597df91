"""Computations of every kind with their tensors, and what torch's side makes of them: outcomes and gradients."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import torch
from torch import Tensor

from holdfast.cells import CellSpec
from holdfast.keras import host, torch_backend
from holdfast.keras.computation import Arrays, Computation

B, T, I, H = 4, 6, 3, 5  # noqa: E741


class Case(NamedTuple):
    """A computation, its tensors, the gradients of its outcome, and what has to come out."""

    computation: Computation
    tensors: dict[str, Tensor]
    gradients: list[Tensor]
    outcome: list[Tensor]
    expected: dict[str, Tensor]  # the gradients of all tensors but the masks


def cell(kind: Any, bias: bool = True, reset_after: bool = True, **options: Any) -> CellSpec:
    """A cell with the biases that it has in Keras."""
    gru = {"reset_after": reset_after} if kind == "gru" else {}
    single = bias and not (kind == "gru" and reset_after)
    return CellSpec(kind=kind, input_size=I, hidden_size=H, bias=bias, single_bias=single, **gru, **options)


CELLS = {
    "LSTM": cell("lstm"),
    "LSTM without bias, other activations": cell(
        "lstm", bias=False, activation="relu", recurrent_activation="hard_sigmoid"
    ),
    "GRU": cell("gru"),
    "GRU, reset before": cell("gru", reset_after=False),
    "RNN": cell("rnn"),
}
OPTIONS = list(itertools.product((False, True), (False, True), ("repeat", "zero"), ("zero", "state")))


def case(spec: CellSpec, option: int, masked: bool, dropped: bool, dtype: torch.dtype) -> Case:
    """One of the combinations of ``OPTIONS`` with numbers of its own."""
    computation = Computation(spec, *OPTIONS[option])
    random = torch.Generator().manual_seed(option)

    def normal(*shape: int) -> Tensor:
        return 0.3 * torch.randn(shape, generator=random, dtype=dtype)

    gates = len(spec.gates) * H
    bias = None if not spec.bias else normal(gates) if spec.single_bias else normal(2, gates)
    mask = torch.rand((B, T), generator=random) < 0.6 if masked else None
    state_mask = (torch.rand((B, H), generator=random) < 0.5).to(dtype) * 2 if dropped else None
    state = tuple(normal(B, H) for _ in spec.state_sizes)
    tensors = host.by_name(Arrays(normal(B, T, I), state, normal(I, gates), normal(H, gates), bias, mask, state_mask))
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in tensors.items() if name not in host.MASKS}
    outcome = present(torch_backend.run(computation, host.from_names({**tensors, **leaves})))
    gradients = [torch.randn(tensor.shape, generator=random, dtype=dtype) for tensor in outcome]
    inputs = list(leaves.values())
    by_input = torch.autograd.grad(outcome, inputs, gradients, allow_unused=True, materialize_grads=True)
    expected = dict(zip(leaves, by_input, strict=True))
    return Case(computation, tensors, gradients, [tensor.detach() for tensor in outcome], expected)


def cases(dtype: torch.dtype = torch.float32) -> list[Any]:
    """What `case` takes for every cell with every combination of options, and before it the name of the cell."""
    gathered = []
    for (name, spec), option, masked in itertools.product(CELLS.items(), range(len(OPTIONS)), (False, True)):
        if masked or OPTIONS[option][2:] == ("repeat", "zero"):  # the others say what happens at masked steps
            gathered.append((name, spec, option, masked, option % 3 == 0, dtype))
    return gathered


def present(outcome: Any) -> list[Any]:
    """The tensors of an outcome that are there."""
    return [tensor for tensor in host.flat(outcome) if tensor is not None]
