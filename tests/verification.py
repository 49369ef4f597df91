"""One check for every engine: results, and the gradient of every tensor by name, against the reference in float64."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from holdfast.cells import CellSpec, Kind, Noise, draw_noise, make_spec
from holdfast.engines import ENGINES, Request, Result
from holdfast.engines.function import differentiable
from holdfast.engines.reference import ReferenceEngine


def make_request(
    kind: Kind = "lstm",
    *,
    batch: int = 3,
    steps: int = 5,
    input_size: int = 2,
    hidden_size: int = 3,
    lengths: list[int] | None = None,
    training: bool = False,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
    reverse: bool = False,
    return_states: bool = False,
    **options: Any,
) -> Request:
    """A request with random tensors of a middling size, so that no gate is shut; with masks when ``training``."""
    spec = make_spec(kind, {"input_size": input_size, "hidden_size": hidden_size, **options})
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    scale = (input_size + hidden_size) ** -0.5
    parameters = {name: normal(*shape) * scale for name, shape in spec.parameter_shapes().items()}
    for name in parameters:
        if name in ("norm_ih", "norm_hh", "norm_c"):
            parameters[name] += 1
    inputs = normal(batch, steps, input_size)
    state = tuple(0.5 * normal(batch, size) for size in spec.state_sizes.values())
    return Request(
        spec,
        inputs.to(dtype),
        tuple(part.to(dtype) for part in state),
        {name: parameter.to(dtype) for name, parameter in parameters.items()},
        None if lengths is None else torch.tensor(lengths),
        draw_noise(spec, batch, steps, inputs.to(dtype)) if training else None,
        reverse=reverse,
        return_states=return_states,
    )


def converted(request: Request, dtype: torch.dtype, *, requires_grad: bool = False) -> Request:
    """The request with new leaf tensors of that dtype."""

    def leaf(x: Tensor) -> Tensor:
        return x.detach().to(dtype).clone().requires_grad_(requires_grad)

    noise = request.noise
    if noise is not None:
        dropout = (None if mask is None else mask.to(dtype) for mask in (noise.state, noise.candidate))
        noise = Noise(*dropout, noise.zoneout_h, noise.zoneout_c)
    return replace(
        request,
        inputs=leaf(request.inputs),
        state=tuple(leaf(part) for part in request.state),
        parameters={name: leaf(parameter) for name, parameter in request.parameters.items()},
        noise=noise,
    )


def named_results(spec: CellSpec, result: Result) -> dict[str, Tensor]:
    """``outputs``, ``final h``, ``final c``, and the per-step states as ``every h``, ``every c``."""
    named = {"outputs": result.outputs}
    named |= {f"final {letter}": part for letter, part in zip(spec.state_sizes, result.state, strict=True)}
    if result.states is not None:
        named |= {f"every {letter}": part for letter, part in zip(spec.state_sizes, result.states, strict=True)}
    return named


def results_and_gradients(
    engine: Any, request: Request, cotangents: Mapping[str, Tensor] | None
) -> dict[str, Tensor | None]:
    """Everything that an engine computes, by name; the gradients are those of the results times ``cotangents``."""
    request = converted(request, request.inputs.dtype, requires_grad=cotangents is not None)
    results = named_results(request.spec, engine.run(request))
    found: dict[str, Tensor | None] = {name: result.detach() for name, result in results.items()}
    if cotangents is not None:
        used = [name for name in results if name in cotangents]
        tensors = differentiable(request)
        gradients = torch.autograd.grad(
            [results[name] for name in used],
            list(tensors.values()),
            [cotangents[name].to(request.inputs.dtype) for name in used],
            allow_unused=True,
        )
        found |= {f"gradient of {name}": gradient for name, gradient in zip(tensors, gradients, strict=True)}
    return found


@contextmanager
def filled_with_nan() -> Iterator[None]:
    """What is allocated without values holds NaN, so that a value that a kernel forgets to write is seen."""

    def filling(make: Any) -> Any:
        def filled(*args: Any, **options: Any) -> Tensor:
            made: Tensor = make(*args, **options)
            return made.fill_(math.nan) if made.is_floating_point() else made

        return filled

    with (
        mock.patch.object(torch, "empty", filling(torch.empty)),
        mock.patch.object(torch, "empty_like", filling(torch.empty_like)),
        mock.patch.object(Tensor, "new_empty", filling(Tensor.new_empty)),
    ):
        yield


def tolerance(request: Request, name: str) -> float:
    """The largest difference allowed, relative to the largest value: rounding adds up over steps and over sums."""
    batch, steps, _ = request.inputs.shape
    terms = steps + request.spec.input_size + request.spec.output_size
    if name.startswith("gradient"):
        terms += batch * steps
    return 8 * torch.finfo(request.inputs.dtype).eps * terms


def amplification(request: Request, exact: Request, cotangents: Mapping[str, Tensor] | None) -> float:
    """How many times the usual rounding layer normalisation makes of it, from 1 to 32.

    It divides by a deviation that may be next to nothing, as where all units are clipped, and who computes it loses
    digits then. How many is measured on the reference alone: 8 times the most that it loses in float32, in the measure
    of :func:`tolerance`, on three requests beside this one.
    """
    if not request.spec.layer_norm:
        return 1.0
    if (
        request.spec.hidden_size == 1
    ):  # a cell state alone: torch loses the factor 1 / sqrt(ε) = 316, the kernels nothing
        return 32.0
    generator = torch.Generator().manual_seed(2)
    most = 1.0
    for _ in range(3):
        noise = 1 + 0.001 * torch.randn(exact.inputs.shape, generator=generator, dtype=torch.float64)
        single = converted(replace(exact, inputs=exact.inputs * noise), torch.float32)
        expected = results_and_gradients(ReferenceEngine(), converted(single, torch.float64), cotangents)
        got = results_and_gradients(ReferenceEngine(), single, cotangents)
        for name, value in expected.items():
            other = got[name]
            if value is not None and other is not None and value.numel():
                lost = float((other.double() - value).abs().max()) / max(1.0, float(value.abs().max()))
                most = max(most, 8 * lost / tolerance(single, name))
    return min(most, 32.0)


def verify(engine_name: str, request: Request, *, gradients: bool = True) -> dict[str, float]:
    """Compares an engine with the reference in float64.

    Args:
        engine_name: A name of ``ENGINES``.
        request: What both compute; its dtype sets the tolerance, and may be lower than float64.
        gradients: Whether gradients are compared as well: of all results together, and of each result by itself,
            where an engine meets gradients that are not there.

    Returns:
        The largest difference of everything compared, by name, relative to the largest value.

    Raises:
        AssertionError: Something differs by more than :func:`tolerance`, times :func:`amplification`, or has another
            shape or dtype.
    """
    engine = ENGINES[engine_name]
    reason = engine.why_not(request)
    assert reason is None, f"{engine_name} cannot run this: {reason}"
    exact = converted(request, torch.float64)
    generator = torch.Generator().manual_seed(1)
    plain = named_results(request.spec, ReferenceEngine().run(exact))
    random = {
        name: torch.randn(result.shape, generator=generator, dtype=torch.float64) for name, result in plain.items()
    }
    runs: list[dict[str, Tensor] | None] = [random, *({name: random[name]} for name in random)] if gradients else [None]
    differences: dict[str, float] = {}
    problems = []
    for cotangents in runs:
        expected = results_and_gradients(ReferenceEngine(), exact, cotangents)
        actual = results_and_gradients(engine, request, cotangents)
        more = amplification(request, exact, cotangents)
        of = "" if cotangents is None or len(cotangents) > 1 else f" of {next(iter(cotangents))} alone"
        assert actual.keys() == expected.keys()
        for name, value in expected.items():
            got = actual[name]
            if value is None or got is None:
                given = value if got is None else got
                if given is not None and given.any():
                    problems.append(f"{name}{of}: {'missing' if got is None else 'should not be there'}")
                continue
            if got.shape != value.shape or got.dtype != request.inputs.dtype:
                problems.append(f"{name}{of}: {got.dtype} {tuple(got.shape)}, expected {tuple(value.shape)}")
                continue
            size = max(1.0, float(value.abs().max())) if value.numel() else 1.0
            difference = float((got.double() - value).abs().max()) / size if value.numel() else 0.0
            differences[name] = max(difference, differences.get(name, 0.0))
            allowed = more * tolerance(request, name)
            if not difference <= allowed:  # NaN is a difference too
                problems.append(f"{name}{of}: differs by {difference:.3g}, allowed {allowed:.3g}")
    assert not problems, f"{engine_name} differs from the reference:\n  " + "\n  ".join(problems)
    return differences
