"""A forecaster of one or many series in frames or arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from sklearn.base import clone

from holdfast.data.series import Numbers, Windows, long_enough
from holdfast.errors import DataError, HoldfastError, OptionError, RecipeError, did_you_mean
from holdfast.estimators import parameters
from holdfast.estimators.ahead import answer_of, at_cutoffs, before, forecasts, value_columns
from holdfast.estimators.base import Estimator
from holdfast.estimators.series import SeriesInput, read_series, with_known
from holdfast.predictor import Predictor
from holdfast.tasks.forecast.data import context, held_out, windows_of
from holdfast.tasks.forecast.settings import ForecastData
from holdfast.tasks.forecast.task import ForecastTask

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = ("id_column", "time_column", "target_columns", "past_columns", "known_columns", "static_columns")


class Forecaster(Estimator):
    """Forecasts one or many series: an LSTM, a GRU or a simple RNN over a window, and the rows that follow out.

    ``X`` is a frame of pandas, polars or pyarrow, or a mapping from names of columns to their values, with one row per
    time, or with ``id_column`` one row per series and time. A frame with the columns ``unique_id``, ``ds`` and ``y``
    needs no names. Or ``X`` is an array [T] or [T, C], or a list of such arrays, one for each series. One model serves
    all series; each of many series is scaled by itself.

    Example:
        >>> import numpy as np
        >>> from holdfast import Forecaster
        >>> visitors = 100 + 20 * np.sin(2 * np.pi * np.arange(300) / 7)
        >>> forecaster = Forecaster(window=28, horizon=7, season=7, epochs=5).fit(visitors)
        >>> forecaster.predict().shape, forecaster.predict(h=3).shape
        ((7,), (3,))

    Attributes:
        history_: The rows of the history of the latest ``fit``, as :mod:`holdfast.training.history` describes them.
        model_: The trained network, a ``torch.nn.Module``.
        task_: The fitted task.
    """

    task_name = "forecast"
    fields = (
        *("data.window", "data.horizon", "data.season", "data.stride", "data.calendar", "data.missing", "data.gaps"),
        *(f"data.{name}" for name in _COLUMNS),
        *("data.log", "data.time_format", "data.time_zone", "data.decimal", "data.validation"),
    )
    own: ClassVar = {
        "validation": (
            None,
            "What chooses the best epoch: the fraction of each series' last rows to hold out, which are at least "
            "``horizon``; 0 for nothing; then the latest weights are kept.",
        )
    }

    _columns: Mapping[str, Any] = {}
    """Names of columns that ``fit`` got, in place of the constructor's."""
    _input: SeriesInput | None = None
    """The series of ``fit``; None in a model from a file."""

    def fit(self, X: Any, y: None = None, **columns: Any) -> Self:  # type: ignore[override]
        """Trains a model on series.

        Args:
            X: The series, as the class describes them.
            y: Not used; the targets are columns of ``X``.
            **columns: ``id_column``, ``time_column``, ``target_columns``, ``past_columns``, ``known_columns`` and
                ``static_columns``, in place of the arguments of the constructor.

        Returns:
            The estimator itself.

        Raises:
            DataError: The series cannot be used.
            OptionError: An argument is not allowed.
        """
        for name in columns:
            if name not in _COLUMNS:
                raise OptionError(f"fit has no argument {name!r}: {did_you_mean(name, _COLUMNS)}")
        if y is not None:
            raise DataError("y is not None; expected the targets as columns of X, named in target_columns.")
        kept = dict(self.__dict__)
        self._columns = columns
        try:
            with self._in_arguments():
                self._input = read_series(X, self._described().data)
                return super().fit(self._input)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(kept)
            raise

    def predict(self, h: int | None = None, X: Any = None, *, history: Any = None) -> Any:
        """Forecasts the rows after the end of each series.

        Args:
            h: Rows to forecast; None for ``horizon``. With ``method="direct"`` at most ``horizon``.
            X: With ``known_columns``, a frame or mapping with the ids, the times and these columns for the next ``h``
                rows of each series. Not needed if the last rows of the series have only these columns.
            history: The series to continue, in place of those of ``fit``: the same or other series. None for those of
                ``fit``; a model from a file needs it.

        Returns:
            In the form of the series: a frame of the same library with the columns of ids and times, each target, and
            with ``loss="quantile"`` its quantiles, such as ``y-lo-80`` and ``y-hi-80``; a dict of arrays; an array [h]
            or [h, C]; or a list of arrays.

        Raises:
            DataError: A series is too short, or known columns have too few rows.
            OptionError: ``h`` is above ``horizon``.
            sklearn.exceptions.NotFittedError: There was no ``fit``.
        """
        given, values = self._ahead(h, X, history)
        rows = values.shape[1]
        if given.frame is None:
            return given.arrays(values[..., self._task.quantiles.index(0.5)])
        axes = [series.times_with(rows)[len(series) :] for series in given.series]
        names = self._data().target_columns
        return given.table({**given.keys(axes), **value_columns(values, names, self._task.quantiles)})

    def predict_quantiles(self, h: int | None = None, X: Any = None, *, history: Any = None) -> Any:
        """The quantiles of the forecasts as arrays, in the order of ``quantiles``; errors as :meth:`predict`.

        Args:
            h: As in :meth:`predict`.
            X: As in :meth:`predict`.
            history: As in :meth:`predict`.

        Returns:
            An array [h, C, Q], or [h, Q] if the series came as an array [T]; a list of such arrays for several series.
        """
        return SeriesInput.arrays(*self._ahead(h, X, history))

    def cross_validation(
        self, X: Any = None, h: int | None = None, windows: int = 1, *, step: int | None = None
    ) -> Any:
        """Forecasts the last rows of each series by a model that did not see them.

        A copy of the estimator is trained on the rows before the first forecast, and forecasts from each cutoff with
        the rows until then. Series with too few rows before a cutoff are left out there.

        Args:
            X: The series; None for those of ``fit``.
            h: Rows to forecast from each cutoff; None for ``horizon``.
            windows: Number of cutoffs.
            step: Rows from one cutoff to the next; None for ``h``.

        Returns:
            A frame, or a dict of arrays, with the columns of ids and times, ``cutoff`` (the last time before the
            forecast), the true value of each target, its forecast ``NAME-forecast``, and with ``loss="quantile"`` its
            quantiles, such as ``NAME-lo-80``.

        Raises:
            DataError: The series cannot be used, or are too short.
            OptionError: An argument is not allowed.
        """
        h = self._described().data.horizon if h is None else h
        step = h if step is None else step
        if min(h, windows, step) < 1:
            raise OptionError(f"h is {h}, windows is {windows} and step is {step}; expected at least 1 for each.")
        model: Forecaster = clone(self).set_params(horizon=h, warm_start=False)
        with self._in_arguments():
            given = self._given(None, None) if X is None else read_series(X, self._data())
            held = h + (windows - 1) * step
            parts = tuple(series.part(0, len(series) - held) for series in given.series if len(series) > held)
            if not parts:
                raise DataError(f"No series has more than {held} rows, the rows of all cutoffs. Lower h or windows.")
            model.fit(replace(given, series=parts), **self._columns)
            cutoffs = [h + place * step for place in reversed(range(windows))]
            return given.table(at_cutoffs(model._fitted(), given, h, cutoffs))

    def score(self, X: Any, y: None = None) -> float:
        """Minus the MASE of the forecasts of all windows of some series: 0 is perfect.

        Args:
            X: The series.
            y: Not used.

        Raises:
            DataError: The series cannot be used, or no naive forecast has an error to compare with.
        """
        metrics = self.evaluate(X)
        if "mase" not in metrics:
            raise DataError("The seasonal-naive forecast has no error in any series, so there is no MASE to score by.")
        return -metrics["mase"]

    def plot(self, path: Path | str | None = None, *, X: Any = None, history: Any = None, truth: bool = True) -> Figure:
        """Draws each series and its forecast.

        Args:
            path: The picture to write; its suffix determines the format. None to write none.
            X: As in :meth:`predict`, for ``truth=False``.
            history: As in :meth:`predict`.
            truth: Whether to forecast the last known ``horizon`` rows and draw them too; else the rows after them. If
                the model was trained on these rows, use :meth:`cross_validation` to measure.

        Raises:
            DataError: As in :meth:`predict`.
            OptionError: The file cannot be written.
        """
        from holdfast.inspect.figures.canvas import write_figure
        from holdfast.tasks.forecast.plot import drawings, figure

        given, data = self._given(X, history), self._data()
        rows, quantiles = data.horizon, self._task.quantiles
        series = [before(part, rows) for part in given.series] if truth else given.series
        with self._in_arguments():
            values = forecasts(self._fitted(), series, rows)
        answers = [answer_of(data.target_columns, quantiles, each) for each in values]
        panels = drawings(series, answers, 3 * context(data))
        if truth:
            true = [column for part in given.series for column in part.targets[-rows:].T]
            panels = [replace(panel, truth=values) for panel, values in zip(panels, true, strict=True)]
        picture = figure(panels)
        if path is not None:
            write_figure(picture, Path(path))
        return picture

    @property
    def _task(self) -> ForecastTask:
        return cast(ForecastTask, self._fitted().task)

    def _data(self) -> ForecastData:
        """The use of each column, as the model was fitted, or before that as the arguments say."""
        return self._task.encoder.settings if hasattr(self, "_predictor") else self._described().data

    def _given(self, X: Any, history: Any) -> SeriesInput:
        """The series to continue, with what is known of the rows after them."""
        self._fitted()
        with self._in_arguments():
            if history is None and self._input is None:
                raise DataError(
                    "This model comes from a file, without series; expected history, the series to continue."
                )
            given = cast(SeriesInput, self._input) if history is None else read_series(history, self._data())
            given = given if X is None else with_known(given, X, self._data())
            if given.frame is None:
                return given
            return replace(given, series=long_enough(given.series, context(self._data())))

    def _ahead(self, h: int | None, X: Any, history: Any) -> tuple[SeriesInput, Numbers]:
        """The series, and the forecasts after them, [K, h, C, Q]."""
        given = self._given(X, history)
        with self._in_arguments():
            rows = self._data().horizon if h is None else h
            return given, forecasts(self._fitted(), given.series, rows)

    def _examples(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> Windows:
        recipe = self._described()
        if not reset and hasattr(self, "_predictor"):
            data = self._data()
            return Windows.of(read_series(X, data).series, context(data), data.horizon, data.stride)
        if self.quantiles is not None and recipe.model.loss != "quantile":
            raise OptionError(
                f'quantiles is {self.quantiles} and loss is {recipe.model.loss!r}; expected loss="quantile".'
            )
        series = read_series(X, recipe.data).series
        return windows_of("training", series, recipe.data, recipe.data.horizon)

    def as_examples(self, X: Any) -> tuple[Predictor, Windows]:
        """As :meth:`Estimator.as_examples`: the last window of each series.

        Args:
            X: The series, as in ``fit``.
        """
        predictor = self._fitted()
        with self._in_arguments():
            return predictor, self._examples(X, None, None, reset=False).unlabelled()

    def _split(self, examples: Windows, recipe: Any) -> tuple[Windows, Windows | None]:
        return held_out(examples.series, recipe.data)

    def _changes(self) -> dict[str, Any]:
        return dict(self._columns)

    def _validation_pair(self) -> Any:
        raise OptionError("validation is a pair; expected a fraction of the rows of each series, or 0.")

    @contextmanager
    def _in_arguments(self) -> Iterator[None]:
        """In the block, messages about fields of a recipe become messages about arguments."""
        try:
            yield
        except HoldfastError as error:
            message = parameters.in_arguments(self.parameters, str(error))
            if message == str(error):
                raise
            raise (OptionError if isinstance(error, RecipeError) else type(error))(message) from error
