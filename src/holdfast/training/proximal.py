"""Optimisers that apply an l1 and an l2 penalty exactly, not by its gradient; torch.optim does not have them.

With l1 > 0, weights become exactly 0 and stay there. In the equations, which hold per weight, w is the weight, g its
gradient, lr the learning rate, l1 and l2 the penalties, and S(v, a) = sign(v) max(|v| - a, 0) the soft threshold.

TensorFlow 1 has the same four, with two differences. Its Ftrl and AdagradDA ignore the initial weights: they measure
the distance of a weight from 0. Deep networks hardly learn that way, so these here measure the distance from the
initial weight. With initial weights of 0 both are equal. And its l2 for Ftrl is half of this l2: its penalty is l2 w².
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT


class ProximalOptimizer(torch.optim.Optimizer):
    """The base class of the four: checks the arguments and loops over the parameters."""

    _ABOVE_ZERO = ("lr", "initial_accumulator_value")

    def __init__(self, params: ParamsT, **defaults: float) -> None:
        for name, value in defaults.items():
            least = "above 0" if name in self._ABOVE_ZERO else "from 0"
            if not math.isfinite(value) or value < 0 or (value == 0 and name in self._ABOVE_ZERO):
                raise ValueError(f"{name} is {value}; expected a number {least}.")
        super().__init__(params, defaults)

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Makes one update.

        Args:
            closure: Computes the loss and its gradient again; None if the gradient is there.

        Returns:
            The result of the closure.
        """
        loss = None if closure is None else closure()
        with torch.no_grad():
            for group in self.param_groups:
                for weight in group["params"]:
                    if weight.grad is not None:
                        self._update(weight, weight.grad, self.state[weight], group)
        return loss

    @abstractmethod
    def _update(self, w: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Changes ``w`` in place; ``state`` is empty at its first update."""


class ProximalSGD(ProximalOptimizer):
    """Proximal gradient descent.

    The update::

        w = S(w - lr g, lr l1) / (1 + lr l2)

    Duchi & Singer 2009, "Efficient Online and Batch Learning Using Forward Backward Splitting". It minimises
    loss + l1 |w| + l2 w² / 2.

    Args:
        params: As in ``torch.optim.SGD``; with l1 = l2 = 0 both are the same.
        lr: The learning rate.
        l1: The penalty on |w|.
        l2: The penalty on w² / 2.

    Raises:
        ValueError: A number is out of range.
    """

    def __init__(self, params: ParamsT, lr: float = 1e-3, l1: float = 0.0, l2: float = 0.0) -> None:
        super().__init__(params, lr=lr, l1=l1, l2=l2)

    def _update(self, w: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        lr = group["lr"]
        w.copy_(soft_threshold(w - lr * g, lr * group["l1"]) / (1 + lr * group["l2"]))


class AdaptiveProximalOptimizer(ProximalOptimizer):
    """Base class of optimisers with a step size per weight, from the sum n of its squared gradients."""

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        l1: float = 0.0,
        l2: float = 0.0,
        initial_accumulator_value: float = 0.1,
    ) -> None:
        super().__init__(params, lr=lr, l1=l1, l2=l2, initial_accumulator_value=initial_accumulator_value)


class ProximalAdagrad(AdaptiveProximalOptimizer):
    """Adagrad with proximal steps.

    The update::

        n = n + g²                                 starts at initial_accumulator_value
        e = lr / sqrt(n)
        w = S(w - e g, e l1) / (1 + e l2)

    Duchi, Hazan & Singer 2011, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization" (there:
    the composite mirror descent update), with the steps of Duchi & Singer 2009. It minimises loss + l1 |w| + l2 w² / 2.

    Args:
        params: As in ``torch.optim.Adagrad``; with l1 = l2 = 0 and its eps = 0 both are the same.
        lr: The learning rate.
        l1: The penalty on |w|.
        l2: The penalty on w² / 2.
        initial_accumulator_value: The initial sum of squared gradients.

    Raises:
        ValueError: A number is out of range.
    """

    def _update(self, w: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state["n"] = torch.full_like(w, group["initial_accumulator_value"])
        state["n"].addcmul_(g, g)
        e = group["lr"] / state["n"].sqrt()
        w.copy_(soft_threshold(w - e * g, e * group["l1"]) / (1 + e * group["l2"]))


class AdagradDA(AdaptiveProximalOptimizer):
    """Adagrad by dual averaging: each update computes the weights from all gradients so far.

    The update::

        t = t + 1,  G = G + g,  n = n + g²         n starts at initial_accumulator_value
        w = S(sqrt(n) w₀ - lr G, lr t l1) / (sqrt(n) + lr t l2)

    Duchi, Hazan & Singer 2011, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization" (there:
    the primal-dual subgradient update). w minimises G w + t (l1 |w| + l2 w² / 2) + sqrt(n) (w - w₀)² / (2 lr), where
    w₀ is the initial weight. Compared with ProximalAdagrad, more weights become exactly 0.

    Args:
        params: As in ``torch.optim.Adagrad``.
        lr: The learning rate.
        l1: The penalty on |w|.
        l2: The penalty on w² / 2.
        initial_accumulator_value: The initial sum of squared gradients.

    Raises:
        ValueError: A number is out of range.
    """

    def _update(self, w: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state.update(t=0, w0=w.clone(), G=torch.zeros_like(w))
            state["n"] = torch.full_like(w, group["initial_accumulator_value"])
        state["t"] += 1
        state["G"].add_(g)
        state["n"].addcmul_(g, g)
        root, lr_t = state["n"].sqrt(), group["lr"] * state["t"]
        goal = root * state["w0"] - group["lr"] * state["G"]
        w.copy_(soft_threshold(goal, lr_t * group["l1"]) / (root + lr_t * group["l2"]))


class Ftrl(ProximalOptimizer):
    """Follow the regularised leader, proximal (FTRL-Proximal).

    The update::

        n = n + g²                                 starts at initial_accumulator_value
        q' = n^power / lr
        z = z + g - (q' - q) w                     starts at -q w
        q = q'
        w = -S(z, l1) / (q + l2)

    McMahan et al. 2013, "Ad Click Prediction: a View from the Trenches", algorithm 1, where power is 1/2. Here the
    penalties l1 |w| + l2 w² / 2 are added once to the sum of the losses of all updates; in the other three they are
    added to the loss of each update. So these numbers are larger.

    Args:
        params: As in ``torch.optim.Adagrad``; with l1 = l2 = 0 and its eps = 0 both are the same.
        lr: The learning rate.
        l1: The penalty on |w|.
        l2: The penalty on w² / 2.
        initial_accumulator_value: The initial sum of squared gradients.
        power: How fast the learning rate falls with that sum; 0 for a constant rate. TensorFlow's
            ``learning_rate_power`` is its negative.

    Raises:
        ValueError: A number is out of range.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        l1: float = 0.0,
        l2: float = 0.0,
        initial_accumulator_value: float = 0.1,
        power: float = 0.5,
    ) -> None:
        super().__init__(params, lr=lr, l1=l1, l2=l2, initial_accumulator_value=initial_accumulator_value, power=power)

    def _update(self, w: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state["n"] = torch.full_like(w, group["initial_accumulator_value"])
            state["q"] = state["n"] ** group["power"] / group["lr"]
            state["z"] = -state["q"] * w
        state["n"].addcmul_(g, g)
        q = state["n"] ** group["power"] / group["lr"]
        state["z"].add_(g - (q - state["q"]) * w)
        state["q"] = q  # stored, not computed from n: the learning rate may change
        w.copy_(-soft_threshold(state["z"], group["l1"]) / (q + group["l2"]))


def soft_threshold(v: Tensor, a: Tensor | float) -> Tensor:
    """S(v, a): ``v`` moved towards 0 by ``a``, but not past 0."""
    return v.sign() * (v.abs() - a).clamp(min=0)


PROXIMAL = {kind.__name__: kind for kind in (AdagradDA, Ftrl, ProximalAdagrad, ProximalSGD)}
