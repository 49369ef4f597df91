"""The estimators as classes of sktime, with its conventions: panels of any of its types, equal or unequal in length.

It needs the library sktime: ``pip install sktime``.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from holdfast.errors import MissingLibraryError
from holdfast.estimators.adapter import Adapter
from holdfast.estimators.classify import SequenceClassifier
from holdfast.estimators.regress import SequenceRegressor

try:
    from sktime.classification.base import BaseClassifier
    from sktime.regression.base import BaseRegressor
except ImportError as error:
    raise MissingLibraryError("holdfast.estimators.sktime needs the library sktime: pip install sktime.") from error

_TAGS = {
    "X_inner_mtype": "df-list",
    "capability:multivariate": True,
    "capability:unequal_length": True,
    "capability:missing_values": False,
    "capability:random_state": True,
    "property:randomness": "derandomized",
    "python_dependencies": "holdfast",
}


class _Adapter(Adapter):
    """What both classes share."""

    @staticmethod
    def _sequences(X: Any) -> list[npt.NDArray[Any]]:
        """A panel as a list of N sequences [T_i, C], from N frames with a row per step."""
        return [frame.to_numpy() for frame in X]

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Small settings for the tests of sktime."""
        small = {"epochs": 2, "threads": 1, "validation": None}
        return [{**small, "hidden_size": 4}, {**small, "cell": "gru", "hidden_size": 3, "bidirectional": True}]


class HoldfastClassifier(_Adapter, BaseClassifier):
    """:class:`holdfast.SequenceClassifier` as a classifier of sktime.

    Example:
        >>> from sktime.datasets import load_basic_motions
        >>> from holdfast.estimators.sktime import HoldfastClassifier
        >>> X, y = load_basic_motions(split="train")
        >>> classifier = HoldfastClassifier(epochs=5, scaling="standard").fit(X, y)

    Attributes:
        estimator_: The fitted :class:`holdfast.SequenceClassifier`, for ``save``, ``history_`` and ``model_``.
    """

    adapts = SequenceClassifier
    _tags: ClassVar = {**_TAGS, "capability:predict_proba": True}

    def _predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        probabilities: npt.NDArray[np.float64] = self.estimator_.predict_proba(self._sequences(X))
        return probabilities


class HoldfastRegressor(_Adapter, BaseRegressor):
    """:class:`holdfast.SequenceRegressor` as a regressor of sktime.

    Example:
        >>> import numpy as np
        >>> from holdfast.estimators.sktime import HoldfastRegressor
        >>> X = np.random.default_rng(0).normal(size=(30, 2, 20))  # [N, C, T]
        >>> regressor = HoldfastRegressor(epochs=5).fit(X, X[:, 0].sum(1))

    Attributes:
        estimator_: The fitted :class:`holdfast.SequenceRegressor`, for ``save``, ``history_`` and ``model_``.
    """

    adapts = SequenceRegressor
    decided: ClassVar = {"per": "sequence"}
    _tags: ClassVar = _TAGS
