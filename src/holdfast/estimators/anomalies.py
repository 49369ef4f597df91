"""A detector of anomalies: steps and sequences that a forecaster or an autoencoder did not expect."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any, ClassVar, Self, cast

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import OutlierMixin

from holdfast.data import Batches, Examples
from holdfast.data.series import Numbers, Series, Windows
from holdfast.data.time_axis import TimeAxis
from holdfast.errors import DataError, OptionError
from holdfast.estimators.base import Estimator
from holdfast.estimators.checking import in_our_words
from holdfast.estimators.parameters import Parameter
from holdfast.estimators.reconstruction import SequenceWindows, reconstruction_errors
from holdfast.estimators.reconstruction import held_out as held_out_windows
from holdfast.estimators.sequences import SequenceInputs
from holdfast.predictor import Predictor
from holdfast.recipes import RECIPES
from holdfast.settings import Recipe
from holdfast.tasks import RecipeTask
from holdfast.tasks.forecast.data import context, held_out, windows_of
from holdfast.tasks.forecast.task import ForecastTask
from holdfast.tasks.regress.task import RegressTask

_BATCH = 1024


class AnomalyDetector(OutlierMixin, SequenceInputs):
    """Finds sequences and steps that differ from the training sequences.

    There are two kinds. With ``kind="forecaster"``, a recurrent network forecasts each step from the ``window`` steps
    before it, and the error of a step is the error of its forecast; the first ``window`` steps have no forecast and no
    score. With ``kind="autoencoder"``, an encoder reads ``window`` steps into one vector, and a decoder reconstructs
    them from it; the error of a step is the root mean square of its reconstruction errors in all windows that have it
    (after Malhotra et al. 2016, "LSTM-based encoder-decoder for multi-sensor anomaly detection"). A shorter sequence is
    one window, so every step has a score.

    The score of a step is its error, divided in each channel by the root mean square of the training errors; of several
    channels, the root mean square of these. The score of a sequence is the score of its worst step.

    ``X`` is an array [N, T, F] (N sequences, T steps, F values per step), an array or a frame [N, T] (one value per
    step), or a list of N sequences [T_i, F] or [T_i]. A single long series is a list of one sequence.

    Example:
        >>> import numpy as np
        >>> from holdfast import AnomalyDetector
        >>> series = np.sin(np.arange(2000) / 5)
        >>> detector = AnomalyDetector(max_steps=100).fit([series])
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
        "kind": ("forecaster", "The network whose errors are the scores: ``forecaster`` or ``autoencoder``."),
        "window": (
            16,
            "Number of steps that the network reads before it forecasts one; or number of steps that it reconstructs.",
        ),
        "window_scaling": (
            None,
            "With ``forecaster``: ``last`` subtracts the last value of each window from it before the recurrent layers "
            "and adds it to the forecast; ``standard`` does so with its mean and deviation; ``none``.",
        ),
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
    """The root mean square of the training errors of each channel, [F]."""
    _steps: int
    """The window of the latest ``fit``."""

    def predict(self, X: Any) -> npt.NDArray[np.int64]:
        """-1 for each sequence that is an anomaly, else 1, [N].

        Args:
            X: N sequences, as in ``fit``.

        Raises:
            DataError: The sequences do not fit those of ``fit``; or one has no more than ``window`` steps to forecast
                from.
            sklearn.exceptions.NotFittedError: There was no ``fit``.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def decision_function(self, X: Any) -> Numbers:
        """``score_samples`` minus ``offset_``, [N]: below 0 for anomalies; errors as :meth:`predict`.

        Args:
            X: N sequences, as in ``fit``.
        """
        return self.score_samples(X) - self.offset_

    def score_samples(self, X: Any) -> Numbers:
        """Minus the score of each sequence, [N]: the lower, the more abnormal; errors as :meth:`predict`.

        Args:
            X: N sequences, as in ``fit``.
        """
        return _samples(self._scored(X))

    def step_scores(self, X: Any) -> Any:
        """The score of each step: the higher, the more abnormal; NaN for steps without a forecast.

        Scores above ``step_offset_`` are anomalies. Errors as :meth:`predict`.

        Args:
            X: N sequences, as in ``fit``.

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
        if self.kind not in ("forecaster", "autoencoder"):
            raise OptionError(f"kind is {self.kind!r}; expected 'forecaster' or 'autoencoder'.")
        if not isinstance(self.window, Integral) or self.window < 1:
            raise OptionError(f"window is {self.window!r}; expected a whole number of at least 1.")
        super()._trained(X, None, None)
        self._steps = int(self.window)
        errors = self._errors(self._inputs(X, reset=False))
        rows = np.concatenate(errors)
        spread = np.sqrt(np.nanmean(rows**2, 0))
        self._spread = np.where(spread > 0, spread, 1.0)
        scores = [_scores(part, self._spread) for part in errors]
        self.offset_ = float(np.nanquantile(_samples(scores), self.contamination))
        self.step_offset_ = float(np.nanquantile(np.concatenate(scores), 1 - self.contamination))
        return self

    def _scored(self, X: Any) -> list[Numbers]:
        """The scores of the steps of each sequence."""
        inputs = self._read(X)
        for rows, origin in zip(inputs.inputs, inputs.origins, strict=True):
            if len(rows) <= self._steps and isinstance(self.task_, ForecastTask):
                raise DataError(
                    f"{origin} has {len(rows)} steps; expected more than {self._steps}, the window of the model. Give "
                    "longer sequences, or train with a smaller window."
                )
        return [_scores(part, self._spread) for part in self._errors(inputs)]

    def _errors(self, inputs: Examples) -> list[Numbers]:
        """The error of each step, [T_i, F]; NaN where there is no forecast."""
        predictor = self._fitted()
        if isinstance(predictor.task, ForecastTask):
            return _forecast_errors(predictor, self._series(inputs))
        windows = SequenceWindows.of(inputs.inputs, inputs.origins, self._steps)
        return reconstruction_errors(predictor, windows)

    def _series(self, inputs: Examples) -> tuple[Series, ...]:
        """The sequences as series; all are scaled alike."""
        names = tuple(f"x{channel}" for channel in range(self._channels))
        series = []
        for rows, origin in zip(inputs.inputs, inputs.origins, strict=True):
            nothing = np.zeros((len(rows), 0))
            values = np.asarray(rows, np.float64)
            series.append(Series(origin, TimeAxis(np.arange(len(rows))), values, nothing, nothing, names))
        return tuple(series)

    def _examples(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> Any:
        inputs = self._inputs(X, reset=reset)
        if self.kind == "autoencoder":
            return SequenceWindows.of(inputs.inputs, inputs.origins, self.window)
        data, longest = self._described().data, int(inputs.lengths.max())
        if longest <= data.window:
            raise DataError(
                f"X has at most {longest} steps per sequence, which are the features of an array [N, T] "
                f"({longest} feature(s)); expected more than window = {data.window}. Give longer sequences, or lower "
                "window."
            )
        return windows_of("training", self._series(inputs), data, data.horizon)

    def as_examples(self, X: Any) -> tuple[Predictor, Any]:
        """As :meth:`Estimator.as_examples`: every window of each sequence, with the step after it for forecasts.

        Args:
            X: N sequences, as in ``fit``.
        """
        predictor = self._fitted()
        with in_our_words():
            return predictor, self._examples(X, None, None, reset=False)

    def _split(self, examples: Any, recipe: Any) -> tuple[Any, Any]:
        if isinstance(examples, SequenceWindows):
            return held_out_windows(examples, recipe.data.validation, self.window)
        return held_out(examples.series, recipe.data)

    def _recipe_fields(self) -> tuple[type[Recipe], Mapping[str, Parameter]]:
        if self.kind != "autoencoder":
            return super()._recipe_fields()
        others = ("window", "window_scaling")
        return RECIPES["regress"], {name: p for name, p in self.parameters.items() if name not in others}

    def _decided(self) -> dict[str, Any]:
        if self.kind != "autoencoder":
            return {**super()._decided(), "data.horizon": 1}
        reconstruct = {"data.per": "step", "data.scaling": "standard", "model.encoder_decoder": True}
        return {**super()._decided(), **reconstruct}

    def _validation_pair(self) -> Any:
        raise OptionError("validation is a pair; expected a fraction of the steps of each sequence, or 0.")

    def _notes(self) -> dict[str, Any]:
        thresholds = {"contamination": self.contamination, "offset": self.offset_, "step_offset": self.step_offset_}
        kind = {} if isinstance(self.task_, ForecastTask) else {"window": self._steps}
        return {**super()._notes(), **thresholds, "spread": self._spread.tolist(), "layout": self.layout, **kind}

    def _restore(self, notes: Mapping[str, Any]) -> None:
        Estimator._restore(self, notes)
        self.contamination, self.layout = float(notes["contamination"]), str(notes["layout"])
        self.offset_, self.step_offset_ = float(notes["offset"]), float(notes["step_offset"])
        task: Any = self.task_
        if isinstance(task, ForecastTask):
            self._channels = len(task.encoder.settings.target_columns)
            self._steps = task.encoder.settings.window
        else:
            self._channels = task.encoder.channels
            self.kind, self.window = "autoencoder", int(notes["window"])
            self._steps = self.window
        self.n_features_in_ = int(notes["features"])
        self._spread = np.array(notes["spread"], np.float64)
        if self._spread.shape != (self._channels,) or self._steps < 1:
            raise ValueError(f"spread has shape {self._spread.shape}; expected {(self._channels,)}")

    @classmethod
    def _opens(cls, task: RecipeTask[Any]) -> bool:
        return isinstance(task, ForecastTask) or bool(cast(RegressTask, task).settings.encoder_decoder)


def _forecast_errors(predictor: Predictor, series: tuple[Series, ...]) -> list[Numbers]:
    """True minus forecast values of each step, [T_i, F], scaled; NaN where there is no forecast."""
    encoder = cast(ForecastTask, predictor.task).encoder
    first = context(encoder.settings)
    windows = Windows.of(series, first, 1)
    errors = [np.full(each.targets.shape, np.nan) for each in series]
    parts = []
    for batch in Batches(encoder.encode(windows, 1), _BATCH).epoch(0):
        moved: Any = batch.to(predictor.device)
        with torch.inference_mode():
            forecast = predictor.model(moved.inputs, moved.future)[:, 0, :, 0]
            parts.append((moved.known_targets[:, 0] - forecast).double().cpu().numpy())
    values = np.concatenate(parts)
    for k, begin in enumerate(np.searchsorted(windows.starts[:, 0], np.arange(len(series))).tolist()):
        errors[k][first:] = values[begin : begin + max(0, len(series[k]) - first)]
    return errors


def _scores(errors: Numbers, spread: Numbers) -> Numbers:
    """The score of each step, [T], from errors [T, F]."""
    return cast(Numbers, np.sqrt(np.square(errors / spread).mean(1)))


def _samples(scores: list[Numbers]) -> Numbers:
    """Minus the score of the worst step of each sequence, [N]; NaN for one that is too short to have a score."""
    known = [steps[~np.isnan(steps)] for steps in scores]
    return np.array([-steps.max() if len(steps) else np.nan for steps in known])
