"""The matrix products of a case and nothing else: how fast the case could be if everything else were free.

The products are torch.mm's (MKL's or oneDNN's) into memory that is allocated before, in the order in which it is the
fastest: first the inputs of all steps with their weights, [B T, I] by [I, G H] with G gates; then, step by step, the
state with its weights, [B, H] by [H, G H]. A training step also multiplies the gradients of the gates with the
transposed weights, step by step for the state and at once for the input of every layer but the first, and, over all
steps, with the inputs and with the states for the gradients of the weights.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from benchmarks import cases
from benchmarks.cases import Case
from benchmarks.layers import Numbers
from benchmarks.rounds import Answers, average

Product = tuple[Tensor, Tensor, Tensor]  # left [M, K], right [K, N] and the result [M, N]


class Products:
    """The products of a case as a contender; it computes the sizes of the case, not its numbers."""

    def __init__(self, case: Case, given: Numbers):
        self.name, self.passes, rows = cases.PRODUCTS, case.passes, steps_of(given)
        self._calls = {which: [call(product) for product in products(case, rows, which)] for which in case.passes}

    def answers(self) -> Answers:
        """Nothing to compare."""
        return {}

    def seconds(self, which: str, calls: int, warm: bool) -> float:
        """The mean time of ``calls`` calls."""

        def run() -> None:
            for product in self._calls[which]:
                product()

        with torch.inference_mode():
            return average(run, calls, warm)


def steps_of(given: Numbers) -> list[int]:
    """The number of running rows in each step."""
    B, T, _ = given.x.shape
    if given.lengths is None:
        return [B] * T
    return [int((given.lengths > t).sum()) for t in range(T)]


def products(case: Case, rows: list[int], which: str) -> list[Product]:
    """The products of a pass, in the order in which they are computed.

    Args:
        case: The case.
        rows: The number of running rows in each step.
        which: The pass. Only a training step keeps the results of each step.
    """
    H, training = case.shape[3], which == "training"
    gates, total, most = cases.GATES[case.cell] * H, sum(rows), max(rows)
    steps = list(pairwise([0, *accumulate(rows)]))
    forward: list[Product] = []
    backward: list[Product] = []
    for number, I in enumerate(case.input_sizes):  # noqa: E741
        for _ in range(case.directions):
            x, weight_ih, results = torch.randn(total, I), torch.randn(I, gates) / I, torch.empty(total, gates)
            h, weight_hh = torch.randn(total, H), torch.randn(H, gates) / H
            kept = torch.empty(total if training else most, gates)
            forward.append((x, weight_ih, results))
            forward += [(h[a:b], weight_hh, kept[a:b] if training else kept[: b - a]) for a, b in steps]
            if training:
                dh, dx = torch.empty(most, H), torch.empty(total, I)
                backward += [(kept[a:b], weight_hh.T, dh[: b - a]) for a, b in reversed(steps)]
                backward += [(kept, weight_ih.T, dx)] if number else []
                backward += [(kept.T, x, torch.empty(gates, I)), (kept.T, h, torch.empty(gates, H))]
    return forward + backward


def call(product: Product) -> Callable[[], Tensor]:
    """A call of the product that writes into the memory of its result."""
    left, right, out = product
    return partial(torch.mm, left, right, out=out)
