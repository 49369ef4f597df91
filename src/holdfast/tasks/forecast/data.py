"""Series and their splits: the first rows for training, later ones for validation, the last ones for the test."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from holdfast.data.readers.series import from_table, read
from holdfast.data.readers.table import Table
from holdfast.data.series import Series, Windows
from holdfast.data.sets.published import locate
from holdfast.data.sources import Splits
from holdfast.data.time_axis import TimeAxis
from holdfast.errors import DataError, HoldfastWarning, MissingLibraryError, RecipeError
from holdfast.tasks.forecast.settings import ForecastData
from holdfast.tasks.values import array_of, examples_in, origins

SINE_ROWS, SINE_STEP = 3000, 0.2
"""The generated series sin(0.2 t); its period is not a whole number of rows."""


def load(settings: ForecastData, data_dir: Path | None, horizon: int) -> Splits[Windows]:
    """Reads series and splits them by time.

    A window belongs to the split that has all rows of its horizon; the rows before the horizon may be from the split
    before it. No row of the validation or the test is in a training window.

    Args:
        settings: The series, and how to read and split them.
        data_dir: A folder with local files; see :func:`holdfast.data.sets.published.locate`.
        horizon: Number of rows to forecast in the test.

    Raises:
        RecipeError: ``split`` is not three numbers of rows or two times.
        MissingDataError: A file does not exist.
        DataError: A file cannot be read, or a split has too few rows for a window.
    """
    files, test_files = locate(settings, "series", data_dir, made=["sine"])
    all_series = (_sine(),) if settings.source == "sine" else read(files, settings)
    test_series = read(test_files, settings) if test_files else ()
    ends = [_split_ends(series, settings, held_out=not test_series) for series in all_series]
    cuts, before = list(zip(all_series, ends, strict=True)), context(settings)
    # A series of a table of many may start after a part, or end before it.
    train = [series.part(0, end) for series, (end, _, _) in cuts if end > 0]
    validation = [series.part(max(0, begin - before), end) for series, (begin, end, _) in cuts if begin < end]
    test = test_series or [series.part(max(0, begin - before), end) for series, (_, begin, end) in cuts if begin < end]
    train_windows = _windows("training", train, settings, settings.horizon)
    if not settings.limit:
        _warn_of_short(all_series, train_windows)
    return Splits(
        train_windows,
        _windows("validation", validation, settings, settings.horizon) if validation else None,
        _windows("test", test, settings, horizon),
    )


def context(settings: ForecastData) -> int:
    """The number of rows needed before the first forecast row: the window, and a season for the naive forecast."""
    return max(settings.window, settings.season)


def _windows(name: str, parts: Sequence[Series], settings: ForecastData, horizon: int) -> Windows:
    if not parts:
        raise DataError(f"No series has rows for the {name} part. Change data.split, or give longer series.")
    windows = Windows.of(parts, context(settings), horizon, settings.stride)
    if not len(windows):
        before = context(settings)
        longest = max(parts, key=len)
        of = longest.origin if len(parts) == 1 else f"{longest.origin}, the longest of {len(parts)} series,"
        raise DataError(
            f"The {name} part of {of} is too short: with the rows before it, it has {len(longest)} rows; "
            f"expected at least {before + horizon}: {before} before it and the horizon of {horizon}. "
            "Give longer series, or lower data.window or data.horizon."
        )
    return windows.subset(range(min(settings.limit or len(windows), len(windows))))


def _warn_of_short(all_series: Sequence[Series], train: Windows) -> None:
    """Warns of series without a training window, in a table of many series."""
    trained = {train.series[k].name for k in np.unique(train.starts[:, 0]).tolist()}
    short = [series for series in all_series if series.name and series.name not in trained]
    if short:
        warnings.warn(
            f"{len(short)} of {len(all_series)} series, such as {short[0].origin}, have too few rows in the training "
            "part for a window and its horizon, so nothing is learned from them. To use them, lower data.window or "
            "data.horizon.",
            HoldfastWarning,
            stacklevel=2,
        )


def _split_ends(series: Series, settings: ForecastData, held_out: bool) -> tuple[int, int, int]:
    """The rows before which training, validation and test end."""
    rows, split = len(series), settings.split
    if not split:
        tested = math.ceil(rows * settings.test_fraction) if held_out else 0
        before = rows - tested
        return before - math.ceil(before * settings.validation), before, rows
    counts = [count for count in split if isinstance(count, int)]
    if len(counts) == len(split) == 3 and min(counts) >= 0 and counts[0]:
        if sum(counts) > rows:
            raise DataError(
                f"{series.origin} has {rows} rows, and data.split = {split} needs {sum(counts)}. Lower the numbers, or "
                "use data.validation and data.test_fraction instead."
            )
        return counts[0], counts[0] + counts[1], sum(counts)
    first_rows = [series.times.first_at(text, settings) for text in split if isinstance(text, str)]
    begins = [min(row, rows) for row in first_rows if row is not None]
    if len(begins) != 2 or len(split) != 2:
        raise RecipeError(
            f"data.split is {split}; expected three numbers of rows, for training, validation and test, or two times "
            f"in the form of {series.origin}, at which validation and test begin."
        )
    train, validated = begins
    if not (train <= validated if series.name else 0 < train <= validated < rows):
        raise RecipeError(
            f"data.split is {split}, which leaves {train} rows of {series.origin} to train on, {validated - train} to "
            f"validate on and {rows - validated} to test on; expected ascending times within the series."
        )
    return train, validated, rows


def _sine() -> Series:
    rows = np.arange(SINE_ROWS)
    nothing = np.zeros((SINE_ROWS, 0))
    return Series("sine", TimeAxis(rows), np.sin(SINE_STEP * rows)[:, None], nothing, nothing, ("value",))


def from_values(values: Any, settings: ForecastData, horizon: int) -> Windows:
    """Series from values in memory.

    Args:
        values: One series: a mapping from the names of columns to their values, or a list of rows, each a mapping from
            names to values. Where the model reads no times, also an array [T, C] or lists of numbers, or [T] for one
            column: the target, past and known columns, in this order. Or several series: a list of mappings from names
            to columns. None and NaN are missing values, where ``data.missing`` allows them.
        settings: The ``[data]`` table of the model.
        horizon: Rows to forecast.

    Raises:
        DataError: A value does not fit.
        MissingLibraryError: polars is not installed.
    """
    if isinstance(values, Mapping):
        return _all_windows([("values", values)], settings, horizon)
    rows = examples_in(values, "a mapping of columns, a list of rows, or a list of such mappings")
    if not rows:
        raise DataError("The values are empty; expected a mapping of columns, or at least one row.")
    if not isinstance(rows[0], Mapping):
        return _all_windows([("values", _named_columns(rows, settings))], settings, horizon)
    for index, row in enumerate(rows):
        if not isinstance(row, Mapping) or row.keys() != rows[0].keys():
            raise DataError(f"values[{index}] does not have the columns of values[0]: {', '.join(map(str, rows[0]))}.")
    if not any(_is_column(value) for value in rows[0].values()):
        return _all_windows([("values", {name: [row[name] for row in rows] for name in rows[0]})], settings, horizon)
    return _all_windows(list(zip(origins(rows), rows, strict=True)), settings, horizon)


def _named_columns(rows: list[Any], settings: ForecastData) -> dict[str, Any]:
    """Rows of numbers as the columns that a model without times reads."""
    names = [*settings.target_columns, *settings.past_columns, *settings.known_columns]
    expected = f"rows of {len(names)} numbers: {', '.join(names)}"
    if settings.time_column:
        raise DataError(
            f"The values have no names; expected a mapping of columns, since the model reads times from the column "
            f"{settings.time_column!r}: {{{settings.time_column!r}: [...], {names[0]!r}: [...]}}."
        )
    table = array_of(rows, "values", expected)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or table.shape[1] != len(names):
        raise DataError(f"The values have shape {table.shape}; expected {expected}.")
    return dict(zip(names, table.T, strict=True))


def _is_column(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes) and getattr(value, "ndim", 1) > 0


def _column(values: Any) -> Any:
    """A column for polars, which knows arrays and Python's numbers, but no scalars of numpy's times or of torch."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        return values
    if isinstance(values, np.ma.MaskedArray | Tensor):
        return values.tolist()
    return list(values)


def _all_windows(tables: list[tuple[str, Mapping[str, Any]]], settings: ForecastData, horizon: int) -> Windows:
    """Every window of series that are given as columns."""
    try:
        import polars
    except ImportError as error:
        raise MissingLibraryError(
            "A series needs the library polars, which is not installed: pip install 'holdfast[tables]'."
        ) from error
    series = []
    for origin, columns in tables:
        try:
            frame = polars.DataFrame({str(name): polars.Series(_column(values)) for name, values in columns.items()})
        except (TypeError, ValueError, OverflowError, RuntimeError, polars.exceptions.PolarsError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise DataError(f"{origin} is no table ({reason}); expected columns of one length.") from error
        series.extend(from_table(Table(Path(origin), frame), settings))
    return Windows.of(series, context(settings), horizon, settings.stride)
