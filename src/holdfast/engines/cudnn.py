"""The engine for CUDA: requests become calls of torch's fused RNN, GRU and LSTM, which cuDNN runs.

Without cuDNN, or for a dtype that it does not have, torch runs its own loop. A second derivative through cuDNN raises
torch's RuntimeError, which says so; ``engine="reference"`` can compute it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from holdfast.cells import NAMES, CellSpec, calling
from holdfast.engines.request import Request, Result

# They need nothing here: they change parameters, which a request has in their final form, or have no effect alone.
_IN_THE_PARAMETERS = ("single_bias", "weight_dropout", "recurrent_dropout_mode")


class CudnnEngine:
    """Runs plain layers, with lengths and in both directions."""

    name = "cudnn"
    device = "cuda"  # the tests set "cpu", where torch's operations compute the same

    def why_not(self, request: Request) -> str | None:
        """One sentence that says why torch's fused operations cannot run the request, or None when they can."""
        x = request.inputs
        if x.device.type != self.device:
            return f"it computes on {self.device.upper()}, and the input is on {x.device}."
        if calling.is_transformed():
            return "torch.func or forward-mode derivatives transform this call, and cuDNN cannot be transformed."
        if reason := lacks(request):
            return reason
        if request.memory != "keep":
            name = NAMES[request.spec.kind]
            return f"torch's fused {name} keeps everything on the device; memory is {request.memory!r}."
        if not x.numel():
            return f"there is nothing to compute in an input of shape {tuple(x.shape)}."
        if request.lengths is not None and not request.lengths.any():
            return "there is nothing to compute in rows of length 0 alone."
        return None

    def run(self, request: Request) -> Result:
        """Runs a request for which :meth:`why_not` returned None."""
        return _whole(request) if request.lengths is None else _packed(request, request.lengths)


def lacks(request: Request) -> str | None:
    """One sentence that names what torch's fused operations lack for a request, or None when they can run it."""
    spec = request.spec
    name = f"torch's fused {NAMES[spec.kind]}"
    for option, value in spec.computing_options().items():
        if not _is_fused(spec, option) and not (option == "recurrent_dropout" and request.noise is None):
            return f"{name} has no {option}={value.__name__ if callable(value) else repr(value)}."
    if request.return_states and spec.kind == "lstm":
        return f"{name} does not give the cell state after every step."
    return None


def _is_fused(spec: CellSpec, option: str) -> bool:
    if option == "activation":
        return spec.kind == "rnn" and spec.activation == "relu"
    return option in _IN_THE_PARAMETERS or option == "proj_size"


def _whole(request: Request) -> Result:
    """Runs a request whose rows all have all steps."""
    x = request.inputs.flip(1) if request.reverse else request.inputs
    y, state = fused(request, (x,), request.state, joined(request), batch_first=True)
    outputs = y.flip(1) if request.reverse else y
    return Result(outputs, state, (outputs,) if request.return_states else None)


def _packed(request: Request, lengths: Tensor) -> Result:
    """Runs only the steps within the lengths, in the order of a packed sequence; the padding is not read."""
    device = lengths.device
    lengths = lengths.cpu()  # cuDNN reads the number of rows per step from the host
    order = lengths.argsort(descending=True, stable=True)
    runs = lengths[order] > torch.arange(int(lengths.max()))[:, None]  # [steps, rows from the longest on]
    steps, ranks = runs.nonzero(as_tuple=True)
    rows, batch_sizes = order[ranks], runs.sum(1)
    if request.reverse:
        steps = lengths[rows] - 1 - steps
    within = (rows.to(device), steps.to(device))
    nonempty = order[: int(batch_sizes[0])].to(device)
    initial = tuple(part[nonempty] for part in request.state)
    y, final = fused(request, (request.inputs[within], batch_sizes), initial, joined(request))
    batch, all_steps, _ = request.inputs.shape
    outputs = y.new_zeros(all_steps, batch, y.shape[-1]).index_put(within[::-1], y).transpose(0, 1)
    state = tuple(old.to(new.dtype).index_put((nonempty,), new) for old, new in zip(request.state, final, strict=True))
    if not request.return_states:
        return Result(outputs, state)
    constant = request.state[0].to(y.dtype) if request.reverse else state[0]
    padding = (torch.arange(all_steps)[:, None] >= lengths).to(device)[:, :, None]
    states = torch.where(padding, constant, outputs.transpose(0, 1)).transpose(0, 1)
    return Result(outputs, state, (states,))


def fused(
    request: Request, x: tuple[Tensor, ...], state: tuple[Tensor, ...], parameters: list[Tensor], **options: Any
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Runs torch's operation over ``x`` from a state [B, O or H]; the parameters are in torch's order."""
    spec = request.spec
    operation: Callable[..., Any] = torch.lstm if spec.kind == "lstm" else torch.gru
    if spec.kind == "rnn":
        operation = torch.rnn_relu if spec.activation == "relu" else torch.rnn_tanh
    # The state is in the dtype of the input, as torch.nn's is under autocast; cuDNN wants it contiguous.
    hx = tuple(part[None].to(x[0].dtype).contiguous() for part in state)
    y, *final = operation(
        *x,
        hx if spec.kind == "lstm" else hx[0],
        parameters,
        has_biases=len(parameters) > 3,  # two matrices or three
        num_layers=1,
        dropout=0.0,
        train=torch.is_grad_enabled() or calling.is_traced(),  # without it cuDNN keeps nothing for a backward pass
        bidirectional=False,
        **options,
    )
    return y, tuple(part[0] for part in final)


def joined(request: Request) -> list[Tensor]:
    """The parameters in torch's order, in one piece of memory with matrices before biases, as in cuDNN.

    torch compares their addresses with the addresses that cuDNN expects. If they differ, as for separate parameters,
    torch copies them into one piece itself, and warns.
    """
    spec, parameters = request.spec, request.parameters
    zero = _zero(request)  # cuDNN always has two biases
    names = ["weight_ih", "weight_hh", *(["weight_hr"] if spec.proj_size else []), "bias_ih", "bias_hh"]
    parts = [parameters.get(name, zero) for name in names]
    pieces = torch.split(torch.cat([part.reshape(-1) for part in parts]), [part.numel() for part in parts])
    joined = {name: piece.view_as(part) for name, piece, part in zip(names, pieces, parts, strict=True)}
    order = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", *(["weight_hr"] if spec.proj_size else [])]
    return [joined[name] for name in order]


def separate(request: Request) -> list[Tensor]:
    """The parameters in torch's order, without copies."""
    spec, named = request.spec, request.parameters
    biases = [named["bias_ih"], _zero(request) if spec.single_bias else named["bias_hh"]] if spec.bias else []
    return [named["weight_ih"], named["weight_hh"], *biases, *([named["weight_hr"]] if spec.proj_size else [])]


def _zero(request: Request) -> Tensor:
    """A bias that adds nothing."""
    return request.parameters["weight_ih"].new_zeros(len(request.spec.gates) * request.spec.hidden_size)
