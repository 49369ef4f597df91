"""TensorFlow's optimisers, each with its own arithmetic.

The equations are those of TensorFlow 1.15's kernels (core/kernels/training_ops.cc). g is the gradient, lr the rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import torch

from holdfast.tf1.graph.differentiation import IndexedSlices
from holdfast.tf1.graph.graph import action, get_default_graph
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.optimizers import Numbers, Optimizer, Tensors
from holdfast.tf1.graph.recorded_names import method
from holdfast.tf1.graph.tensors import Operation, Tensor
from holdfast.tf1.graph.variables import Variable


@public("train.GradientDescentOptimizer")
class GradientDescentOptimizer(Optimizer):
    """w -= lr g."""

    def __init__(self, learning_rate: Any, use_locking: bool = False, name: str = "GradientDescent") -> None:
        super().__init__(use_locking, name, learning_rate=learning_rate)

    def step(self, weights: Tensors, grads: Tensors, slots: Sequence[Tensors], hyper: Numbers) -> None:
        """One step of the rule."""
        torch._foreach_add_(weights, grads, alpha=-hyper["learning_rate"])


@public("train.AdamOptimizer")
class AdamOptimizer(Optimizer):
    """Adam (Kingma & Ba 2015), with epsilon outside of the correction of the bias.

    m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; w -= lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + epsilon).
    """

    first_values = MappingProxyType({"m": 0.0, "v": 0.0})

    def __init__(
        self, learning_rate: Any = 0.001, beta1: Any = 0.9, beta2: Any = 0.999, epsilon: Any = 1e-8,
        use_locking: bool = False, name: str = "Adam",
    ) -> None:  # fmt: skip
        super().__init__(use_locking, name, learning_rate=learning_rate, beta1=beta1, beta2=beta2, epsilon=epsilon)
        self._powers: list[Variable] = []

    def _make_slots(self, variables: Sequence[Variable]) -> None:
        if not self._powers:
            with get_default_graph().name_scope(None):
                for key in ("beta1", "beta2"):
                    first = self._hyper[key]
                    self._powers.append(Variable(first, trainable=False, name=f"{key}_power", dtype="float32"))
        super()._make_slots(variables)

    def _own(self, variables: Sequence[Variable]) -> list[Variable]:
        return [*super()._own(variables), *self._powers]

    def step(self, weights: Tensors, grads: Tensors, slots: Sequence[Tensors], hyper: Numbers) -> None:
        """One step of the rule."""
        m, v = slots
        first, second = (float(power.parameter) for power in self._powers)
        rate = hyper["learning_rate"] * (1 - second) ** 0.5 / (1 - first)
        torch._foreach_mul_(m, hyper["beta1"])
        torch._foreach_add_(m, grads, alpha=1 - hyper["beta1"])
        torch._foreach_mul_(v, hyper["beta2"])
        torch._foreach_addcmul_(v, grads, grads, 1 - hyper["beta2"])
        root = torch._foreach_sqrt(v)
        torch._foreach_add_(root, hyper["epsilon"])
        torch._foreach_addcdiv_(weights, m, root, -rate)

    def step_rows(self, variable: Variable, grad: torch.Tensor, rows: torch.Tensor, hyper: Numbers) -> None:
        """The step of the whole variable: the other rows move on by their momentum."""
        whole = torch.zeros_like(variable.parameter).index_add_(0, rows, grad)
        slots = [self._values([slot[variable]]) for slot in self.slots.values()]
        self.step([variable.parameter], [whole], slots, hyper)

    def finish(self, hyper: Numbers) -> None:
        """Multiplies the powers of beta1 and beta2 once more."""
        for power, key in zip(self._powers, ("beta1", "beta2"), strict=True):
            power.parameter.mul_(hyper[key])

    def variables(self) -> list[Variable]:
        """All variables of the optimiser."""
        return [*self._powers, *super().variables()]


@public("train.MomentumOptimizer")
class MomentumOptimizer(Optimizer):
    """a = momentum a + g; w -= lr a; with Nesterov's form w -= lr (g + momentum a)."""

    first_values = MappingProxyType({"momentum": 0.0})

    def __init__(
        self, learning_rate: Any, momentum: Any, use_locking: bool = False, name: str = "Momentum",
        use_nesterov: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(use_locking, name, learning_rate=learning_rate, momentum=momentum)
        self._nesterov = use_nesterov

    def step(self, weights: Tensors, grads: Tensors, slots: Sequence[Tensors], hyper: Numbers) -> None:
        """One step of the rule."""
        rate, momentum = hyper["learning_rate"], hyper["momentum"]
        for w, g, a in zip(weights, grads, slots[0], strict=True):
            a.mul_(momentum).add_(g)
            if self._nesterov:
                w.add_(g, alpha=-rate).add_(a, alpha=-rate * momentum)
            else:
                w.add_(a, alpha=-rate)


@public("train.AdagradOptimizer")
class AdagradOptimizer(Optimizer):
    """a += g^2; w -= lr g / sqrt(a) (Duchi et al. 2011)."""

    def __init__(
        self, learning_rate: Any, initial_accumulator_value: float = 0.1, use_locking: bool = False,
        name: str = "Adagrad",
    ) -> None:  # fmt: skip
        self.first_values = {"accumulator": initial_accumulator_value}
        super().__init__(use_locking, name, learning_rate=learning_rate)

    def step(self, weights: Tensors, grads: Tensors, slots: Sequence[Tensors], hyper: Numbers) -> None:
        """One step of the rule."""
        for w, g, a in zip(weights, grads, slots[0], strict=True):
            a.addcmul_(g, g)
            w.addcdiv_(g, a.sqrt(), value=-hyper["learning_rate"])


@public("train.AdadeltaOptimizer")
class AdadeltaOptimizer(Optimizer):
    """a = rho a + (1 - rho) g^2; u = g sqrt(d + epsilon) / sqrt(a + epsilon); d = rho d + (1 - rho) u^2; w -= lr u."""

    first_values = MappingProxyType({"accum": 0.0, "accum_update": 0.0})

    def __init__(
        self, learning_rate: Any = 0.001, rho: Any = 0.95, epsilon: Any = 1e-8, use_locking: bool = False,
        name: str = "Adadelta",
    ) -> None:  # fmt: skip
        super().__init__(use_locking, name, learning_rate=learning_rate, rho=rho, epsilon=epsilon)

    def step(self, weights: Tensors, grads: Tensors, slots: Sequence[Tensors], hyper: Numbers) -> None:
        """One step of the rule."""
        rho, epsilon = hyper["rho"], hyper["epsilon"]
        for w, g, a, d in zip(weights, grads, *slots, strict=True):
            a.mul_(rho).addcmul_(g, g, value=1 - rho)
            update = (d + epsilon).sqrt_().mul_(g).div_((a + epsilon).sqrt_())
            d.mul_(rho).addcmul_(update, update, value=1 - rho)
            w.add_(update, alpha=-hyper["learning_rate"])


@public("train.RMSPropOptimizer")
class RMSPropOptimizer(Optimizer):
    """r = decay r + (1 - decay) g^2 from r = 1; p = momentum p + lr g / sqrt(r + epsilon); w -= p.

    ``centered`` subtracts the square of the gradient's own running mean from r under the root.
    """

    def __init__(
        self, learning_rate: Any, decay: Any = 0.9, momentum: Any = 0.0, epsilon: Any = 1e-10,
        use_locking: bool = False, centered: bool = False, name: str = "RMSProp",
    ) -> None:  # fmt: skip
        self.first_values = {"rms": 1.0} | ({"mg": 0.0} if centered else {}) | {"momentum": 0.0}
        super().__init__(
            use_locking, name, learning_rate=learning_rate, decay=decay, momentum=momentum, epsilon=epsilon
        )

    def step(self, weights: Tensors, grads: Tensors, slots: Sequence[Tensors], hyper: Numbers) -> None:
        """One step of the rule."""
        decay = hyper["decay"]
        for w, g, r, *mean, p in zip(weights, grads, *slots, strict=True):
            r.mul_(decay).addcmul_(g, g, value=1 - decay)
            under = r
            if mean:
                mean[0].mul_(decay).add_(g, alpha=1 - decay)
                under = r - mean[0].square()
            p.mul_(hyper["momentum"]).addcdiv_(g, (under + hyper["epsilon"]).sqrt_(), value=hyper["learning_rate"])
            w.sub_(p)


@public("train.SyncReplicasOptimizer")
class SyncReplicasOptimizer(Optimizer):
    """Averages the gradients of replicas. In one process there is one replica, so it is the optimiser that it is given.

    Args:
        opt: The optimiser.
        replicas_to_aggregate: Accepted.
        total_num_replicas: Accepted.
    """

    def __init__(
        self, opt: Optimizer, replicas_to_aggregate: int = 1, total_num_replicas: int | None = None,
        variable_averages: Any = None, variables_to_average: Any = None, use_locking: bool = False,
        name: str = "sync_replicas", **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(use_locking, name)
        self._opt = opt

    @method
    def compute_gradients(self, *args: Any, **options: Any) -> list[tuple[Tensor | IndexedSlices | None, Variable]]:
        """Of the optimiser."""
        return self._opt.compute_gradients(*args, **options)

    @method
    def apply_gradients(self, grads_and_vars: Any, global_step: Any = None, name: str | None = None) -> Operation:
        """Of the optimiser.

        Raises:
            ValueError: There is no ``global_step``, as in TensorFlow.
        """
        if global_step is None:
            raise ValueError(
                "SyncReplicasOptimizer needs a global_step; expected a variable: tf.train.create_global_step()."
            )
        return self._opt.apply_gradients(grads_and_vars, global_step, name)

    def get_slot(self, var: Variable, name: str) -> Variable | None:
        """Of the optimiser."""
        return self._opt.get_slot(var, name)

    def get_slot_names(self) -> list[str]:
        """Of the optimiser."""
        return self._opt.get_slot_names()

    def variables(self) -> list[Variable]:
        """Of the optimiser."""
        return self._opt.variables()

    def make_session_run_hook(self, is_chief: bool, num_tokens: int = -1) -> None:
        """None: one replica waits for nobody."""

    def get_chief_queue_runner(self) -> None:
        """None: one replica waits for nobody."""

    @method
    def get_init_tokens_op(self, num_tokens: int = -1) -> Operation:
        """An operation that does nothing."""
        return action("NoOp", lambda: None, [], "get_init_tokens_op", effect=False)
