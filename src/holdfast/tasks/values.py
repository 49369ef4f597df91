"""Checks of the plain values that a program gives as examples; used by the ``from_values`` of every task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

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
