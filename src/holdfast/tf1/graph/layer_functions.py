"""Layers beside the dense ones: normalization, dropout, embeddings."""

from __future__ import annotations

from typing import Any

import torch

from holdfast.tf1.graph.arrays import identity, reshape
from holdfast.tf1.graph.arrays import shape as shape_of
from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.graph import get_default_graph, node, nodes
from holdfast.tf1.graph.indexing import embedding_lookup
from holdfast.tf1.graph.initial_values import Ones, Zeros
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.networks import dropout as nn_dropout
from holdfast.tf1.graph.normalizing import batch_normalization as normalized
from holdfast.tf1.graph.normalizing import moments
from holdfast.tf1.graph.scopes import get_variable, variable_scope
from holdfast.tf1.graph.shapes import product
from holdfast.tf1.graph.tensors import Tensor
from holdfast.tf1.graph.variables import GraphKeys

_UPDATES, _REGULARIZATION = GraphKeys.UPDATE_OPS, GraphKeys.REGULARIZATION_LOSSES


@public("layers.flatten", "contrib.layers.flatten")
def flatten(inputs: Any, name: str | None = None, outputs_collections: Any = None, scope: Any = None) -> Tensor:
    """[B, ...] as [B, values of a row]."""
    x = convert_to_tensor(inputs)
    if x.sizes is None or len(x.sizes) < 1:
        raise ValueError(f"flatten got {x.name} of shape {x.shape}; expected [batch, ...].")
    width = product(x.sizes[1:])
    if x.sizes[0] is not None or width is None:
        made = reshape(x, [x.sizes[0] if x.sizes[0] is not None else shape_of(x)[0], -1 if width is None else width])
        made.set_shape([x.sizes[0], width])
        return made
    return reshape(x, [-1, width])


@public("layers.dropout")
def dropout(
    inputs: Any, rate: Any = 0.5, noise_shape: Any = None, seed: int | None = None, training: Any = False,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """Dropout of ``rate`` of the values while ``training`` (a bool, or a tensor) holds; otherwise the same values."""
    return _dropped(inputs, 1 - rate, noise_shape, seed, training, name)


@public("contrib.layers.dropout")
def contrib_dropout(
    inputs: Any, keep_prob: Any = 0.5, noise_shape: Any = None, is_training: Any = True,
    outputs_collections: Any = None, scope: Any = None, seed: int | None = None,
) -> Tensor:  # fmt: skip
    """Dropout that keeps ``keep_prob`` of the values while ``is_training`` holds."""
    return _dropped(inputs, keep_prob, noise_shape, seed, is_training, None)


def _dropped(inputs: Any, keep: Any, noise_shape: Any, seed: int | None, training: Any, name: str | None) -> Tensor:
    if not isinstance(training, Tensor):
        return nn_dropout(inputs, keep, noise_shape, seed, name) if training else identity(inputs, name)
    x = convert_to_tensor(inputs)
    kept = convert_to_tensor(keep, x.dtype)
    chosen = node("Select", lambda t, k: k if t else torch.ones_like(k), [training, kept], x.dtype, ())
    return nn_dropout(x, chosen, noise_shape, seed, name)


def _normalized(
    inputs: Any, momentum: float, epsilon: float, names: tuple[Any, Any, Any, Any], initializers: tuple[Any, ...],
    training: Any, trainable: bool, axis: int = -1,
) -> tuple[Tensor, list[Any]]:  # fmt: skip
    """Batch normalization in the open scope, and the operations that keep the mean and variance of all batches."""
    x = convert_to_tensor(inputs)
    if x.sizes is None or x.sizes[axis] is None:
        raise ValueError(f"Axis {axis} of {x.name} has an unknown size; batch normalization needs it.")
    place, rank = axis % len(x.sizes), len(x.sizes)
    depth = x.sizes[place]
    own: list[Any] = [
        None if name is None else get_variable(name, [depth], x.dtype, first, trainable=trainable and number < 2)
        for number, (name, first) in enumerate(zip(names, initializers, strict=True))
    ]
    gamma, beta, mean, variance = own
    over = [each for each in range(rank) if each != place]
    fused = rank == 4 and place == 3  # TensorFlow's kernel for images keeps the variance over N - 1
    flag = convert_to_tensor(training, "bool")
    like = [1] * place + [-1] + [1] * (rank - place - 1)

    def batch(values: torch.Tensor, t: torch.Tensor, m: torch.Tensor, v: torch.Tensor) -> Any:
        if not t:
            return m, v, m, v
        found, spread = values.mean(over), values.var(over, correction=0)
        count = values.numel() // values.shape[place]
        whole = spread * (count / max(1, count - 1)) if fused else spread
        old_m, old_v = m.detach(), v.detach()
        return (
            found, spread, old_m - (old_m - found.detach()) * (1 - momentum),
            old_v - (old_v - whole.detach()) * (1 - momentum),
        )  # fmt: skip

    used = nodes("BatchMoments", batch, [x, flag, mean, variance], [(x.dtype, (depth,))] * 4)
    factors = [each for each in (gamma, beta) if each is not None]

    def normalize(values: torch.Tensor, m: torch.Tensor, v: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        made = (values - m.reshape(like)) * (v + epsilon).rsqrt().reshape(like)
        parts = list(rest)
        if gamma is not None:
            made = made * parts.pop(0).reshape(like)
        return made + parts.pop(0).reshape(like) if beta is not None else made

    outputs = node("BatchNorm", normalize, [x, used[0], used[1], *factors], x.dtype, x.sizes)
    return outputs, [mean.assign(used[2]), variance.assign(used[3])]


@public("layers.batch_normalization")
def batch_normalization(
    inputs: Any, axis: int = -1, momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
    beta_initializer: Any = None, gamma_initializer: Any = None, moving_mean_initializer: Any = None,
    moving_variance_initializer: Any = None, beta_regularizer: Any = None, gamma_regularizer: Any = None,
    beta_constraint: Any = None, gamma_constraint: Any = None, training: Any = False, trainable: bool = True,
    name: str | None = None, reuse: Any = None, **options: Any,
) -> Tensor:  # fmt: skip
    """Values less their mean, over their deviation: of the batch while ``training``, otherwise of all batches so far.

    What keeps those is in the collection ``tf.GraphKeys.UPDATE_OPS``.
    """
    first = (
        gamma_initializer or Ones(), beta_initializer or Zeros(), moving_mean_initializer or Zeros(),
        moving_variance_initializer or Ones(),
    )  # fmt: skip
    names = ("gamma" if scale else None, "beta" if center else None, "moving_mean", "moving_variance")
    with variable_scope(name, "batch_normalization", reuse=reuse):
        outputs, updates = _normalized(inputs, momentum, epsilon, names, first, training, trainable, axis)
    if isinstance(training, Tensor) or training:
        for update in updates:
            get_default_graph().add_to_collection(_UPDATES, update)
    return outputs


@public("contrib.layers.batch_norm")
def batch_norm(
    inputs: Any, decay: float = 0.999, center: bool = True, scale: bool = False, epsilon: float = 0.001,
    activation_fn: Any = None, param_initializers: Any = None, param_regularizers: Any = None,
    updates_collections: Any = _UPDATES, is_training: Any = True, reuse: Any = None, variables_collections: Any = None,
    outputs_collections: Any = None, trainable: bool = True, batch_weights: Any = None, fused: Any = None,
    data_format: str = "NHWC", zero_debias_moving_mean: bool = False, scope: Any = None, **options: Any,
) -> Tensor:  # fmt: skip
    """:func:`batch_normalization` of ``contrib.layers``; ``updates_collections=None`` keeps the means in each run."""
    given = param_initializers or {}
    first = (
        given.get("gamma", Ones()), given.get("beta", Zeros()), given.get("moving_mean", Zeros()),
        given.get("moving_variance", Ones()),
    )  # fmt: skip
    names = ("gamma" if scale else None, "beta" if center else None, "moving_mean", "moving_variance")
    with variable_scope(scope, "BatchNorm", reuse=reuse):
        axis = 1 if data_format.startswith("NC") else -1
        outputs, updates = _normalized(inputs, decay, epsilon, names, first, is_training, trainable, axis)
    if isinstance(is_training, Tensor) or is_training:
        if updates_collections is None:
            with get_default_graph().control_dependencies(updates):
                outputs = identity(outputs)
        else:
            for update in updates:
                get_default_graph().add_to_collection(updates_collections, update)
    return outputs if activation_fn is None else activation_fn(outputs)


@public("contrib.layers.layer_norm")
def layer_norm(
    inputs: Any, center: bool = True, scale: bool = True, activation_fn: Any = None, reuse: Any = None,
    variables_collections: Any = None, outputs_collections: Any = None, trainable: bool = True,
    begin_norm_axis: int = 1, begin_params_axis: int = -1, scope: Any = None,
) -> Tensor:  # fmt: skip
    """Values less their mean, over their deviation: of each row, from ``begin_norm_axis`` on (Ba et al. 2016)."""
    x = convert_to_tensor(inputs)
    if x.sizes is None or None in x.sizes[begin_params_axis:]:
        raise ValueError(f"{x.name} has shape {x.shape}; layer_norm needs the sizes from {begin_params_axis} on.")
    sizes = [size or 0 for size in x.sizes[begin_params_axis:]]
    over = list(range(len(x.sizes)))[begin_norm_axis:]
    with variable_scope(scope, "LayerNorm", reuse=reuse):
        beta = get_variable("beta", sizes, x.dtype, Zeros(), trainable=trainable) if center else None
        gamma = get_variable("gamma", sizes, x.dtype, Ones(), trainable=trainable) if scale else None
        mean, variance = moments(x, over, keepdims=True)
        outputs = normalized(x, mean, variance, beta, gamma, 1e-12)
    return outputs if activation_fn is None else activation_fn(outputs)


@public("contrib.layers.embed_sequence")
def embed_sequence(
    ids: Any, vocab_size: int | None = None, embed_dim: int | None = None, unique: bool = False,
    initializer: Any = None, regularizer: Any = None, trainable: bool = True, scope: Any = None, reuse: Any = None,
) -> Tensor:  # fmt: skip
    """Vectors [B, T, embed_dim] of ids [B, T], from a table of its own."""
    if not reuse and (vocab_size is None or embed_dim is None):
        raise ValueError("embed_sequence needs vocab_size and embed_dim to make its table; got None.")
    with variable_scope(scope, "EmbedSequence", reuse=reuse):
        sizes = None if vocab_size is None or embed_dim is None else [int(vocab_size), int(embed_dim)]
        table = get_variable("embeddings", sizes, "float32", initializer, regularizer, trainable)
        return embedding_lookup(table, ids)
