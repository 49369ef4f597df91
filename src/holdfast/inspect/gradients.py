"""Gradients through time: how far back a loss reaches, and which inputs an output depends on.

Hochreiter & Schmidhuber 1997, "Long short-term memory", shows that the gradient of a plain recurrent network vanishes
with the number of steps, and how a cell state avoids that. Pascanu, Mikolov & Bengio 2013, "On the difficulty of
training recurrent neural networks", measures it by the norms of the gradients that :func:`gradient_through_time` gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from holdfast.engines.lengths import Lengths
from holdfast.errors import OptionError, ShapeError, did_you_mean
from holdfast.inspect.input_values import InputValues
from holdfast.inspect.model_call import ModelCall, model_call
from holdfast.inspect.observation import observed, undisturbed
from holdfast.inspect.tensors import first_tensor
from holdfast.inspect.tracing import TracedCall, Tracer, differentiable, gradients_by_step
from holdfast.layers.recurrent_layer import RecurrentLayer


@dataclass(frozen=True)
class GradientNorms:
    """The norm of the gradient of a loss with respect to the states of recurrent layers, by lag.

    Attributes:
        layers: By the name of the layer (as in :class:`holdfast.inspect.Recording`) and of the state, ``hidden`` and
            ``cell``: the norm of dL/dh and dL/dc at each lag, [T], averaged over the rows that have such a step. The
            lag is the number of steps before the last step of the row in the layer's own order: a reversed direction
            ends at the first position.
        loss: The loss.
    """

    layers: Mapping[str, Mapping[str, Tensor]]
    loss: float

    def __getitem__(self, name: str) -> Mapping[str, Tensor]:
        """The norms of a layer."""
        return self.layers[name]

    def memory_length(self, share: float = 0.9) -> dict[str, dict[str, int]]:
        """:func:`memory_length` of every layer and state.

        Args:
            share: The part of the sum of the norms, as in :func:`memory_length`.
        """
        return {
            layer: {name: memory_length(norms, share) for name, norms in states.items()}
            for layer, states in self.layers.items()
        }


def gradient_through_time(
    model: Any,
    inputs: Any,
    lengths: Lengths | None = None,
    state: Any = None,
    *,
    loss: Callable[[Any], Tensor] | None = None,
) -> GradientNorms:
    """The norm of the gradient of a loss with respect to every hidden and cell state, by lag.

    The gradients are total: dL/dh_t has all paths through later steps. The recurrent layers run step by step by the
    reference, in evaluation mode. The model's own gradients stay as they are.

    Args:
        model: As for :func:`holdfast.inspect.record`.
        inputs: The same; examples with targets, such as :meth:`holdfast.Predictor.read` gives, have the loss of the
            task.
        lengths: The same.
        state: The same.
        loss: The loss of the model's output, a scalar. None for the loss of the task where the examples have targets,
            else for the sum of the output at the last step of each row.

    Returns:
        The norms.

    Raises:
        OptionError: No recurrent layer of Holdfast ran, or the loss is not a scalar that depends on the model.
        DataError: The examples do not fit the model.
        ShapeError: The inputs, lengths or state do not fit the model.

    Example:
        >>> import torch, holdfast
        >>> from holdfast.inspect import gradient_through_time
        >>> norms = gradient_through_time(holdfast.LSTM(3, 4, batch_first=True), torch.randn(2, 5, 3))
        >>> norms["l0"]["cell"].shape
        torch.Size([5])
    """
    call, tracer = model_call(model, inputs, lengths, state), Tracer()
    with undisturbed(call.network), differentiable(), observed(call.network, tracer):
        value = _loss(call, loss)
        tracer.check_seen(call.network)
        norms = {name: gradients_by_step(value, calls) for name, calls in tracer.calls.items()}
    layers = {name: _by_lag(tracer.calls[name], parts) for name, parts in norms.items()}
    return GradientNorms(layers, float(value.detach()))


def _loss(call: ModelCall, loss: Callable[[Any], Tensor] | None) -> Tensor:
    if loss is None and call.loss is not None:
        value = call.loss()
    elif loss is None:
        value = call.last(first_tensor(call.run())).sum()
    else:
        value = loss(call.run())
    if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
        raise OptionError(
            "The loss is not a scalar tensor with a gradient; expected one number that is computed from the model's "
            "output, such as loss=lambda output: output[:, -1].sum()."
        )
    return value.reshape(())


def _by_lag(calls: Sequence[TracedCall], norms: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean norm at each lag, [T], from the norms by position of every call, [B, T]."""
    batch = max(len(part) for named in norms for part in named.values())
    pairs = [
        (call, named) for call, named in zip(calls, norms, strict=True) if len(next(iter(named.values()))) == batch
    ]
    within = torch.cat([_within(call, next(iter(named.values()))) for call, named in pairs], 1)
    result = {}
    for name in pairs[0][1]:
        by_position = torch.cat([named[name] for _, named in pairs], 1)
        if calls[0].reverse:
            lags = torch.arange(by_position.shape[1], device=by_position.device).expand_as(by_position)
        else:
            lags = within.flip(1).cumsum(1).flip(1) - 1  # the steps within the row from here on, without this one
        total = by_position.new_zeros(by_position.shape[1]).index_add(0, lags[within], by_position[within])
        count = lags[within].bincount(minlength=by_position.shape[1]).clamp(min=1)
        result[name] = (total / count)[: int(within.sum(1).max())]
    return result


def _within(call: TracedCall, like: Tensor) -> Tensor:
    """Which steps of a call are within the lengths of their rows, [B, T]."""
    if call.lengths is None:
        return torch.ones(len(like), call.steps, dtype=torch.bool, device=like.device)
    return torch.arange(call.steps, device=like.device) < call.lengths.to(like.device)[:, None]


def memory_length(norms: Any, share: float = 0.9) -> int:
    """The effective memory length: the smallest lag within which a share of the total gradient is.

    Args:
        norms: The norm at each lag, [T], the lag 0 first.
        share: The share, above 0 and up to 1.

    Raises:
        OptionError: The share is out of range, or a norm is negative or not finite.
        ShapeError: The norms are not [T] with T of 1 or more.

    Example:
        >>> memory_length([8.0, 1.0, 1.0, 0.0]), memory_length([1.0, 1.0, 1.0, 1.0])
        (1, 3)
    """
    values = torch.as_tensor(norms, dtype=torch.float64).detach().cpu()
    if values.ndim != 1 or not len(values):
        raise ShapeError(f"norms has shape {tuple(values.shape)}; expected (lags,), with one lag at least.")
    if not 0 < share <= 1:
        raise OptionError(f"share is {share}; expected a share above 0 and up to 1.")
    if not bool((values.isfinite() & (values >= 0)).all()):
        raise OptionError("A norm is negative or not finite; expected norms from 0 on. The gradient has overflowed.")
    total = values.cumsum(0)
    return int((total < share * total[-1] * (1 - 1e-12)).sum())


def connectivity(
    model: Any,
    inputs: Any,
    lengths: Lengths | None = None,
    state: Any = None,
    *,
    output: int | str | None = None,
) -> Tensor:
    """How much each output depends on each input: the norm of d output_t / d x_s.

    Each row of the result takes one backward pass, or with ``output="all"`` as many as there are values in an output.

    Args:
        model: As for :func:`holdfast.inspect.record`.
        inputs: The same, without targets; ids are taken as their vectors, the output of the embedding.
        lengths: The same.
        state: The same.
        output: Which values of an output: ``"all"``, for the Frobenius norm of the matrix d output_t / d x_s;
            ``"largest"``, the largest value of each output, such as the score of the predicted class; or the number of
            one value. None for ``"all"`` of a layer and ``"largest"`` of every other model.

    Returns:
        [T_out, T_in], averaged over the rows of the batch; T_out is 1 if the model has one output per row.

    Raises:
        OptionError: There is no such output, or the model takes ids and has no embedding.
        DataError: The examples do not fit the model.
        ShapeError: The inputs, lengths or state do not fit the model.

    Example:
        >>> import torch, holdfast
        >>> from holdfast.inspect import connectivity
        >>> reach = connectivity(holdfast.GRU(3, 4, batch_first=True), torch.randn(1, 5, 3))
        >>> reach.shape, bool(reach[1, 3] == 0)  # step 1 comes before step 3
        (torch.Size([5, 5]), True)
    """
    call = model_call(model, inputs, lengths, state)
    kind = output if output is not None else "all" if isinstance(call.network, RecurrentLayer) else "largest"
    with undisturbed(call.network), differentiable(), InputValues(call) as values:
        outputs = values.forward(values.given)
        by_step = outputs[:, None] if outputs.ndim == 2 else outputs.flatten(2)
        rows = []
        for t in range(by_step.shape[1]):
            squares = torch.zeros(values.given.shape[:2], dtype=by_step.dtype, device=by_step.device)
            for one in _chosen(by_step[:, t], kind):
                (gradient,) = torch.autograd.grad(one.sum(), values.given, retain_graph=True, allow_unused=True)
                if gradient is not None:
                    squares += gradient.square().flatten(2).sum(-1)
            rows.append(squares.sqrt().mean(0))
    return torch.stack(rows)


def _chosen(outputs: Tensor, kind: int | str) -> Sequence[Tensor]:
    """The values of the outputs of one step, [B, O], to go back from: [B] each."""
    if kind == "all":
        return outputs.unbind(1)
    if kind == "largest":
        return [outputs.amax(1)]
    if isinstance(kind, str):
        raise OptionError(f"There is no output {kind!r}: {did_you_mean(kind, ['all', 'largest'])}")
    if not 0 <= kind < outputs.shape[1]:
        raise OptionError(f"output is {kind}; expected a number from 0 to {outputs.shape[1] - 1}.")
    return [outputs[:, kind]]
