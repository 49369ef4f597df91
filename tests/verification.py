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
    run = Run(engine, request, requires_grad=cotangents is not None)
    return run.everything(cotangents)


class Run:
    """One forward pass of an engine, and any number of backward passes.

    Args:
        engine: What computes the request.
        request: The request; its tensors are copied.
        requires_grad: Whether gradients will be wanted.
    """

    def __init__(self, engine: Any, request: Request, *, requires_grad: bool) -> None:
        self.request = converted(request, request.inputs.dtype, requires_grad=requires_grad)
        self.results = named_results(request.spec, engine.run(self.request))

    def everything(self, cotangents: Mapping[str, Tensor] | None) -> dict[str, Tensor | None]:
        """The results, and the gradients of the results times ``cotangents``, by name."""
        found: dict[str, Tensor | None] = {name: result.detach() for name, result in self.results.items()}
        if cotangents is None:
            return found
        used = [name for name in self.results if name in cotangents]
        tensors = differentiable(self.request)
        gradients = torch.autograd.grad(
            [self.results[name] for name in used],
            list(tensors.values()),
            [cotangents[name].to(self.request.inputs.dtype) for name in used],
            retain_graph=True,
            allow_unused=True,
        )
        return found | {f"gradient of {name}": gradient for name, gradient in zip(tensors, gradients, strict=True)}


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


def amplifications(request: Request, exact: Request, runs: list[dict[str, Tensor] | None]) -> list[float]:
    """How many times the usual rounding is lost, from 1 to 32, for each set of cotangents.

    Layer normalisation divides by a deviation that may be next to nothing, as where all units are clipped; and the
    exponential function makes a candidate a hundred times as large as the output, where a gate next to 1 leaves little
    of it. Who computes these loses digits. How many is measured on the reference alone: 8 times the most that it loses
    in float32, in the measure of :func:`tolerance`, on three requests beside this one.
    """
    most = [1.0 for _ in runs]
    spec = request.spec
    if not spec.layer_norm and "exponential" not in (spec.activation, spec.recurrent_activation):
        return most
    # A cell state alone: torch loses the factor 1 / sqrt(ε) = 316, the kernels nothing.
    if spec.layer_norm and spec.hidden_size == 1:
        return [32.0 for _ in runs]
    generator = torch.Generator().manual_seed(2)
    for _ in range(3):
        noise = 1 + 0.001 * torch.randn(exact.inputs.shape, generator=generator, dtype=torch.float64)
        single = converted(replace(exact, inputs=exact.inputs * noise), torch.float32)
        requires_grad = runs[0] is not None
        double = Run(ReferenceEngine(), converted(single, torch.float64), requires_grad=requires_grad)
        rounding = Run(ReferenceEngine(), single, requires_grad=requires_grad)
        for k, cotangents in enumerate(runs):
            got = rounding.everything(cotangents)
            for name, value in double.everything(cotangents).items():
                other = got[name]
                if value is not None and other is not None and value.numel():
                    lost = float((other.double() - value).abs().max()) / max(1.0, float(value.abs().max()))
                    most[k] = max(most[k], 8 * lost / tolerance(single, name))
    return [min(factor, 32.0) for factor in most]


def verify(engine_name: str, request: Request, *, gradients: bool = True) -> dict[str, float]:
    """Compares an engine with the reference in float64, which keeps everything.

    Args:
        engine_name: A name of ``ENGINES``.
        request: What both compute; its dtype sets the tolerance, and may be lower than float64.
        gradients: Whether gradients are compared as well: of all results together, and of each result by itself,
            where an engine meets gradients that are not there.

    Returns:
        The largest difference of everything compared, by name, relative to the largest value.

    Raises:
        AssertionError: Something differs by more than :func:`tolerance`, times :func:`amplifications`, or has another
            shape or dtype.
    """
    return verify_each({engine_name: ENGINES[engine_name]}, request, gradients=gradients)[engine_name]


def verify_each(engines: Mapping[str, Any], request: Request, *, gradients: bool = True) -> dict[str, dict[str, float]]:
    """The same as :func:`verify` for several engines by name, with one computation by the reference for all."""
    for engine_name, engine in engines.items():
        reason = engine.why_not(request)
        assert reason is None, f"{engine_name} cannot run this: {reason}"
    exact = converted(replace(request, memory="keep", segment=None), torch.float64)
    generator = torch.Generator().manual_seed(1)
    reference = Run(ReferenceEngine(), exact, requires_grad=gradients)
    random = {
        name: torch.randn(result.shape, generator=generator, dtype=torch.float64)
        for name, result in reference.results.items()
    }
    runs: list[dict[str, Tensor] | None] = [random, *({name: random[name]} for name in random)] if gradients else [None]
    more = amplifications(request, exact, runs)
    forward = {engine_name: Run(engine, request, requires_grad=gradients) for engine_name, engine in engines.items()}
    differences: dict[str, dict[str, float]] = {engine_name: {} for engine_name in engines}
    problems = []
    for k, cotangents in enumerate(runs):
        expected = reference.everything(cotangents)
        of = "" if cotangents is None or len(cotangents) > 1 else f" of {next(iter(cotangents))} alone"
        for engine_name, run in forward.items():
            found = compare(request, run.everything(cotangents), expected, more[k], differences[engine_name])
            problems += [f"{engine_name}, {name}{of}: {problem}" for name, problem in found]
    assert not problems, "These differ from the reference:\n  " + "\n  ".join(problems)
    return differences


def compare(
    request: Request,
    actual: Mapping[str, Tensor | None],
    expected: Mapping[str, Tensor | None],
    more: float,
    differences: dict[str, float],
) -> Iterator[tuple[str, str]]:
    """The names of what differs by more than ``more`` times :func:`tolerance`, each with a reason.

    ``differences`` gets the largest difference of each name.
    """
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        got = actual[name]
        if value is None or got is None:
            given = value if got is None else got
            if given is not None and given.any():
                yield name, "missing" if got is None else "should not be there"
            continue
        if got.shape != value.shape or got.dtype != request.inputs.dtype:
            yield name, f"{got.dtype} {tuple(got.shape)}, expected {tuple(value.shape)}"
            continue
        size = max(1.0, float(value.abs().max())) if value.numel() else 1.0
        difference = float((got.double() - value).abs().max()) / size if value.numel() else 0.0
        differences[name] = max(difference, differences.get(name, 0.0))
        allowed = more * tolerance(request, name)
        if not difference <= allowed:  # NaN is a difference too
            yield name, f"differs by {difference:.3g}, allowed {allowed:.3g}"
