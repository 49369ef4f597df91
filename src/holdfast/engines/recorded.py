"""The engine for what is written down to run without Holdfast: traces of torch.jit, and files of ONNX.

In a trace, and in a file that torch.onnx.export makes of one (``dynamo=False``), a layer becomes torch's own operator
``lstm``, ``gru`` or ``rnn``; in one that it makes of an exported program (``dynamo=True``), a node of ONNX. Batch and
time keep any size in both. What these operators cannot say is recorded step by step by the reference, for as many
steps as the example has; in a trace that is no file of ONNX, as Holdfast's own operator.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from holdfast.cells import NAMES, calling
from holdfast.engines import onnx_node
from holdfast.engines.cudnn import fused, joined, lacks, separate
from holdfast.engines.request import Request, Result, time_first

_NOTHING = "it serves traces of torch.jit and files of ONNX, and this call makes neither."


class RecordedEngine:
    """Writes calls down in operators that run without Holdfast."""

    name = "recorded"

    def why_not(self, request: Request) -> str | None:
        """One sentence that says why nothing is recorded, or not this request; None when it is."""
        if request.plain:
            return _NOTHING
        traced = calling.is_traced()
        to_onnx = (traced or torch.compiler.is_compiling()) and calling.is_exported_to_onnx()
        if not (traced or to_onnx):
            return _NOTHING
        if calling.is_transformed():
            return "torch.func or forward-mode derivatives transform this call, and whole layers cannot be transformed."
        if to_onnx and not traced:
            return onnx_node.lacks(request)
        if request.memory == "recompute":
            return f"torch's {NAMES[request.spec.kind]} keeps everything for the backward pass."
        if request.spec.proj_size and to_onnx:
            return "ONNX's LSTM has no proj_size."
        return lacks(request)

    def run(self, request: Request) -> Result:
        """Runs a request for which :meth:`why_not` returned None."""
        if not calling.is_traced():
            return onnx_node.run(request)
        return _whole(request) if request.lengths is None else _packed(request, request.lengths)


def _whole(request: Request) -> Result:
    """All rows have all steps."""
    x = request.inputs.flip(1) if request.reverse else request.inputs
    outputs, state = fused(request, (x,), request.state, _parameters(request), batch_first=True)
    outputs = time_first(outputs.flip(1)) if request.reverse else outputs
    return Result(outputs, state, (outputs,) if request.return_states else None)


def _packed(request: Request, lengths: Tensor) -> Result:
    """Rows of any lengths, in operators whose results depend on them: the lengths of a later call may be others."""
    x = request.inputs
    past = torch.arange(x.shape[1], device=x.device) >= lengths[:, None]
    x = x.masked_fill(past[:, :, None], 0)
    places = _turned(past, lengths)
    if request.reverse:
        x = _taken(x, places)
    # A packed sequence has no row without steps: such a row runs one, and what comes of it is left out.
    packed = pack_padded_sequence(x, lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
    order, back = cast(Tensor, packed.sorted_indices), cast(Tensor, packed.unsorted_indices)
    started = tuple(part.index_select(0, order) for part in request.state)
    data, state = fused(request, (packed.data, packed.batch_sizes), started, _parameters(request))
    ran = PackedSequence(data, packed.batch_sizes, order, back)
    outputs, _ = pad_packed_sequence(ran, batch_first=True, total_length=x.shape[1])
    if request.reverse:
        outputs = _taken(outputs, places)
    outputs = time_first(outputs.masked_fill(past[:, :, None], 0))
    empty = (lengths == 0)[:, None]
    ended = (part.index_select(0, back) for part in state)
    final = tuple(torch.where(empty, old, new) for old, new in zip(request.state, ended, strict=True))
    if not request.return_states:
        return Result(outputs, final)
    held = (request.state if request.reverse else final)[0]
    return Result(outputs, final, (torch.where(past[:, :, None], held[:, None], outputs),))


def _parameters(request: Request) -> list[Tensor]:
    """As torch's operators take them: cuDNN wants them in one piece, and a file should hold them as they are."""
    return joined(request) if request.inputs.is_cuda else separate(request)


def _turned(past: Tensor, lengths: Tensor) -> Tensor:
    """For each step of each row [B, T] the step that stands there when the row is turned around within its length."""
    steps = torch.arange(past.shape[1], device=past.device)
    return torch.where(past, steps, lengths[:, None] - 1 - steps)


def _taken(x: Tensor, places: Tensor) -> Tensor:
    """These steps [B, T] of each row of [B, T, ...]."""
    return x.gather(1, places[:, :, None].expand(-1, -1, x.shape[2]))
