"""Results in bfloat16 from an engine that computes in float32 and rounds the operands of its products."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from holdfast.engines.function import Gradient, GradientEngine, differentiable
from holdfast.engines.request import Request, Result


@dataclass(frozen=True)
class InBfloat16:
    """Runs requests with float32 and bfloat16 tensors through a float32 engine.

    Results are rounded to bfloat16 once, at the end. A gradient has the dtype of its tensor.
    """

    engine: GradientEngine

    def compute(self, request: Request) -> Result:
        """The result, without anything for a backward pass."""
        return _rounded(self.engine.compute(_in_float32(request)))

    def forward(self, request: Request) -> tuple[Result, tuple[Tensor, ...]]:
        """The result, and the tensors that the inner engine keeps."""
        result, kept = self.engine.forward(_in_float32(request))
        return _rounded(result), kept

    def backward(self, request: Request, kept: tuple[Tensor, ...], gradient: Gradient) -> Mapping[str, Tensor]:
        """The gradients, as :class:`~holdfast.engines.function.GradientEngine` describes them."""
        state, states = (tuple(map(_float, parts)) for parts in (gradient.state, gradient.states))
        float32_gradient = gradient._replace(outputs=_float(gradient.outputs), state=state, states=states)
        gradients = self.engine.backward(_in_float32(request), kept, float32_gradient)
        tensors = differentiable(request)
        return {name: tensor.to(tensors[name].dtype) for name, tensor in gradients.items()}

    def rounding(self) -> GradientEngine:
        """The engine itself: it rounds already."""
        return self


def why_not(request: Request) -> str | None:
    """One sentence that names a tensor of a request that is neither float32 nor bfloat16, or None."""
    for name, tensor in differentiable(request).items():
        if tensor.dtype not in (torch.float32, torch.bfloat16):
            return f"bfloat16 is computed from float32 and bfloat16, and {name} is {tensor.dtype}."
    return None


def _in_float32(request: Request) -> Request:
    return replace(
        request,
        inputs=request.inputs.float(),
        state=tuple(part.float() for part in request.state),
        parameters={name: value.float() for name, value in request.parameters.items()},
        noise=None if request.noise is None else request.noise.to(torch.float32),
    )


def _float(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.float()


def _rounded(result: Result) -> Result:
    states = None if result.states is None else tuple(part.bfloat16() for part in result.states)
    return Result(result.outputs.bfloat16(), tuple(part.bfloat16() for part in result.state), states)
