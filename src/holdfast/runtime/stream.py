"""A stream: one step, or a few, at a time through layers whose weights were packed once, the state kept between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from holdfast.errors import EngineError, OptionError, ShapeError
from holdfast.runtime.narrow_weights import Weights
from holdfast.runtime.network import Array, StreamNetwork, export, read
from holdfast.runtime.steps import MISSING, Steps, laid_out, native_steps
from holdfast.runtime.stream_state import Rows, StreamState

_empty = np.empty


class Stream:
    """A network that takes its sequence step by step, in evaluation mode and without gradients.

    The weights are copied when the stream is made. A stream is used by one thread at a time.

    A step takes all rows of the batch or any of them. The outputs and the state of a row are those of a stream of one
    row, to the bit: they depend neither on the number of the other rows nor on their values.

    Args:
        network: What it computes.
        batch: B, sequences that go side by side.
        weights: How the weights are stored: ``"float32"``; or rounded to ``"bfloat16"`` or ``"int8"``, which is faster
            where a step takes as long as reading them (few rows), and gives other numbers (docs/streaming.md has a
            table). None: as the network stores them. A network in float64 has only its own.

    Attributes:
        network: What it computes, with its weights rounded.
        batch: B.
        input_size: I, values in a step of input; for a language model, in the vector of a token.
        output_size: O, values in a step of output.
        dtype: float32 or float64: what is computed in, what the input has, unless the model scales it, and the output.
        labels: For a saved classifier or language model of characters, what the values of the output are the scores
            (before softmax) of; for a model of numbers, the names of the targets.

    Raises:
        OptionError: ``batch`` is not a number of sequences, or the weights cannot be stored so.
        EngineError: The kernels cannot compute the network.
    """

    def __init__(self, network: StreamNetwork, batch: int = 1, *, weights: Weights | None = None) -> None:
        if not isinstance(batch, int) or batch < 1:
            raise OptionError(f"batch is {batch!r}; expected a whole number of sequences from 1 on.")
        self.network = network = network.with_weights(weights)
        self.batch = batch
        self.input_size, self.output_size, self.dtype = network.input_size, network.output_size, network.dtype
        self.labels = tuple(network.labels)
        self._state = StreamState(network, batch)
        self._advance = self._steps().advance
        scaled = network.scaling is not None and network.scaling.kind != "none"
        self._converts = scaled or network.restored is not None or network.vectors is not None
        # The shape of a step's output by the dimensions of its input; None where the input cannot be a step.
        self._shapes = {2: (batch, self.output_size)} | ({1: (self.output_size,)} if batch == 1 else {})

    def _steps(self) -> Steps:
        """What computes the steps: the kernels."""
        reason = self.why_not_native()
        if reason is not None:
            raise EngineError(f"holdfast.runtime cannot run {self.network}: {reason} holdfast.Stream, with torch, can.")
        return native_steps(self.network, self.batch, self._state.values)

    def why_not_native(self) -> str | None:
        """One sentence that says why the kernels cannot compute the network, or None when they can."""
        return MISSING or self.network.why_not_native()

    def step(self, x: Any, rows: Any = None) -> Any:
        """The next step, of all rows or of some.

        Args:
            x: [R, I], where R is the number of rows, B if ``rows`` is None; or [I] with a batch of 1. For a language
                model the ids of tokens, whole numbers [R], or [] with a batch of 1.
            rows: The rows that take the step: their numbers, each once, or a mask [B]; None for all. The state of the
                others does not change.

        Returns:
            [R, O], or [O] as ``x`` is; an array of its own.

        Raises:
            ShapeError: ``x`` has the wrong shape or dtype, or there is no such row, or one is named twice.

        Example:
            >>> stream = runtime.load("model.safetensors", batch=8)  # doctest: +SKIP
            >>> stream.reset([2, 5])  # two sequences begin  # doctest: +SKIP
            >>> y = stream.step(x, rows=[5, 2])  # y[0] is the output of row 5  # doctest: +SKIP
        """
        if rows is None and type(x) is np.ndarray and not self._converts:
            y = _empty(self._shapes.get(x.ndim, ()), self.dtype)
            if self._advance(x, y):
                return y
        return self._checked_step(x, rows)

    def _checked_step(self, x: Any, rows: Any) -> Any:
        """The next step, for an input that the kernels do not take as it is."""
        x, which = self._checked(x), self._which(rows)
        shapes: list[tuple[int, ...]] = [(self.batch if which is None else len(which), self.input_size)]
        if which is None and self.batch == 1:
            shapes.append((self.input_size,))
        if x.shape not in shapes:
            raise self._misfit(x, "(batch, input_size)", "(input_size,)", which)
        return self._filled(x, which)

    def run(self, x: Any, rows: Any = None) -> Any:
        """The next steps, several at once.

        Args:
            x: [R, T, I], where R is the number of rows, B if ``rows`` is None; or [T, I] with a batch of 1. For a
                language model the ids of tokens, [R, T] or [T].
            rows: The rows that take the steps, as for :meth:`step`.

        Returns:
            [R, T, O], or [T, O] as ``x`` is.

        Raises:
            ShapeError: ``x`` has the wrong shape or dtype, or there is no such row, or one is named twice.
        """
        x, which = self._checked(x), self._which(rows)
        count = self.batch if which is None else len(which)
        alone = which is None and self.batch == 1 and x.ndim == 2
        if not (alone or (x.ndim == 3 and len(x) == count)) or x.shape[-1] != self.input_size:
            raise self._misfit(x, "(batch, time, input_size)", "(time, input_size)", which)
        return self._filled(x[None], which)[0] if alone else self._filled(x, which)

    def _which(self, rows: Any) -> Rows | None:
        """The numbers of different rows; None for all."""
        if rows is None:
            return None
        which = self._state.which(rows)
        if len(set(which.tolist())) != len(which):
            raise ShapeError(f"rows is {rows!r}; expected each row once: a row takes one step at a time.")
        return which

    def _checked(self, x: Any) -> Array:
        """``x`` as what the network reads, whatever its shape."""
        if not isinstance(x, np.ndarray):
            raise ShapeError(f"The stream's input is a {type(x).__name__}; expected a NumPy array.")
        if self.network.vectors is not None:
            return _looked_up(x, self.network.vectors)
        if self.network.scaling is not None and x.dtype.kind in "biuf":
            return self.network.scaling.apply(x) if x.shape[-1:] == (self.input_size,) else x
        if x.dtype != self.dtype:
            raise ShapeError(
                f"The stream's input is {x.dtype}; expected {self.dtype}, as the model: convert it by "
                f".astype({str(self.dtype)!r})."
            )
        return x

    def _misfit(self, x: Array, words: str, alone: str, which: Rows | None) -> ShapeError:
        if which is None:
            words += f" or {alone}" if self.batch == 1 else ""
            sizes = f"batch = {self.batch}"
        else:
            words = words.replace("batch", "rows")
            sizes = f"rows = {len(which)}"
        if self.network.vectors is not None:
            words = words.replace(", input_size", "").replace("input_size,", "")
            return ShapeError(f"The stream's ids have shape {x.shape[:-1]}; expected {words} with {sizes}.")
        return ShapeError(
            f"The stream's input has shape {x.shape}; expected {words} with {sizes} and input_size = {self.input_size}."
        )

    def _filled(self, x: Array, which: Rows | None) -> Array:
        """The outputs of steps that fit."""
        y = np.empty((*x.shape[:-1], self.output_size), self.dtype)
        if not self._advance(laid_out(x), y, which):
            raise AssertionError(f"steps of shape {x.shape} were checked, and do not fit")
        return y if self.network.restored is None else self.network.restored.apply(y)

    @property
    def state(self) -> Any:
        """The state after the last step, a copy, shaped as that of the layer.

        h [num_layers, B, O], or for the LSTM (h, c) with c [num_layers, B, H]; with layers of different sizes, h and c
        are tuples of one [1, B, size] array per layer. Set it to continue from another state.

        Raises:
            ShapeError: What is set has not the right parts, shapes or dtype.
        """
        return self._state.of()

    @state.setter
    def state(self, state: Any) -> None:
        self._state.set(state)

    def state_of(self, rows: Any) -> Any:
        """The state of some rows, R of them: a copy, as :attr:`state` with R instead of B.

        Args:
            rows: The rows, as for :meth:`step`.

        Raises:
            ShapeError: There is no such row.
        """
        return self._state.of(rows)

    def set_state_of(self, rows: Any, state: Any) -> None:
        """Sets the state of some rows to one that :meth:`state_of` returned, of this or another row or stream.

        Args:
            rows: The rows, as for :meth:`step`.
            state: Their state.

        Raises:
            ShapeError: There is no such row, or the state does not have the right parts, shapes or dtype.
        """
        self._state.set(state, rows)

    def reset(self, rows: Any = None) -> None:
        """Sets the state to zero: a new sequence begins.

        Args:
            rows: The rows of the batch in which it begins: their numbers, or a mask [B]; None for all.

        Raises:
            ShapeError: There is no such row.
        """
        self._state.reset(rows)

    def save(self, path: Path | str, rows: Any = None) -> None:
        """Writes the state of all rows, or of some, to a file; :meth:`load` continues from it, to the same bits.

        Args:
            path: The file; an existing one is replaced.
            rows: Numbers of rows; None for all.

        Raises:
            ModelFileError: The file cannot be written.
            ShapeError: There is no such row.
        """
        self._state.save(Path(path), rows)

    def load(self, path: Path | str, rows: Any = None) -> None:
        """Takes up the state that :meth:`save` wrote, of a stream of the same model, into as many rows.

        Args:
            path: The file.
            rows: Numbers of rows; None for all.

        Raises:
            ModelFileError: The file is not there, damaged, or of another model or number of rows; the state is
                unchanged.
            ShapeError: There is no such row.
        """
        self._state.load(Path(path), rows)

    def export(self, path: Path | str) -> None:
        """Writes the model itself to a file that :func:`holdfast.runtime.load` opens, without torch too.

        Weights in fewer bits make the file smaller: half of it with bfloat16, a quarter with int8.

        Args:
            path: The file; an existing one is replaced.

        Raises:
            OptionError: An activation is a callable, which no file can hold.
            ModelFileError: The file cannot be written.
        """
        export(self.network, Path(path))

    def __repr__(self) -> str:
        weights = f", weights={self.network.weights!r}" if self.network.weights else ""
        return f"Stream({self.network}, batch={self.batch}{weights})"


def _looked_up(ids: Array, vectors: Array) -> Array:
    """The vector of each id, [..., I] for ids [...]."""
    if ids.dtype.kind not in "iu":
        raise ShapeError(f"The stream's input is {ids.dtype}; expected whole numbers, the ids of tokens.")
    if ids.size and not (int(ids.min()) >= 0 and int(ids.max()) < len(vectors)):
        raise ShapeError(f"The stream's ids are from {ids.min()} to {ids.max()}; expected 0 to {len(vectors) - 1}.")
    looked_up: Array = vectors[ids]
    return looked_up


def load(path: Path | str, batch: int = 1, *, weights: Weights | None = None) -> Stream:
    """Opens a saved model as a stream. Opening a file never runs code from it.

    A model that ``holdfast train`` made takes raw values, as they stand in the data files, and scales them itself; a
    classifier gives the scores (before softmax) of the sequence so far, one for each of ``labels``; a model of numbers
    gives them in the units of the targets; a language model takes the ids of tokens and gives the scores of the next.

    Args:
        path: A model file, or a folder (such as that of a run) that holds a ``model.safetensors``.
        batch: B, sequences that go side by side.
        weights: How the weights are stored, as for :class:`Stream`; None: as in the file.

    Raises:
        ModelFileError: There is no model, or the file is truncated, damaged, too new, or of another kind.
        OptionError: The model needs steps that have not come yet; the message says where.
        EngineError: The kernels cannot compute the model.
    """
    return Stream(read(Path(path)), batch, weights=weights)
