"""Replaces the recurrent layers of a Keras model by Holdfast's."""

from __future__ import annotations

from typing import Any

import keras

from holdfast.keras import layers

_NAMES = ("LSTM", "GRU", "SimpleRNN", "RNN")


def replace_recurrent(model: Any) -> Any:
    """A copy of a model with Holdfast's recurrent layers and the same weights; compile it again before training.

    It replaces layers whose class is ``keras.layers.LSTM``, ``GRU``, ``SimpleRNN``, ``RNN`` or ``Bidirectional``. All
    other layers stay, also subclasses of these.

    Args:
        model: A built Sequential or functional model, such as ``keras.saving.load_model`` returns.

    Raises:
        ValueError: Keras cannot copy the model: it is a subclass with its own ``call``, or not built.

    Example:
        >>> model = keras.Sequential([keras.Input((7, 3)), keras.layers.LSTM(4)])
        >>> type(replace_recurrent(model).layers[0]).__module__
        'holdfast.keras.layers'
    """
    copy = keras.models.clone_model(model, clone_function=_replaced, recursive=True)
    copy.set_weights(model.get_weights())
    return copy


def _replaced(layer: Any) -> Any:
    """A new layer with the same configuration, of Holdfast's class if it has one."""
    if type(layer) is keras.layers.Bidirectional:
        config = layer.get_config()
        config["layer"], config["backward_layer"] = (
            keras.saving.serialize_keras_object(_replaced(inner))
            for inner in (layer.forward_layer, layer.backward_layer)
        )
        return layers.Bidirectional.from_config(config)
    for name in _NAMES:
        if type(layer) is getattr(keras.layers, name):
            return getattr(layers, name).from_config(layer.get_config())
    return type(layer).from_config(layer.get_config())
