"""Keras's layers; Holdfast computes the recurrent ones: ``from holdfast.keras.layers import LSTM, Dense``."""

from __future__ import annotations

from typing import Any

import keras

from holdfast.engines import Explanation
from holdfast.keras.recurrent import RNN

__all__ = ["GRU", "LSTM", "RNN", "Bidirectional", "SimpleRNN"]


@keras.saving.register_keras_serializable(package="holdfast")
class LSTM(RNN, keras.layers.LSTM):
    """``keras.layers.LSTM`` with Keras's arguments and weights, computed by Holdfast; see :class:`RNN`.

    Example:
        >>> import keras, numpy
        >>> layer = LSTM(4)
        >>> keras.ops.convert_to_numpy(layer(numpy.zeros((2, 7, 3), "float32"))).shape
        (2, 4)
    """


@keras.saving.register_keras_serializable(package="holdfast")
class GRU(RNN, keras.layers.GRU):
    """``keras.layers.GRU`` with Keras's arguments and weights, computed by Holdfast; see :class:`RNN`.

    Example:
        >>> import keras, numpy
        >>> layer = GRU(4, return_sequences=True)
        >>> keras.ops.convert_to_numpy(layer(numpy.zeros((2, 7, 3), "float32"))).shape
        (2, 7, 4)
    """


@keras.saving.register_keras_serializable(package="holdfast")
class SimpleRNN(RNN, keras.layers.SimpleRNN):
    """``keras.layers.SimpleRNN`` with Keras's arguments and weights, computed by Holdfast; see :class:`RNN`.

    Example:
        >>> import keras, numpy
        >>> layer = SimpleRNN(4)
        >>> keras.ops.convert_to_numpy(layer(numpy.zeros((2, 7, 3), "float32"))).shape
        (2, 4)
    """


@keras.saving.register_keras_serializable(package="holdfast")
class Bidirectional(keras.layers.Bidirectional):
    """``keras.layers.Bidirectional``; Holdfast runs the layers of this module in both directions.

    Example:
        >>> import keras, numpy
        >>> layer = Bidirectional(LSTM(4))
        >>> keras.ops.convert_to_numpy(layer(numpy.zeros((2, 7, 3), "float32"))).shape
        (2, 8)
    """

    def explain(self, training: bool = False) -> Explanation:
        """Which engines run the two layers; see :meth:`RNN.explain`.

        Args:
            training: Whether the answer is for calls with ``training=True``.
        """
        layers = (self.forward_layer, self.backward_layer)
        return Explanation(tuple(choice for layer in layers for choice in layer.explain(training).choices))


def __getattr__(name: str) -> Any:
    """Every other layer is Keras's own, so that a program can keep its import line of many names."""
    return getattr(keras.layers, name)
