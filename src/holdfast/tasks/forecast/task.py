"""Forecast: the rows of a series until now in, the rows that follow out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from holdfast.data import Splits
from holdfast.data.missing import Filling
from holdfast.data.pieces import Source
from holdfast.data.readers import series
from holdfast.data.series import Windows
from holdfast.errors import DataError, RecipeError
from holdfast.layers.forms import Form
from holdfast.tasks.forecast.columns import as_csv, columns_of
from holdfast.tasks.forecast.data import context, load, sources
from holdfast.tasks.forecast.encoder import SeriesEncoder
from holdfast.tasks.forecast.exports import exports
from holdfast.tasks.forecast.histories import histories
from holdfast.tasks.forecast.metrics import ForecastMetrics
from holdfast.tasks.forecast.network import Forecaster
from holdfast.tasks.forecast.presentation import ForecastPresentation
from holdfast.tasks.forecast.settings import ForecastAnswers, ForecastData, ForecastModel, ForecastRecipe
from holdfast.tasks.forecast.tables import table_input
from holdfast.tasks.forecast.values import from_values
from holdfast.tasks.forecast.windows import ForecastBatch, WindowDataset
from holdfast.tasks.interface import ForecastAnswer, Interface, SeriesInput
from holdfast.tasks.losses import check_quantiles, known_loss
from holdfast.tasks.saved import SavedTask
from holdfast.tasks.task import RecipeTask, TaskStep

if TYPE_CHECKING:
    import polars
    from matplotlib.figure import Figure


class SavedForecastTask(SavedTask):
    """What a model file says of a forecaster."""

    settings: ForecastModel = Field(alias="model")
    encoder: SeriesEncoder
    answering: ForecastAnswers = Field(alias="predict")


class ForecastTask(RecipeTask[Windows]):
    """Forecasting of series.

    Attributes:
        settings: The ``[model]`` table of the recipe.
        encoder: Columns and scales, fitted on the training part.
        answering: The ``[predict]`` table.
    """

    name = "forecast"
    several_rows = True
    saved = SavedForecastTask
    answer_key = "values"
    score = "loss"
    higher_is_better = False
    answering: ForecastAnswers

    def __init__(self, settings: ForecastModel, encoder: SeriesEncoder, answering: ForecastAnswers) -> None:
        self.settings, self.encoder, self.answering = settings, encoder, answering
        self.quantiles = settings.quantiles if settings.loss == "quantile" else [0.5]

    @classmethod
    def load(cls, recipe: ForecastRecipe, data_dir: Path | None) -> Splits[Windows]:
        """Reads the series of a recipe and splits them by time."""
        check(recipe)
        return load(recipe.data, data_dir, _horizon(recipe.data, recipe.model, recipe.predict))

    @classmethod
    def fit(cls, recipe: ForecastRecipe, train: Windows) -> Self:
        """The task, with scales fitted on the training part."""
        check(recipe)
        return cls(recipe.model, SeriesEncoder.fit(train, recipe.data), recipe.predict)

    def build(self) -> Forecaster:
        """A new model with random initial values from torch's random state."""
        return Forecaster(*self.encoder.channels, self.encoder.settings.horizon, self.settings)

    def exports(self, model: nn.Module, *, streaming: bool = False) -> dict[str, Form]:
        """As :meth:`RecipeTask.exports`; with ``streaming``, the forms ``window`` and ``row``."""
        return exports(cast(Forecaster, model), self.encoder.channels, self.horizon, streaming)

    def interface(self, examples: Windows | None = None, *, alone: bool = True) -> Interface:
        """The history of a series in; its next rows out."""
        names, quantiles = tuple(self.encoder.settings.target_columns), tuple(self.quantiles)
        answer = ForecastAnswer(names, quantiles)
        if not alone:
            return Interface(table_input(self.encoder, self.horizon, quantiles, examples), answer)
        windows = tuple(histories(self.encoder, self.horizon, examples))
        return Interface(SeriesInput(names, quantiles, self.encoder.settings.log, self.horizon, windows), answer)

    def encode(self, examples: Windows) -> WindowDataset:
        """The scaled windows, with the values that are known ahead of time."""
        return self.encoder.encode(examples, self.horizon)

    @property
    def horizon(self) -> int:
        """The number of rows to forecast.

        Raises:
            RecipeError: The model is direct, and ``predict.horizon`` is not the horizon of its training.
        """
        return _horizon(self.encoder.settings, self.settings, self.answering)

    def loss(self, model: nn.Module, batch: ForecastBatch, state: Any = None) -> TaskStep:
        """The loss of a batch in scaled units, and the forecasts [B, H, C, Q] in original units.

        In training, the recursive method forecasts each row from the true rows before it (teacher forcing), else from
        its own forecasts. The loss ignores missing targets.
        """
        targets = batch.known_targets
        scaled = model(batch.inputs, batch.future, _teacher_rows(batch.inputs, targets) if model.training else None)
        loss = known_loss(scaled, targets, self.settings.loss, self.quantiles)
        known = targets.numel() - int(targets.isnan().sum())
        return TaskStep(loss, self.encoder.restored(scaled, batch.scale), amount=known)

    def forward(self, model: nn.Module, batch: ForecastBatch, state: Any = None) -> Tensor:
        """The forecasts in scaled units, [B, H, C, Q]. The network has no initial state."""
        return cast(Tensor, model(batch.inputs, batch.future))

    def output_lengths(self, batch: ForecastBatch) -> None:
        """None: all forecasts have the same number of rows."""
        return

    def metrics(self) -> ForecastMetrics:
        """New metrics: errors of the model and of the naive forecasts."""
        encoder = self.encoder
        return ForecastMetrics(encoder.deviations, encoder.naive_errors, encoder.settings.season, self.quantiles)

    def details(self, metrics: ForecastMetrics) -> str:
        """The errors of the model and of the naive forecasts, as text."""
        return metrics.table()

    def figures(self, metrics: ForecastMetrics) -> dict[str, Any]:
        """The errors of each row of the horizon; with quantiles, also their coverage."""
        return metrics.figures()

    @property
    def presentation(self) -> ForecastPresentation:
        """As :attr:`RecipeTask.presentation`."""
        return ForecastPresentation(self)

    def read(self, paths: Sequence[Path]) -> Windows:
        """Reads tables with the settings of the training files; gives every window."""
        data = self.encoder.settings
        return Windows.of(series.read(paths, data), context(data), self.horizon, data.stride)

    def sources(self, paths: Sequence[Path], aside: Sequence[str] = ()) -> list[Source]:
        """Tables of many series in pieces; other tables whole."""
        return sources(paths, self.encoder.settings, self.horizon) or super().sources(paths, aside)

    def answer_columns(self, model: nn.Module, batch: ForecastBatch) -> Mapping[str, Sequence[Any]]:
        """The id, the times, and each target and quantile; lists of one value per time."""
        data = self.encoder.settings
        return columns_of(self.answers(model, batch), (data.id_column, data.time_column))

    @property
    def grouped(self) -> bool:
        """True: a series is several rows."""
        return True

    def from_frame(self, frame: polars.DataFrame, aside: Sequence[str] = ()) -> Windows:
        """The series of a table."""
        return from_values(frame, self.encoder.settings, self.horizon)

    def specimen(self) -> Windows:
        """Raises DataError: a forecast needs a series."""
        raise DataError(
            "The columns of forecasts are only known with a series, and this batch is empty; give a frame with the "
            "rows of a series, or write the schema yourself."
        )

    def from_values(self, values: Any) -> Windows:
        """Series from columns, rows or numbers.

        Args:
            values: As :func:`holdfast.tasks.forecast.values.from_values` takes them.

        Raises:
            DataError: A value does not fit.
        """
        return from_values(values, self.encoder.settings, self.horizon)

    def answers(self, model: nn.Module, batch: ForecastBatch) -> list[dict[str, Any]]:
        """The forecast of each series.

        Returns:
            For each series ``times``; ``values``: for each column one number per time; and with ``loss = "quantile"``,
            ``quantiles``: for each column and quantile one number per time. In a table of many series also ``id``.
        """
        forecasts = self.encoder.restored(model(batch.inputs, batch.future), batch.scale)
        names, middle = self.encoder.settings.target_columns, self.quantiles.index(0.5)
        answers = []
        for place, rows in enumerate(forecasts.movedim(1, -1)):  # [C, Q, H]
            answer: dict[str, Any] = {"id": batch.names[place]} if any(batch.names) else {}
            answer["times"] = batch.times[place]
            answer["values"] = dict(zip(names, rows[:, middle].tolist(), strict=True))
            if self.settings.loss == "quantile":
                levels = [f"{quantile:g}" for quantile in self.quantiles]
                by_level = [dict(zip(levels, channel, strict=True)) for channel in rows.tolist()]
                answer["quantiles"] = dict(zip(names, by_level, strict=True))
            answers.append(answer)
        return answers

    def text(self, answer: Mapping[str, Any]) -> str:
        """An answer as CSV: one row per time, one column per target and quantile, after the id and the time."""
        return as_csv(answer, self._keys)

    def texts(self, answers: Iterable[Mapping[str, Any]]) -> Iterator[str]:
        """As :meth:`RecipeTask.texts`; the forecasts of many series are one table."""
        for place, answer in enumerate(answers):
            yield as_csv(answer, self._keys, header=place == 0 or not self._keys[0])

    @property
    def _keys(self) -> tuple[str, str]:
        """The names of the id column and of the time column in tables; a single series has no id."""
        data = self.encoder.settings
        return (data.id_column, data.time_column) if data.id_column else ("", "time")

    def plot(self, examples: Windows, answers: Sequence[Mapping[str, Any]]) -> Figure:
        """Draws the last rows of each series and its forecast."""
        from holdfast.tasks.forecast.plot import drawings, figure

        return figure(drawings(examples.unlabelled().series, answers, 3 * context(self.encoder.settings)))

    def example_inputs(self, size: int) -> tuple[Tensor, Tensor]:
        """Zeros: windows of ``size`` rows [size, size, C + P + F], and the known values of the next rows."""
        known = self.encoder.channels[-1]
        return torch.zeros(size, size, sum(self.encoder.channels)), torch.zeros(size, self.horizon, known)


def _teacher_rows(inputs: Tensor, targets: Tensor) -> Tensor:
    """The true rows from which the next rows are forecast, [B, H, C]; a missing target repeats the known one before."""
    count = targets.shape[-1]
    rows = torch.cat([inputs[:, -1:, :count], targets], 1)
    return Filling(kind="previous", mean=(0.0,) * count).filled(rows)[:, 1:]


def _horizon(data: ForecastData, model: ForecastModel, answering: ForecastAnswers) -> int:
    """The number of rows to forecast in use."""
    if answering.horizon not in (0, data.horizon) and model.method == "direct":
        raise RecipeError(
            f"predict.horizon is {answering.horizon}, and the direct method forecasts the {data.horizon} rows of "
            'data.horizon; expected the same, or model.method = "recursive".'
        )
    return answering.horizon or data.horizon


def check(recipe: ForecastRecipe) -> None:
    """Checks that the settings fit each other.

    Raises:
        RecipeError: They do not.
    """
    model = recipe.model
    if model.method == "recursive":
        excluded = {
            'model.loss = "quantile"': model.loss == "quantile",
            "data.past_columns": bool(recipe.data.past_columns),
            "model.bidirectional = true": model.bidirectional,
            'data.missing = "mask"': recipe.data.missing == "mask",
        }
        for setting, is_set in excluded.items():
            if is_set:
                raise RecipeError(
                    f'{setting} does not go with model.method = "recursive", whose inputs are its own point forecasts, '
                    'row by row; expected model.method = "direct".'
                )
    check_quantiles(model.quantiles)


TASK = ForecastTask
