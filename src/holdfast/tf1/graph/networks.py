"""``tf.nn``: activations, softmax and cross-entropy, dropout."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from holdfast.tf1.graph.arithmetic import exp, unary
from holdfast.tf1.graph.arrays import concat
from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.graph import node
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.products import matmul
from holdfast.tf1.graph.randoms import random_node
from holdfast.tf1.graph.shapes import broadcast, merged
from holdfast.tf1.graph.tensors import Tensor

relu = unary("Relu", torch.relu, "nn.relu")
relu6 = unary("Relu6", F.relu6, "nn.relu6")
elu = unary("Elu", F.elu, "nn.elu")
selu = unary("Selu", F.selu, "nn.selu")
softplus = unary("Softplus", F.softplus, "nn.softplus")
softsign = unary("Softsign", F.softsign, "nn.softsign")
log_sigmoid = unary("LogSigmoid", F.logsigmoid, "log_sigmoid")


@public("nn.leaky_relu")
def leaky_relu(features: Any, alpha: float = 0.2, name: str | None = None) -> Tensor:
    """X for positive x, otherwise alpha x."""
    x = convert_to_tensor(features)
    return node("LeakyRelu", lambda value: F.leaky_relu(value, alpha), [x], x.dtype, x.sizes, name)


@public("nn.softmax")
def softmax(logits: Any, axis: Any = None, name: str | None = None, dim: Any = None) -> Tensor:
    """Probabilities along an axis, the last by default."""
    x, place = convert_to_tensor(logits), _last(axis, dim)
    return node("Softmax", lambda value: torch.softmax(value, place), [x], x.dtype, x.sizes, name)


@public("nn.log_softmax")
def log_softmax(logits: Any, axis: Any = None, name: str | None = None, dim: Any = None) -> Tensor:
    """The logarithms of :func:`softmax`."""
    x, place = convert_to_tensor(logits), _last(axis, dim)
    return node("LogSoftmax", lambda value: torch.log_softmax(value, place), [x], x.dtype, x.sizes, name)


def _last(axis: Any, dim: Any) -> int:
    given = dim if axis is None else axis
    return -1 if given is None else int(given)


def _cross_entropy(logits: Any, labels: Any, axis: int, name: str | None, constants: tuple[int, ...]) -> Tensor:
    x = convert_to_tensor(logits)
    y = convert_to_tensor(labels, x.dtype if not isinstance(labels, Tensor) else None)
    if y.dtype != x.dtype:
        raise TypeError(
            f"The labels are {y.dtype.name} and the logits {x.dtype.name}; expected one dtype: use tf.cast."
        )
    sizes = merged(x.sizes, y.sizes)

    def compute(scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if scores.shape != target.shape:
            raise ValueError(f"logits {tuple(scores.shape)}, labels {tuple(target.shape)}; expected one shape")
        return _CrossEntropy.apply(scores, target.detach() if constants else target, axis)  # type: ignore[no-any-return,no-untyped-call]

    rest = None if sizes is None else tuple(s for place, s in enumerate(sizes) if place != axis % len(sizes))
    return node("SoftmaxCrossEntropy", compute, [x, y], x.dtype, rest, name, constants=constants)


class _CrossEntropy(torch.autograd.Function):
    """With TensorFlow's gradient, softmax - labels, also where the labels do not sum to 1."""

    @staticmethod
    def forward(context: Any, scores: torch.Tensor, target: torch.Tensor, axis: int) -> torch.Tensor:
        context.save_for_backward(scores, target)
        context.axis = axis
        return -(target * torch.log_softmax(scores, axis)).sum(axis)

    @staticmethod
    def backward(context: Any, grad: torch.Tensor) -> tuple[Any, ...]:
        scores, target = context.saved_tensors
        above = grad.unsqueeze(context.axis)
        logs = torch.log_softmax(scores, context.axis)
        wanted = context.needs_input_grad
        return (logs.exp() - target) * above, -logs * above if wanted[1] else None, None


@public("nn.softmax_cross_entropy_with_logits")
def softmax_cross_entropy_with_logits(
    *by_position: Any, labels: Any = None, logits: Any = None, dim: int = -1, axis: Any = None, name: str | None = None,
) -> Tensor:  # fmt: skip
    """Cross-entropy [...] of unnormalised log probabilities [..., K] and probabilities [..., K].

    Values by position are (logits, labels), as before TensorFlow 1.0. No gradient flows into the labels.

    Raises:
        ValueError: The logits or the labels are missing, or their shapes differ.
    """
    if by_position:
        logits = by_position[0]
        labels = by_position[1] if len(by_position) > 1 else labels
    if labels is None or logits is None:
        raise ValueError("softmax_cross_entropy_with_logits needs both logits= and labels=.")
    return _cross_entropy(logits, labels, int(dim if axis is None else axis), name, (1,))


@public("nn.softmax_cross_entropy_with_logits_v2")
def softmax_cross_entropy_with_logits_v2(
    labels: Any, logits: Any, axis: Any = None, name: str | None = None, dim: Any = None
) -> Tensor:
    """:func:`softmax_cross_entropy_with_logits` with a gradient into the labels too."""
    return _cross_entropy(logits, labels, _last(axis, dim), name, ())


@public("nn.sparse_softmax_cross_entropy_with_logits")
def sparse_softmax_cross_entropy_with_logits(
    *by_position: Any, labels: Any = None, logits: Any = None, name: str | None = None
) -> Tensor:
    """Cross-entropy [...] of unnormalised log probabilities [..., K] and classes [...].

    Values by position are (logits, labels), as before TensorFlow 1.0.

    Raises:
        ValueError: The logits or the labels are missing, or their shapes do not fit.
    """
    if by_position:
        logits = by_position[0]
        labels = by_position[1] if len(by_position) > 1 else labels
    if labels is None or logits is None:
        raise ValueError("sparse_softmax_cross_entropy_with_logits needs both logits= and labels=.")
    x, y = convert_to_tensor(logits), convert_to_tensor(labels)
    sizes = merged(y.sizes, None if x.sizes is None else x.sizes[:-1])

    def compute(scores: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        flat = F.cross_entropy(scores.reshape(-1, scores.shape[-1]), classes.reshape(-1).long(), reduction="none")
        return flat.reshape(classes.shape)

    return node("SparseSoftmaxCrossEntropy", compute, [x, y], x.dtype, sizes, name)


@public("nn.sigmoid_cross_entropy_with_logits")
def sigmoid_cross_entropy_with_logits(
    *by_position: Any, labels: Any = None, logits: Any = None, name: str | None = None
) -> Tensor:
    """Cross-entropy by elements of logits of probabilities and probabilities; by position (logits, labels)."""
    if by_position:
        logits = by_position[0]
        labels = by_position[1] if len(by_position) > 1 else labels
    x = convert_to_tensor(logits)
    y = convert_to_tensor(labels, x.dtype)
    return node(
        "SigmoidCrossEntropy",
        lambda scores, target: scores.clamp(min=0) - scores * target + torch.log1p(torch.exp(-scores.abs())),
        [x, y], x.dtype, merged(x.sizes, y.sizes), name,
    )  # fmt: skip


@public("nn.dropout")
def dropout(
    x: Any, keep_prob: Any = None, noise_shape: Any = None, seed: int | None = None, name: str | None = None,
    rate: Any = None,
) -> Tensor:  # fmt: skip
    """Each value with the probability ``keep_prob`` divided by it, otherwise 0; a new mask in each run."""
    values = convert_to_tensor(x)
    keep = convert_to_tensor(1 - rate if keep_prob is None else keep_prob, values.dtype)
    shape = None if noise_shape is None else [-1 if size is None else int(size) for size in noise_shape]

    def draw(generator: torch.Generator | None, inputs: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        chance = float(kept)
        if not 0 < chance <= 1:
            raise ValueError(f"keep_prob is {chance}; expected a probability above 0 and at most 1")
        if chance == 1:
            return inputs
        sizes = inputs.shape if shape is None else [inputs.shape[i] if s < 0 else s for i, s in enumerate(shape)]
        mask = torch.empty(sizes, dtype=inputs.dtype).bernoulli_(chance, generator=generator)
        return inputs * mask.div_(chance)

    result = random_node("Dropout", draw, [values, keep], values.dtype, values.sizes, seed, name or "dropout")
    result.op.settings["constants"] = (1,)
    return result


@public("nn.bias_add")
def bias_add(value: Any, bias: Any, data_format: str | None = None, name: str | None = None) -> Tensor:
    """A vector added to the last dimension."""
    x = convert_to_tensor(value)
    b = convert_to_tensor(bias, x.dtype)
    return node("BiasAdd", torch.add, [x, b], x.dtype, broadcast(x.sizes, b.sizes), name or "BiasAdd")


@public("nn.xw_plus_b")
def xw_plus_b(x: Any, weights: Any, biases: Any, name: str | None = None) -> Tensor:
    """X W + b."""
    return bias_add(matmul(x, weights), biases, name=name or "xw_plus_b")


@public("nn.relu_layer")
def relu_layer(x: Any, weights: Any, biases: Any, name: str | None = None) -> Tensor:
    """The positive part of X W + b."""
    return relu(xw_plus_b(x, weights, biases), name)  # type: ignore[no-any-return]


@public("nn.crelu")
def crelu(features: Any, name: str | None = None, axis: int = -1) -> Tensor:
    """The positive parts of x and of -x, side by side."""
    x = convert_to_tensor(features)
    return relu(concat([x, -x], axis), name)  # type: ignore[no-any-return]


@public("nn.weighted_cross_entropy_with_logits")
def weighted_cross_entropy_with_logits(
    labels: Any = None, logits: Any = None, pos_weight: Any = None, name: str | None = None, targets: Any = None
) -> Tensor:
    """:func:`sigmoid_cross_entropy_with_logits` with the part of positive labels times ``pos_weight``."""
    x = convert_to_tensor(logits)
    y = convert_to_tensor(labels if targets is None else targets, x.dtype)
    weight = convert_to_tensor(pos_weight, x.dtype)
    return node(
        "WeightedCrossEntropy",
        lambda scores, target, w: (1 - target) * scores + (1 + (w - 1) * target) * F.softplus(-scores),
        [x, y, weight], x.dtype, merged(x.sizes, y.sizes), name,
    )  # fmt: skip


@public("nn.log_poisson_loss")
def log_poisson_loss(targets: Any, log_input: Any, compute_full_loss: bool = False, name: str | None = None) -> Tensor:
    """``exp(log_input) - log_input targets``; the terms of the targets alone are left out.

    Raises:
        NotImplementedError: ``compute_full_loss`` is asked for.
    """
    if compute_full_loss:
        raise NotImplementedError("log_poisson_loss got compute_full_loss=True; expected False.")
    x = convert_to_tensor(log_input)
    y = convert_to_tensor(targets, x.dtype)
    return exp(x) - x * y  # type: ignore[no-any-return]


@public("nn.l2_loss")
def l2_loss(t: Any, name: str | None = None) -> Tensor:
    """Half the sum of squares."""
    tensor = convert_to_tensor(t)
    return node("L2Loss", lambda x: x.square().sum() / 2, [tensor], tensor.dtype, (), name or "L2Loss")
