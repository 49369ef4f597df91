"""Checks of what a program passes to an estimator, by scikit-learn's own functions and in its words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_array, check_consistent_length

from holdfast.errors import DataError, DataTypeError, HoldfastError


@contextlib.contextmanager
def in_our_words() -> Iterator[None]:
    """In the block, a ValueError or TypeError of scikit-learn becomes a DataError with the same message."""
    try:
        yield
    except HoldfastError:
        raise
    except TypeError as error:
        raise DataTypeError(" ".join(str(error).split())) from error
    except ValueError as error:
        raise DataError(" ".join(str(error).split())) from error


def required(y: Any, estimator: object, expected: str) -> Any:
    """The targets, if there are any, as :func:`plain` gives them.

    Args:
        y: The targets, or None.
        estimator: The estimator that needs them.
        expected: What to give, for the message: ``"a label for each input"``.

    Raises:
        DataError: ``y`` is None.
    """
    if y is None:
        raise DataError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y is None: give "
            f"{expected}."
        )
    return plain(y)


def not_fitted(estimator: object) -> NotFittedError:
    """The error of scikit-learn for an estimator before its ``fit``."""
    return NotFittedError(
        f"This {type(estimator).__name__} instance is not fitted yet. Call 'fit' with appropriate arguments before "
        "using this estimator."
    )


def plain(values: Any) -> Any:
    """A tensor as an array, and masked values as NaN; everything else as it is.

    Args:
        values: A tensor of any device, an array, or anything else.
    """
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        return (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    if isinstance(values, np.ma.MaskedArray):
        return np.ma.filled(values.astype(np.float64), np.nan) if values.mask.any() else values.data
    return values


def checked_weights(
    sample_weight: Any, count: int
) -> tuple[npt.NDArray[np.int64] | None, npt.NDArray[np.float64] | None]:
    """Checks the weights of examples.

    Args:
        sample_weight: [N], or None.
        count: N.

    Returns:
        The positions of the examples whose weight is not 0, None for all of them; and their weights with a mean of 1,
        None where all count alike.

    Raises:
        DataError: The weights are not N finite numbers of at least 0, one of them above 0.
    """
    if sample_weight is None:
        return None, None
    weights = check_array(plain(sample_weight), ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    if weights.shape != (count,):
        raise DataError(f"sample_weight has shape {weights.shape}; expected {(count,)}, one weight for each example.")
    if weights.min() < 0:
        raise DataError(f"sample_weight holds {weights.min():g}; expected numbers of at least 0.")
    if not weights.any():
        raise DataError("Sample weights must contain at least one non-zero number.")
    kept = np.flatnonzero(weights)
    weights = weights[kept]
    uniform = bool((weights == weights[0]).all())
    return None if len(kept) == count else kept, None if uniform else weights / weights.mean()


def rows_of(y: Any, kept: npt.NDArray[np.int64], count: int) -> Any:
    """The targets at these positions of N targets; None stays None.

    Raises:
        DataError: There are not N targets.
    """
    if y is None:
        return None
    check_consistent_length(y, range(count))
    y = plain(y)
    return [y[k] for k in kept.tolist()] if isinstance(y, list | tuple) else np.asarray(y)[kept]
