"""The trained network of a fitted estimator, for programs and for what looks inside."""

from __future__ import annotations

from typing import Any

from torch import nn

from holdfast.predictor import Predictor
from holdfast.tasks import RecipeTask


class Fitted:
    """What a fitted estimator shows of its network; a base of the estimators."""

    def _fitted(self) -> Predictor:
        """The trained network with its task."""
        raise NotImplementedError

    def _read(self, X: Any) -> Any:
        """The inputs of a prediction as examples."""
        raise NotImplementedError

    def as_examples(self, X: Any) -> tuple[Predictor, Any]:
        """The trained network with its task, and N inputs as its examples, for :mod:`holdfast.inspect`.

        Args:
            X: N inputs, as in ``fit``.

        Raises:
            DataError: The inputs do not fit those of ``fit``.
            sklearn.exceptions.NotFittedError: There was no ``fit``.
        """
        return self._fitted(), self._read(X)

    @property
    def model_(self) -> nn.Module:
        """The trained network."""
        return self._fitted().model

    @property
    def task_(self) -> RecipeTask[Any]:
        """The fitted task: vocabularies, labels and scaling."""
        return self._fitted().task
