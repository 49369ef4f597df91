"""A stream: one step, or a few, at a time through layers whose weights were packed once, the state kept between."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from holdfast.cells.parameter_names import layer_suffix
from holdfast.errors import EngineError, ModelFileError, OptionError, ShapeError
from holdfast.files import container
from holdfast.runtime.narrow_weights import Weights
from holdfast.runtime.network import Array, StreamNetwork, export, read
from holdfast.runtime.steps import MISSING, Steps, laid_out, native_steps

_KIND = "stream state"
_empty = np.empty


class Stream:
    """A network that takes its sequence step by step, in evaluation mode and without gradients.

    The weights are copied when the stream is made. A stream is used by one thread at a time.

    Args:
        network: What it computes.
        batch: B, sequences that go side by side.
        weights: How the weights are stored: ``"float32"``; or rounded to ``"bfloat16"`` or ``"int8"``, which is faster
            where a step takes as long as reading them (few rows), and gives other numbers (docs/streaming.md has a
            table). None: as the network stores them. A network in float64 has only its own.

    Attributes:
        network: What it computes, with its weights rounded.
        batch: B.
        input_size: I, values in a step of input.
        output_size: O, values in a step of output.
        dtype: float32 or float64: what is computed in, what the input has, unless the model scales it, and the output.
        labels: For a saved classifier, what the values of the output are the scores (before softmax) of; for a model
            of numbers, the names of the targets.

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
        sizes = [(spec, size) for spec in network.specs for size in spec.state_sizes.values()]
        self._state = np.zeros(batch * sum(size for _, size in sizes), self.dtype)
        ends = np.cumsum([batch * size for _, size in sizes])
        self._parts = [part.reshape(batch, -1) for part in np.split(self._state, ends[:-1])]
        self._advance = self._steps().advance
        scaled = network.scaling is not None and network.scaling.kind != "none"
        self._converts = scaled or network.restored is not None
        # The shape of a step's output by the dimensions of its input; None where the input cannot be a step.
        self._shapes = {2: (batch, self.output_size)} | ({1: (self.output_size,)} if batch == 1 else {})

    def _steps(self) -> Steps:
        """What computes the steps: the kernels."""
        reason = self.why_not_native()
        if reason is not None:
            raise EngineError(f"holdfast.runtime cannot run {self.network}: {reason} holdfast.Stream, with torch, can.")
        return native_steps(self.network, self.batch, self._state)

    def why_not_native(self) -> str | None:
        """One sentence that says why the kernels cannot compute the network, or None when they can."""
        return MISSING or self.network.why_not_native()

    def step(self, x: Any) -> Any:
        """The next step.

        Args:
            x: [B, I]; or [I] with a batch of 1.

        Returns:
            [B, O], or [O] as ``x`` is; an array of its own.

        Raises:
            ShapeError: ``x`` has the wrong shape or dtype.
        """
        if type(x) is np.ndarray and not self._converts:
            y = _empty(self._shapes.get(x.ndim, ()), self.dtype)
            if self._advance(x, y):
                return y
        return self._checked_step(x)

    def _checked_step(self, x: Any) -> Any:
        """The next step, for an input that the kernels do not take as it is."""
        x = self._checked(x)
        if x.ndim not in self._shapes or x.shape[:-1] != self._shapes[x.ndim][:-1] or x.shape[-1] != self.input_size:
            alone = " or (input_size,)" if self.batch == 1 else ""
            raise self._misfit(x, f"(batch, input_size){alone}")
        return self._filled(x)

    def run(self, x: Any) -> Any:
        """The next steps, several at once.

        Args:
            x: [B, T, I]; or [T, I] with a batch of 1.

        Returns:
            [B, T, O], or [T, O] as ``x`` is.

        Raises:
            ShapeError: ``x`` has the wrong shape or dtype.
        """
        x = self._checked(x)
        alone = self.batch == 1 and x.ndim == 2
        if not (alone or (x.ndim == 3 and len(x) == self.batch)) or x.shape[-1] != self.input_size:
            raise self._misfit(x, "(batch, time, input_size)" + (" or (time, input_size)" if self.batch == 1 else ""))
        return self._filled(x[None])[0] if alone else self._filled(x)

    def _checked(self, x: Any) -> Array:
        """``x`` as what the network reads, whatever its shape."""
        if not isinstance(x, np.ndarray):
            raise ShapeError(f"The stream's input is a {type(x).__name__}; expected a NumPy array.")
        if self.network.scaling is not None and x.dtype.kind in "biuf":
            return self.network.scaling.apply(x) if x.shape[-1:] == (self.input_size,) else x
        if x.dtype != self.dtype:
            raise ShapeError(
                f"The stream's input is {x.dtype}; expected {self.dtype}, as the model: convert it by "
                f".astype({str(self.dtype)!r})."
            )
        return x

    def _misfit(self, x: Array, words: str) -> ShapeError:
        return ShapeError(
            f"The stream's input has shape {x.shape}; expected {words} with batch = {self.batch} and "
            f"input_size = {self.input_size}."
        )

    def _filled(self, x: Array) -> Array:
        """The outputs of steps that fit."""
        y = np.empty((*x.shape[:-1], self.output_size), self.dtype)
        if not self._advance(laid_out(x), y):
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
        return self._given()

    @state.setter
    def state(self, state: Any) -> None:
        self._take(state)

    def _given(self) -> Any:
        columns = [self._joined(column) for column in self._columns()]
        return columns[0] if len(columns) == 1 else tuple(columns)

    def _take(self, state: Any) -> None:
        columns = self._columns()
        given = (state,) if len(columns) == 1 else state
        if not isinstance(given, tuple | list) or len(given) != len(columns):
            raise ShapeError("The stream's state is not a pair; expected (h, c).")
        pairs: list[tuple[Array, Array]] = []
        for letter, column, value in zip("hc", columns, given, strict=False):
            values = [value] if self._is_uniform() else value
            groups = [column] if self._is_uniform() else [[part] for part in column]
            if not isinstance(values, tuple | list) or len(values) != len(groups):
                raise ShapeError(
                    f"The stream's state {letter} is not a sequence of {len(groups)} arrays; the layers have different "
                    "sizes: give one of shape (1, batch, size) a layer."
                )
            for group, array in zip(groups, values, strict=True):
                shape = (len(group), *group[0].shape)
                got = getattr(array, "shape", None), getattr(array, "dtype", None)
                if not isinstance(array, np.ndarray) or got != (shape, self.dtype):
                    seen = f"{got[1]} of shape {got[0]}" if got[0] is not None else f"a {type(array).__name__}"
                    raise ShapeError(f"The stream's state {letter} is {seen}; expected {self.dtype} of shape {shape}.")
                pairs += zip(group, array, strict=True)
        for part, new in pairs:
            part[:] = new

    def reset(self, rows: Any = None) -> None:
        """Sets the state to zero: a new sequence begins.

        Args:
            rows: The rows of the batch in which it begins: their numbers, or a mask [B]; None for all.

        Raises:
            ShapeError: There is no such row.
        """
        if rows is None:
            self._state[:] = 0
            return
        try:
            which = np.arange(self.batch)[np.asarray(rows, None if np.size(rows) else np.intp)]
        except IndexError as error:
            raise ShapeError(f"rows is {rows!r}; expected numbers of rows of a batch of {self.batch}.") from error
        for part in self._parts:
            part[which] = 0

    def save(self, path: Path | str) -> None:
        """Writes the state to a file; :meth:`load` continues from it, to the same bits.

        Raises:
            ModelFileError: The file cannot be written.
        """
        document = {"network": str(self.network), "fingerprint": self.network.fingerprint}
        container.write(Path(path), save, self._named(), document, _KIND)

    def load(self, path: Path | str) -> None:
        """Takes up the state that :meth:`save` wrote, of a stream of the same model and batch.

        Raises:
            ModelFileError: The file is not there, damaged, or of another model or batch; the state is unchanged.
        """
        path = Path(path)
        arrays, document = container.read(path, _KIND, "np")
        if not self.network.has_fingerprint(document.get("fingerprint")):
            other = str(document.get("network", "unknown"))[:200]
            other = "the same layers with other weights or options" if other == str(self.network) else other
            raise ModelFileError(
                f"{path} is the state of another model ({other}); this is {self.network}. Load the model that it "
                "was saved with."
            )
        for name, part in self._named().items():
            if name not in arrays or arrays[name].shape != part.shape or arrays[name].dtype != part.dtype:
                got = f"shape {arrays[name].shape}" if name in arrays else "nothing"
                raise ModelFileError(
                    f"{path} has {got} for {name!r}; expected {part.shape}: make the stream with the batch that it was "
                    "saved with."
                )
        for name, part in self._named().items():
            part[:] = arrays[name]

    def export(self, path: Path | str) -> None:
        """Writes the model itself to a file that :func:`holdfast.runtime.load` opens, without torch too.

        Weights in fewer bits make the file smaller: half of it with bfloat16, a quarter with int8.

        Raises:
            OptionError: An activation is a callable, which no file can hold.
            ModelFileError: The file cannot be written.
        """
        export(self.network, Path(path))

    def __repr__(self) -> str:
        weights = f", weights={self.network.weights!r}" if self.network.weights else ""
        return f"Stream({self.network}, batch={self.batch}{weights})"

    def _letters(self) -> list[str]:
        return list(self.network.specs[0].state_sizes)

    def _columns(self) -> list[list[Array]]:
        """The parts of the state, [B, size] each, by letter and layer."""
        letters = len(self._letters())
        return [self._parts[k::letters] for k in range(letters)]

    def _named(self) -> dict[str, Array]:
        pairs = zip(self._letters(), self._columns(), strict=True)
        return {letter + layer_suffix(number): part for letter, column in pairs for number, part in enumerate(column)}

    def _is_uniform(self) -> bool:
        specs = self.network.specs
        return all(spec.state_sizes == specs[0].state_sizes for spec in specs)

    def _joined(self, column: Sequence[Array]) -> Any:
        return np.stack(column) if self._is_uniform() else tuple(part[None].copy() for part in column)


def load(path: Path | str, batch: int = 1, *, weights: Weights | None = None) -> Stream:
    """Opens a saved model as a stream. Opening a file never runs code from it.

    A model that ``holdfast train`` made takes raw values, as they stand in the data files, and scales them itself; a
    classifier gives the scores (before softmax) of the sequence so far, one for each of ``labels``; a model of numbers
    gives them in the units of the targets.

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
