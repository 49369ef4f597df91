"""NumPy arrays as sequences with targets: their usual names, their shapes, and checks of their headers."""

from __future__ import annotations

import math
import sys
import tokenize
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from holdfast.data.examples import Array, Examples
from holdfast.data.targets import Targets
from holdfast.errors import DataError

INPUTS = ("inputs", "X", "x", "data", "images", "features")
"""The usual names of inputs."""
LABELS = ("labels", "y", "Y", "targets", "target", "label")
"""The usual names of targets."""
PARTS = ("train", "test")
"""Prefixes or suffixes of these names, with ``_`` between, in a file with both parts of a data set."""


def named(bases: tuple[str, ...], part: str) -> list[str]:
    """The names of the arrays of a part; with an empty part, of a file without parts."""
    return [name for base in bases for name in ([f"{base}_{part}", f"{part}_{base}"] if part else [base])]


def header(file: IO[bytes], where: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape and type of the array in a ``.npy`` file; the file is read up to the start of the values.

    Args:
        file: The file, at its start.
        where: Its name, for the message.

    Raises:
        DataError: It holds Python objects, which are never loaded.
        ValueError: It is not such a file.
    """
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, _, dtype = read_header(file)
    # numpy reads a header as Python code and does not check it.
    except (tokenize.TokenError, SyntaxError, TypeError, RecursionError) as error:
        raise ValueError(f"its header is not valid: {error}") from error
    if dtype.hasobject:
        raise DataError(f"{where} holds Python objects, which are never loaded; expected numbers or text.")
    return shape, dtype


def claimed(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """The number of bytes that the values take."""
    return math.prod(shape) * dtype.itemsize


class Sequences:
    """Arrays as sequences, all of them or some at a time.

    Args:
        where: The file, for messages and origins.
        named: ``inputs``, [N, T, C], or [N, T] for one channel. ``labels``, where there are targets: labels [N] or
            [N, 1], integers, whole numbers or text, or one-hot [N, classes]; numbers [N] or, for several per sequence,
            [N, K]; numbers of steps [N, T] or, for several per step, [N, T, K]. ``lengths``, [N], the steps of each
            sequence, where they differ: later steps are left out. Arrays in files that are mapped stay there.
        targets: What the task learns.
        gaps: Whether NaN stands for a missing value.

    Raises:
        DataError: An array has a wrong shape or type.
    """

    def __init__(self, where: str, named: Mapping[str, Array], targets: Targets, *, gaps: bool) -> None:
        self._where, self._gaps = where, gaps
        inputs, labels, self._lengths = named["inputs"], named.get("labels"), named.get("lengths")
        self._inputs = inputs[:, :, None] if inputs.ndim == 2 else inputs
        check_inputs(where, self._inputs)
        self._names: list[str] | None = None
        self._numbers: Array | None = None
        self._per_step = False
        if labels is not None and targets == "labels":
            self._names = _names(where, labels, len(self))
        elif labels is not None:
            self._per_step = targets == "steps" or (targets == "detect" and _fit_steps(labels, self._inputs))
            self._numbers = _numbers(where, labels, self._inputs, per_step=self._per_step)
        if self._lengths is not None:
            _check_lengths(where, self._lengths, self._inputs)

    def __len__(self) -> int:
        """The number of sequences, N."""
        return len(self._inputs)

    def part(self, begin: int, end: int) -> Examples:
        """The sequences from ``begin`` to before ``end``, with their targets.

        Raises:
            DataError: A value is not a finite number.
        """
        inputs = self._inputs[begin:end]
        sequences: Array | list[Array] = np.array(inputs) if isinstance(inputs, np.memmap) else inputs
        values: list[Any] | None = None if self._names is None else self._names[begin:end]
        if self._numbers is not None:
            numbers = self._numbers[begin:end].astype(np.float64)
            values = list(numbers) if numbers.ndim > 1 else numbers.tolist()
        if self._lengths is not None:
            lengths = self._lengths[begin:end]
            sequences = [row[:length] for row, length in zip(inputs, lengths, strict=True)]
            if values is not None and self._per_step:
                values = [row[:length] for row, length in zip(values, lengths, strict=True)]
        origins = [f"{self._where}[{index}]" for index in range(begin, end)]
        return Examples(sequences, values, origins, gaps=self._gaps, per_step=self._per_step)


def examples(where: str, named: Mapping[str, Array], targets: Targets, *, gaps: bool) -> Examples:
    """All sequences in arrays; the arguments are those of :class:`Sequences`.

    Raises:
        DataError: An array has a wrong shape or type, or a value is not a finite number.
    """
    sequences = Sequences(where, named, targets, gaps=gaps)
    return sequences.part(0, len(sequences))


def check_inputs(where: str, inputs: Array) -> None:
    """Raises DataError unless an array has the shape of sequences, [N, T, C] or [N, T]."""
    if inputs.ndim not in (2, 3) or 0 in inputs.shape:
        shape = inputs.shape if inputs.ndim != 2 else (*inputs.shape, 1)
        raise DataError(f"{where}: inputs has shape {shape}; expected [N, T, C] or [N, T], none of them 0.")


def _check_lengths(where: str, lengths: Array, inputs: Array) -> None:
    if lengths.shape != (len(inputs),) or lengths.dtype.kind not in "iu":
        raise DataError(
            f"{where}: lengths has shape {lengths.shape} and type {lengths.dtype}; expected integers of shape "
            f"({len(inputs)},), one for each row of inputs."
        )
    outside = (lengths < 1) | (lengths > inputs.shape[1])
    if outside.any():
        odd = int(outside.argmax())
        raise DataError(
            f"{where}: lengths[{odd}] is {lengths[odd]}; expected 1 to {inputs.shape[1]}, the steps of inputs."
        )


def _fit_steps(numbers: Array, inputs: Array) -> bool:
    """Whether the shape is one of targets for each step: [N, T] or [N, T, K], where T is more than one step."""
    return inputs.shape[1] > 1 and numbers.ndim in (2, 3) and numbers.shape[:2] == inputs.shape[:2]


def _numbers(where: str, numbers: Array, inputs: Array, *, per_step: bool) -> Array:
    """Numbers, one or several for each sequence or for each of its steps; without a last dimension of 1."""
    expected = inputs.shape[:2] if per_step else inputs.shape[:1]
    several = numbers.ndim == len(expected) + 1 and 0 not in numbers.shape
    if several and numbers.shape[-1] == 1:
        numbers, several = numbers[..., 0], False
    if (
        numbers.shape[: len(expected)] != expected
        or numbers.dtype.kind not in "iubf"
        or not (several or numbers.ndim == len(expected))
    ):
        more = "".join(f"{size}, " for size in expected)
        raise DataError(
            f"{where}: labels has shape {numbers.shape} and type {numbers.dtype}; expected numbers of shape "
            f"{expected}, or ({more}K) for K targets."
        )
    return numbers


def _names(where: str, labels: Array, count: int) -> list[str]:
    """Labels as text."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.dtype.kind in "iubf" and _one_hot(labels):
        labels = labels.argmax(1)
    if labels.shape != (count,) or labels.dtype.kind not in "iubfUS":
        raise DataError(
            f"{where}: labels has shape {labels.shape} and type {labels.dtype}; expected integers or text of shape "
            f"({count},), one for each row of inputs, or one-hot rows."
        )
    if labels.dtype.kind == "U" and labels.size and labels.view(labels.dtype.str[0] + "u4").max() > sys.maxunicode:
        raise DataError(f"{where} is damaged: a label has a character that Unicode does not have.")
    if labels.dtype.kind == "f":
        odd = ~np.isfinite(labels) | (labels != np.rint(labels))
        if odd.any():
            raise DataError(
                f"{where}: labels[{odd.argmax()}] is {labels[odd.argmax()]}; expected whole numbers or text, as labels."
            )
        labels = labels.astype(np.int64)
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in labels.tolist()]


def _one_hot(labels: Array) -> bool:
    return bool(np.isin(labels, (0, 1)).all() and (labels.sum(1) == 1).all())
