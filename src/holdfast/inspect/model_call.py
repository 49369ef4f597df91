"""One call of a model on one batch, whatever the model is: a module, a predictor, a run, or an estimator."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from holdfast.cells.nested_state import describe
from holdfast.data import Batch
from holdfast.data.vocabulary import Vocabulary
from holdfast.engines.lengths import Lengths
from holdfast.errors import DataError, OptionError
from holdfast.inspect.tensors import first_tensor, to_tensor
from holdfast.layers.layout import LAYOUTS
from holdfast.layers.recurrent_layer import RecurrentLayer
from holdfast.predictor import Predictor


@dataclass(frozen=True)
class ModelCall:
    """A network, and how to call it on a batch.

    Attributes:
        network: The network.
        run: Calls it on the batch; returns what it returns.
        inputs: The batch, [B, T, C], or ids [B, T]; None where the network takes something else.
        forward: Calls it on other inputs of the same shape; returns its output, [B, T, O] or [B, O].
        lengths: Steps in each row, [B], int64; None where all rows have all steps, or where they are not known.
        loss: The loss of the task on the batch; None without a task or without targets.
        output_lengths: Steps in each row of the output, [B]; None where they are ``lengths``, or all.
        vocabulary: What ids stand for; None where that is not known, and for numbers.
    """

    network: nn.Module
    run: Callable[[], Any]
    inputs: Tensor | None
    forward: Callable[[Tensor], Tensor]
    lengths: Tensor | None = None
    loss: Callable[[], Tensor] | None = None
    output_lengths: Tensor | None = None
    vocabulary: Vocabulary | None = None

    def last(self, output: Tensor) -> Tensor:
        """The output at the last step of each row: [B, T, ...] -> [B, ...]; an output [B, O] as it is."""
        if output.ndim < 3:
            return output
        lengths = self.output_lengths
        if lengths is None and self.inputs is not None and self.inputs.shape[1] == output.shape[1]:
            lengths = self.lengths
        if lengths is None:
            return output[:, -1]
        rows = torch.arange(len(output), device=output.device)
        return output[rows, (lengths.to(output.device) - 1).clamp(min=0)]

    @property
    def batch(self) -> Tensor:
        """The inputs, for what needs one tensor.

        Raises:
            OptionError: The network takes something else.
        """
        if self.inputs is None:
            raise OptionError(
                "The model got several inputs; expected one tensor, [B, T, C] or ids [B, T]: give a module that takes "
                "one."
            )
        return self.inputs


def model_call(model: Any, inputs: Any, lengths: Lengths | None = None, state: Any = None) -> ModelCall:
    """How to call a model on inputs, as :func:`holdfast.inspect.record` describes them.

    Raises:
        OptionError: The model is not one that can be called, or does not take ``lengths`` or ``state``.
        DataError: The examples do not fit the model.
        ModelFileError: There is no usable model at a path.
    """
    if isinstance(model, nn.Module):
        return (
            _of_layer(model, inputs, lengths, state)
            if isinstance(model, RecurrentLayer)
            else _of_module(model, inputs, lengths, state)
        )
    if lengths is not None:
        raise OptionError("lengths is for a module; examples have their own lengths. Leave it out.")
    if isinstance(model, str | Path):
        model = Predictor(model)
    if isinstance(model, Predictor):
        return _of_task(model, _examples(model, inputs), state)
    if hasattr(model, "as_examples"):  # an estimator, which a package above this one has
        predictor, examples = model.as_examples(inputs)
        return _of_task(predictor, examples, state)
    raise OptionError(
        f"The model is {describe(model)}; expected a torch.nn.Module, a Predictor, a run directory or a model file, or "
        "a fitted estimator of Holdfast."
    )


def _of_module(network: nn.Module, inputs: Any, lengths: Lengths | None, state: Any) -> ModelCall:
    parameters = inspect.signature(network.forward).parameters
    options: dict[str, Any] = {}
    if lengths is not None:
        if "lengths" not in parameters:
            raise OptionError(
                f"{type(network).__name__}.forward takes no lengths; its arguments are {', '.join(parameters)}. Give "
                "all of them as a tuple of inputs."
            )
        options["lengths"] = lengths
    if state is not None:
        name = next((name for name in ("state", "hx") if name in parameters), None)
        if name is None:
            raise OptionError(
                f"{type(network).__name__}.forward takes no state; its arguments are {', '.join(parameters)}. Give all "
                "of them as a tuple of inputs."
            )
        options[name] = state
    several = isinstance(inputs, tuple) and not isinstance(inputs, PackedSequence)
    arguments = tuple(to_tensor(value, network) for value in inputs) if several else (to_tensor(inputs, network),)
    single = arguments[0] if isinstance(arguments[0], Tensor) else None

    def forward(x: Tensor) -> Tensor:
        return first_tensor(network(x, *arguments[1:], **options))

    known = None if lengths is None else torch.as_tensor(lengths)
    return ModelCall(network, lambda: network(*arguments, **options), single, forward, known)


def _of_layer(layer: RecurrentLayer, inputs: Any, lengths: Lengths | None, state: Any) -> ModelCall:
    """A layer by itself: its batch first, whatever the layout of its input."""
    x = to_tensor(inputs, layer)
    options = {"hx": state, "lengths": lengths}
    known: Tensor | None
    if isinstance(x, PackedSequence):
        padded, own_lengths = pad_packed_sequence(x, batch_first=True)
        layout = LAYOUTS[True, not layer.batch_first]
        options["lengths"], known = own_lengths, own_lengths
    elif isinstance(x, Tensor) and x.ndim in (2, 3):
        layout = LAYOUTS[x.ndim == 3, not layer.batch_first]
        padded, known = layout.inward(x), None if lengths is None else torch.as_tensor(lengths)
    else:
        return ModelCall(layer, lambda: layer(x, state, lengths), None, _no_forward)

    def forward(values: Tensor) -> Tensor:
        return layout.inward(cast(Tensor, layer(layout.outward(values), **options)[0]))

    return ModelCall(layer, lambda: layer(x, state, lengths), padded, forward, known)


def _no_forward(_: Tensor) -> Tensor:
    raise OptionError("The layer got no tensor; expected [T, B, I], [B, T, I] or [T, I].")


def _examples(predictor: Predictor, inputs: Any) -> Any:
    """Inputs as examples of the task, or a batch."""
    if isinstance(inputs, Batch) or hasattr(inputs, "unlabelled"):
        return inputs
    if isinstance(inputs, Path):
        inputs = [inputs]
    if isinstance(inputs, list | tuple) and inputs and all(isinstance(value, Path) for value in inputs):
        return predictor.read(inputs)
    return predictor.task.from_values(inputs)


def _of_task(predictor: Predictor, examples: Any, state: Any) -> ModelCall:
    task, network = predictor.task, predictor.model
    if isinstance(examples, Batch):
        batch: Any = examples
    elif not len(examples):
        raise DataError("There are no examples; expected at least one to look at.")
    else:
        batch = next(iter(task.batches(examples, size=len(examples)).epoch(0)))
    batch = batch.to(predictor.device)
    has_targets = batch.targets is not None
    with torch.no_grad():
        batch = task.with_answer(network, batch)

    def forward(x: Tensor) -> Tensor:
        return task.forward(network, replace(batch, inputs=x), state)

    def loss() -> Tensor:
        return task.loss(network, batch, state).loss

    return ModelCall(
        network,
        lambda: task.forward(network, batch, state),
        batch.inputs,
        forward,
        batch.lengths,
        loss if has_targets else None,
        task.output_lengths(batch),
        task.input_vocabulary,
    )
