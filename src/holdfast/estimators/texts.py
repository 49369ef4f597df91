"""Texts in memory become examples."""

from __future__ import annotations

from typing import Any

from holdfast.data import Records
from holdfast.errors import DataError
from holdfast.estimators.base import Estimator
from holdfast.tasks.values import texts_in


class TextInputs(Estimator):
    """Base of the estimators whose inputs are texts: a list, an array or a column of N texts (str)."""

    def _inputs(self, X: Any, *, reset: bool) -> Records[str, Any]:
        texts = [str(text) for text in texts_in(X, "a list of texts")]
        if not texts:
            raise DataError("Found array with 0 sample(s) (shape=(0,)) while a minimum of 1 is required.")
        origins = [f"X[{index}]" for index in range(len(texts))]
        return Records(texts, None, origins, stratified=True)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = True, False
        return tags
