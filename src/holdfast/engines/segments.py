"""``memory="recompute"`` for an engine that computes its own gradients: one segment of time after another.

Forward runs each segment as a separate request and keeps only its initial state. Backward goes from the last segment to
the first: it runs the segment again, this time keeping what its backward needs, and passes the gradient of the initial
state to the segment before. So memory holds one segment and one state per segment (Chen et al. 2016).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from holdfast.engines.function import Gradient, GradientEngine
from holdfast.engines.request import Request, Result, new_steps


@dataclass(frozen=True)
class InSegments:
    """Runs requests through another engine in segments.

    Results have the same bits, if the other engine computes a step in the same way in every position. The gradients of
    parameters, and of states that are repeated past a row's length, differ by the rounding of sums over segments.
    """

    engine: GradientEngine

    def compute(self, request: Request) -> Result:
        """The result, in one segment, because nothing is kept."""
        return self.engine.compute(request)

    def forward(self, request: Request) -> tuple[Result, tuple[Tensor, ...]]:
        """The result, and the initial states of the segments: h [segments, B, O], and for the LSTM c."""
        segments = _segments(request)
        # Allocate the long-lived buffers first; interleaved with temporaries they would fragment the heap.
        starts = [part.new_empty(len(segments), *part.shape) for part in request.state]
        steps_of_results: list[Tensor] = []
        state = request.state
        for steps, *segment_state in zip(segments, *starts, strict=True):
            for start, part in zip(segment_state, state, strict=True):
                start.copy_(part)
            result = self.engine.compute(
                _cut(request, steps, tuple(segment_state), return_states=request.return_states)
            )
            results = (result.outputs, *(result.states or ()))
            if not steps_of_results:
                steps_of_results = [new_steps(request.inputs, part.shape[2]) for part in results]
            for whole, part in zip(steps_of_results, results, strict=True):
                whole[:, steps] = part
            state = result.state
        past = slice(_longest(request), None)
        outputs, *states = steps_of_results
        outputs[:, past] = 0
        for whole, constant in zip(states, request.state if request.reverse else state, strict=False):
            whole[:, past] = constant[:, None]
        return Result(outputs, state, tuple(states) if request.return_states else None), tuple(starts)

    def backward(self, request: Request, kept: tuple[Tensor, ...], gradient: Gradient) -> Mapping[str, Tensor]:
        """The gradients, as :class:`~holdfast.engines.function.GradientEngine` describes them."""
        past = slice(_longest(request), None)
        # Past the longest row, per-step states are the final state, or in reverse the initial one.
        d_past = [None if d_steps is None else d_steps[:, past].sum(1) for d_steps in gradient.states]
        d_past += [None] * (len(kept) - len(d_past))
        d_state: list[Tensor | None] = list(gradient.state)
        if not request.reverse:
            d_state = [_sum(*pair) for pair in zip(d_state, d_past, strict=True)]
        total: dict[str, Tensor] = {}
        if "inputs" in gradient.wanted:
            total["inputs"] = new_steps(request.inputs, request.spec.input_size)
            total["inputs"][:, past] = 0
        wanted = gradient.wanted | {f"state.{k}" for k in range(len(kept))}
        for steps, *state in reversed(list(zip(_segments(request), *kept, strict=True))):
            segment = _cut(request, steps, tuple(state))
            _, segment_kept = self.engine.forward(segment)
            outputs, *states = (None if g is None else g[:, steps] for g in (gradient.outputs, *gradient.states))
            segment_gradient = Gradient(outputs, tuple(d_state), tuple(states), wanted)
            segment.return_states = request.return_states
            gradients = dict(self.engine.backward(segment, segment_kept, segment_gradient))
            d_state = [gradients.pop(f"state.{k}") for k in range(len(kept))]
            if "inputs" in gradient.wanted:
                total["inputs"][:, steps] = gradients.pop("inputs")
            for name in request.parameters:
                if name in gradient.wanted:
                    total[name] = total[name].add_(gradients[name]) if name in total else gradients[name]
        for k, d_part in enumerate(d_past if request.reverse else ()):
            d_state[k] = _sum(d_state[k], d_part)
        return total | {f"state.{k}": part for k, part in enumerate(d_state) if part is not None}

    def rounding(self) -> GradientEngine:
        """The segments, through the inner engine that rounds."""
        return InSegments(self.engine.rounding())


def _longest(request: Request) -> int:
    """Steps of the longest row; later steps need no computation. At least one, for the shape of an output."""
    return request.inputs.shape[1] if request.lengths is None else max(1, int(request.lengths.max()))


def _segments(request: Request) -> list[slice]:
    """The steps of each segment, in the order they run; together, the steps of the longest row."""
    last = _longest(request)
    size = request.segment or math.isqrt(last - 1) + 1
    segments = [slice(start, min(start + size, last)) for start in range(0, last, size)]
    return segments[::-1] if request.reverse else segments


def _cut(request: Request, steps: slice, state: tuple[Tensor, ...], return_states: bool = False) -> Request:
    """The request of a segment with its initial state: views of the tensors, and new lengths [B]."""
    lengths = request.lengths
    if lengths is not None:
        lengths = (lengths - steps.start).clamp(0, steps.stop - steps.start)
    return replace(
        request,
        inputs=request.inputs[:, steps],
        state=state,
        lengths=lengths,
        noise=None if request.noise is None else request.noise.at(steps),
        return_states=return_states,
        memory="keep",
        segment=None,
    )


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a + b
