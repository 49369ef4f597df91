"""``tf.losses``: losses with weights, reductions, and the collection that holds them."""

from __future__ import annotations

from typing import Any

import torch

from holdfast.tf1.graph.arithmetic import absolute, add_n, log, squared_difference
from holdfast.tf1.graph.arrays import squeeze
from holdfast.tf1.graph.convert import constant, convert_to_tensor
from holdfast.tf1.graph.differentiation import stop_gradient
from holdfast.tf1.graph.dtypes import float32
from holdfast.tf1.graph.graph import get_default_graph, node
from holdfast.tf1.graph.maths import cast
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.networks import (
    sigmoid_cross_entropy_with_logits,
    softmax_cross_entropy_with_logits_v2,
    sparse_softmax_cross_entropy_with_logits,
)
from holdfast.tf1.graph.reductions import reduce_sum
from holdfast.tf1.graph.shapes import merged
from holdfast.tf1.graph.tensors import Tensor
from holdfast.tf1.graph.variables import GraphKeys

_LOSSES, _REGULARIZATION = GraphKeys.LOSSES, GraphKeys.REGULARIZATION_LOSSES


@public("losses.Reduction")
class Reduction:
    """How losses become one number: by which they are divided."""

    NONE = "none"
    SUM = "weighted_sum"
    SUM_OVER_BATCH_SIZE = "weighted_sum_over_batch_size"
    MEAN = "weighted_mean"
    SUM_OVER_NONZERO_WEIGHTS = "weighted_sum_by_nonzero_weights"
    SUM_BY_NONZERO_WEIGHTS = "weighted_sum_by_nonzero_weights"


BY_WEIGHTS = Reduction.SUM_BY_NONZERO_WEIGHTS


@public("losses.compute_weighted_loss", "contrib.losses.compute_weighted_loss")
def compute_weighted_loss(
    losses: Any, weights: Any = 1.0, scope: Any = None, loss_collection: Any = _LOSSES, reduction: str = BY_WEIGHTS
) -> Tensor:
    """Losses times weights, reduced to one number and added to a collection.

    Args:
        losses: The losses, of any shape.
        weights: A number, or a tensor of the losses' shape or with sizes of 1.
        scope: Accepted.
        loss_collection: Where it is added; None for nowhere.
        reduction: One of :class:`Reduction`; by default the sum is divided by the number of weights that are not zero.
    """
    values = convert_to_tensor(losses)
    values = values if values.dtype.is_floating else cast(values, float32)
    factors = convert_to_tensor(weights)
    factors = cast(factors, values.dtype)
    if reduction not in (Reduction.NONE, Reduction.SUM, Reduction.SUM_OVER_BATCH_SIZE, Reduction.MEAN, BY_WEIGHTS):
        raise ValueError(f"The reduction is {reduction!r}; expected one of tf.losses.Reduction.")

    def compute(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        if w.ndim and w.ndim == x.ndim - 1:
            w = w.unsqueeze(-1)
        weighted = x * w
        if reduction == Reduction.NONE:
            return weighted
        total = weighted.sum()
        if reduction == Reduction.SUM:
            return total
        if reduction == Reduction.SUM_OVER_BATCH_SIZE:
            return total / x.numel()
        spread = w.expand_as(x)
        count = spread.sum() if reduction == Reduction.MEAN else (spread != 0).sum().to(x.dtype)
        return torch.where(count == 0, 0, total / torch.where(count == 0, 1, count))

    sizes = values.sizes if reduction == Reduction.NONE else ()
    loss = node("WeightedLoss", compute, [values, factors], values.dtype, sizes, "value")
    add_loss(loss, loss_collection)
    return loss


@public("losses.add_loss", "contrib.losses.add_loss")
def add_loss(loss: Any, loss_collection: Any = _LOSSES) -> None:
    """Adds a loss to the collection from which :func:`get_total_loss` takes them."""
    if loss_collection:
        get_default_graph().add_to_collection(loss_collection, loss)


@public("losses.get_losses", "contrib.losses.get_losses")
def get_losses(scope: str | None = None, loss_collection: Any = _LOSSES) -> list[Tensor]:
    """The losses of the collection."""
    return get_default_graph().get_collection(loss_collection, scope)


@public("losses.get_regularization_losses", "contrib.losses.get_regularization_losses")
def get_regularization_losses(scope: str | None = None) -> list[Tensor]:
    """The losses of the regularizers of variables."""
    return get_default_graph().get_collection(_REGULARIZATION, scope)


@public("losses.get_regularization_loss")
def get_regularization_loss(scope: str | None = None, name: str = "total_regularization_loss") -> Tensor:
    """The sum of :func:`get_regularization_losses`; 0 without any."""
    found = get_regularization_losses(scope)
    return add_n(found, name) if found else constant(0.0)


@public("losses.get_total_loss", "contrib.losses.get_total_loss")
def get_total_loss(
    add_regularization_losses: bool = True, name: str = "total_loss", scope: str | None = None
) -> Tensor:
    """The sum of the losses of the collection, and of the regularization losses.

    Raises:
        ValueError: There are none.
    """
    found = [*get_losses(scope), *(get_regularization_losses(scope) if add_regularization_losses else [])]
    if not found:
        raise ValueError("get_total_loss found no losses; expected one: make it by tf.losses, or call add_loss.")
    return add_n(found, name)


def _pair(labels: Any, predictions: Any, what: str) -> tuple[Tensor, Tensor]:
    """Labels and predictions as tensors of one shape and dtype."""
    if labels is None or predictions is None:
        raise ValueError(f"{what} needs labels and predictions; got None.")
    guess = convert_to_tensor(predictions)
    guess = cast(guess, float32)
    truth = cast(convert_to_tensor(labels), guess.dtype)
    merged(truth.sizes, guess.sizes)
    return truth, guess


@public("losses.mean_squared_error")
def mean_squared_error(
    labels: Any, predictions: Any, weights: Any = 1.0, scope: Any = None, loss_collection: Any = _LOSSES,
    reduction: str = BY_WEIGHTS,
) -> Tensor:  # fmt: skip
    """The mean of the squared differences; :func:`compute_weighted_loss` says how weights count."""
    truth, guess = _pair(labels, predictions, "mean_squared_error")
    return compute_weighted_loss(squared_difference(guess, truth), weights, scope, loss_collection, reduction)


@public("losses.absolute_difference")
def absolute_difference(
    labels: Any, predictions: Any, weights: Any = 1.0, scope: Any = None, loss_collection: Any = _LOSSES,
    reduction: str = BY_WEIGHTS,
) -> Tensor:  # fmt: skip
    """The mean of the absolute differences."""
    truth, guess = _pair(labels, predictions, "absolute_difference")
    return compute_weighted_loss(absolute(guess - truth), weights, scope, loss_collection, reduction)


@public("losses.huber_loss")
def huber_loss(
    labels: Any, predictions: Any, weights: Any = 1.0, delta: float = 1.0, scope: Any = None,
    loss_collection: Any = _LOSSES, reduction: str = BY_WEIGHTS,
) -> Tensor:  # fmt: skip
    """Half the squared difference up to ``delta``, and from there on ``delta`` times what is further."""
    truth, guess = _pair(labels, predictions, "huber_loss")

    def compute(y: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        error = (p - y).abs()
        near = error.clamp(max=delta)
        return near.square() / 2 + delta * (error - near)

    losses = node("Huber", compute, [truth, guess], guess.dtype, merged(truth.sizes, guess.sizes))
    return compute_weighted_loss(losses, weights, scope, loss_collection, reduction)


@public("losses.log_loss")
def log_loss(
    labels: Any, predictions: Any, weights: Any = 1.0, epsilon: float = 1e-7, scope: Any = None,
    loss_collection: Any = _LOSSES, reduction: str = BY_WEIGHTS,
) -> Tensor:  # fmt: skip
    """The cross-entropy of probabilities."""
    truth, guess = _pair(labels, predictions, "log_loss")
    losses = -truth * log(guess + epsilon) - (1 - truth) * log(1 - guess + epsilon)
    return compute_weighted_loss(losses, weights, scope, loss_collection, reduction)


@public("losses.hinge_loss")
def hinge_loss(
    labels: Any, logits: Any, weights: Any = 1.0, scope: Any = None, loss_collection: Any = _LOSSES,
    reduction: str = BY_WEIGHTS,
) -> Tensor:  # fmt: skip
    """``max(0, 1 - y logits)`` with y = 2 labels - 1."""
    truth, scores = _pair(labels, logits, "hinge_loss")
    losses = node(
        "Hinge", lambda y, x: torch.relu(1 - (2 * y - 1) * x), [truth, scores], scores.dtype,
        merged(truth.sizes, scores.sizes),
    )  # fmt: skip
    return compute_weighted_loss(losses, weights, scope, loss_collection, reduction)


@public("losses.cosine_distance")
def cosine_distance(
    labels: Any, predictions: Any, axis: Any = None, weights: Any = 1.0, scope: Any = None,
    loss_collection: Any = _LOSSES, reduction: str = BY_WEIGHTS, dim: Any = None,
) -> Tensor:  # fmt: skip
    """1 less the product of unit vectors along an axis."""
    truth, guess = _pair(labels, predictions, "cosine_distance")
    losses = 1 - reduce_sum(truth * guess, dim if axis is None else axis, keepdims=True)
    return compute_weighted_loss(losses, weights, scope, loss_collection, reduction)


@public("losses.softmax_cross_entropy")
def softmax_cross_entropy(
    onehot_labels: Any, logits: Any, weights: Any = 1.0, label_smoothing: float = 0, scope: Any = None,
    loss_collection: Any = _LOSSES, reduction: str = BY_WEIGHTS,
) -> Tensor:  # fmt: skip
    """The cross-entropy of probabilities [..., K] and logits [..., K], the labels smoothed towards 1 / K."""
    scores = convert_to_tensor(logits)
    truth = cast(convert_to_tensor(onehot_labels), scores.dtype)
    if label_smoothing > 0:
        smooth = label_smoothing
        truth = node(
            "Smooth", lambda y: y * (1 - smooth) + smooth / y.shape[-1], [truth], truth.dtype, truth.sizes,
            gradient=False,
        )  # fmt: skip
    losses = softmax_cross_entropy_with_logits_v2(labels=stop_gradient(truth), logits=scores)
    return compute_weighted_loss(losses, weights, scope, loss_collection, reduction)


@public("losses.sparse_softmax_cross_entropy")
def sparse_softmax_cross_entropy(
    labels: Any, logits: Any, weights: Any = 1.0, scope: Any = None, loss_collection: Any = _LOSSES,
    reduction: str = BY_WEIGHTS,
) -> Tensor:  # fmt: skip
    """The cross-entropy of classes [...] and logits [..., K]."""
    scores, classes = convert_to_tensor(logits), convert_to_tensor(labels)
    if classes.sizes is not None and scores.sizes is not None and len(classes.sizes) == len(scores.sizes):
        classes = squeeze(classes, [-1])
    losses = sparse_softmax_cross_entropy_with_logits(labels=classes, logits=scores)
    return compute_weighted_loss(losses, weights, scope, loss_collection, reduction)


@public("losses.sigmoid_cross_entropy")
def sigmoid_cross_entropy(
    multi_class_labels: Any, logits: Any, weights: Any = 1.0, label_smoothing: float = 0, scope: Any = None,
    loss_collection: Any = _LOSSES, reduction: str = BY_WEIGHTS,
) -> Tensor:  # fmt: skip
    """The cross-entropy by elements of probabilities and logits, the labels smoothed towards 0.5."""
    scores = convert_to_tensor(logits)
    truth = cast(convert_to_tensor(multi_class_labels), scores.dtype)
    if label_smoothing > 0:
        truth = truth * (1 - label_smoothing) + 0.5 * label_smoothing
    losses = sigmoid_cross_entropy_with_logits(labels=truth, logits=scores)
    return compute_weighted_loss(losses, weights, scope, loss_collection, reduction)
