"""A layer's weights in the order in which the kernels read them, kept from call to call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holdfast.engines.native_cell import NativeCell


class PackedWeights:
    """For each cell of a layer, its packed weights and a fingerprint of the parameters that they were made from.

    Every call takes the fingerprint of the parameters again, and packs them again if it is another one. So a change is
    noticed whatever made it: an operation of torch, ``parameter.data``, NumPy, another parameter in its place. Packed
    weights take as much memory as the weights. A copy or a pickle of a layer has none.
    """

    def __init__(self) -> None:
        self._kept: list[tuple[NativeCell, Any]] = []

    def of(self, cells: Sequence[NativeCell]) -> list[Any]:
        """What :meth:`NativeCell.run` takes as ``packed``, for each of the cells."""
        kept = self._kept
        if len(kept) != len(cells) or any(cell is not own for cell, (own, _) in zip(cells, kept, strict=True)):
            self._kept = kept = [(cell, cell.no_weights()) for cell in cells]
        return [packed for _, packed in kept]

    def __reduce__(self) -> tuple[Any, ...]:
        return PackedWeights, ()
