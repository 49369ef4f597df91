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
    """``keras.layers.RNN``; Holdfast runs the loop over time if it knows the cell.

    Constructor, call, weights, masking, states, seeds, configuration and saved files are Keras's. Holdfast knows
    Keras's own cells, ``LSTMCell``, ``GRUCell`` and ``SimpleRNNCell``, alone or stacked; Keras runs any other.
    :meth:`explain` says which.

    Example:
        >>> import keras, numpy
        >>> layer = RNN(keras.layers.GRUCell(4))
        >>> keras.ops.convert_to_numpy(layer(numpy.zeros((2, 7, 3), "float32"))).shape
        (2, 4)
    """

    def why_not(self, training: bool = False) -> str | None:
        """One sentence that says why Keras runs the loop of this layer, or None if Holdfast does.

        Args:
            training: Whether the answer is for calls with ``training=True``.
        """
        if getattr(self, "use_cudnn", None) is True:
            return "use_cudnn=True requests cuDNN, which Keras calls."
        for cell in self._cells():
            if reason := cells.why_not(cell):
                return reason
            if reason := backend().why_not(self._computation(cell, cell.units, training), cell.compute_dtype):
                return reason
        return None

    def explain(self, training: bool = False) -> Explanation:
        """Which of Holdfast's engines runs each cell of this layer and why not another; or ``keras``, and why.

        Args:
            training: Whether the answer is for calls with ``training=True``.
        """
        reason = self.why_not(training)
        if reason is not None:
            return Explanation((EngineChoice(self.name, "keras", {"holdfast": reason}),))
        choices = []
        for number, cell in enumerate(self._cells()):
            part = f"{self.name}, cell {number}" if len(self._cells()) > 1 else self.name
            choices.append(backend().explain(part, self._computation(cell, cell.units, training), cell.compute_dtype))
        return Explanation(tuple(choices))

    @property
    def supports_jit(self) -> bool:
        """Whether Keras may compile a model with this layer; Keras reads it if ``jit_compile`` is ``"auto"``."""
        return self._supports_jit and (backend().SUPPORTS_JIT or self.why_not() is not None)

    @supports_jit.setter
    def supports_jit(self, value: bool) -> None:
        self._supports_jit = value

    def inner_loop(self, sequences: Any, initial_state: Any, mask: Any, training: bool = False) -> Any:
        """Runs the loop over prepared sequences; :meth:`keras.layers.RNN.call` calls this.

        Args:
            sequences: [B, T, I].
            initial_state: The parts of the state, each [B, H]; for stacked cells, a list of them.
            mask: [B, T], false for steps to skip; None for none.
            training: Whether dropout is on.
        """
        training = bool(training)
        if self.why_not(training) is not None or len(sequences.shape) != 3:
            return super().inner_loop(sequences, initial_state, mask, training=training)
        if keras.tree.is_nested(mask):
            mask = mask[0]
        if mask is not None:
            mask = ops.cast(mask if len(mask.shape) == 2 else ops.any(mask, axis=-1), "bool")
        layer_cells = self._cells()
        states = initial_state if self._is_stack() else [initial_state]
        final_states = []
        for cell, state in zip(layer_cells, states, strict=True):
            outcome = self._run(cell, sequences, state, mask, training, is_last=cell is layer_cells[-1])
            final = list(outcome.state)
            final_states.append(final if keras.tree.is_nested(state) else final[0])
            sequences = outcome.outputs
        if outcome.outputs is None:
            outputs = outcome.last[:, None]
        else:
            outputs = ops.flip(outcome.outputs, axis=1) if self.go_backwards else outcome.outputs
        return outcome.last, outputs, final_states if len(final_states) > 1 else final_states[0]

    def _run(self, cell: Any, inputs: Any, state: Any, mask: Any, training: bool, is_last: bool) -> Outcome:
        dtype = cell.compute_dtype
        inputs = ops.cast(inputs, dtype)
        parts = tuple(state) if keras.tree.is_nested(state) else (state,)
        if self.stateful:  # the backward pass reads the old values after Keras has overwritten the variables
            parts = tuple(ops.copy(part) for part in parts)
        masks = cells.masks(cell, inputs[:, 0], parts[0], training)
        weights = cells.weights(cell)
        input_size = weights[0].shape[0]  # of the variable: while torch traces, a tensor's size is not a number
        kernel, recurrent_kernel, bias = (
            None if weight is None else ops.convert_to_tensor(weight, dtype) for weight in weights
        )
        if masks.inputs is not None:
            inputs, kernel = cells.dropped(inputs, kernel, masks.inputs)
            input_size = inputs.shape[-1]
        arrays = Arrays(inputs, parts, kernel, recurrent_kernel, bias, mask, masks.state)
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
