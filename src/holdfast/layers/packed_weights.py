"""A layer's weights in the order in which the kernels read them, kept from call to call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from holdfast.engines.native_cell import NativeCell

Calls = Sequence[tuple[NativeCell, Sequence[Tensor]]]  # the cells of a layer, each with its parameters


class PackedWeights:
    """Copies of the weights of some cells, and what tells whether the weights are still the same.

    A copy or a pickle of a layer has None in the place of this.
    """

    def __init__(self, calls: Calls) -> None:
        self.memory = [cell.pack(parameters) for cell, parameters in calls]
        # The detached tensors hold the memory of the parameters: no other tensor can get its address.
        self._sources = [
            (cell, [(p, p.detach(), p.data_ptr(), p._version) for p in parameters]) for cell, parameters in calls
        ]

    def are_of(self, calls: Calls) -> bool:
        """Whether these are the weights of the same cells, and no operation of torch has changed a parameter since."""
        if len(calls) != len(self._sources):
            return False
        for (cell, parameters), (packed_cell, sources) in zip(calls, self._sources, strict=True):
            if cell is not packed_cell:
                return False
            for parameter, (source, _, address, version) in zip(parameters, sources, strict=True):
                if parameter is not source or parameter._version != version or parameter.data_ptr() != address:
                    return False
        return True

    def __reduce__(self) -> tuple[Any, ...]:
        return _nothing, ()


def _nothing() -> None:
    """What a copy has instead of packed weights."""


class Requested(PackedWeights):
    """Weights that the next call without gradients packs."""

    def __init__(self) -> None:
        super().__init__([])
