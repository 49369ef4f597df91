"""The estimators as classes of sktime, with its conventions: panels of any of its types, equal or unequal in length.

It needs the library sktime: ``pip install sktime``.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from holdfast.errors import MissingLibraryError
from holdfast.estimators.classify import SequenceClassifier
from holdfast.estimators.parameters import constructor, described
from holdfast.estimators.regress import SequenceRegressor

try:
    from sktime.classification.base import BaseClassifier
    from sktime.regression.base import BaseRegressor
except ImportError as error:
    raise MissingLibraryError("holdfast.estimators.sktime needs the library sktime: pip install sktime.") from error

_FIXED = ("layout", "warm_start", "per", "window")
_PARAMETERS = {name: p for name, p in SequenceClassifier.parameters.items() if name not in _FIXED}
_OF_REGRESSORS = {name: p for name, p in SequenceRegressor.parameters.items() if name not in _FIXED}
_TAGS = {
    "X_inner_mtype": "df-list",
    "capability:multivariate": True,
    "capability:unequal_length": True,
    "capability:missing_values": False,
    "capability:random_state": True,
    "property:randomness": "derandomized",
    "python_dependencies": "holdfast",
}


class HoldfastClassifier(BaseClassifier):
    """:class:`holdfast.SequenceClassifier` as a classifier of sktime.

    Example:
        >>> from sktime.datasets import load_basic_motions
        >>> from holdfast.estimators.sktime import HoldfastClassifier
        >>> X, y = load_basic_motions(split="train")
        >>> classifier = HoldfastClassifier(epochs=5, scaling="standard").fit(X, y)

    Attributes:
        estimator_: The fitted :class:`holdfast.SequenceClassifier`, for ``save``, ``history_`` and ``model_``.
    """

    _tags: ClassVar = {**_TAGS, "capability:predict_proba": True}

    def _with_tags(self) -> None:
        BaseClassifier.__init__(self)
        self.set_tags(**{"capability:missing_values": self.missing not in ("error", None)})

    __init__ = constructor(_PARAMETERS, _with_tags)

    def _fit(self, X: Any, y: npt.NDArray[Any]) -> HoldfastClassifier:
        arguments = {name: getattr(self, name) for name in _PARAMETERS}
        self.estimator_ = SequenceClassifier(**arguments).fit(_sequences(X), y)
        return self

    def _predict(self, X: Any) -> npt.NDArray[Any]:
        return self.estimator_.predict(_sequences(X))

    def _predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        return self.estimator_.predict_proba(_sequences(X))

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Small settings for the tests of sktime."""
        return _small()


HoldfastClassifier.__doc__ = described(HoldfastClassifier.__doc__, _PARAMETERS)


def _sequences(frames: list[Any]) -> list[npt.NDArray[Any]]:
    """A panel as a list of N sequences [T_i, C], from N frames with a row per step."""
    return [frame.to_numpy() for frame in frames]


def _small() -> list[dict[str, Any]]:
    small = {"epochs": 2, "threads": 1, "validation": None}
    return [{**small, "hidden_size": 4}, {**small, "cell": "gru", "hidden_size": 3, "bidirectional": True}]


class HoldfastRegressor(BaseRegressor):
    """:class:`holdfast.SequenceRegressor` as a regressor of sktime.

    Example:
        >>> import numpy as np
        >>> from holdfast.estimators.sktime import HoldfastRegressor
        >>> X = np.random.default_rng(0).normal(size=(30, 2, 20))  # [N, C, T]
        >>> regressor = HoldfastRegressor(epochs=5).fit(X, X[:, 0].sum(1))

    Attributes:
        estimator_: The fitted :class:`holdfast.SequenceRegressor`, for ``save``, ``history_`` and ``model_``.
    """

    _tags: ClassVar = _TAGS

    def _with_tags(self) -> None:
        BaseRegressor.__init__(self)
        self.set_tags(**{"capability:missing_values": self.missing not in ("error", None)})

    __init__ = constructor(_OF_REGRESSORS, _with_tags)

    def _fit(self, X: Any, y: npt.NDArray[Any]) -> HoldfastRegressor:
        arguments = {name: getattr(self, name) for name in _OF_REGRESSORS}
        self.estimator_ = SequenceRegressor(**arguments, per="sequence").fit(_sequences(X), y)
        return self

    def _predict(self, X: Any) -> npt.NDArray[np.float64]:
        answers: npt.NDArray[np.float64] = self.estimator_.predict(_sequences(X))
        return answers

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Small settings for the tests of sktime."""
        return _small()


HoldfastRegressor.__doc__ = described(HoldfastRegressor.__doc__, _OF_REGRESSORS)
