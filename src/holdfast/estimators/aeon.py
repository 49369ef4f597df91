"""The estimators as classes of aeon, with its conventions: ``X`` is [N, C, T], or a list of N arrays [C, T_i].

It needs the library aeon: ``pip install aeon``.
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
    from aeon.classification import BaseClassifier
    from aeon.regression import BaseRegressor
except ImportError as error:
    raise MissingLibraryError("holdfast.estimators.aeon needs the library aeon: pip install aeon.") from error

_FIXED = ("layout", "warm_start", "per", "window")
_PARAMETERS = {name: p for name, p in SequenceClassifier.parameters.items() if name not in _FIXED}
_OF_REGRESSORS = {name: p for name, p in SequenceRegressor.parameters.items() if name not in _FIXED}
_TAGS = {
    "X_inner_type": ["np-list", "numpy3D"],
    "capability:multivariate": True,
    "capability:unequal_length": True,
    "algorithm_type": "deeplearning",
}
_SMALL = {"hidden_size": 4, "epochs": 2, "threads": 1, "validation": None}


class HoldfastClassifier(BaseClassifier):
    """:class:`holdfast.SequenceClassifier` as a classifier of aeon.

    Example:
        >>> from aeon.datasets import load_basic_motions
        >>> from holdfast.estimators.aeon import HoldfastClassifier
        >>> X, y = load_basic_motions(split="train")
        >>> classifier = HoldfastClassifier(epochs=5, scaling="standard").fit(X, y)

    Attributes:
        estimator_: The fitted :class:`holdfast.SequenceClassifier`, for ``save``, ``history_`` and ``model_``.
    """

    _tags: ClassVar = _TAGS

    def _with_tags(self) -> None:
        BaseClassifier.__init__(self)
        self.set_tags(**{"capability:missing_values": self.missing not in ("error", None)})

    __init__ = constructor(_PARAMETERS, _with_tags)

    def _fit(self, X: Any, y: npt.NDArray[Any]) -> HoldfastClassifier:
        arguments = {name: getattr(self, name) for name in _PARAMETERS}
        self.estimator_ = SequenceClassifier(**arguments, layout="channels_first").fit(X, y)
        return self

    def _predict(self, X: Any) -> npt.NDArray[Any]:
        return self.estimator_.predict(X)

    def _predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        return self.estimator_.predict_proba(X)

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> dict[str, Any]:
        return dict(_SMALL)


HoldfastClassifier.__doc__ = described(HoldfastClassifier.__doc__, _PARAMETERS)


class HoldfastRegressor(BaseRegressor):
    """:class:`holdfast.SequenceRegressor` as a regressor of aeon.

    Example:
        >>> import numpy as np
        >>> from holdfast.estimators.aeon import HoldfastRegressor
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
        self.estimator_ = SequenceRegressor(**arguments, layout="channels_first", per="sequence").fit(X, y)
        return self

    def _predict(self, X: Any) -> npt.NDArray[np.float64]:
        answers: npt.NDArray[np.float64] = self.estimator_.predict(X)
        return answers

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> dict[str, Any]:
        return dict(_SMALL)


HoldfastRegressor.__doc__ = described(HoldfastRegressor.__doc__, _OF_REGRESSORS)
