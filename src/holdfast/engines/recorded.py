"""The engine for recordings that run without Holdfast: traces of torch.jit, and files of ONNX.

In a trace, and in a file that torch.onnx.export makes from a trace (``dynamo=False``), a layer becomes torch's operator
``lstm``, ``gru`` or ``rnn``; in a file made from an exported program (``dynamo=True``), it becomes a node of ONNX. Both
take batches and sequences of any size. Calls that these operators cannot express are left to other engines: in a trace
for torch they become Holdfast's operator; in a file of ONNX the reference records every step of the example.
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

_PLAIN_CALL = "it serves traces of torch.jit and files of ONNX, and this call makes neither."


class RecordedEngine:
    """Records calls in operators that run without Holdfast."""

    name = "recorded"

    def why_not(self, request: Request) -> str | None:
        """One sentence that says why this engine cannot record the request, or None when it can."""
        if request.plain:
            return _PLAIN_CALL
        traced = calling.is_traced()
        to_onnx = (traced or torch.compiler.is_compiling()) and calling.is_exported_to_onnx()
        if not (traced or to_onnx):
            return _PLAIN_CALL
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
    """Runs a request whose rows all have all steps."""
    x = request.inputs.flip(1) if request.reverse else request.inputs
    outputs, state = fused(request, (x,), request.state, _parameters(request), batch_first=True)
    outputs = time_first(outputs.flip(1)) if request.reverse else outputs
    return Result(outputs, state, (outputs,) if request.return_states else None)


def _packed(request: Request, lengths: Tensor) -> Result:
    """Runs rows of any lengths, in operators that read the lengths: a later call may have other lengths."""
    x = request.inputs
    padding = torch.arange(x.shape[1], device=x.device) >= lengths[:, None]
    x = x.masked_fill(padding[:, :, None], 0)
    reversed_steps = _reversed_steps(padding, lengths)
    if request.reverse:
        x = _gather_steps(x, reversed_steps)
    # A packed sequence cannot have empty rows: an empty row runs one step, and its result is not used.
    packed = pack_padded_sequence(x, lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
    order, back = cast(Tensor, packed.sorted_indices), cast(Tensor, packed.unsorted_indices)
    initial = tuple(part.index_select(0, order) for part in request.state)
    data, state = fused(request, (packed.data, packed.batch_sizes), initial, _parameters(request))
    packed_outputs = PackedSequence(data, packed.batch_sizes, order, back)
    outputs, _ = pad_packed_sequence(packed_outputs, batch_first=True, total_length=x.shape[1])
    if request.reverse:
        outputs = _gather_steps(outputs, reversed_steps)
    outputs = time_first(outputs.masked_fill(padding[:, :, None], 0))
    empty = (lengths == 0)[:, None]
    unsorted_state = (part.index_select(0, back) for part in state)
    final = tuple(torch.where(empty, old, new) for old, new in zip(request.state, unsorted_state, strict=True))
    if not request.return_states:
        return Result(outputs, final)
    constant = (request.state if request.reverse else final)[0]
    return Result(outputs, final, (torch.where(padding[:, :, None], constant[:, None], outputs),))


def _parameters(request: Request) -> list[Tensor]:
    """The parameters in torch's order: in one piece for cuDNN, otherwise as they are, for the file."""
    return joined(request) if request.inputs.is_cuda else separate(request)


def _reversed_steps(padding: Tensor, lengths: Tensor) -> Tensor:
    """For each step of each row [B, T], the step at the same place when the row is reversed within its length."""
    steps = torch.arange(padding.shape[1], device=padding.device)
    return torch.where(padding, steps, lengths[:, None] - 1 - steps)


def _gather_steps(x: Tensor, steps: Tensor) -> Tensor:
    """These steps [B, T] of each row of [B, T, size]."""
    return x.gather(1, steps[:, :, None].expand(-1, -1, x.shape[2]))
