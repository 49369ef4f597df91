"""The fields of a recipe of the task ``forecast``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from holdfast.data.settings import SeriesSettings
from holdfast.settings import FractionOrAuto, Recipe, RecurrentSettings, Settings


class ForecastData(SeriesSettings):
    """``[data]``: the series, what is known of the future, and the windows."""

    source: str = "files"
    """``files`` (see ``train`` and ``test``), or a known data set: ``sine`` (made), ``airline``, ``sunspots``,
    ``etth1``, ``stocks``."""
    train: list[str] = []
    """Tables (CSV, TSV or Parquet), relative to ``--data-dir`` (or to the working directory): each is one series with
    one row per time; with ``source = "files"``."""
    test: list[str] = []
    """Further series to test on; if empty, the test is the end of each series."""
    validation: FractionOrAuto = "auto"
    """Fraction of the rows before the test, counted from their end, held out to choose the best epoch; 0 for none.
    ``auto``: 0.1 where that gives at least 100 windows, or where ``train.patience`` or the schedule ``plateau`` needs a
    score, else 0."""
    test_fraction: float = Field(0.2, gt=0, lt=1)
    """Fraction of the rows, counted from the end, held out for the test if there are no ``test`` files."""
    split: list[int] | list[str] = []
    """Instead of the fractions: the numbers of rows of training, validation and test, such as ``[8640, 2880, 2880]``
    (later rows are not used); or the times at which validation and test begin, such as ``["2017-07", "2017-11"]``, in
    the time zone of the data unless they name one."""
    limit: int = Field(0, ge=0)
    """Use only this many of the first windows of training, validation and test; 0 for all."""
    log: bool = False
    """Forecast the logarithm of the targets, which must be above 0; answers and metrics are in the original units."""
    window: int = Field(48, ge=1)
    """Number of rows that the network reads before it forecasts."""
    horizon: int = Field(12, ge=1)
    """Number of rows to forecast."""
    stride: int = Field(1, ge=1)
    """Number of rows from the start of one window to the start of the next."""
    season: int = Field(1, ge=1)
    """Rows per season, such as 12 for monthly rows, for MASE and the seasonal-naive forecast; 1 for no season."""


class ForecastModel(RecurrentSettings):
    """``[model]``: the network."""

    hidden_size: int | list[int] = 32
    """Units of each layer, or a list with one size per layer."""
    method: Literal["direct", "recursive"] = "direct"
    """``direct``: all rows of the horizon at once; ``recursive``: one row after the other, each from the network's own
    forecast of the row before, for any horizon."""
    loss: Literal["mse", "mae", "huber", "quantile"] = "mse"
    """The loss, in scaled units; ``quantile``: the pinball loss of ``quantiles``."""
    quantiles: list[float] = [0.1, 0.5, 0.9]
    """With ``loss = "quantile"``: the quantiles to forecast, ascending; 0.5 must be one of them and is the point
    forecast."""
    window_scaling: Literal["none", "last", "standard"] = "last"
    """Normalises the targets of each window before the recurrent layers and restores them afterwards: by the last value
    of the window, or by its mean and deviation."""


class ForecastAnswers(Settings):
    """``[predict]``: how a trained model answers."""

    horizon: int = Field(0, ge=0)
    """With ``method = "recursive"``, the number of rows to forecast, also in the test; 0 for ``data.horizon``."""


class ForecastRecipe(Recipe):
    """A recipe of the task ``forecast``."""

    task: Literal["forecast"] = "forecast"
    """``forecast`` continues a series of numbers, of one or many channels."""
    data: ForecastData = ForecastData()
    """The series, what is known of the future, and the windows."""
    model: ForecastModel = ForecastModel()
    """The network."""
    predict: ForecastAnswers = ForecastAnswers()
    """How a trained model answers."""


RECIPE = ForecastRecipe
