"""The state of a stream: read, set, reset, saved and loaded, of all rows or of some."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from holdfast.cells.parameter_names import layer_suffix
from holdfast.errors import ModelFileError, ShapeError
from holdfast.files import container
from holdfast.runtime.network import Array, Arrays, StreamNetwork

KIND = "stream state"
"""The kind of the files that hold one."""
Rows = NDArray[np.int64]


class StreamState:
    """The state of B rows, zero at first.

    Args:
        network: The network of the stream.
        batch: B.

    Attributes:
        values: All of it, as ``native/stream.h`` orders it: per layer h [B, O], and for the LSTM then c [B, H].
        parts: Views of these arrays, [B, size] each.
    """

    def __init__(self, network: StreamNetwork, batch: int) -> None:
        self._network, self._numbers = network, np.arange(batch)
        sizes = [size for spec in network.specs for size in spec.state_sizes.values()]
        self.values = np.zeros(batch * sum(sizes), network.dtype)
        ends = np.cumsum([batch * size for size in sizes])
        self.parts = [part.reshape(batch, -1) for part in np.split(self.values, ends[:-1])]
        letters = list(network.specs[0].state_sizes)
        self._names = [letter + layer_suffix(number) for number in range(len(network.specs)) for letter in letters]
        self._columns = [self.parts[k :: len(letters)] for k in range(len(letters))]
        self._uniform = all(spec.state_sizes == network.specs[0].state_sizes for spec in network.specs)

    def which(self, rows: Any) -> Rows:
        """Numbers of rows from 0 on.

        Args:
            rows: One number or several, or a mask [B]; None for all.

        Raises:
            ShapeError: There is no such row.
        """
        if rows is None:
            return self._numbers
        try:
            which: Rows = self._numbers[np.asarray(rows, None if np.size(rows) else np.intp)].reshape(-1)
        except IndexError as error:
            raise ShapeError(
                f"rows is {rows!r}; expected numbers of rows of a batch of {len(self._numbers)}."
            ) from error
        return which

    def of(self, rows: Any = None) -> Any:
        """A copy of the state of some rows, R of them, shaped as the state of the layer.

        Returns:
            h [num_layers, R, O], or for the LSTM (h, c) with c [num_layers, R, H]; with layers of different sizes, h
            and c are tuples of one [1, R, size] array per layer.
        """
        which = self.which(rows)
        columns = [self._joined([part[which] for part in column]) for column in self._columns]
        return columns[0] if len(columns) == 1 else tuple(columns)

    def set(self, state: Any, rows: Any = None) -> None:
        """Sets the state of some rows to one shaped as :meth:`of` returns it.

        Raises:
            ShapeError: It does not have the right parts, shapes or dtype; the state is unchanged.
        """
        which = self.which(rows)
        given = (state,) if len(self._columns) == 1 else state
        if not isinstance(given, tuple | list) or len(given) != len(self._columns):
            raise ShapeError("The stream's state is not a pair; expected (h, c).")
        new: list[Array] = []
        columns = [
            self._checked(letter, column, value, len(which))
            for letter, column, value in zip("hc", self._columns, given, strict=False)
        ]
        for of_layer in zip(*columns, strict=True):
            new += of_layer
        for part, values in zip(self.parts, new, strict=True):
            part[which] = values

    def reset(self, rows: Any = None) -> None:
        """Sets the state of some rows to zero."""
        if rows is None:
            self.values[:] = 0
            return
        which = self.which(rows)
        for part in self.parts:
            part[which] = 0

    def arrays(self, rows: Any = None) -> dict[str, Array]:
        """Copies of the parts, [R, size] each, by names such as ``"h_l0"``."""
        which = self.which(rows)
        return {name: part[which] for name, part in zip(self._names, self.parts, strict=True)}

    def set_arrays(self, arrays: Arrays, rows: Any = None, *, origin: str = "The state") -> None:
        """Sets the state of some rows to arrays as :meth:`arrays` returns them.

        Args:
            arrays: The parts by name.
            rows: R rows.
            origin: Where the arrays are from, for an error.

        Raises:
            ModelFileError: An array is missing, or has another shape or dtype; the state is unchanged.
        """
        which = self.which(rows)
        for name, part in zip(self._names, self.parts, strict=True):
            shape = (len(which), part.shape[1])
            if name not in arrays or arrays[name].shape != shape or arrays[name].dtype != part.dtype:
                got = f"shape {arrays[name].shape}" if name in arrays else "nothing"
                raise ModelFileError(
                    f"{origin} has {got} for {name!r}; expected {shape}: make the stream with the batch that it was "
                    "saved with, or give as many rows."
                )
        for name, part in zip(self._names, self.parts, strict=True):
            part[which] = arrays[name]

    def document(self) -> dict[str, Any]:
        """What a file with the state says about its network."""
        return {"network": str(self._network), "fingerprint": self._network.fingerprint}

    def check_document(self, document: dict[str, Any], origin: str) -> None:
        """Refuses the state of another network.

        Raises:
            ModelFileError: It is of another one.
        """
        if self._network.has_fingerprint(document.get("fingerprint")):
            return
        other = str(document.get("network", "unknown"))[:200]
        other = "the same layers with other weights or options" if other == str(self._network) else other
        raise ModelFileError(
            f"{origin} is the state of another model ({other}); this is {self._network}. Load the model that it "
            "was saved with."
        )

    def save(self, path: Path, rows: Any = None) -> None:
        """Writes the state of some rows to a file.

        Raises:
            ModelFileError: The file cannot be written.
        """
        container.write(path, save, self.arrays(rows), self.document(), KIND)

    def load(self, path: Path, rows: Any = None) -> None:
        """Takes up the state that :meth:`save` wrote.

        Raises:
            ModelFileError: The file does not exist, is damaged, or is of another model or number of rows; the state is
                unchanged.
        """
        arrays, document = container.read(path, KIND, "np")
        self.check_document(document, str(path))
        self.set_arrays(arrays, rows, origin=str(path))

    def _checked(self, letter: str, column: Sequence[Array], value: Any, rows: int) -> list[Array]:
        """The arrays [R, size] of each layer in what a caller gives for one letter of the state."""
        values = [value] if self._uniform else value
        groups = [column] if self._uniform else [[part] for part in column]
        if not isinstance(values, tuple | list) or len(values) != len(groups):
            raise ShapeError(
                f"The stream's state {letter} is not a sequence of {len(groups)} arrays; the layers have different "
                "sizes: give one of shape (1, batch, size) a layer."
            )
        for group, array in zip(groups, values, strict=True):
            shape, dtype = (len(group), rows, group[0].shape[1]), self.values.dtype
            got = getattr(array, "shape", None), getattr(array, "dtype", None)
            if not isinstance(array, np.ndarray) or got != (shape, dtype):
                seen = f"{got[1]} of shape {got[0]}" if got[0] is not None else f"a {type(array).__name__}"
                raise ShapeError(f"The stream's state {letter} is {seen}; expected {dtype} of shape {shape}.")
        return [part for array in values for part in array]

    def _joined(self, column: Sequence[Array]) -> Any:
        return np.stack(column) if self._uniform else tuple(part[None] for part in column)
