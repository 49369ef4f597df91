"""Penalties on weights, and training with all of ``contrib.layers.optimize_loss``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from holdfast.tf1.graph.arithmetic import absolute, add_n
from holdfast.tf1.graph.arrays import identity
from holdfast.tf1.graph.clipping import clip_by_global_norm
from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.graph import get_default_graph
from holdfast.tf1.graph.initial_values import Constant
from holdfast.tf1.graph.names import find, public
from holdfast.tf1.graph.networks import l2_loss
from holdfast.tf1.graph.optimizers import Optimizer
from holdfast.tf1.graph.reductions import reduce_sum
from holdfast.tf1.graph.scopes import get_variable, variable_scope
from holdfast.tf1.graph.tensors import Tensor
from holdfast.tf1.graph.variables import GraphKeys


def _regularizer(function: Callable[[Tensor], Tensor], what: str, *names: str) -> None:
    def regularizer(scale: float, scope: Any = None) -> Callable[[Any], Tensor | None]:
        if scale < 0:
            raise ValueError(f"A regularizer got scale={scale}; expected 0 or more.")
        return lambda weights: None if scale == 0 else function(convert_to_tensor(weights)) * scale

    regularizer.__doc__ = f"A function of weights: ``scale`` times {what}."
    public(*names)(regularizer)


_regularizer(l2_loss, "half the sum of their squares", "contrib.layers.l2_regularizer")
_regularizer(lambda w: reduce_sum(absolute(w)), "the sum of their absolute values", "contrib.layers.l1_regularizer")


@public("contrib.layers.apply_regularization")
def apply_regularization(regularizer: Callable[..., Any], weights_list: Any = None) -> Tensor:
    """The sum of a regularizer over weights (all that are trained, by default); added to the regularization losses."""
    weights = (
        get_default_graph().get_collection(GraphKeys.TRAINABLE_VARIABLES)
        if weights_list is None
        else list(weights_list)
    )
    if not weights:
        raise ValueError("apply_regularization got no weights; expected a list of one or more.")
    found = [each for each in (regularizer(weight) for weight in weights) if each is not None]
    total = add_n(found) if found else convert_to_tensor(0.0)
    get_default_graph().add_to_collection(GraphKeys.REGULARIZATION_LOSSES, total)
    return total


_OPTIMIZERS = {
    "Adagrad": "train.AdagradOptimizer",
    "Adam": "train.AdamOptimizer",
    "Ftrl": "train.FtrlOptimizer",
    "Momentum": "train.MomentumOptimizer",
    "RMSProp": "train.RMSPropOptimizer",
    "SGD": "train.GradientDescentOptimizer",
}


@public("contrib.layers.optimize_loss")
def optimize_loss(
    loss: Any, global_step: Any, learning_rate: Any, optimizer: Any, gradient_noise_scale: Any = None,
    gradient_multipliers: Any = None, clip_gradients: Any = None, learning_rate_decay_fn: Any = None,
    update_ops: Any = None, variables: Any = None, name: str | None = None, summaries: Any = None,
    colocate_gradients_with_ops: bool = False, increment_global_step: bool = True,
) -> Tensor:  # fmt: skip
    """The loss, behind a step of an optimiser.

    Args:
        loss: The loss.
        global_step: The variable that counts the steps; None for the graph's own.
        learning_rate: A number or a tensor.
        optimizer: A name such as ``"Adam"``, an optimiser, its class, or a function of the learning rate.
        gradient_noise_scale: None.
        gradient_multipliers: None.
        clip_gradients: The largest norm of all gradients together, or a function of the pairs; None for none.
        learning_rate_decay_fn: A function of the learning rate and the step.
        update_ops: What runs before; ``UPDATE_OPS`` by default.
        variables: What is trained; all by default.
        name: Of the scope.
        summaries: Accepted.
        colocate_gradients_with_ops: Accepted.
        increment_global_step: Whether the steps are counted.

    Raises:
        NotImplementedError: Noise or multipliers are asked for.
        ValueError: There is no optimiser of that name.
    """
    if gradient_noise_scale is not None or gradient_multipliers is not None:
        raise NotImplementedError("optimize_loss got gradient noise or multipliers; expected None.")
    graph = get_default_graph()
    step = find("train.get_global_step")() if global_step is None else global_step
    with variable_scope(name, "OptimizeLoss"):
        before = graph.get_collection(GraphKeys.UPDATE_OPS) if update_ops is None else list(update_ops)
        with graph.control_dependencies(before):
            loss = identity(loss)
        rate = learning_rate
        if isinstance(rate, int | float):
            rate = get_variable("learning_rate", [], "float32", Constant(rate), trainable=False)
        if learning_rate_decay_fn is not None:
            rate = learning_rate_decay_fn(rate, step)
        made = _optimizer(optimizer, rate)
        pairs = made.compute_gradients(loss, variables)
        if callable(clip_gradients):
            pairs = clip_gradients(pairs)
        elif clip_gradients is not None:
            clipped, _ = clip_by_global_norm([gradient for gradient, _ in pairs], clip_gradients)
            pairs = list(zip(clipped, [variable for _, variable in pairs], strict=True))
        train = made.apply_gradients(pairs, step if increment_global_step else None)
        with graph.control_dependencies([train]):
            return identity(loss)


def _optimizer(optimizer: Any, rate: Any) -> Optimizer:
    if isinstance(optimizer, str):
        if optimizer not in _OPTIMIZERS:
            raise ValueError(f"There is no optimizer {optimizer!r}; expected one of {', '.join(_OPTIMIZERS)}.")
        optimizer = find(_OPTIMIZERS[optimizer])
    return optimizer if isinstance(optimizer, Optimizer) else optimizer(rate)
