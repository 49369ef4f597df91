"""The estimators as classes of aeon, with its conventions: ``X`` is [N, C, T], or a list of N arrays [C, T_i].

It needs the library aeon: ``pip install aeon``.
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
    from aeon.classification import BaseClassifier
    from aeon.regression import BaseRegressor
except ImportError as error:
    raise MissingLibraryError("holdfast.estimators.aeon needs the library aeon: pip install aeon.") from error

_TAGS = {
    "X_inner_type": ["np-list", "numpy3D"],
    "capability:multivariate": True,
    "capability:unequal_length": True,
    "algorithm_type": "deeplearning",
}


class _Adapter(Adapter):
    """What both classes share."""

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> dict[str, Any]:
        return {"hidden_size": 4, "epochs": 2, "threads": 1, "validation": None}


class HoldfastClassifier(_Adapter, BaseClassifier):
    """:class:`holdfast.SequenceClassifier` as a classifier of aeon.

    Example:
        >>> from aeon.datasets import load_basic_motions
        >>> from holdfast.estimators.aeon import HoldfastClassifier
        >>> X, y = load_basic_motions(split="train")
        >>> classifier = HoldfastClassifier(epochs=5, scaling="standard").fit(X, y)

    Attributes:
        estimator_: The fitted :class:`holdfast.SequenceClassifier`, for ``save``, ``history_`` and ``model_``.
    """

    adapts = SequenceClassifier
    decided: ClassVar = {"layout": "channels_first"}
    _tags: ClassVar = _TAGS

    def _predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        probabilities: npt.NDArray[np.float64] = self.estimator_.predict_proba(X)
        return probabilities


class HoldfastRegressor(_Adapter, BaseRegressor):
    """:class:`holdfast.SequenceRegressor` as a regressor of aeon.

    Example:
        >>> import numpy as np
        >>> from holdfast.estimators.aeon import HoldfastRegressor
        >>> X = np.random.default_rng(0).normal(size=(30, 2, 20))  # [N, C, T]
        >>> regressor = HoldfastRegressor(epochs=5).fit(X, X[:, 0].sum(1))

    Attributes:
        estimator_: The fitted :class:`holdfast.SequenceRegressor`, for ``save``, ``history_`` and ``model_``.
    """

    adapts = SequenceRegressor
    decided: ClassVar = {"layout": "channels_first", "per": "sequence"}
    _tags: ClassVar = _TAGS
