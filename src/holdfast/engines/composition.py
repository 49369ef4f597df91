"""Autograd, ``memory="recompute"`` and bfloat16 around any engine that computes its own gradients.

So such an engine is one file: it computes requests in one dtype and keeps everything for its backward pass. Its ``run``
is ``return run_with_gradients(self, request)``.
"""

from __future__ import annotations

import torch

from holdfast.engines.bfloat16 import InBfloat16
from holdfast.engines.function import GradientEngine, record
from holdfast.engines.memory import Memory
from holdfast.engines.request import Request, Result, result_dtype
from holdfast.engines.segments import InSegments


def composed(engine: GradientEngine, *, rounded: bool, memory: Memory = "keep") -> GradientEngine:
    """The engine, in segments of time for ``memory="recompute"`` and with results in bfloat16 for ``rounded``."""
    inner = engine.rounding() if rounded else engine
    if memory == "recompute":
        inner = InSegments(inner)
    return InBfloat16(inner) if rounded else inner


def run_with_gradients(engine: GradientEngine, request: Request) -> Result:
    """Runs a request for which ``engine.why_not`` returned None; autograd can go back through the result."""
    rounded = result_dtype(request) == torch.bfloat16
    if torch.is_grad_enabled():
        return record(composed(engine, rounded=rounded, memory=request.memory), request)
    return (composed(engine, rounded=True) if rounded else engine).compute(request)
