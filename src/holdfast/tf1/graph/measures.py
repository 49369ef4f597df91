"""``tf.metrics``: averages over many runs, kept in local variables."""

from __future__ import annotations

from typing import Any

import torch

from holdfast.tf1.graph.arithmetic import absolute, equal, logical_and, sqrt, squared_difference
from holdfast.tf1.graph.arrays import reshape
from holdfast.tf1.graph.convert import constant, convert_to_tensor
from holdfast.tf1.graph.dtypes import float32
from holdfast.tf1.graph.graph import get_default_graph, node
from holdfast.tf1.graph.maths import cast
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.scopes import variable_scope
from holdfast.tf1.graph.tensors import Tensor
from holdfast.tf1.graph.variables import LOCAL, Variable

Measure = tuple[Tensor, Tensor]
"""The value so far, and an operation that takes the values of this run in and returns the new value."""


def _local(name: str) -> Variable:
    return Variable(constant(0.0), trainable=False, collections=[LOCAL], name=name)


def _ratio(total: Tensor, count: Tensor, name: str) -> Tensor:
    return node(
        "DivNoNan",
        lambda a, b: torch.where(b == 0, 0, a / torch.where(b == 0, 1, b)),
        [total, count],
        float32,
        (),
        name,
    )


def _collected(measure: Measure, metrics_collections: Any, updates_collections: Any) -> Measure:
    graph = get_default_graph()
    for names, value in ((metrics_collections, measure[0]), (updates_collections, measure[1])):
        for name in [names] if isinstance(names, str) else names or ():
            graph.add_to_collection(name, value)
    return measure


def _averaged(values: Tensor, weights: Any, name: str) -> Measure:
    with variable_scope(None, name):
        total, count = _local("total"), _local("count")
        numbers = cast(values, float32)
        factors = cast(convert_to_tensor(1.0 if weights is None else weights), float32)

        def spread(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
            if w.ndim and w.ndim == x.ndim - 1:
                w = w.unsqueeze(-1)
            return w.expand_as(x)

        added = node("Sum", lambda x, w: (x * spread(x, w)).sum(), [numbers, factors], float32, ())
        number = node("Sum", lambda x, w: spread(x, w).sum(), [numbers, factors], float32, ())
        value = _ratio(total, count, "value")
        return value, _ratio(total.assign_add(added), count.assign_add(number), "update_op")


@public("metrics.mean")
def mean(
    values: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Measure:  # fmt: skip
    """The weighted mean of all values that were taken in.

    Returns:
        The mean so far, and an operation that takes the values of a run in and returns the new mean. What was taken in
        is in local variables: ``tf.local_variables_initializer()`` begins again.
    """
    measure = _averaged(convert_to_tensor(values), weights, name or "mean")
    return _collected(measure, metrics_collections, updates_collections)


@public("metrics.accuracy")
def accuracy(
    labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Measure:  # fmt: skip
    """How often the predictions are the labels, of all that were taken in; see :func:`mean`."""
    guess = convert_to_tensor(predictions)
    truth = cast(convert_to_tensor(labels), guess.dtype)
    if truth.sizes is not None and guess.sizes is not None and len(truth.sizes) == len(guess.sizes) + 1:
        truth = reshape(truth, [-1])
    measure = _averaged(equal(truth, guess), weights, name or "accuracy")
    return _collected(measure, metrics_collections, updates_collections)


@public("metrics.mean_squared_error")
def mean_squared_error(
    labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Measure:  # fmt: skip
    """The mean of the squared differences of all that were taken in; see :func:`mean`."""
    measure = _averaged(squared_difference(predictions, labels), weights, name or "mean_squared_error")
    return _collected(measure, metrics_collections, updates_collections)


@public("metrics.root_mean_squared_error")
def root_mean_squared_error(
    labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Measure:  # fmt: skip
    """The root of :func:`mean_squared_error`."""
    value, update = _averaged(squared_difference(predictions, labels), weights, name or "root_mean_squared_error")
    return _collected((sqrt(value), sqrt(update)), metrics_collections, updates_collections)


@public("metrics.mean_absolute_error")
def mean_absolute_error(
    labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Measure:  # fmt: skip
    """The mean of the absolute differences of all that were taken in; see :func:`mean`."""
    difference = absolute(convert_to_tensor(predictions) - labels)
    measure = _averaged(difference, weights, name or "mean_absolute_error")
    return _collected(measure, metrics_collections, updates_collections)


def _share(labels: Any, predictions: Any, weights: Any, name: str, of: str) -> Measure:
    """The true positives among the positive predictions or labels."""
    truth, guess = cast(labels, "bool"), cast(predictions, "bool")
    hits = logical_and(truth, guess)
    all_ = cast(guess if of == "predictions" else truth, float32)
    factors = all_ if weights is None else all_ * cast(convert_to_tensor(weights), float32)
    return _averaged(hits, factors, name)


@public("metrics.precision")
def precision(
    labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Measure:  # fmt: skip
    """How many positive predictions are right; see :func:`mean`."""
    measure = _share(labels, predictions, weights, name or "precision", "predictions")
    return _collected(measure, metrics_collections, updates_collections)


@public("metrics.recall")
def recall(
    labels: Any, predictions: Any, weights: Any = None, metrics_collections: Any = None,
    updates_collections: Any = None, name: str | None = None,
) -> Measure:  # fmt: skip
    """How many positive labels were predicted; see :func:`mean`."""
    measure = _share(labels, predictions, weights, name or "recall", "labels")
    return _collected(measure, metrics_collections, updates_collections)
