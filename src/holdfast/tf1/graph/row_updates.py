"""Rows of variables that are changed, and averages of variables that move with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from holdfast.tf1.graph.conditions import group
from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.filling import zeros
from holdfast.tf1.graph.graph import get_default_graph, node
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.recorded_names import method
from holdfast.tf1.graph.tensors import Operation, Tensor
from holdfast.tf1.graph.variables import Variable, trainable_variables


def _rows(type_: str, change: Callable[..., Any], says: str, name_: str) -> None:
    def function(
        ref: Variable, indices: Any, updates: Any, use_locking: bool = True, name: str | None = None
    ) -> Tensor:
        places, values = convert_to_tensor(indices), convert_to_tensor(updates, ref.dtype)

        def prepare(plan: Any) -> Callable[..., torch.Tensor]:
            plan.variables.add(ref)

            @torch.no_grad()
            def changed(at: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
                table = ref.parameter
                rows = at.reshape(-1).long()
                if rows.numel() and (int(rows.min()) < 0 or int(rows.max()) >= len(table)):
                    raise IndexError(f"rows are {int(rows.min())} to {int(rows.max())}; expected 0 to {len(table) - 1}")
                change(table, rows, new.expand(*at.shape, *table.shape[1:]).reshape(-1, *table.shape[1:]))
                return table

            return changed

        return node(
            type_, None, [places, values], ref.dtype, ref.sizes, name, prepare=prepare, effect=True, gradient=False
        )

    function.__doc__ = says
    public(name_)(function)


_rows("ScatterUpdate", lambda t, r, new: t.index_copy_(0, r, new), "Sets rows of a variable.", "scatter_update")
_rows("ScatterAdd", lambda t, r, new: t.index_add_(0, r, new), "Adds to rows of a variable.", "scatter_add")
_rows("ScatterSub", lambda t, r, new: t.index_add_(0, r, -new), "Subtracts from rows of a variable.", "scatter_sub")


@public("train.ExponentialMovingAverage")
class ExponentialMovingAverage:
    """Averages of variables: ``average = decay average + (1 - decay) variable`` whenever :meth:`apply` is run.

    Args:
        decay: How much of the average stays.
        num_updates: The number of the step t; the decay is then at most (1 + t) / (10 + t).
        zero_debias: False.
        name: The end of the averages' names.

    Raises:
        NotImplementedError: ``zero_debias`` is asked for.
    """

    def __init__(
        self, decay: Any, num_updates: Any = None, zero_debias: bool = False, name: str = "ExponentialMovingAverage"
    ) -> None:
        if zero_debias:
            raise NotImplementedError("ExponentialMovingAverage got zero_debias=True; expected False.")
        self._decay, self._updates, self.name = decay, num_updates, name
        self._averages: dict[Tensor, Variable] = {}

    @method
    def apply(self, var_list: Any = None) -> Operation:
        """An operation that moves the averages of variables, or of other tensors, which it makes."""
        tensors = trainable_variables() if var_list is None else list(var_list)
        decay = convert_to_tensor(self._decay, "float32")
        if self._updates is not None:
            step = convert_to_tensor(self._updates)
            decay = node(
                "Minimum",
                lambda d, t: torch.minimum(d, (1 + t.float()) / (10 + t.float())),
                [decay, step],
                "float32",
                (),
            )
        moves = []
        for tensor in tensors:
            if tensor not in self._averages:
                known = tensor.sizes is not None and None not in tensor.sizes
                first = 0 * tensor  # needs the value of a tensor of unknown shape
                if isinstance(tensor, Variable):
                    first = tensor.initial_value
                elif known:
                    first = zeros(tensor.sizes, tensor.dtype)
                name = self.average_name(tensor)
                with get_default_graph().name_scope(None):
                    self._averages[tensor] = Variable(first, trainable=False, validate_shape=known, name=name)
            average = self._averages[tensor]
            moves.append(average.assign_sub((average - tensor) * (1 - decay)))
        return group(*moves)

    def average(self, var: Tensor) -> Variable | None:
        """The average of a variable; None before :meth:`apply`."""
        return self._averages.get(var)

    def average_name(self, var: Tensor) -> str:
        """The name of the average of a variable."""
        return f"{var.op.name}/{self.name}"

    def variables_to_restore(self, moving_avg_variables: Any = None) -> dict[str, Variable]:
        """The trainable variables by the names of their averages, so that a ``Saver`` restores these into them."""
        return {self.average_name(variable): variable for variable in moving_avg_variables or trainable_variables()}
