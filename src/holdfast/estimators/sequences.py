"""Sequences of numbers in memory: arrays, tensors, frames and lists become examples."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
import torch
from sklearn.utils.validation import check_array, validate_data

from holdfast.data import Examples, SequenceEncoder
from holdfast.errors import DataError, OptionError
from holdfast.estimators.base import Estimator
from holdfast.estimators.checking import plain
from holdfast.estimators.parameters import LAYOUT
from holdfast.tasks.values import array_of

Array = npt.NDArray[Any]
_EXPECTED = "a sequence [T, F], or [T] for one value per step"


class SequenceInputs(Estimator):
    """Base of the estimators whose inputs are sequences of numbers.

    ``X`` is an array [N, T, F] (N sequences, T steps, F values per step), an array or a frame [N, T] (one value per
    step), or a list of N sequences [T_i, F] or [T_i] of unequal lengths; tensors are taken like arrays.

    Attributes:
        n_features_in_: F; after ``fit`` on an array [N, T], T.
        feature_names_in_: The names of the columns, after ``fit`` on a frame with names.
    """

    own: ClassVar = {"layout": LAYOUT}

    n_features_in_: int
    _channels: int
    """F, also after ``fit`` on an array [N, T]."""

    def _inputs(self, X: Any, *, reset: bool) -> Examples:
        if self.layout not in ("channels_last", "channels_first"):
            raise OptionError(f"layout is {self.layout!r}; expected 'channels_last' or 'channels_first'.")
        values = _sequences(X)
        if isinstance(values, list):
            sequences: Any = self._listed(values, reset)
        elif getattr(values, "ndim", 2) == 3:
            array = check_array(values, allow_nd=True, ensure_all_finite=False, input_name="X", estimator=self)
            sequences = array.transpose(0, 2, 1) if self.layout == "channels_first" else array
            self._check_channels(sequences.shape[2], reset)
        else:
            sequences = self._table(values, reset)
        origins = [f"X[{index}]" for index in range(len(sequences))]
        return Examples(sequences, None, origins, gaps=self._gaps)

    @property
    def _gaps(self) -> bool:
        """Whether NaN stands for a missing value."""
        return getattr(self, "missing", "error") not in ("error", None)

    def _table(self, values: Any, reset: bool) -> Array:
        """An array or a frame [N, T], as [N, T, 1]."""
        if not reset and self._channels != 1:
            check_array(values, input_name="X", estimator=self)
            raise DataError(
                f"X has 1 features, but {type(self).__name__} is expecting {self._channels} features as input: give an "
                "array [N, T, F], or a list of arrays [T, F]."
            )
        finite = "allow-nan" if self._gaps else True
        if reset or self.n_features_in_ != 1:
            array: Array = validate_data(self, values, reset=reset, ensure_all_finite=finite)
        else:  # fitted on [N, T, 1]: any number of steps will do
            array = check_array(values, ensure_all_finite=finite, input_name="X", estimator=self)
        if reset:
            self._channels = 1
        return array[:, :, None]

    def _listed(self, values: list[Any], reset: bool) -> list[Array]:
        """A list of sequences, each [T, F]."""
        sequences = []
        for index, value in enumerate(values):
            sequence = array_of(value, f"X[{index}]", _EXPECTED)
            if sequence.ndim == 1:
                sequence = sequence[:, None]
            elif self.layout == "channels_first" and sequence.ndim == 2:
                sequence = sequence.T
            if sequence.ndim != 2:
                raise DataError(f"X[{index}] has shape {sequence.shape}; expected {_EXPECTED}.")
            sequences.append(sequence)
        self._check_channels(sequences[0].shape[1], reset)
        return sequences

    def _check_channels(self, channels: int, reset: bool) -> None:
        if reset:
            self.n_features_in_ = self._channels = channels
            if hasattr(self, "feature_names_in_"):
                del self.feature_names_in_
        elif channels != self._channels:
            raise DataError(
                f"X has {channels} features, but {type(self).__name__} is expecting {self._channels} features as input."
            )

    def _encoder(self) -> SequenceEncoder:
        """What was fitted on the values."""
        return cast(SequenceEncoder, self.task_.encoder)  # type: ignore[attr-defined]

    def _notes(self) -> dict[str, Any]:
        return {**super()._notes(), "features": self.n_features_in_}

    def _restore(self, notes: Any) -> None:
        super()._restore(notes)
        encoder = self._encoder()
        self._channels = encoder.channels - len(encoder.filling.masked)
        self.n_features_in_ = int(notes.get("features", self._channels))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self._gaps
        return tags


def _sequences(X: Any) -> Any:
    """The inputs as an array or frame, or as a list of at least one sequence.

    A list of arrays, and a list of lists that are not of one length, is a list of sequences.
    """
    X = plain(X)
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1 and len(X) and np.ndim(X[0]):
        X = list(X)
    if not isinstance(X, list | tuple) or not len(X):
        return X
    if any(isinstance(value, np.ndarray | torch.Tensor) and value.ndim for value in X):
        return [plain(value) for value in X]
    try:
        return np.asarray(X)
    except ValueError:  # its parts have unequal lengths
        return list(X)
