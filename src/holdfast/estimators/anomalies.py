"""A detector of anomalies: steps and sequences that a forecaster did not expect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self, cast

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import OutlierMixin

from holdfast.data import Batches
from holdfast.data.series import Numbers, Series, Windows
from holdfast.data.time_axis import TimeAxis
from holdfast.errors import DataError, OptionError
from holdfast.estimators.base import Estimator
from holdfast.estimators.checking import in_our_words
from holdfast.estimators.sequences import SequenceInputs
from holdfast.predictor import Predictor
from holdfast.tasks.forecast.data import context, held_out, windows_of
from holdfast.tasks.forecast.task import ForecastTask

_BATCH = 1024


class AnomalyDetector(OutlierMixin, SequenceInputs):
    """Finds sequences and steps that differ from the training sequences.

    A recurrent network forecasts each step from the ``window`` steps before it. The score of a step is the error of the
    forecast, divided in each channel by the root mean square of the training errors; of several channels, the root mean
    square of these. The score of a sequence is the score of its worst step. The first ``window`` steps have no forecast
    and no score.

    ``X`` is an array [N, T, F] (N sequences, T steps, F values per step), an array or a frame [N, T] (one value per
    step), or a list of N sequences [T_i, F] or [T_i]. A single long series is a list of one sequence.

    Example:
        >>> import numpy as np
        >>> from holdfast import AnomalyDetector
        >>> series = np.sin(np.arange(2000) / 5)
        >>> detector = AnomalyDetector(epochs=5).fit([series])
        >>> changed = series[:200].copy()
        >>> changed[150] += 2
        >>> bool(detector.step_scores([changed])[0][150] > detector.step_offset_)
        True

    Attributes:
        n_features_in_: F; after ``fit`` on an array [N, T], T.
        offset_: The threshold of ``score_samples``: the fraction ``contamination`` of the training sequences is below.
        step_offset_: The threshold of scores of steps: the fraction ``contamination`` of the training steps is above.
        history_: The rows of the history of the latest ``fit``, as :mod:`holdfast.training.history` describes them.
        model_: The trained network, a ``torch.nn.Module``.
        task_: The fitted task.
    """

    task_name = "forecast"
    fields = ("data.window", "data.validation")
    without = ("method", "loss", "quantiles")
    own: ClassVar = {
        **SequenceInputs.own,
        "window": (16, "Number of steps that the network reads before it forecasts one."),
        "contamination": (
            0.01,
            "The fraction of the training sequences, and of their steps, that are anomalies; above 0, at most 0.5.",
        ),
        "validation": (
            None,
            "What chooses the best epoch: the fraction of each sequence's last steps to hold out; 0 for nothing; then "
            "the latest weights are kept.",
        ),
    }

    offset_: float
    step_offset_: float
    _spread: Numbers
    """The root mean square of the training errors of each channel, [F], scaled."""

    def predict(self, X: Any) -> npt.NDArray[np.int64]:
        """-1 for each sequence that is an anomaly, else 1, [N].

        Raises:
            DataError: The sequences do not fit those of ``fit``, or one has no more than ``window`` steps.
            sklearn.exceptions.NotFittedError: There was no ``fit``.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def decision_function(self, X: Any) -> Numbers:
        """``score_samples`` minus ``offset_``, [N]: below 0 for anomalies; errors as :meth:`predict`."""
        return self.score_samples(X) - self.offset_

    def score_samples(self, X: Any) -> Numbers:
        """Minus the score of each sequence, [N]: the lower, the more abnormal; errors as :meth:`predict`."""
        return _samples(self._scored(X))

    def step_scores(self, X: Any) -> Any:
        """The score of each step: the higher, the more abnormal; NaN for the first ``window`` steps.

        Scores above ``step_offset_`` are anomalies. Errors as :meth:`predict`.

        Returns:
            [N, T] for an array; for a list, a list of N arrays [T_i].
        """
        scores = self._scored(X)
        return scores if isinstance(X, list | tuple) else np.stack(scores)

    def fit(self, X: Any, y: Any = None) -> Self:  # type: ignore[override]  # all sequences have one weight
        """Trains a model on sequences, and takes the thresholds from their scores.

        Args:
            X: N sequences, as the class describes them. A few anomalies among them do little harm.
            y: Not used; for scikit-learn.

        Returns:
            The estimator itself.

        Raises:
            DataError: The sequences cannot be used, or all are too short.
            OptionError: An argument of the constructor is not allowed.
        """
        return super().fit(X)

    def _trained(self, X: Any, y: Any, sample_weight: Any) -> Self:
        if not 0 < self.contamination <= 0.5:
            raise OptionError(f"contamination is {self.contamination}; expected a number above 0, at most 0.5.")
        super()._trained(X, None, None)
        errors = self._errors(self._series(X, reset=False))
        rows = np.concatenate(errors)
        spread = np.sqrt(np.nanmean(rows**2, 0))
        self._spread = np.where(spread > 0, spread, 1.0)
        scores = [_scores(part, self._spread) for part in errors]
        self.offset_ = float(np.quantile(_samples(scores), self.contamination))
        self.step_offset_ = float(np.nanquantile(np.concatenate(scores), 1 - self.contamination))
        return self

    def _scored(self, X: Any) -> list[Numbers]:
        """The scores of the steps of each sequence."""
        self._fitted()
        with in_our_words():
            series = self._series(X, reset=False)
        window = self._task.encoder.settings.window
        for each in series:
            if len(each) <= window:
                raise DataError(
                    f"{each.origin} has {len(each)} steps; expected more than {window}, the window of the model. Give "
                    "longer sequences, or train with a smaller window."
                )
        return [_scores(part, self._spread) for part in self._errors(series)]

    @property
    def _task(self) -> ForecastTask:
        return cast(ForecastTask, self._fitted().task)

    def _errors(self, series: tuple[Series, ...]) -> list[Numbers]:
        """True minus forecast values of each step, [T_i, F], scaled; NaN where there is no forecast."""
        predictor, encoder = self._fitted(), self._task.encoder
        windows = Windows.of(series, context(encoder.settings), 1)
        errors = [np.full(each.targets.shape, np.nan) for each in series]
        parts = []
        for batch in Batches(encoder.encode(windows, 1), _BATCH).epoch(0):
            moved: Any = batch.to(predictor.device)
            with torch.inference_mode():
                forecast = predictor.model(moved.inputs, moved.future)[:, 0, :, 0]
                parts.append((moved.known_targets[:, 0] - forecast).double().cpu().numpy())
        values = np.concatenate(parts)
        for k, begin in enumerate(np.searchsorted(windows.starts[:, 0], np.arange(len(series))).tolist()):
            first = context(encoder.settings)
            count = max(0, len(series[k]) - first)
            errors[k][first:] = values[begin : begin + count]
        return errors

    def _series(self, X: Any, *, reset: bool) -> tuple[Series, ...]:
        """The sequences as series; all are scaled alike."""
        examples = self._inputs(X, reset=reset)
        names = tuple(f"x{channel}" for channel in range(self._channels))
        series = []
        for rows, origin in zip(examples.inputs, examples.origins, strict=True):
            nothing = np.zeros((len(rows), 0))
            values = np.asarray(rows, np.float64)
            series.append(Series(origin, TimeAxis(np.arange(len(rows))), values, nothing, nothing, names))
        return tuple(series)

    def _examples(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> Windows:
        series = self._series(X, reset=reset)
        data = self._described().data
        longest = max(map(len, series))
        if longest <= data.window:
            raise DataError(
                f"X has at most {longest} steps per sequence, which are the features of an array [N, T] "
                f"({longest} feature(s)); expected more than window = {data.window}. Give longer sequences, or lower "
                "window."
            )
        return windows_of("training", series, data, data.horizon)

    def as_examples(self, X: Any) -> tuple[Predictor, Windows]:
        """As :meth:`Estimator.as_examples`: every window of each sequence, with the step after it."""
        predictor = self._fitted()
        with in_our_words():
            return predictor, self._examples(X, None, None, reset=False)

    def _split(self, examples: Windows, recipe: Any) -> tuple[Windows, Windows | None]:
        return held_out(examples.series, recipe.data)

    def _described(self) -> Any:
        recipe = super()._described()
        return recipe.model_copy(update={"data": recipe.data.model_copy(update={"horizon": 1})})

    def _validation_pair(self) -> Any:
        raise OptionError("validation is a pair; expected a fraction of the steps of each sequence, or 0.")

    def _notes(self) -> dict[str, Any]:
        thresholds = {"contamination": self.contamination, "offset": self.offset_, "step_offset": self.step_offset_}
        return {**super()._notes(), **thresholds, "spread": self._spread.tolist(), "layout": self.layout}

    def _restore(self, notes: Mapping[str, Any]) -> None:
        Estimator._restore(self, notes)
        self.contamination, self.layout = float(notes["contamination"]), str(notes["layout"])
        self.offset_, self.step_offset_ = float(notes["offset"]), float(notes["step_offset"])
        self._channels = len(self._task.encoder.settings.target_columns)
        self.n_features_in_ = int(notes["features"])
        self._spread = np.array(notes["spread"], np.float64)
        if self._spread.shape != (self._channels,):
            raise ValueError(f"spread has shape {self._spread.shape}; expected {(self._channels,)}")


def _scores(errors: Numbers, spread: Numbers) -> Numbers:
    """The score of each step, [T], from errors [T, F]."""
    return cast(Numbers, np.sqrt(np.square(errors / spread).mean(1)))


def _samples(scores: list[Numbers]) -> Numbers:
    """Minus the score of the worst step of each sequence, [N]."""
    return np.array([-np.nanmax(steps) for steps in scores])
