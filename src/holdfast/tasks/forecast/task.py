"""Forecast: the rows of a series until now in, the rows that follow out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holdfast.data import Splits
from holdfast.data.missing import Filling
from holdfast.data.readers import series
from holdfast.data.series import Windows
from holdfast.errors import RecipeError
from holdfast.tasks.forecast.encoder import ForecastBatch, SeriesEncoder, WindowDataset
from holdfast.tasks.forecast.metrics import ForecastMetrics
from holdfast.tasks.forecast.network import Forecaster
from holdfast.tasks.forecast.settings import ForecastAnswers, ForecastData, ForecastModel, ForecastRecipe
from holdfast.tasks.forecast.splits import context, load
from holdfast.tasks.task import RecipeTask, TaskStep

_POINT: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}


class ForecastTask(RecipeTask[Windows]):
    """The loss, metrics and answers of forecasting.

    Attributes:
        settings: The ``[model]`` table of the recipe.
        encoder: Columns and scales, fitted on the training part.
        answering: The ``[predict]`` table.
    """

    name = "forecast"
    answer_key = "values"
    score = "loss"
    higher_is_better = False
    answering: ForecastAnswers

    def __init__(self, settings: ForecastModel, encoder: SeriesEncoder, answering: ForecastAnswers) -> None:
        self.settings, self.encoder, self.answering = settings, encoder, answering
        self.quantiles = settings.quantiles if settings.loss == "quantile" else [0.5]

    @classmethod
    def load(cls, recipe: ForecastRecipe, data_dir: Path | None) -> Splits[Windows]:
        """Reads the series of a recipe and cuts them in time."""
        _check(recipe)
        return load(recipe.data, data_dir, _horizon(recipe.data, recipe.model, recipe.predict))

    @classmethod
    def fit(cls, recipe: ForecastRecipe, train: Windows) -> Self:
        """The task with the scales of the training part."""
        return cls(recipe.model, SeriesEncoder.fit(train, recipe.data), recipe.predict)

    def build(self) -> Forecaster:
        """A model with initial values drawn from torch's random state."""
        return Forecaster(*self.encoder.channels, self.encoder.settings.horizon, self.settings)

    def encode(self, examples: Windows) -> WindowDataset:
        """The windows scaled, with what is known ahead of time."""
        return self.encoder.encode(examples, self.horizon)

    @property
    def horizon(self) -> int:
        """Rows to forecast.

        Raises:
            RecipeError: The direct method was asked for another horizon than it was trained on.
        """
        return _horizon(self.encoder.settings, self.settings, self.answering)

    def loss(self, model: nn.Module, batch: ForecastBatch, state: Any = None) -> TaskStep:
        """The loss of a batch in scaled units, and the forecasts [B, H, C, Q] in the units of the targets.

        In training, the recursive method forecasts each row from the true rows before it (teacher forcing); else from
        its own forecasts. Missing targets are no part of the loss.
        """
        targets = batch.known_targets
        scaled = model(batch.inputs, batch.future, _taught(batch.inputs, targets) if model.training else None)
        return TaskStep(self._loss(scaled, targets), self.encoder.restored(scaled))

    def _loss(self, scaled: Tensor, targets: Tensor) -> Tensor:
        gaps = targets.isnan()
        if gaps.all():
            return scaled.sum() * 0
        if gaps.any():
            scaled, targets = scaled[~gaps], targets[~gaps]
        if self.settings.loss == "quantile":
            return pinball(scaled, targets, self.quantiles)
        return _POINT[self.settings.loss](scaled[..., 0], targets)

    def metrics(self) -> ForecastMetrics:
        """Fresh errors, of the model and of the naive forecasts."""
        encoder = self.encoder
        return ForecastMetrics(encoder.deviations, encoder.naive_errors, encoder.settings.season, self.quantiles)

    def details(self, metrics: ForecastMetrics) -> str:
        """The errors beside those of the naive forecasts, as text."""
        return metrics.table()

    def read(self, paths: Sequence[Path]) -> Windows:
        """Reads tables in the way that the training files were read: every window of them."""
        data = self.encoder.settings
        return Windows.of(series.read(paths, data), context(data), self.horizon, data.stride)

    def answers(self, model: nn.Module, batch: ForecastBatch) -> list[dict[str, Any]]:
        """How each series goes on.

        Returns:
            Of each: ``times``; ``values``, by column a number a time; and with ``loss = "quantile"``, ``quantiles``, by
            column and by quantile a number a time.
        """
        forecasts = self.encoder.restored(model(batch.inputs, batch.future))
        names, middle = self.encoder.settings.target_columns, self.quantiles.index(0.5)
        found = []
        for times, rows in zip(batch.times, forecasts.movedim(1, -1), strict=True):  # rows: [C, Q, H]
            answer = {"times": times, "values": dict(zip(names, rows[:, middle].tolist(), strict=True))}
            if self.settings.loss == "quantile":
                levels = [f"{quantile:g}" for quantile in self.quantiles]
                by_level = [dict(zip(levels, channel, strict=True)) for channel in rows.tolist()]
                answer["quantiles"] = dict(zip(names, by_level, strict=True))
            found.append(answer)
        return found

    def text(self, answer: Mapping[str, Any]) -> str:
        """An answer as CSV: a row a time, a column a target."""
        columns = {"time": answer["times"], **answer["values"]}
        rows = zip(*columns.values(), strict=True)
        return "\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)])

    def plot(self, examples: Windows, answers: Sequence[Mapping[str, Any]], path: Path) -> None:
        """Draws each series' last rows and how it goes on."""
        from holdfast.tasks.forecast.plot import draw

        draw(examples.series, answers, path, rows=3 * context(self.encoder.settings))

    def example_inputs(self, size: int) -> tuple[Tensor, Tensor]:
        """Zeros: windows of ``size`` rows [size, size, C + P + F], and what is known of those that follow."""
        known = self.encoder.channels[-1]
        return torch.zeros(size, size, sum(self.encoder.channels)), torch.zeros(size, self.horizon, known)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON that :meth:`from_dict` reads."""
        return {
            "model": self.settings.model_dump(mode="json"),
            "encoder": self.encoder.to_dict(),
            "predict": self.answering.model_dump(mode="json"),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The task that :meth:`to_dict` wrote.

        Raises:
            ModelFileError: It is not what ``to_dict`` writes.
        """
        return cls(
            ForecastModel.model_validate(data["model"]),
            SeriesEncoder.from_dict(data["encoder"]),
            ForecastAnswers.model_validate(data["predict"]),
        )


def pinball(forecasts: Tensor, actual: Tensor, quantiles: Sequence[float]) -> Tensor:
    """The mean pinball loss: q times what a forecast is too low by, 1 - q times what it is too high by.

    Args:
        forecasts: [..., Q].
        actual: [...].
        quantiles: Q of them.
    """
    low = actual[..., None] - forecasts
    q = torch.tensor(quantiles, dtype=forecasts.dtype, device=forecasts.device)
    return torch.maximum(q * low, (q - 1) * low).mean()


def _taught(inputs: Tensor, targets: Tensor) -> Tensor:
    """The rows that the next ones are forecast from: of missing targets [B, H, C], the known ones before them."""
    count = targets.shape[-1]
    rows = torch.cat([inputs[:, -1:, :count], targets], 1)
    return Filling("previous", (0.0,) * count).filled(rows)[:, 1:]


def _horizon(data: ForecastData, model: ForecastModel, answering: ForecastAnswers) -> int:
    """Rows to forecast in use."""
    if answering.horizon not in (0, data.horizon) and model.method == "direct":
        raise RecipeError(
            f"predict.horizon is {answering.horizon}, and the direct method forecasts the {data.horizon} rows of "
            'data.horizon; expected the same, or model.method = "recursive".'
        )
    return answering.horizon or data.horizon


def _check(recipe: ForecastRecipe) -> None:
    """Sees that the settings go together."""
    model, quantiles = recipe.model, recipe.model.quantiles
    if model.method == "recursive":
        barred = {
            'model.loss = "quantile"': model.loss == "quantile",
            "data.past_columns": bool(recipe.data.past_columns),
            "model.bidirectional = true": model.bidirectional,
            'data.missing = "mask"': recipe.data.missing == "mask",
        }
        for setting, there in barred.items():
            if there:
                raise RecipeError(
                    f'{setting} does not go with model.method = "recursive", which feeds on its own point forecasts, '
                    'row by row; expected model.method = "direct".'
                )
    if sorted(set(quantiles)) != quantiles or 0.5 not in quantiles or not 0 < quantiles[0] <= quantiles[-1] < 1:
        raise RecipeError(
            f"model.quantiles is {quantiles}; expected ascending numbers between 0 and 1, with 0.5 among them."
        )


TASK = ForecastTask
