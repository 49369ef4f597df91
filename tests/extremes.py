"""Requests with extreme values, and what two engines may differ by on them: measured on the reference alone.

An engine that computes the same maths in another order differs by rounding, and how much a result then moves depends on
the values. So the reference, in the dtype of the request, also runs with its values moved by a few roundings, with its
steps moved by one, and with its inputs and units in another order; and once in float64, where less overflows. Where
all these runs agree that a value is NaN, infinite or finite, so must the engine. A finite one may differ by a small
multiple of what those in the dtype of the request differ by: where they are all 0, it is 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from holdfast.cells import ACTIVATIONS, Kind, bound, lstm, products
from holdfast.cells.products import layer_norm
from holdfast.engines import Request
from holdfast.engines.reference import ReferenceEngine
from verification import converted, named_results, results_and_gradients

RUNS = 6  # of the reference, beside the one that the engine is compared with
MULTIPLE = 8.0  # of the largest difference among them
ROUNDINGS = 8  # by which values are moved

Found = Mapping[str, Tensor | None]


def extreme(generator: torch.Generator, *shape: int) -> Tensor:
    """Values from 1e-45 to 3e38 of both signs, evenly among their exponents, in float64."""
    exponents = torch.rand(shape, generator=generator, dtype=torch.float64) * 83.4 - 44.9
    signs = torch.randint(0, 2, shape, generator=generator) * 2 - 1
    return signs * 10**exponents


def spread_extremes(request: Request, seed: int) -> Request:
    """The request with extreme values, in one of several ways that the seed picks: a few of them, or whole tensors.

    There is no infinity or NaN for ELU and ReLU6: at NaN, their derivatives in torch depend on where a value lies.
    """
    finite = any(str(name).startswith(("elu", "selu", "relu6")) for name in request.spec.activations)
    generator = torch.Generator().manual_seed(seed)

    def few(x: Tensor, share: float, values: Tensor) -> Tensor:
        where = torch.rand(x.shape, generator=generator) < share
        return torch.where(where, values.to(x.dtype), x)

    def chance(probability: float) -> bool:
        return bool(torch.rand((), generator=generator) < probability)

    def changed(x: Tensor, may_be_infinite: bool) -> Tensor:
        way = int(torch.randint(0, 6, (), generator=generator))
        if way == 0:  # a few, at most one in ten
            return few(x, 0.1, extreme(generator, *x.shape))
        if way == 1:  # all of them of one size
            return x * float(extreme(generator).abs().clamp(1e-42, 1e36))
        if way == 2:  # saturated, or just before it
            return x * float(torch.rand((), generator=generator) * 60)
        if way == 3 and may_be_infinite and chance(0.3):
            choice = torch.tensor([math.inf, -math.inf, math.nan], dtype=torch.float64)
            return few(x, 0.05, choice[torch.randint(0, 3, x.shape, generator=generator)])
        if way == 4:
            return few(x, 0.3, torch.zeros(x.shape))
        return x

    return replace(
        request,
        inputs=changed(request.inputs, not finite),
        state=tuple(changed(part, not finite) for part in request.state),
        parameters={name: changed(value, False) for name, value in request.parameters.items()},
    )


def permuted(request: Request, generator: torch.Generator) -> tuple[Request, Callable[..., Tensor]]:
    """The request with its inputs and units in another order, and what reorders a tensor, or puts it back."""
    spec = request.spec
    inputs = torch.randperm(spec.input_size, generator=generator)
    units = torch.randperm(spec.hidden_size, generator=generator)
    outputs = torch.randperm(spec.output_size, generator=generator) if spec.proj_size else units
    gates = torch.cat([units + k * spec.hidden_size for k in range(len(spec.gates))])
    orders: dict[str, tuple[Tensor | None, ...]] = {
        "inputs": (None, None, inputs),
        "state.0": (None, outputs),
        "state.1": (None, units),
        "outputs": (None, None, outputs),
        "final h": (None, outputs),
        "final c": (None, units),
        "every h": (None, None, outputs),
        "every c": (None, None, units),
        "weight_ih": (gates, inputs),
        "weight_hh": (gates, outputs),
        "weight_hr": (outputs, units),
        "weight_peephole": (None, units),
        **dict.fromkeys(("bias_ih", "bias_hh", "norm_ih", "norm_hh"), (gates,)),
        **dict.fromkeys(("norm_c", "norm_c_bias"), (units,)),
    }

    def reorder(name: str, x: Tensor, back: bool = False) -> Tensor:
        for dimension, order in enumerate(orders[name.removeprefix("gradient of ")]):
            if order is not None:
                x = x.index_select(dimension, order.argsort() if back else order)
        return x

    noise = request.noise
    if noise is not None:
        noise = replace(
            noise,
            state=None if noise.state is None else noise.state[..., outputs],
            candidate=None if noise.candidate is None else noise.candidate[..., units],
            zoneout_h=None if noise.zoneout_h is None else noise.zoneout_h[..., outputs],
            zoneout_c=None if noise.zoneout_c is None else noise.zoneout_c[..., units],
        )
    moved = replace(
        request,
        inputs=reorder("inputs", request.inputs),
        state=tuple(reorder(f"state.{k}", part) for k, part in enumerate(request.state)),
        parameters={name: reorder(name, value) for name, value in request.parameters.items()},
        noise=noise,
    )
    return moved, reorder


class _Moved(torch.autograd.Function):
    """tanh or sigmoid, moved by a rounding where it is not exactly 0, 1 or -1; the derivative is that of the value."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, name: str, by: Tensor) -> Tensor:
        y = torch.tanh(x) if name == "tanh" else torch.sigmoid(x)
        y = torch.where((y == 0) | (y.abs() == 1), y, (y * by).clamp(-1, 1))
        ctx.slope = 1 - y * y if name == "tanh" else y * (1 - y)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0] * ctx.slope, None, None


@contextmanager
def moved_steps(kind: Kind, generator: torch.Generator, eps: float) -> Iterator[None]:
    """The state after each step is off by up to a rounding, and so are tanh, sigmoid and what is normalised."""
    step = bound._STEP[kind]

    def by(x: Tensor) -> Tensor:
        return 1 + eps * torch.randint(-1, 2, x.shape, generator=generator).to(x.dtype)

    def moved(name: str, x: Tensor) -> Tensor:
        return _Moved.apply(x, name, by(x))  # type: ignore[no-any-return,no-untyped-call]

    def moved_state(x: Tensor) -> Tensor:
        y = x * by(x)
        return torch.where((x.abs() == 1) | ~y.isfinite(), x, y)

    def moved_step(*arguments: Any) -> tuple[Tensor, tuple[Tensor, ...]]:
        _, state = step(*arguments)
        moved = tuple(map(moved_state, state))
        return moved[0], moved

    functions: dict[str, Callable[..., Tensor]] = {
        "tanh": lambda x: moved("tanh", x),
        "sigmoid": lambda x: moved("sigmoid", x),
        "scaled_tanh": lambda x, α, β: α * moved("tanh", β * x),
    }

    def moved_norm(size: int, a: Tensor, *arguments: Tensor) -> Tensor:
        return layer_norm(size, a * by(a), *arguments)

    with (
        mock.patch.dict(ACTIVATIONS, functions),
        mock.patch.dict(bound._STEP, {kind: moved_step}),
        mock.patch.object(products, "layer_norm", moved_norm),
        mock.patch.object(lstm, "layer_norm", moved_norm),
    ):
        yield


def reference_runs(
    request: Request, cotangents: Mapping[str, Tensor], seed: int, eps: float
) -> Iterator[dict[str, Tensor | None]]:
    """What the reference gives for the request with everything moved a little and in another order."""
    generator = torch.Generator().manual_seed(seed)

    def move(x: Tensor) -> Tensor:
        by = torch.rand(x.shape, generator=generator, dtype=torch.float64) * 2 - 1
        return x * (1 + ROUNDINGS * eps * by).to(x.dtype)

    for _ in range(RUNS):
        other, reorder = permuted(request, generator)
        other = replace(
            other,
            inputs=move(other.inputs),
            state=tuple(map(move, other.state)),
            parameters={name: move(value) for name, value in other.parameters.items()},
        )
        directions = {name: reorder(name, move(value)) for name, value in cotangents.items()}
        with moved_steps(request.spec.kind, generator, eps):
            found = results_and_gradients(ReferenceEngine(), other, directions)
        yield {name: None if value is None else reorder(name, value, True) for name, value in found.items()}


def differences(got: Found, request: Request, cotangents: Mapping[str, Tensor], seed: int) -> list[str]:
    """Where what an engine gave is not what the reference gives: one sentence for each tensor, by name."""
    eps = torch.finfo(request.inputs.dtype).eps
    expected = results_and_gradients(ReferenceEngine(), request, cotangents)
    wide = results_and_gradients(ReferenceEngine(), converted(request, torch.float64), cotangents)
    runs = list(reference_runs(request, cotangents, seed, eps))
    problems = []
    for name, value in expected.items():
        given = got[name]
        if value is None or given is None:
            present = value if given is None else given
            if present is not None and present.any():
                problems.append(f"{name}: {'missing' if given is None else 'should not be there'}")
            continue
        exact = wide[name]
        assert exact is not None
        problems += _compare(name, given.to(value.dtype), value, exact, [run[name] for run in runs], eps)
    return problems


def _compare(
    name: str, given: Tensor, value: Tensor, exact: Tensor, runs: list[Tensor | None], eps: float
) -> list[str]:
    others = torch.stack([run for run in runs if run is not None])

    def kind(x: Tensor) -> Tensor:  # 0 finite, 1 NaN, 2 and 3 infinities
        return x.isnan() * 1 + (x == math.inf) * 2 + (x == -math.inf) * 3

    settled = (kind(others) == kind(value)).all(0) & (kind(exact.to(value.dtype)) == kind(value))
    problems = []
    # Where a number is too large for the dtype, the order of a sum decides whether it is infinite or NaN.
    overflows = exact.isfinite() & ~value.isfinite() & ~given.isfinite()
    wrong = settled & (kind(given) != kind(value)) & ~overflows
    if wrong.any():
        problems.append(f"{name}: {given[wrong][:3].tolist()} where the reference has {value[wrong][:3].tolist()}")
    finite = settled & value.isfinite() & given.isfinite()
    moved = (others.double() - value.double()).abs().amax(0)
    tiny = torch.finfo(value.dtype).smallest_normal / 1024  # a denormal on the way has few digits
    allowed = MULTIPLE * moved + ROUNDINGS * eps * value.double().abs() + tiny
    error = (given.double() - value.double()).abs()
    wrong = finite & ~(error <= allowed)
    if wrong.any():
        worst = int((error / allowed).masked_fill(~wrong, 0).flatten().argmax())
        problems.append(
            f"{name}: {int(wrong.sum())} of {value.numel()} differ, {float(given.flatten()[worst])!r} where the "
            f"reference has {float(value.flatten()[worst])!r}, allowed {float(allowed.flatten()[worst]):.3g}"
        )
    return problems


def random_cotangents(request: Request, seed: int) -> dict[str, Tensor]:
    """A gradient for every result, ordinary or, for one seed in four, of one extreme size."""
    generator = torch.Generator().manual_seed(seed)
    size = float(extreme(generator).abs().clamp(1e-38, 1e30)) if seed % 4 == 0 else 1.0
    with torch.no_grad():
        results = named_results(request.spec, ReferenceEngine().run(converted(request, request.inputs.dtype)))
    return {
        name: (size * torch.randn(value.shape, generator=generator, dtype=torch.float64)).to(value.dtype)
        for name, value in results.items()
    }
