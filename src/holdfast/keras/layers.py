"""Keras's layers, the recurrent ones computed by Holdfast: ``from holdfast.keras.layers import LSTM, Dense``."""

from __future__ import annotations

from typing import Any

import keras

from holdfast.engines import Explanation
from holdfast.keras.recurrent import RNN

__all__ = ["GRU", "LSTM", "RNN", "Bidirectional", "SimpleRNN"]


@keras.saving.register_keras_serializable(package="holdfast")
class LSTM(RNN, keras.layers.LSTM):
    """``keras.layers.LSTM``, with every argument of Keras's and its weights, computed by Holdfast; see :class:`RNN`."""


@keras.saving.register_keras_serializable(package="holdfast")
class GRU(RNN, keras.layers.GRU):
    """``keras.layers.GRU``, with every argument of Keras's and its weights, computed by Holdfast; see :class:`RNN`."""


@keras.saving.register_keras_serializable(package="holdfast")
class SimpleRNN(RNN, keras.layers.SimpleRNN):
    """``keras.layers.SimpleRNN``, with its arguments and weights, computed by Holdfast; see :class:`RNN`."""


@keras.saving.register_keras_serializable(package="holdfast")
class Bidirectional(keras.layers.Bidirectional):
    """``keras.layers.Bidirectional``; Holdfast runs the layers of this module in both directions."""

    def explain(self, training: bool = False) -> Explanation:
        """Which engines run the two layers; see :meth:`RNN.explain`."""
        layers = (self.forward_layer, self.backward_layer)
        return Explanation(tuple(choice for layer in layers for choice in layer.explain(training).choices))


def __getattr__(name: str) -> Any:
    """Every other layer is Keras's own, so that an import line of many names may be kept."""
    return getattr(keras.layers, name)
