"""A model of Keras with its recurrent layers replaced by Holdfast's."""

from __future__ import annotations

from typing import Any

import keras

from holdfast.keras import layers

_NAMES = ("LSTM", "GRU", "SimpleRNN", "RNN")


def replace_recurrent(model: Any) -> Any:
    """A copy of a model whose recurrent layers are Holdfast's, with the same weights; it has to be compiled anew.

    Layers of another class than ``keras.layers.LSTM``, ``GRU``, ``SimpleRNN``, ``RNN`` and ``Bidirectional`` stay what
    they are, subclasses of these too.

    Args:
        model: A Sequential or functional model, such as ``keras.saving.load_model`` gives; built.

    Raises:
        ValueError: Keras cannot copy the model: it is a subclass with a ``call`` of its own, or not built.
    """
    found = keras.models.clone_model(model, clone_function=_replaced, recursive=True)
    found.set_weights(model.get_weights())
    return found


def _replaced(layer: Any) -> Any:
    """A new layer with the configuration of a layer."""
    if type(layer) is keras.layers.Bidirectional:
        config = layer.get_config()
        config["layer"], config["backward_layer"] = (
            keras.saving.serialize_keras_object(_replaced(each)) for each in (layer.forward_layer, layer.backward_layer)
        )
        return layers.Bidirectional.from_config(config)
    for name in _NAMES:
        if type(layer) is getattr(keras.layers, name):
            return getattr(layers, name).from_config(layer.get_config())
    return type(layer).from_config(layer.get_config())
