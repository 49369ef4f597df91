"""Checks of the plain values that a program gives as examples; used by the ``from_values`` of every task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from holdfast.data.encoders import SequenceEncoder
from holdfast.data.examples import Examples
from holdfast.data.records import Records
from holdfast.errors import DataError


def examples_in(values: Any, expected: str) -> list[Any]:
    """The examples, one by one.

    Args:
        values: A list, a tuple, an array or another iterable.
        expected: What the task takes, for the message.

    Raises:
        DataError: The values are a single text or number, a mapping or no iterable.
    """
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise DataError(f"The values are of type {type(values).__name__}; expected {expected}.")
    if getattr(values, "ndim", 1) == 0:
        raise DataError(f"The values are one number, {values!r:.60}; expected {expected}.")
    return list(values)


def origins(examples: list[Any]) -> list[str]:
    """The place of each example: ``values[0]``, ``values[1]``, ..."""
    return [f"values[{index}]" for index in range(len(examples))]


def texts_in(values: Any, expected: str = "a list of texts") -> list[str]:
    """The texts, one by one.

    Raises:
        DataError: The values are no list of texts.
    """
    texts = examples_in(values, expected)
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"values[{index}] is of type {type(text).__name__}; expected a text (str).")
    return texts


def array_of(value: Any, origin: str, expected: str) -> npt.NDArray[Any]:
    """A list or a tensor as an array; an array stays as it is, but masked values become NaN.

    Args:
        value: Real numbers, in lists, an array, or a tensor on the CPU.
        origin: The place of the value, for the message.
        expected: What the value should be, for the message.

    Raises:
        DataError: The value is ragged or does not consist of real numbers.
    """
    if isinstance(value, np.ma.MaskedArray) and value.mask.any():
        value = np.ma.filled(value.astype(np.float64), np.nan)
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # torch raises the last one for a tensor with gradients
        raise DataError(f"{origin} is no array ({error}); expected {expected}.") from error
    if array.dtype.kind not in "buif":
        raise DataError(f"{origin} holds values of type {array.dtype}; expected {expected}, all real numbers.")
    return array


def texts_in_memory(values: Any) -> Records[str, Any]:
    """Texts without targets.

    Args:
        values: A list of texts.

    Raises:
        DataError: A value is no text.
    """
    texts = texts_in(values)
    return Records(texts, None, origins(texts))


def sequences_in_memory(values: Any, encoder: SequenceEncoder) -> Examples:
    """Sequences of numbers without targets.

    Args:
        values: A list of sequences, each [T, C] as lists, an array or a tensor on the CPU, or [T] where a step has one
            value; or one array [N, T, C]. The C values are in the order of the training files.
        encoder: As fitted on the training split.

    Raises:
        DataError: A value does not fit.
    """
    channels = encoder.channels - len(encoder.filling.masked)
    shape = f"[T, {channels}], T steps of {channels} values" if channels > 1 else "[T, 1] or [T], a value per step"
    sequences = []
    for index, value in enumerate(examples_in(values, f"a list of sequences {shape}")):
        sequence = array_of(value, f"values[{index}]", f"a sequence {shape}")
        if sequence.ndim == 1 and channels == 1:
            sequence = sequence[:, None]
        if sequence.ndim != 2 or sequence.shape[1] != channels:
            raise DataError(
                f"values[{index}] has shape {sequence.shape}; expected {shape}. Give a list of sequences, also for one."
            )
        sequences.append(sequence)
    return Examples(sequences, None, origins(sequences), gaps=encoder.settings.missing != "error")
