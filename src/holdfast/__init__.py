"""Holdfast: recurrent neural networks with readable maths, for every variant of a cell.

``LSTM``, ``GRU`` and ``RNN`` (and their ``...Cell``) stand in for torch.nn's; :func:`unroll` runs any cell over time;
:func:`explain` says which engine computes a call. Everything that Holdfast raises on purpose is a ``HoldfastError``.
"""

from holdfast.cell_modules import GRUCell, LSTMCell, RNNCell
from holdfast.errors import HoldfastError
from holdfast.layers import GRU, LSTM, RNN
from holdfast.recurrent_layer import explain
from holdfast.unroll import unroll

__version__ = "0.1.0"

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "GRUCell",
    "HoldfastError",
    "LSTMCell",
    "RNNCell",
    "__version__",
    "explain",
    "unroll",
]
