"""Optimisers with TensorFlow's own arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from holdfast.tf1.graph.convert import constant, convert_to_tensor
from holdfast.tf1.graph.differentiation import IndexedSlices, gradients
from holdfast.tf1.graph.graph import action, get_default_graph
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.tensors import Operation, Tensor
from holdfast.tf1.graph.variables import Variable, trainable_variables

Gradient = Tensor | IndexedSlices | None


@public("train.Optimizer")
class Optimizer:
    """The base of all optimisers.

    Attributes:
        slots: For each name of a slot, a variable for each variable that is trained.
    """

    GATE_NONE, GATE_OP, GATE_GRAPH = 0, 1, 2
    slot_names: tuple[tuple[str, str, float], ...] = ()
    """Of each slot: its name, the name of its variables, and their first value."""

    def __init__(self, use_locking: bool = False, name: str = "Optimizer", **hyperparameters: Any) -> None:
        self._name, self._hyper = name, hyperparameters
        self.slots: dict[str, dict[Variable, Variable]] = {slot: {} for slot, _, _ in self.slot_names}

    def get_name(self) -> str:
        """The name of its operations."""
        return self._name

    def minimize(
        self, loss: Tensor, global_step: Any = None, var_list: Any = None, gate_gradients: int = 1,
        aggregation_method: Any = None, colocate_gradients_with_ops: bool = False, name: str | None = None,
        grad_loss: Any = None,
    ) -> Operation:  # fmt: skip
        """An operation that makes one step against the gradient of the loss.

        Raises:
            ValueError: The loss depends on none of the variables.
        """
        pairs = self.compute_gradients(loss, var_list, grad_loss=grad_loss)
        if all(gradient is None for gradient, _ in pairs):
            raise ValueError(f"The loss {loss.name} depends on none of the variables; expected at least one.")
        return self.apply_gradients(pairs, global_step, name)

    def compute_gradients(
        self, loss: Tensor, var_list: Any = None, gate_gradients: int = 1, aggregation_method: Any = None,
        colocate_gradients_with_ops: bool = False, grad_loss: Any = None,
    ) -> list[tuple[Gradient, Variable]]:  # fmt: skip
        """Pairs of the gradient of the loss and its variable; the gradient is None where the loss does not depend on it."""
        variables = list(var_list) if var_list is not None else trainable_variables()
        if not variables:
            raise ValueError("There are no variables to train; expected one that is trainable.")
        return list(zip(gradients(loss, variables, grad_loss), variables, strict=True))

    def apply_gradients(self, grads_and_vars: Any, global_step: Any = None, name: str | None = None) -> Operation:
        """An operation that changes the variables by their gradients, and adds 1 to ``global_step``.

        Raises:
            ValueError: There is no gradient.
        """
        pairs = [(gradient, variable) for gradient, variable in grads_and_vars if gradient is not None]
        if not pairs:
            raise ValueError("apply_gradients got no gradient; expected at least one that is not None.")
        graph = get_default_graph()
        with graph.name_scope(name or self._name), graph.control_dependencies(None):
            hyper = {key: convert_to_tensor(value, "float32") for key, value in self._hyper.items()}
        variables = [variable for _, variable in pairs]
        with graph.control_dependencies(None):
            self._make_slots(variables)
        sparse = [isinstance(gradient, IndexedSlices) for gradient, _ in pairs]
        inputs: list[Tensor] = list(hyper.values())
        for gradient, variable in pairs:
            inputs += [gradient.values, gradient.indices] if isinstance(gradient, IndexedSlices) else [
                convert_to_tensor(gradient, variable.dtype)
            ]  # fmt: skip
        step = action(
            self._name, None, inputs, name or self._name, prepare=self._prepare(list(hyper), variables, sparse)
        )
        if global_step is None:
            return step
        with graph.control_dependencies([step]):
            return global_step.assign_add(constant(1, global_step.dtype)).op  # type: ignore[no-any-return]

    def _make_slots(self, variables: Sequence[Variable]) -> None:
        graph = get_default_graph()
        for slot, suffix, first in self.slot_names:
            for variable in variables:
                if variable in self.slots[slot]:
                    continue
                sizes = tuple(size or 0 for size in variable.sizes or ())
                with graph.name_scope(None):
                    self.slots[slot][variable] = Variable(
                        constant(first, variable.dtype, sizes), trainable=False, name=f"{variable.op.name}/{suffix}"
                    )

    def _prepare(
        self, hyper: list[str], variables: list[Variable], sparse: list[bool]
    ) -> Callable[[Any], Callable[..., None]]:
        def prepare(plan: Any) -> Callable[..., None]:
            own = [variable for slot in self.slots.values() for variable in slot.values()]
            plan.variables.update(variables, [each for each in own if each in self._needed(variables)])

            @torch.no_grad()
            def apply(*values: torch.Tensor) -> None:
                numbers = dict(zip(hyper, (float(value) for value in values), strict=False))
                dense: tuple[list[Variable], list[torch.Tensor]] = ([], [])
                rest = iter(values[len(hyper) :])
                for variable, rows in zip(variables, sparse, strict=True):
                    gradient = next(rest)
                    if rows:
                        self.apply_rows(variable, *_summed(gradient, next(rest)), numbers)
                    else:
                        dense[0].append(variable)
                        dense[1].append(gradient)
                if dense[0]:
                    self.apply_dense(dense[0], dense[1], numbers)
                self.finish(numbers)

            return apply

        return prepare

    def _needed(self, variables: Sequence[Variable]) -> set[Variable]:
        return {slot[variable] for slot in self.slots.values() for variable in variables}

    def values(self, variables: Sequence[Variable], slot: str | None = None) -> list[torch.Tensor]:
        """The values of variables, or of their slots, to change in place."""
        chosen = variables if slot is None else [self.slots[slot][variable] for variable in variables]
        return [variable.parameter for variable in chosen]

    def apply_dense(self, variables: list[Variable], grads: list[torch.Tensor], hyper: dict[str, float]) -> None:
        """Changes variables by whole gradients."""
        raise NotImplementedError

    def apply_rows(self, variable: Variable, grad: torch.Tensor, rows: torch.Tensor, hyper: dict[str, float]) -> None:
        """Changes the rows of a variable by their gradients; each row comes once."""
        whole = torch.zeros_like(variable.parameter).index_add_(0, rows, grad)
        self.apply_dense([variable], [whole], hyper)

    def finish(self, hyper: dict[str, float]) -> None:
        """Ends a step."""

    def get_slot(self, var: Variable, name: str) -> Variable | None:
        """The variable of a slot, or None."""
        return self.slots.get(name, {}).get(var)

    def get_slot_names(self) -> list[str]:
        """The names of the slots."""
        return sorted(self.slots)

    def variables(self) -> list[Variable]:
        """All variables of the optimiser."""
        return [variable for slot in self.slots.values() for variable in slot.values()]


def _summed(values: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradients of rows, added up for each row."""
    unique, places = torch.unique(rows, return_inverse=True)
    return values.new_zeros(len(unique), *values.shape[1:]).index_add_(0, places, values), unique


@public("train.GradientDescentOptimizer")
class GradientDescentOptimizer(Optimizer):
    """w - learning_rate g."""

    def __init__(self, learning_rate: Any, use_locking: bool = False, name: str = "GradientDescent") -> None:
        super().__init__(use_locking, name, learning_rate=learning_rate)

    def apply_dense(self, variables: list[Variable], grads: list[torch.Tensor], hyper: dict[str, float]) -> None:
        torch._foreach_add_(self.values(variables), grads, alpha=-hyper["learning_rate"])

    def apply_rows(self, variable: Variable, grad: torch.Tensor, rows: torch.Tensor, hyper: dict[str, float]) -> None:
        variable.parameter.index_add_(0, rows, grad, alpha=-hyper["learning_rate"])


@public("train.AdamOptimizer")
class AdamOptimizer(Optimizer):
    """Adam (Kingma & Ba 2015) in its second form: epsilon outside of the correction of the bias."""

    slot_names = (("m", "Adam", 0.0), ("v", "Adam_1", 0.0))

    def __init__(
        self, learning_rate: Any = 0.001, beta1: Any = 0.9, beta2: Any = 0.999, epsilon: Any = 1e-8,
        use_locking: bool = False, name: str = "Adam",
    ) -> None:  # fmt: skip
        super().__init__(use_locking, name, learning_rate=learning_rate, beta1=beta1, beta2=beta2, epsilon=epsilon)
        self._powers: list[Variable] = []

    def _make_slots(self, variables: Sequence[Variable]) -> None:
        super()._make_slots(variables)
        if not self._powers:
            for number, key in ((1, "beta1"), (2, "beta2")):
                first = self._hyper[key]
                self._powers.append(Variable(first, trainable=False, name=f"beta{number}_power", dtype="float32"))

    def _needed(self, variables: Sequence[Variable]) -> set[Variable]:
        return super()._needed(variables)

    def apply_dense(self, variables: list[Variable], grads: list[torch.Tensor], hyper: dict[str, float]) -> None:
        m, v = self.values(variables, "m"), self.values(variables, "v")
        first, second = (float(power.parameter) for power in self._powers)
        rate = hyper["learning_rate"] * (1 - second) ** 0.5 / (1 - first)
        torch._foreach_mul_(m, hyper["beta1"])
        torch._foreach_add_(m, grads, alpha=1 - hyper["beta1"])
        torch._foreach_mul_(v, hyper["beta2"])
        torch._foreach_addcmul_(v, grads, grads, 1 - hyper["beta2"])
        root = torch._foreach_sqrt(v)
        torch._foreach_add_(root, hyper["epsilon"])
        torch._foreach_addcdiv_(self.values(variables), m, root, -rate)

    def finish(self, hyper: dict[str, float]) -> None:
        for power, key in zip(self._powers, ("beta1", "beta2"), strict=True):
            power.parameter.mul_(hyper[key])

    def variables(self) -> list[Variable]:
        return [*super().variables(), *self._powers]
