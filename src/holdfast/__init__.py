"""Holdfast: recurrent neural networks with readable maths, for every variant of a cell.

``LSTM``, ``GRU`` and ``RNN`` (and their ``...Cell``) stand in for torch.nn's; :func:`unroll` runs any cell over time;
:func:`explain` says which engine computes a call. Everything that Holdfast raises on purpose is a ``HoldfastError``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.cell_modules import GRUCell, LSTMCell, RNNCell
    from holdfast.conversion import convert
    from holdfast.errors import HoldfastError
    from holdfast.inspect import summarise
    from holdfast.interop.pytorch.classes import safe_globals
    from holdfast.interop.pytorch.replacement import replace_recurrent
    from holdfast.layers import GRU, LSTM, RNN
    from holdfast.predictor import Predictor
    from holdfast.recurrent_layer import explain
    from holdfast.streaming import Stream
    from holdfast.transcript_stream import TranscriptStream
    from holdfast.unrolling import unroll

__version__ = "0.1.0"

# Each public name is imported when it is first asked for, so that a part that needs no torch loads none.
_HOMES = {
    "GRU": "holdfast.layers",
    "LSTM": "holdfast.layers",
    "RNN": "holdfast.layers",
    "GRUCell": "holdfast.cell_modules",
    "HoldfastError": "holdfast.errors",
    "LSTMCell": "holdfast.cell_modules",
    "Predictor": "holdfast.predictor",
    "RNNCell": "holdfast.cell_modules",
    "Stream": "holdfast.streaming",
    "TranscriptStream": "holdfast.transcript_stream",
    "convert": "holdfast.conversion",
    "explain": "holdfast.recurrent_layer",
    "replace_recurrent": "holdfast.interop.pytorch.replacement",
    "safe_globals": "holdfast.interop.pytorch.classes",
    "summarise": "holdfast.inspect",
    "unroll": "holdfast.unrolling",
}

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "GRUCell",
    "HoldfastError",
    "LSTMCell",
    "Predictor",
    "RNNCell",
    "Stream",
    "TranscriptStream",
    "__version__",
    "convert",
    "explain",
    "replace_recurrent",
    "safe_globals",
    "summarise",
    "unroll",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'holdfast' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
