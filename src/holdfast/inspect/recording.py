"""Recording: every gate, state and output of every recurrent layer while a model runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from holdfast.engines.lengths import Lengths
from holdfast.inspect.layer_recording import LayerRecording, joined
from holdfast.inspect.model_call import ModelCall, model_call
from holdfast.inspect.observation import Observer, observed, undisturbed

__all__ = ["LayerRecording", "Recording", "record"]


@dataclass(frozen=True)
class Recording:
    """What the recurrent layers of a model computed in one call; ``print`` it for a table.

    Attributes:
        layers: The layers in the order they ran, by the name of the layer in the model and torch's suffix:
            ``"lstm.l0"``, ``"lstm.l0_reverse"``; ``"l0"`` where the model is the layer itself. A module for one step,
            such as :class:`holdfast.LSTMCell`, has its own name, or ``"cell"``. If a layer runs again with another
            number of rows, its second recording ends in ``#2``.
        output: What the model returned; for a model of a task, the output of its network.
    """

    layers: Mapping[str, LayerRecording]
    output: Any = field(repr=False)

    def __getitem__(self, name: str) -> LayerRecording:
        """The recording of a layer."""
        return self.layers[name]

    def __str__(self) -> str:
        lines = []
        for name, layer in self.layers.items():
            batch, steps, size = layer.output.shape
            words = ", ".join([*layer.gates, *layer.states])
            lines.append(f"{name}: {layer.cell}, {batch} rows, {steps} steps, {size} outputs; {words}")
        return "\n".join(lines)


def record(model: Any, inputs: Any, lengths: Lengths | None = None, state: Any = None) -> Recording:
    """Runs a model on a batch and records every gate, candidate, state and output of its recurrent layers.

    The model runs in evaluation mode and without gradients. Its mode, its gradients, torch's random state and its hooks
    stay as they were, also after an error. The gates are those that the native engine computes, or where another engine
    runs the layer, those of the reference.

    Args:
        model: A layer of Holdfast; any ``torch.nn.Module`` with such layers in it (also after
            :func:`holdfast.replace_recurrent`, or read from a file of PyTorch, Keras or ONNX); a
            :class:`holdfast.Predictor`; a run directory or a model file; or a fitted estimator.
        inputs: For a module, its input, or a tuple of its inputs; arrays become tensors. For the others, examples: what
            the estimator predicts for, or what :meth:`holdfast.Predictor.predict_values` takes; files as ``Path``; or
            examples as :meth:`holdfast.Predictor.read` gives them. All are one batch.
        lengths: Steps in each row, [B], for a module that takes ``lengths``; None where all rows have all steps.
            Examples have their own lengths.
        state: The initial state, for a module that takes ``state`` or ``hx``; None for its own.

    Returns:
        The recording. Its tensors have no gradients.

    Raises:
        OptionError: No recurrent layer of Holdfast ran, or the model does not take ``lengths`` or ``state``.
        DataError: The examples do not fit the model.
        ShapeError: The inputs, lengths or state do not fit the model.

    Example:
        >>> import torch, holdfast
        >>> from holdfast.inspect import record
        >>> layer = holdfast.LSTM(3, 4, batch_first=True)
        >>> recording = record(layer, torch.zeros(2, 5, 3))
        >>> recording["l0"].gates["forget"].shape, recording["l0"].states["cell"].shape
        (torch.Size([2, 5, 4]), torch.Size([2, 5, 4]))
    """
    return record_call(model_call(model, inputs, lengths, state))


def record_call(call: ModelCall) -> Recording:
    """As :func:`record`, for a call that is prepared."""
    observer = Observer()
    with undisturbed(call.network), torch.no_grad(), observed(call.network, observer):
        output = call.run()
    observer.check_seen(call.network)
    return Recording({name: joined(parts) for name, parts in observer.layers.items()}, output)
