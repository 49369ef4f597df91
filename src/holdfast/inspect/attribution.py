"""Attribution: how much each word, letter, step or pixel of an input adds to an output.

Input x gradient is the first-order share of each input value. Integrated gradients (Sundararajan, Taly & Yan 2017,
"Axiomatic attribution for deep networks") average the gradient on the straight way from a baseline to the input, so the
shares add up to the difference of the two outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from holdfast.engines.lengths import Lengths
from holdfast.errors import OptionError, ShapeError
from holdfast.inspect.input_values import InputValues
from holdfast.inspect.model_call import ModelCall, model_call
from holdfast.inspect.observation import undisturbed
from holdfast.inspect.tracing import differentiable


@dataclass(frozen=True)
class Attribution:
    """How much each input adds to an output.

    Attributes:
        values: [B, T, C]: of each value of the input, such as each pixel of an image that is read by rows; of ids, each
            value of their vectors.
        output: The output that is explained, [B].
        tokens: The token of each step, row by row, for a model of texts; None for numbers.
        baseline_output: The output for the baseline, [B]; None for input x gradient.
        completeness_error: The sum of ``values`` of a row minus (``output`` - ``baseline_output``), [B]: what the
            finite number of steps left over. None for input x gradient.
    """

    values: Tensor
    output: Tensor
    tokens: tuple[tuple[str, ...], ...] | None = None
    baseline_output: Tensor | None = None
    completeness_error: Tensor | None = None

    @property
    def by_step(self) -> Tensor:
        """The sum over the values of each step, [B, T]: of each word, letter or step."""
        return self.values.sum(-1)


def input_times_gradient(
    model: Any,
    inputs: Any,
    lengths: Lengths | None = None,
    state: Any = None,
    *,
    target: int | Tensor | None = None,
    step: int | None = None,
) -> Attribution:
    """The input times the gradient of an output.

    Args:
        model: As for :func:`holdfast.inspect.record`.
        inputs: The same, without targets; ids are taken as their vectors, the output of the embedding.
        lengths: The same.
        state: The same.
        target: The number of the value of the output to explain, such as the class, one for all rows or [B]; None for
            the largest one of each row. An output with more axes, such as a forecast, is read as one row of values.
        step: The step of the output, from 0, of a model with an output per step; None for the last one of each row.

    Returns:
        The attribution.

    Raises:
        OptionError: There is no such target or step, or the model takes ids and has no embedding.
        DataError: The examples do not fit the model.
        ShapeError: The inputs, lengths or state do not fit the model.

    Example:
        >>> import torch, holdfast
        >>> from holdfast.inspect import input_times_gradient
        >>> input_times_gradient(holdfast.GRU(3, 4, batch_first=True), torch.randn(2, 5, 3), target=0).by_step.shape
        torch.Size([2, 5])
    """
    call = model_call(model, inputs, lengths, state)
    with undisturbed(call.network), differentiable(), InputValues(call) as values:
        outputs = _at_step(call, values.forward(values.given), step)
        chosen = _targets(outputs, target)
        output = outputs.gather(1, chosen[:, None])[:, 0]
        (gradient,) = torch.autograd.grad(output.sum(), values.given)
        shares = (values.given * gradient).detach()
    return Attribution(shares, output.detach(), _tokens(call))


def integrated_gradients(
    model: Any,
    inputs: Any,
    lengths: Lengths | None = None,
    state: Any = None,
    *,
    target: int | Tensor | None = None,
    step: int | None = None,
    baseline: int | float | Tensor | None = None,
    steps: int = 32,
) -> Attribution:
    """Integrated gradients of an output, by the rule of Gauss and Legendre.

    Args:
        model: As for :func:`input_times_gradient`.
        inputs: The same.
        lengths: The same.
        state: The same.
        target: The same; None for the largest value of the output for the inputs themselves.
        step: The same.
        baseline: Where the way starts: numbers that broadcast to [B, T, C]; for ids, the id of a token, such as the
            padding. None for zeros: for scaled inputs the mean of the training data, for ids a vector of zeros.
        steps: The number of points on the way; more make ``completeness_error`` smaller.

    Returns:
        The attribution, with ``completeness_error``.

    Raises:
        OptionError: As for :func:`input_times_gradient`, or ``steps`` is not a whole number from 1 on.
        DataError: The examples do not fit the model.
        ShapeError: The inputs, lengths, state or baseline do not fit the model.

    Example:
        >>> import torch, holdfast
        >>> from holdfast.inspect import integrated_gradients
        >>> layer = holdfast.GRU(3, 4, batch_first=True)
        >>> found = integrated_gradients(layer, torch.randn(2, 5, 3), target=0)
        >>> bool(found.completeness_error.abs().max() < 1e-4)
        True
    """
    if not isinstance(steps, int) or steps < 1:
        raise OptionError(f"steps is {steps!r}; expected a whole number from 1 on.")
    call = model_call(model, inputs, lengths, state)
    points, weights = np.polynomial.legendre.leggauss(steps)  # on [-1, 1]
    with undisturbed(call.network), differentiable(), InputValues(call) as values:
        end = values.given.detach()
        start = _baseline(values, baseline)
        with torch.no_grad():
            outputs = _at_step(call, values.forward(end), step)
            chosen = _targets(outputs, target)
            at_start = _at_step(call, values.forward(start), step).gather(1, chosen[:, None])[:, 0]
        mean = torch.zeros_like(end, dtype=torch.float64)
        for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
            between = torch.lerp(start, end, float(point)).requires_grad_()
            output = _at_step(call, values.forward(between), step).gather(1, chosen[:, None])
            (gradient,) = torch.autograd.grad(output.sum(), between)
            mean += float(weight) * gradient
    shares = mean * (end - start).double()
    output = outputs.gather(1, chosen[:, None])[:, 0]
    error = shares.flatten(1).sum(1) - (output.double() - at_start.double())
    return Attribution(shares.to(end.dtype), output, _tokens(call), at_start, error.to(end.dtype))


def _at_step(call: ModelCall, outputs: Tensor, step: int | None) -> Tensor:
    """The output at a step of each row, [B, O]; an output per row as it is."""
    if step is not None:
        if outputs.ndim < 3 or not 0 <= step < outputs.shape[1]:
            per_step = "an output per row" if outputs.ndim < 3 else f"outputs at the steps 0 to {outputs.shape[1] - 1}"
            raise OptionError(f"step is {step}; the model has {per_step}. Give another step, or none.")
        outputs = outputs[:, step]
    elif outputs.ndim == 3:
        outputs = call.last(outputs)
    return outputs.flatten(1) if outputs.ndim > 1 else outputs[:, None]


def _targets(outputs: Tensor, target: int | Tensor | None) -> Tensor:
    """The value of the output to explain of each row, [B]."""
    batch, count = outputs.shape
    if target is None:
        return outputs.detach().argmax(1)
    chosen = torch.as_tensor(target, device=outputs.device)
    if chosen.is_floating_point() or chosen.shape not in ((), (batch,)):
        raise ShapeError(f"target is {target!r}; expected a whole number, or one for each of the {batch} rows.")
    if bool(((chosen < 0) | (chosen >= count)).any()):
        raise OptionError(f"target is {target!r}; expected numbers from 0 to {count - 1}, the values of the output.")
    return chosen.long().expand(batch)


def _baseline(values: InputValues, baseline: int | float | Tensor | None) -> Tensor:
    end = values.given.detach()
    if baseline is None:
        return torch.zeros_like(end)
    if values.reads_ids and isinstance(baseline, int):
        return values.vector(baseline).expand_as(end).contiguous()
    start = torch.as_tensor(baseline, dtype=end.dtype, device=end.device)
    try:
        return start.expand_as(end).contiguous()
    except RuntimeError as error:
        raise ShapeError(
            f"baseline has shape {tuple(start.shape)}; expected one that broadcasts to {tuple(end.shape)}."
        ) from error


def _tokens(call: ModelCall) -> tuple[tuple[str, ...], ...] | None:
    if call.vocabulary is None:
        return None
    names = call.vocabulary.tokens
    rows = call.batch.tolist()
    lengths = [len(row) for row in rows] if call.lengths is None else call.lengths.tolist()
    return tuple(tuple(names[index] for index in row[:length]) for row, length in zip(rows, lengths, strict=True))
