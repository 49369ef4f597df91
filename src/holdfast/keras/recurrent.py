"""The loop over time of Keras's recurrent layers, run by Holdfast."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from holdfast.engines import EngineChoice, Explanation
from holdfast.keras import cells
from holdfast.keras.computation import Arrays, Computation, Outcome, backend


@keras.saving.register_keras_serializable(package="holdfast")
class RNN(keras.layers.RNN):
    """``keras.layers.RNN``, with the loop over time run by Holdfast where it knows the cell.

    Constructor, call, weights, masking, states, seeds, configuration and saved files are those of Keras. Cells that
    Holdfast knows are Keras's own, ``LSTMCell``, ``GRUCell`` and ``SimpleRNNCell``, alone or stacked; any other is run
    by Keras. :meth:`explain` says which.
    """

    def why_not(self, training: bool = False) -> str | None:
        """One sentence that says why Keras runs the loop of this layer, or None when Holdfast does.

        Args:
            training: Whether for calls with ``training=True``.
        """
        if getattr(self, "use_cudnn", None) is True:
            return "use_cudnn=True asks for cuDNN, which Keras calls."
        for cell in self._cells():
            if reason := cells.why_not(cell):
                return reason
            if reason := backend().why_not(self._computation(cell, cell.units, training), cell.compute_dtype):
                return reason
        return None

    def explain(self, training: bool = False) -> Explanation:
        """Which of Holdfast's engines runs each cell of this layer and why not another; or ``keras``, and why.

        Args:
            training: Whether for calls with ``training=True``.
        """
        reason = self.why_not(training)
        if reason is not None:
            return Explanation((EngineChoice(self.name, "keras", {"holdfast": reason}),))
        found = []
        for number, cell in enumerate(self._cells()):
            part = f"{self.name}, cell {number}" if len(self._cells()) > 1 else self.name
            found.append(backend().explain(part, self._computation(cell, cell.units, training), cell.compute_dtype))
        return Explanation(tuple(found))

    @property
    def supports_jit(self) -> bool:
        """Whether Keras may compile a model with this layer; asked for when ``jit_compile`` is ``"auto"``."""
        return self._supports_jit and (backend().SUPPORTS_JIT or self.why_not() is not None)

    @supports_jit.setter
    def supports_jit(self, value: bool) -> None:
        self._supports_jit = value

    def inner_loop(self, sequences: Any, initial_state: Any, mask: Any, training: bool = False) -> Any:
        """Keras calls this with everything prepared; see :meth:`keras.layers.RNN.call`."""
        training = bool(training)
        if self.why_not(training) is not None or len(sequences.shape) != 3:
            return super().inner_loop(sequences, initial_state, mask, training=training)
        if keras.tree.is_nested(mask):
            mask = mask[0]
        if mask is not None:
            mask = ops.cast(mask if len(mask.shape) == 2 else ops.any(mask, axis=-1), "bool")
        every = self._cells()
        states = initial_state if self._is_stack() else [initial_state]
        found = []
        for cell, state in zip(every, states, strict=True):
            outcome = self._run(cell, sequences, state, mask, training, is_last=cell is every[-1])
            new = list(outcome.state)
            found.append(new if keras.tree.is_nested(state) else new[0])
            sequences = outcome.outputs
        if outcome.outputs is None:
            outputs = outcome.last[:, None]
        else:
            outputs = ops.flip(outcome.outputs, axis=1) if self.go_backwards else outcome.outputs
        return outcome.last, outputs, found if len(found) > 1 else found[0]

    def _run(self, cell: Any, inputs: Any, state: Any, mask: Any, training: bool, is_last: bool) -> Outcome:
        dtype = cell.compute_dtype
        inputs = ops.cast(inputs, dtype)
        parts = tuple(state) if keras.tree.is_nested(state) else (state,)
        if self.stateful:  # the variables are written anew before their old values are last read, by the backward pass
            parts = tuple(ops.copy(part) for part in parts)
        drawn = cells.masks(cell, inputs[:, 0], parts[0], training)
        weights = cells.weights(cell)
        input_size = weights[0].shape[0]  # a variable's is a number even while torch traces, and a tensor's is not
        kernel, recurrent_kernel, bias = (
            None if weight is None else ops.convert_to_tensor(weight, dtype) for weight in weights
        )
        if drawn.inputs is not None:
            inputs, kernel = cells.dropped(inputs, kernel, drawn.inputs)
            input_size = inputs.shape[-1]
        arrays = Arrays(inputs, parts, kernel, recurrent_kernel, bias, mask, drawn.state)
        return backend().run(self._computation(cell, input_size, training, is_last), arrays)

    def _computation(self, cell: Any, input_size: int, training: bool, is_last: bool = False) -> Computation:
        return Computation(
            cells.spec(cell, input_size, training),
            reverse=self.go_backwards,
            sequences=self.return_sequences or not is_last,
            at_masked="zero" if self.zero_output_for_mask or not is_last else "repeat",
            before_first="state" if keras.backend.backend() == "jax" and not self.unroll else "zero",
        )

    def _is_stack(self) -> bool:
        return isinstance(self.cell, keras.layers.StackedRNNCells)

    def _cells(self) -> list[Any]:
        return list(self.cell.cells) if self._is_stack() else [self.cell]
