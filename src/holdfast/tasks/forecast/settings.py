"""What a recipe of the task ``forecast`` may say."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from holdfast.data.settings import SeriesSettings
from holdfast.settings import Recipe, RecurrentSettings, Settings


class ForecastData(SeriesSettings):
    """``[data]``: which series, what is known of the future, and what a window is."""

    source: str = "files"
    """``files`` (see ``train`` and ``test``), or a known data set: ``sine`` (made), ``airline``, ``sunspots``,
    ``etth1``, ``stocks``."""
    train: list[str] = []
    """Tables (CSV, TSV or Parquet), relative to ``--data-dir`` (or to the working directory): each one series, a row a
    time; with ``source = "files"``."""
    test: list[str] = []
    """Further series to test on; when empty, the test is the end of each series."""
    validation: float = Field(0.1, ge=0, lt=1)
    """The fraction of the rows before the test, the latest of them, that is held out to choose the best epoch; 0 for
    none."""
    test_fraction: float = Field(0.2, gt=0, lt=1)
    """The fraction of the rows, the latest of them, held out for the test when no ``test`` files are given."""
    split: list[int] | list[str] = []
    """Instead of the fractions: the rows of training, validation and test, such as ``[8640, 2880, 2880]`` (what comes
    after them is left out); or the times at which validation and test begin, such as ``["2017-07", "2017-11"]``, in the
    time zone of the data unless they name one."""
    limit: int = Field(0, ge=0)
    """Use only the first so many windows of training, validation and test; 0 for all."""
    log: bool = False
    """Forecast the logarithm of the targets, which must be above 0; answers and metrics are in their own units."""
    window: int = Field(48, ge=1)
    """Rows that the network reads before it forecasts."""
    horizon: int = Field(12, ge=1)
    """Rows to forecast."""
    stride: int = Field(1, ge=1)
    """Rows from the start of one window to the start of the next."""
    season: int = Field(1, ge=1)
    """Rows in a season, such as 12 for months, for MASE and the seasonal-naive forecast; 1 for none."""


class ForecastModel(RecurrentSettings):
    """``[model]``: the network."""

    hidden_size: int | list[int] = 32
    """Units of a layer, or a list with one size a layer."""
    method: Literal["direct", "recursive"] = "direct"
    """``direct``: all rows of the horizon at once; ``recursive``: the next row, then the one after it from the
    network's own output, as far as is asked for."""
    loss: Literal["mse", "mae", "huber", "quantile"] = "mse"
    """What is minimised, in scaled units; ``quantile``: the pinball loss of ``quantiles``."""
    quantiles: list[float] = [0.1, 0.5, 0.9]
    """With ``loss = "quantile"``: what to forecast, ascending, 0.5 among them, which is also the point forecast."""
    window_scaling: Literal["none", "last", "standard"] = "none"
    """Of the targets, taken off before the recurrent layers and put back after them: the last value of each window, or
    its mean and deviation."""


class ForecastAnswers(Settings):
    """``[predict]``: how a trained model answers."""

    horizon: int = Field(0, ge=0)
    """Rows to forecast, also in the test, with ``method = "recursive"``; 0 for ``data.horizon``."""


class ForecastRecipe(Recipe):
    """A recipe of the task ``forecast``."""

    task: Literal["forecast"] = "forecast"
    """``forecast`` continues a series of numbers, of one or many channels."""
    data: ForecastData = ForecastData()
    """Which series, what is known of the future, and what a window is."""
    model: ForecastModel = ForecastModel()
    """The network."""
    predict: ForecastAnswers = ForecastAnswers()
    """How a trained model answers."""


RECIPE = ForecastRecipe
