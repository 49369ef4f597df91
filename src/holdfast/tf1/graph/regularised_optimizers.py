"""TensorFlow's optimisers with regularisation in their steps, each with its own arithmetic.

The equations are those of TensorFlow 1.15's kernels (core/kernels/training_ops.cc). g is the gradient, lr the rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.optimizers import Numbers, Optimizer, Tensors
from holdfast.tf1.graph.variables import Variable


@public("train.FtrlOptimizer")
class FtrlOptimizer(Optimizer):
    """Follow the regularised leader (McMahan et al. 2013)."""

    def __init__(
        self, learning_rate: Any, learning_rate_power: Any = -0.5, initial_accumulator_value: float = 0.1,
        l1_regularization_strength: Any = 0.0, l2_regularization_strength: Any = 0.0, use_locking: bool = False,
        name: str = "Ftrl", accum_name: str | None = None, linear_name: str | None = None,
        l2_shrinkage_regularization_strength: Any = 0.0,
    ) -> None:  # fmt: skip
        self.first_values = {"accum": initial_accumulator_value, "linear": 0.0}
        super().__init__(
            use_locking, name, learning_rate=learning_rate, power=learning_rate_power, l1=l1_regularization_strength,
            l2=l2_regularization_strength, shrinkage=l2_shrinkage_regularization_strength,
        )  # fmt: skip

    def step(self, weights: Tensors, grads: Tensors, slots: Sequence[Tensors], hyper: Numbers) -> None:
        """One step of the rule."""
        rate, power, l1, l2 = (hyper[key] for key in ("learning_rate", "power", "l1", "l2"))
        for w, g, a, linear in zip(weights, grads, *slots, strict=True):
            shrunk = g + 2 * hyper["shrinkage"] * w
            new = a + g.square()
            linear.add_(shrunk - (new.pow(-power) - a.pow(-power)) / rate * w)
            quadratic = new.pow(-power) / rate + 2 * l2
            w.copy_(torch.where(linear.abs() > l1, (linear.sign() * l1 - linear) / quadratic, 0.0))
            a.copy_(new)


@public("train.ProximalGradientDescentOptimizer")
class ProximalGradientDescentOptimizer(Optimizer):
    """Gradient descent, then the proximal operator of both regularisations (Duchi & Singer 2009)."""

    def __init__(
        self, learning_rate: Any, l1_regularization_strength: Any = 0.0, l2_regularization_strength: Any = 0.0,
        use_locking: bool = False, name: str = "ProximalGradientDescent",
    ) -> None:  # fmt: skip
        super().__init__(
            use_locking, name, learning_rate=learning_rate, l1=l1_regularization_strength, l2=l2_regularization_strength
        )

    def step(self, weights: Tensors, grads: Tensors, slots: Sequence[Tensors], hyper: Numbers) -> None:
        """One step of the rule."""
        for w, g in zip(weights, grads, strict=True):
            _proximal(w, g, hyper["learning_rate"], hyper)


@public("train.ProximalAdagradOptimizer")
class ProximalAdagradOptimizer(Optimizer):
    """As :class:`ProximalGradientDescentOptimizer`, with the rate of Adagrad."""

    def __init__(
        self, learning_rate: Any, initial_accumulator_value: float = 0.1, l1_regularization_strength: Any = 0.0,
        l2_regularization_strength: Any = 0.0, use_locking: bool = False, name: str = "ProximalAdagrad",
    ) -> None:  # fmt: skip
        self.first_values = {"accumulator": initial_accumulator_value}
        super().__init__(
            use_locking, name, learning_rate=learning_rate, l1=l1_regularization_strength, l2=l2_regularization_strength
        )

    def step(self, weights: Tensors, grads: Tensors, slots: Sequence[Tensors], hyper: Numbers) -> None:
        """One step of the rule."""
        for w, g, a in zip(weights, grads, slots[0], strict=True):
            a.addcmul_(g, g)
            _proximal(w, g, hyper["learning_rate"] / a.sqrt(), hyper)


def _proximal(w: torch.Tensor, g: torch.Tensor, rate: Any, hyper: Numbers) -> None:
    moved = w - rate * g
    if hyper["l1"] > 0:
        moved = moved.sign() * (moved.abs() - rate * hyper["l1"]).clamp_(min=0)
    w.copy_(moved / (1 + hyper["l2"] * rate))


@public("train.AdagradDAOptimizer")
class AdagradDAOptimizer(Optimizer):
    """Adagrad by dual averaging (Duchi et al. 2011).

    w = -lr s(G) / (sqrt(GG) + lr l2 t), with G and GG the sums of g and g^2, and s the shrinking by l1 t.
    """

    def __init__(
        self, learning_rate: Any, global_step: Variable, initial_gradient_squared_accumulator_value: float = 0.1,
        l1_regularization_strength: Any = 0.0, l2_regularization_strength: Any = 0.0, use_locking: bool = False,
        name: str = "AdagradDA",
    ) -> None:  # fmt: skip
        self.first_values = {
            "gradient_accumulator": 0.0,
            "gradient_squared_accumulator": initial_gradient_squared_accumulator_value,
        }
        super().__init__(
            use_locking, name, learning_rate=learning_rate, l1=l1_regularization_strength, l2=l2_regularization_strength
        )
        self._global_step = global_step

    def _own(self, variables: Sequence[Variable]) -> list[Variable]:
        return [*super()._own(variables), self._global_step]

    def step(self, weights: Tensors, grads: Tensors, slots: Sequence[Tensors], hyper: Numbers) -> None:
        """One step of the rule."""
        rate, count = hyper["learning_rate"], int(self._global_step.parameter) + 1
        for w, g, total, squares in zip(weights, grads, *slots, strict=True):
            total.add_(g)
            squares.addcmul_(g, g)
            shrunk = total
            if hyper["l1"] > 0:
                shrunk = total.sign() * (total.abs() - hyper["l1"] * count).clamp_(min=0)
            w.copy_(-rate * shrunk / (squares.sqrt() + rate * hyper["l2"] * count))
