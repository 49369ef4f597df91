"""Losses of sequences: ``tf.contrib.seq2seq.sequence_loss``, and the older ones over lists of steps."""

from __future__ import annotations

from typing import Any

from holdfast.tf1.graph.arithmetic import add_n, multiply, not_equal, truediv
from holdfast.tf1.graph.arrays import reshape, shape
from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.maths import cast
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.networks import sparse_softmax_cross_entropy_with_logits
from holdfast.tf1.graph.reductions import reduce_sum
from holdfast.tf1.graph.tensors import Tensor

_SMALL = 1e-12  # against a division by no weights


def _cross_entropy(targets: Tensor, logits: Tensor, function: Any) -> Tensor:
    """The losses of steps, by the program's own function of labels and logits or by the cross-entropy."""
    if function is None:
        return sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits)
    try:
        return function(labels=targets, logits=logits)  # type: ignore[no-any-return]
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        return function(targets, logits)  # type: ignore[no-any-return]


@public("contrib.seq2seq.sequence_loss")
def sequence_loss(
    logits: Any, targets: Any, weights: Any, average_across_timesteps: bool = True, average_across_batch: bool = True,
    softmax_loss_function: Any = None, name: str | None = None, sum_over_timesteps: bool = False,
    sum_over_batch: bool = False,
) -> Tensor:  # fmt: skip
    """The weighted cross-entropy of sequences.

    Args:
        logits: Unnormalised log probabilities [B, T, K].
        targets: Classes [B, T].
        weights: Weights [B, T].
        average_across_timesteps: Whether the losses of a row are summed and divided by its weights.
        average_across_batch: Whether the losses of a step are summed and divided by its weights; with both, one number.
        softmax_loss_function: A function of labels and logits; the cross-entropy by default.
        name: Of the operation.
        sum_over_timesteps: Whether the losses of a row are summed and divided by its number of steps with weight.
        sum_over_batch: As ``sum_over_timesteps``, of the losses of a step.

    Returns:
        One number, or [B] without the average across the batch, [T] without that across time, [B, T] without both.

    Raises:
        ValueError: The logits, targets or weights have another number of dimensions, or flags contradict each other.
    """
    if (average_across_timesteps and sum_over_timesteps) or (average_across_batch and sum_over_batch):
        raise ValueError("sequence_loss got an average and a sum over the same dimension; expected one of them.")
    scores, classes = convert_to_tensor(logits), convert_to_tensor(targets)
    factors = convert_to_tensor(weights)
    for tensor, rank, what in ((scores, 3, "logits"), (classes, 2, "targets"), (factors, 2, "weights")):
        if tensor.sizes is not None and len(tensor.sizes) != rank:
            raise ValueError(f"sequence_loss got {what} of shape {tensor.shape}; expected {rank} dimensions.")
    flat = _cross_entropy(classes, scores, softmax_loss_function) if softmax_loss_function is None else reshape(
        _cross_entropy(reshape(classes, [-1]), _rows(scores), softmax_loss_function), shape(classes)
    )  # fmt: skip
    factors = cast(factors, flat.dtype)
    losses = multiply(flat, factors)
    if average_across_timesteps and average_across_batch:
        return truediv(reduce_sum(losses), reduce_sum(factors) + _SMALL)
    if sum_over_timesteps and sum_over_batch:
        return truediv(reduce_sum(losses), _counted(factors, None) + _SMALL)
    for axis, averaged, summed in (
        (1, average_across_timesteps, sum_over_timesteps), (0, average_across_batch, sum_over_batch),
    ):  # fmt: skip
        if averaged:
            return truediv(reduce_sum(losses, axis), reduce_sum(factors, axis) + _SMALL)
        if summed:
            return truediv(reduce_sum(losses, axis), _counted(factors, axis) + _SMALL)
    return losses  # type: ignore[no-any-return]


def _rows(logits: Tensor) -> Tensor:
    classes = None if logits.sizes is None else logits.sizes[2]
    return reshape(logits, [-1, shape(logits)[2] if classes is None else classes])


def _counted(weights: Tensor, axis: int | None) -> Any:
    return reduce_sum(cast(not_equal(weights, 0), weights.dtype), axis)


@public("contrib.legacy_seq2seq.sequence_loss_by_example")
def sequence_loss_by_example(
    logits: Any, targets: Any, weights: Any, average_across_timesteps: bool = True, softmax_loss_function: Any = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """The weighted cross-entropy [B] of lists of steps.

    Args:
        logits: A list of unnormalised log probabilities [B, K].
        targets: A list of classes [B].
        weights: A list of weights [B].
        average_across_timesteps: Whether the sum is divided by the sum of the weights.
        softmax_loss_function: A function of labels and logits; the cross-entropy by default.
        name: Of the operation.

    Raises:
        ValueError: The lists are not of one length.
    """
    if not len(logits) == len(targets) == len(weights):
        raise ValueError(
            f"Got {len(logits)} logits, {len(targets)} targets and {len(weights)} weights; expected as many of each."
        )
    factors = [convert_to_tensor(weight) for weight in weights]
    losses = []
    for score, target, weight in zip(logits, targets, factors, strict=True):
        loss = _cross_entropy(reshape(target, [-1]), convert_to_tensor(score), softmax_loss_function)
        losses.append(multiply(loss, cast(weight, loss.dtype)))
    total = add_n(losses)
    if average_across_timesteps:
        total = truediv(total, add_n([cast(weight, total.dtype) for weight in factors]) + _SMALL)
    return total


@public("contrib.legacy_seq2seq.sequence_loss")
def legacy_sequence_loss(
    logits: Any, targets: Any, weights: Any, average_across_timesteps: bool = True, average_across_batch: bool = True,
    softmax_loss_function: Any = None, name: str | None = None,
) -> Tensor:  # fmt: skip
    """The sum of :func:`sequence_loss_by_example`, divided by the size of the batch if ``average_across_batch``."""
    cost = reduce_sum(
        sequence_loss_by_example(logits, targets, weights, average_across_timesteps, softmax_loss_function)
    )
    if not average_across_batch:
        return cost  # type: ignore[no-any-return]
    return truediv(cost, cast(shape(convert_to_tensor(targets[0]))[0], cost.dtype))
