"""Keras's recurrent layers, computed by Holdfast: the same layers, weights and results, on all backends of Keras.

A program changes its import line::

    from keras.layers import LSTM, Dense  ->  from holdfast.keras.layers import LSTM, Dense
"""

from __future__ import annotations

from holdfast.errors import MissingLibraryError

try:
    import keras  # noqa: F401  (imported here, so that the error names what is missing)
except ImportError as error:
    raise MissingLibraryError(
        "holdfast.keras needs the library keras, which cannot be imported: pip install 'holdfast[keras]' and a backend."
    ) from error

from holdfast.keras import layers
from holdfast.keras.layers import GRU, LSTM, RNN, Bidirectional, SimpleRNN
from holdfast.keras.replace import replace_recurrent

__all__ = ["GRU", "LSTM", "RNN", "Bidirectional", "SimpleRNN", "layers", "replace_recurrent"]
