"""What all optimisers share: gradients and their application, slots, rows that were looked up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch

from holdfast.tf1.graph.convert import constant, convert_to_tensor
from holdfast.tf1.graph.differentiation import IndexedSlices, gradients
from holdfast.tf1.graph.graph import action, get_default_graph
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.recorded_names import extended, method
from holdfast.tf1.graph.tensors import Operation, Tensor
from holdfast.tf1.graph.variables import Variable, trainable_variables

Tensors = list[torch.Tensor]
Numbers = dict[str, float]
Gradient = Tensor | IndexedSlices | None


@public("train.Optimizer")
@extended
class Optimizer:
    """The base of all optimisers.

    Attributes:
        slots: For each name of a slot, a variable for each variable that is trained.
    """

    GATE_NONE, GATE_OP, GATE_GRAPH = 0, 1, 2
    first_values: Mapping[str, Any] = MappingProxyType({})
    """Of each slot, the first value of its variables."""

    def __init__(self, use_locking: bool = False, name: str = "Optimizer", **hyperparameters: Any) -> None:
        self._name, self._hyper = name, hyperparameters
        self.slots: dict[str, dict[Variable, Variable]] = {slot: {} for slot in self.first_values}

    def get_name(self) -> str:
        """The name of its operations."""
        return self._name

    @method
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

    @method
    def compute_gradients(
        self, loss: Tensor, var_list: Any = None, gate_gradients: int = 1, aggregation_method: Any = None,
        colocate_gradients_with_ops: bool = False, grad_loss: Any = None,
    ) -> list[tuple[Gradient, Variable]]:  # fmt: skip
        """Pairs of a gradient of the loss and its variable; None where the loss does not depend on it."""
        variables = list(var_list) if var_list is not None else trainable_variables()
        if not variables:
            raise ValueError("There are no variables to train; expected one that is trainable.")
        return list(zip(gradients(loss, variables, grad_loss), variables, strict=True))

    @method
    def apply_gradients(self, grads_and_vars: Any, global_step: Any = None, name: str | None = None) -> Operation:
        """An operation that changes the variables by their gradients, and adds 1 to ``global_step``.

        Raises:
            ValueError: There is no gradient.
        """
        pairs = [(gradient, variable) for gradient, variable in grads_and_vars if gradient is not None]
        if not pairs:
            raise ValueError("apply_gradients got no gradient; expected at least one that is not None.")
        graph = get_default_graph()
        with graph.name_scope(name or self._name) as scope, graph.control_dependencies(None):
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
            self._name, None, inputs, scope if global_step is None else f"{scope}update/",
            prepare=self._prepare(list(hyper), variables, sparse),
        )  # fmt: skip
        if global_step is None:
            return step
        with graph.control_dependencies([step]):
            return global_step.assign_add(constant(1, global_step.dtype), name=scope).op  # type: ignore[no-any-return]

    def _make_slots(self, variables: Sequence[Variable]) -> None:
        graph = get_default_graph()
        for variable in variables:
            sizes = tuple(size or 0 for size in variable.sizes or ())
            for slot, first in self.first_values.items():
                if variable not in self.slots[slot]:
                    with graph.name_scope(None):
                        value = constant(first, variable.dtype, sizes)
                        name = f"{variable.op.name}/{self._name}"
                        self.slots[slot][variable] = Variable(value, trainable=False, name=name)

    def _prepare(
        self, hyper: list[str], variables: list[Variable], sparse: list[bool]
    ) -> Callable[[Any], Callable[..., None]]:
        def prepare(plan: Any) -> Callable[..., None]:
            plan.variables.update(variables, self._own(variables))

            @torch.no_grad()
            def apply(*values: torch.Tensor) -> None:
                numbers = dict(zip(hyper, (float(value) for value in values), strict=False))
                whole: tuple[list[Variable], list[torch.Tensor]] = ([], [])
                rest = iter(values[len(hyper) :])
                for variable, rows in zip(variables, sparse, strict=True):
                    gradient = next(rest)
                    if rows:
                        self.step_rows(variable, *_summed(gradient, next(rest)), numbers)
                    else:
                        whole[0].append(variable)
                        whole[1].append(gradient)
                if whole[0]:
                    slots = [self._values(slot[each] for each in whole[0]) for slot in self.slots.values()]
                    self.step(self._values(whole[0]), whole[1], slots, numbers)
                self.finish(numbers)

            return apply

        return prepare

    def _own(self, variables: Sequence[Variable]) -> list[Variable]:
        """The optimiser's own variables for some that it trains."""
        return [slot[variable] for slot in self.slots.values() for variable in variables]

    @staticmethod
    def _values(variables: Iterable[Variable]) -> list[torch.Tensor]:
        return [variable.parameter for variable in variables]

    def step(self, weights: Tensors, grads: Tensors, slots: Sequence[Tensors], hyper: Numbers) -> None:
        """Changes weights and slots in place. ``slots`` are in the order of ``first_values``."""
        raise NotImplementedError

    def step_rows(self, variable: Variable, grad: torch.Tensor, rows: torch.Tensor, hyper: Numbers) -> None:
        """As :meth:`step` for some rows of a variable, each of which comes once; the others stay as they are."""
        whole = [variable.parameter, *self._values(slot[variable] for slot in self.slots.values())]
        parts = [values[rows] for values in whole]
        self.step([parts[0]], [grad], [[part] for part in parts[1:]], hyper)
        for values, part in zip(whole, parts, strict=True):
            values[rows] = part

    def finish(self, hyper: Numbers) -> None:
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
