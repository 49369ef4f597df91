"""Learning rates that change with the step, and the count of steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.dtypes import float32
from holdfast.tf1.graph.graph import get_default_graph, node
from holdfast.tf1.graph.initial_values import Zeros
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.scopes import get_variable
from holdfast.tf1.graph.tensors import Tensor
from holdfast.tf1.graph.variables import GraphKeys, Variable


def _schedule(rule: Callable[..., torch.Tensor], name: str | None, rate: Any, step: Any, *numbers: Any) -> Tensor:
    """A learning rate from the step, by a rule of both and of further numbers or tensors."""
    if step is None:
        raise ValueError("A schedule got global_step=None; expected the variable that counts the steps.")
    first = convert_to_tensor(rate, None if isinstance(rate, Tensor) else float32)
    rest = [convert_to_tensor(each, None if isinstance(each, Tensor) else first.dtype) for each in numbers]
    to = first.dtype.torch

    def compute(lr: torch.Tensor, t: torch.Tensor, *more: torch.Tensor) -> torch.Tensor:
        return rule(lr, t.to(to), *(each.to(to) for each in more))

    return node("LearningRate", compute, [first, convert_to_tensor(step), *rest], first.dtype, (), name)


def _periods(t: torch.Tensor, steps: torch.Tensor, staircase: bool) -> torch.Tensor:
    return torch.floor(t / steps) if staircase else t / steps


@public("train.exponential_decay")
def exponential_decay(
    learning_rate: Any, global_step: Any, decay_steps: Any, decay_rate: Any, staircase: bool = False,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """``learning_rate decay_rate ** (global_step / decay_steps)``; in whole periods with ``staircase``.

    Example:
        >>> from holdfast.tf1 import graph as tf
        >>> with tf.Graph().as_default(), tf.Session() as session:
        ...     session.run(tf.train.exponential_decay(0.5, tf.constant(20), 10, 0.5))
        np.float32(0.125)
    """
    return _schedule(
        lambda lr, t, steps, rate: lr * rate ** _periods(t, steps, staircase), name or "ExponentialDecay",
        learning_rate, global_step, decay_steps, decay_rate,
    )  # fmt: skip


@public("train.natural_exp_decay")
def natural_exp_decay(
    learning_rate: Any, global_step: Any, decay_steps: Any, decay_rate: Any, staircase: bool = False,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """``learning_rate exp(-decay_rate global_step / decay_steps)``."""
    return _schedule(
        lambda lr, t, steps, rate: lr * torch.exp(-rate * _periods(t, steps, staircase)),
        name or "ExponentialTimeDecay", learning_rate, global_step, decay_steps, decay_rate,
    )  # fmt: skip


@public("train.inverse_time_decay")
def inverse_time_decay(
    learning_rate: Any, global_step: Any, decay_steps: Any, decay_rate: Any, staircase: bool = False,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """``learning_rate / (1 + decay_rate global_step / decay_steps)``."""
    return _schedule(
        lambda lr, t, steps, rate: lr / (1 + rate * _periods(t, steps, staircase)), name or "InverseTimeDecay",
        learning_rate, global_step, decay_steps, decay_rate,
    )  # fmt: skip


@public("train.polynomial_decay")
def polynomial_decay(
    learning_rate: Any, global_step: Any, decay_steps: Any, end_learning_rate: Any = 0.0001, power: Any = 1.0,
    cycle: bool = False, name: str | None = None,
) -> Tensor:  # fmt: skip
    """From ``learning_rate`` to ``end_learning_rate`` in ``decay_steps``; with ``cycle``, in ever longer cycles."""

    def rule(lr: torch.Tensor, t: torch.Tensor, steps: torch.Tensor, end: Any, p: Any) -> torch.Tensor:
        if cycle:
            steps = steps * torch.clamp(torch.ceil(t / steps), min=1)
        else:
            t = torch.minimum(t, steps)
        return (lr - end) * (1 - t / steps) ** p + end  # type: ignore[no-any-return]

    return _schedule(rule, name or "PolynomialDecay", learning_rate, global_step, decay_steps, end_learning_rate, power)


@public("train.cosine_decay")
def cosine_decay(
    learning_rate: Any, global_step: Any, decay_steps: Any, alpha: float = 0.0, name: str | None = None
) -> Tensor:
    """Along half a cosine, from ``learning_rate`` to ``alpha`` times it in ``decay_steps``."""

    def rule(lr: torch.Tensor, t: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        wave = 0.5 * (1 + torch.cos(math.pi * torch.minimum(t, steps) / steps))
        return lr * ((1 - alpha) * wave + alpha)

    return _schedule(rule, name or "CosineDecay", learning_rate, global_step, decay_steps)


@public("train.piecewise_constant", "train.piecewise_constant_decay")
def piecewise_constant(x: Any, boundaries: Any, values: Any, name: str | None = None) -> Tensor:
    """The first value up to the first boundary, itself included; then the second up to the second; and so on.

    Raises:
        ValueError: There is not one value more than boundaries.
    """
    if len(boundaries) != len(values) - 1:
        raise ValueError(f"Got {len(boundaries)} boundaries and {len(values)} values; expected one value more.")
    step = convert_to_tensor(x)
    levels = convert_to_tensor(values)
    edges = [float(edge) for edge in boundaries]

    def compute(t: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
        return found[sum(float(t) > edge for edge in edges)]

    return node("PiecewiseConstant", compute, [step, levels], levels.dtype, (), name or "PiecewiseConstant")


@public("train.get_global_step", "contrib.framework.get_global_step")
def get_global_step(graph: Any = None) -> Variable | None:
    """The graph's count of steps; None if it has none."""
    found = (graph or get_default_graph()).get_collection(GraphKeys.GLOBAL_STEP)
    return found[0] if found else None


@public("train.create_global_step", "contrib.framework.create_global_step")
def create_global_step(graph: Any = None) -> Variable:
    """Makes the graph's count of steps, an int64 variable ``global_step``.

    Raises:
        ValueError: It has one.
    """
    target = graph or get_default_graph()
    if get_global_step(target) is not None:
        raise ValueError("The graph has a global_step already; expected none. Use tf.train.get_or_create_global_step.")
    with target.as_default(), target.name_scope(None):
        step = get_variable("global_step", [], "int64", Zeros(), trainable=False)
    target.add_to_collection(GraphKeys.GLOBAL_STEP, step)
    return step


@public("train.get_or_create_global_step", "contrib.framework.get_or_create_global_step")
def get_or_create_global_step(graph: Any = None) -> Variable:
    """The graph's count of steps, made if there is none."""
    step = get_global_step(graph)
    return create_global_step(graph) if step is None else step


@public("train.global_step")
def global_step(sess: Any, global_step_tensor: Any) -> int:
    """The number of steps in a session."""
    return int(sess.run(global_step_tensor))


@public("contrib.framework.get_variables", "contrib.framework.get_variables_to_restore")
def get_variables(
    scope: Any = None, suffix: str | None = None, collection: str = GraphKeys.GLOBAL_VARIABLES
) -> list[Variable]:
    """The variables whose names begin with a scope, and end with a suffix."""
    name = getattr(scope, "name", scope)
    found = get_default_graph().get_collection(collection, name)
    return [each for each in found if suffix is None or each.op.name.endswith(suffix)]
