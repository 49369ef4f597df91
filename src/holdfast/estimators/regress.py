"""Regressors of sequences of numbers and of texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_array, check_consistent_length

from holdfast.data import Examples
from holdfast.errors import DataError, OptionError
from holdfast.estimators.base import Estimator
from holdfast.estimators.checking import in_our_words, plain, required
from holdfast.estimators.sequences import SequenceInputs
from holdfast.estimators.texts import TextInputs
from holdfast.tasks import RecipeTask
from holdfast.tasks.regress.encoder import NumbersEncoder
from holdfast.tasks.regress.task import RegressTask

Floats = npt.NDArray[np.float64]
_TARGETS = "a number for each input, or numbers for each step"


class _Regressor(RegressorMixin, Estimator):
    """What both regressors share."""

    _flat: bool
    """Whether the targets of ``fit`` had no axis for several targets: predictions have none either."""

    def predict(self, X: Any) -> Any:
        """The predictions, in the units of ``y``; with ``loss="quantile"``, the medians.

        Args:
            X: N inputs, as in ``fit``.

        Returns:
            An array [N], or [N, K] where ``y`` of ``fit`` had this form. With targets per step, an array [N, T] or [N,
            T, K] for an array or a frame, else a list of N arrays [T_i] or [T_i, K].

        Raises:
            DataError: The inputs do not fit those of ``fit``.
            sklearn.exceptions.NotFittedError: There was no ``fit``.
        """
        middle = cast(RegressTask, self._fitted().task).quantiles.index(0.5)
        return self._joined([row[..., middle] for row in self._predictions(X)], X)

    def predict_quantiles(self, X: Any) -> Any:
        """The quantiles of each prediction, ascending, of a model with ``loss="quantile"``.

        Args:
            X: N inputs, as in ``fit``.

        Returns:
            As :meth:`predict`, with one more axis at the end, for the ``quantiles``.

        Raises:
            OptionError: The model has no quantiles.
            DataError: The inputs do not fit those of ``fit``.
            sklearn.exceptions.NotFittedError: There was no ``fit``.
        """
        if len(cast(RegressTask, self._fitted().task).quantiles) < 2:
            raise OptionError('The model was trained without quantiles; set loss="quantile" before fit.')
        return self._joined(self._predictions(X), X)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The coefficient of determination R2 of the predictions, the mean over several targets.

        With targets per step, it is over all steps of all sequences; steps whose target is NaN are left out.

        Args:
            X: N inputs.
            y: N targets.
            sample_weight: The weight of each example, [N]; None for equal weights.

        Raises:
            DataError: The examples cannot be used.
            sklearn.exceptions.NotFittedError: There was no ``fit``.
        """
        predictions = self._predictions(X)
        middle = cast(RegressTask, self._fitted().task).quantiles.index(0.5)
        with in_our_words():
            examples = self._examples(X, y, None, reset=False)
            cast(RegressTask, self.task_).encoder.targets.scaled(examples)  # checks that there are as many
            counts = [len(row) if self._per_step else 1 for row in predictions]
            actual, predicted = (
                np.concatenate([np.reshape(row, (count, -1)) for row, count in zip(rows, counts, strict=True)])
                for rows in (examples.targets, [row[..., middle] for row in predictions])
            )
            weights = np.ones(len(counts)) if sample_weight is None else np.asarray(plain(sample_weight), np.float64)
            check_consistent_length(weights, counts)
            weights = np.repeat(weights, counts)
            scores = [
                r2_score(column[known], guess[known], sample_weight=weights[known])
                for column, guess in zip(actual.T, predicted.T, strict=True)
                for known in [~np.isnan(column)]
            ]
        return float(np.mean(scores))

    @property
    def _per_step(self) -> bool:
        return cast(RegressTask, self._fitted().task).per_step

    def _predictions(self, X: Any) -> list[Floats]:
        """The predictions of each input: [K, Q], or [T_i, K, Q] for targets per step."""
        return [row.cpu().numpy() for rows in self._computed(X, "predictions") for row in rows]

    def _joined(self, rows: list[Floats], X: Any) -> Any:
        """The predictions of all inputs in the form of ``y``."""
        if self._flat:
            place = 1 if self._per_step else 0
            rows = [row.squeeze(place) for row in rows]
        if self._per_step and isinstance(plain(X), list | tuple):
            return rows
        return np.stack(rows)

    def _numbers(self, y: Any, count: int) -> Any:
        """Targets per input, [N] or [N, K]."""
        y = required(y, self, _TARGETS)
        finite = "allow-nan" if getattr(self, "missing", None) not in (None, "error") else True
        numbers = check_array(
            y, ensure_2d=False, allow_nd=True, dtype=np.float64, ensure_all_finite=finite, input_name="y"
        )
        check_consistent_length(range(count), numbers)
        if numbers.ndim not in (1, 2):
            raise DataError(f"y has shape {numbers.shape}; expected [N], or [N, K] for K targets.")
        return numbers

    def _targets(self, y: Any, inputs: Any, *, reset: bool) -> list[Any]:
        numbers = self._numbers(y, len(inputs))
        if reset:
            self._flat = numbers.ndim == 1
        return list(numbers) if numbers.ndim == 2 else numbers.tolist()

    def _notes(self) -> dict[str, Any]:
        return {**super()._notes(), "flat": self._flat}

    def _restore(self, notes: Mapping[str, Any]) -> None:
        super()._restore(notes)
        self._flat = bool(notes.get("flat", len(cast(RegressTask, self.task_).encoder.targets) == 1))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class SequenceRegressor(_Regressor, SequenceInputs):
    """Predicts numbers from sequences of numbers: an LSTM, a GRU or a simple RNN, and a linear layer.

    ``X`` is an array [N, T, F] (N sequences, T steps, F values per step), an array or a frame [N, T] (one value per
    step), or a list of N sequences [T_i, F] or [T_i] of unequal lengths; tensors are taken like arrays. ``y`` has a
    number for each sequence, [N], or K numbers, [N, K]; or numbers for each step: an array [N, T] or [N, T, K], or a
    list of N arrays [T_i] or [T_i, K]. NaN stands for a step without a target: it is neither trained on nor measured.
    Targets are scaled inside; predictions are in the units of ``y``. ``score`` is R2.

    With ``per=""``, arrays ``y`` of shape [N, T] or [N, T, K], and lists with one row per step, are for steps; but for
    a table ``X`` [N, T], ``y`` of shape [N, K] is K targets per sequence. ``per="sequence"`` or ``per="step"`` says
    which it is.

    Example:
        >>> import numpy as np
        >>> from holdfast import SequenceRegressor
        >>> X = np.random.default_rng(0).normal(size=(100, 20, 3))
        >>> regressor = SequenceRegressor(hidden_size=32, max_steps=50).fit(X, X[:, :, 0].sum(1))
        >>> regressor.predict(X[:2]).shape
        (2,)
        >>> regressor.fit(X, X[:, :, 0].cumsum(1)).predict(X[:2]).shape  # numbers for each step
        (2, 20)

    Attributes:
        n_features_in_: F; after ``fit`` on an array [N, T], T.
        history_: The rows of the history of the latest ``fit``, as :mod:`holdfast.training.history` describes them.
        model_: The trained network, a ``torch.nn.Module``.
        task_: The fitted task.
    """

    task_name = "regress"
    fields = ("data.scaling", "data.missing", "data.per", "data.window", "data.validation")
    without = (
        "embedding_size",
        "embedding_std",
        "embedding_file",
        "freeze_embedding",
        "token_dropout",
        "input_dropout",
    )

    _tabular: bool
    """Whether ``fit`` had a table [N, T]."""
    _steps: bool
    """Whether ``fit`` had targets per step."""

    def _inputs(self, X: Any, *, reset: bool) -> Examples:
        if reset:
            self._tabular = False
        return super()._inputs(X, reset=reset)

    def _table(self, values: Any, reset: bool) -> Any:
        array = super()._table(values, reset)
        if reset:
            self._tabular = True
        return array

    def _labelled(self, inputs: Examples, y: Any, *, reset: bool) -> Examples:
        y = plain(y)
        if reset:
            self._steps = self._are_steps(y, inputs)
        if not self._steps:
            return cast(Examples, super()._labelled(inputs, y, reset=reset))
        y = required(y, self, _TARGETS)
        check_consistent_length(range(len(inputs)), y)
        rows = [
            check_array(
                plain(row),
                ensure_2d=False,
                dtype=np.float64,
                ensure_all_finite="allow-nan",
                input_name=f"y[{index}]",
                ensure_min_samples=0,
            )
            for index, row in enumerate(y)
        ]
        for index, (row, steps) in enumerate(zip(rows, inputs.lengths.tolist(), strict=True)):
            if row.ndim not in (1, 2) or len(row) != steps:
                raise DataError(
                    f"y[{index}] has shape {row.shape}; expected ({steps},) or ({steps}, K), a row for each step of "
                    f"X[{index}]."
                )
        if reset:
            self._flat = rows[0].ndim == 1
        return replace(inputs, targets=rows, per_step=True)

    def _are_steps(self, y: Any, inputs: Examples) -> bool:
        """Whether the targets are for steps."""
        if self.per not in ("", "sequence", "step", None):
            raise OptionError(f"per is {self.per!r}; expected 'sequence', 'step', or '' to detect it.")
        if self.per:
            return bool(self.per == "step")
        shapes = [np.shape(plain(row)) for row in y] if isinstance(y, list | tuple | np.ndarray) else []
        if not shapes or not shapes[0]:
            return False
        if len(shapes[0]) == 2:
            return True
        of_steps = [shape[:1] for shape in shapes] == [(steps,) for steps in inputs.lengths.tolist()]
        return of_steps and not self._tabular and bool(inputs.lengths.max() > 1)

    def _restore(self, notes: Mapping[str, Any]) -> None:
        super()._restore(notes)
        task = cast(RegressTask, self.task_)
        self._steps, self._tabular, self.window = task.per_step, False, task.window

    @classmethod
    def _opens(cls, task: RecipeTask[Any]) -> bool:
        return isinstance(cast(RegressTask, task).encoder, NumbersEncoder)


class TextRegressor(_Regressor, TextInputs):
    """Predicts numbers from texts: an embedding, an LSTM, a GRU or a simple RNN, and a linear layer.

    ``X`` is a list or an array of N texts; ``y`` has a number for each text, [N], or K numbers, [N, K]. Targets are
    scaled inside; predictions are in the units of ``y``. ``score`` is R2. The library ``tokenizers`` cuts the texts:
    ``pip install 'holdfast[text]'``.

    Example:
        >>> from holdfast import TextRegressor
        >>> texts, y = ["good", "very good", "bad", "very bad"] * 25, [4, 5, 2, 1] * 25
        >>> TextRegressor(max_steps=50).fit(texts, y).predict(["bad"]).shape
        (1,)

    Attributes:
        history_: The rows of the history of the latest ``fit``, as :mod:`holdfast.training.history` describes them.
        model_: The trained network, a ``torch.nn.Module``.
        task_: The fitted task.
    """

    task_name = "regress"
    fields = ("data.unit", "data.vocabulary_size", "data.least", "data.lower", "data.validation")
    without = ("encoder_decoder", "input_noise")
    own: ClassVar = {"unit": ("words", "What a step of a text is: ``words``, ``characters`` or byte-pair ``pieces``.")}

    def _inputs(self, X: Any, *, reset: bool) -> Any:
        return replace(super()._inputs(X, reset=reset), stratified=False)

    @classmethod
    def _opens(cls, task: RecipeTask[Any]) -> bool:
        return not isinstance(cast(RegressTask, task).encoder, NumbersEncoder)
