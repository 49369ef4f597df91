"""What a layer keeps from call to call so that the next one takes less time.

What follows from the layer alone is kept: its cells, the names of its parameters, where its packed weights are. Each
call compares the attributes of the layer that this follows from, and reads the parameters again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from holdfast.cells.parameter_names import layer_suffix
from holdfast.engines import select_native
from holdfast.engines.native_cell import NativeCell
from holdfast.engines.native_layer import NativeLayer

if TYPE_CHECKING:
    from holdfast.layers.recurrent_layer import RecurrentLayer

# All that a usual call reads of a layer, besides the parameters.
_ATTRIBUTES = (
    "specs",
    "engine",
    "training",
    "num_layers",
    "num_directions",
    "input_size",
    "batch_first",
    "reverse",
    "merge",
    "residual",
    "dropout",
    "memory",
    "packed_weights",
    "named_weights",
)


class PreparedCall:
    """The usual call of a layer, with gradients or without. A copy or a pickle of a layer has none.

    Args:
        layer: A layer for which :meth:`serves` is true.
        cells: Its cells, forwards first in each layer.
        packed: Where they keep their packed weights, for calls without gradients; None each for the others.
    """

    def __init__(self, layer: RecurrentLayer, cells: Sequence[NativeCell], packed: Sequence[Any]) -> None:
        self._engine = select_native(layer.engine)
        suffixes = [layer_suffix(*divmod(number, layer.num_directions)) for number in range(len(cells))]
        self._cells = NativeLayer(layer, _ATTRIBUTES, cells, suffixes, packed, layer.num_directions, layer.batch_first)

    @staticmethod
    def serves(layer: RecurrentLayer, weights: Mapping[str, Any]) -> bool:
        """Whether the calls of a layer can be prepared: it has only what :class:`NativeLayer` computes.

        Args:
            layer: The layer.
            weights: Its ``named_weights()``; asking for them again would compute parametrised weights twice.
        """
        if (layer.residual and layer.num_layers > 1) or (layer.merge != "concat" and layer.num_directions > 1):
            return False
        return weights is layer._parameters

    def run(self, layer: RecurrentLayer, x: Any, hx: Any) -> tuple[Any, ...] | None:
        """What the layer returns; None if it has changed, or for another call than a usual one with whole rows."""
        if select_native(layer.engine) is not self._engine:
            return None
        return self._cells.run(layer, x, hx)

    def __reduce__(self) -> tuple[Any, ...]:
        return _nothing, ()


def _nothing() -> None:
    return None
