"""Recurrent layers and one-step cells as modules of torch, and ``chain``, the description of a whole model.

``chain`` needs no torch, so everything else is imported when it is first used.
"""

from typing import TYPE_CHECKING

from holdfast.lazy import on_demand

if TYPE_CHECKING:
    from holdfast.layers.cell_modules import GRUCell, LSTMCell, RNNCell
    from holdfast.layers.kinds import GRU, LAYERS, LSTM, RNN

__all__ = ["GRU", "LAYERS", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]

_HOMES = {name: "holdfast.layers.cell_modules" if "Cell" in name else "holdfast.layers.kinds" for name in __all__}

__getattr__ = on_demand(__name__, _HOMES)
