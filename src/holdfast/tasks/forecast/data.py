"""Series and their splits: the first rows for training, later ones for validation, the last ones for the test."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from holdfast.data.defaults import validation_fraction
from holdfast.data.disk import stored_series
from holdfast.data.disk.placement import on_disk
from holdfast.data.pieces import Source
from holdfast.data.pieces.grouped import grouped_source
from holdfast.data.pieces.tables import settled, table_rows
from holdfast.data.readers.paths import check_paths
from holdfast.data.readers.series import from_table, read
from holdfast.data.series import Series, Windows, too_short
from holdfast.data.sets.published import locate
from holdfast.data.sources import Splits
from holdfast.data.time_axis import TimeAxis
from holdfast.errors import DataError, HoldfastWarning, RecipeError
from holdfast.settings import HELD_OUT
from holdfast.tasks.forecast.settings import ForecastData

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
    reader = stored_series.read if files and on_disk(settings.storage, [*files, *test_files]) else read
    all_series = (_sine(),) if settings.source == "sine" else reader(files, settings)
    test_series = reader(test_files, settings) if test_files else ()
    fraction = validation_fraction(settings.validation, _held_out_windows(all_series, settings, not test_series))
    settings = settings.model_copy(update={"validation": fraction})
    ends = [_split_ends(series, settings, held_out=not test_series) for series in all_series]
    cuts, before = list(zip(all_series, ends, strict=True)), context(settings)
    # A series of a table of many may start after a part, or end before it.
    train = [series.part(0, end) for series, (end, _, _) in cuts if end > 0]
    validation = [series.part(max(0, begin - before), end) for series, (begin, end, _) in cuts if begin < end]
    test = test_series or [series.part(max(0, begin - before), end) for series, (_, begin, end) in cuts if begin < end]
    train_windows = windows_of("training", train, settings, settings.horizon)
    if not settings.limit:
        warn_of_short(all_series, train_windows)
    return Splits(
        train_windows,
        windows_of("validation", validation, settings, settings.horizon) if validation else None,
        windows_of("test", test, settings, horizon),
    )


def sources(paths: Sequence[Path], settings: ForecastData, horizon: int) -> list[Source]:
    """Tables of many series in pieces; nothing where a table is one series.

    Args:
        paths: The tables.
        settings: How to read them.
        horizon: Rows to forecast.

    Raises:
        MissingDataError: A path does not exist.
        DataError: A file cannot be read.
    """
    check_paths(paths, "at least one table with one row per time", "file")
    return [_source(path, settings, horizon) for path in paths] if settings.id_column else []


def _source(path: Path, settings: ForecastData, horizon: int) -> Source:
    rows = table_rows(path, settings)
    fitting = settled(rows, settings, [settings.id_column, settings.time_column, *settings.static_columns])

    def ahead(series: Sequence[Series]) -> Windows:
        least = context(settings)
        for each in too_short(series, least):
            raise DataError(f"{each.origin} has {len(each)} rows; expected at least {max(least, 2)} to forecast from.")
        return Windows.of(series, least, horizon, settings.stride).unlabelled()

    return grouped_source(
        rows,
        lambda table: ahead(from_table(table, fitting)),
        lambda: Windows.of(read([path], settings), context(settings), horizon, settings.stride),
        settings.id_column,
        carried=False,  # the answers have the ids
    )


def context(settings: ForecastData) -> int:
    """The number of rows needed before the first forecast row: the window, and a season for the naive forecast."""
    return max(settings.window, settings.season)


def windows_of(name: str, parts: Sequence[Series], settings: ForecastData, horizon: int) -> Windows:
    """The windows of a part of the series.

    Args:
        name: The part, for messages.
        parts: Its rows of each series, with the rows before them that the first window reads.
        settings: ``window``, ``season``, ``stride`` and ``limit`` are used.
        horizon: Rows to forecast.

    Raises:
        DataError: No series has enough rows for a window.
    """
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


def _held_out_windows(all_series: Sequence[Series], settings: ForecastData, test_held_out: bool) -> int:
    """The number of windows that the fraction ``HELD_OUT`` would hold out for validation."""
    kept = 1 - settings.test_fraction if test_held_out else 1
    rows = [math.ceil(HELD_OUT * math.floor(kept * len(series))) for series in all_series]
    return sum(max(0, 1 + (count - settings.horizon) // settings.stride) for count in rows)


def held_out(all_series: Sequence[Series], settings: ForecastData) -> tuple[Windows, Windows | None]:
    """Holds out the last rows of each series, the fraction ``validation`` of them and at least one horizon.

    Returns:
        The training windows and the validation windows; None for these where none are held out.

    Raises:
        DataError: One of the two parts has no window.
    """
    fraction = validation_fraction(settings.validation, _held_out_windows(all_series, settings, False))
    if not fraction:
        windows = windows_of("training", all_series, settings, settings.horizon)
        warn_of_short(all_series, windows)
        return windows, None
    train, held, before = [], [], context(settings)
    for series in all_series:
        end = len(series) - max(math.ceil(len(series) * fraction), settings.horizon)
        train += [series.part(0, end)] if end > 0 else []
        held.append(series.part(max(0, end - before), len(series)))
    windows = windows_of("training", train, settings, settings.horizon)
    warn_of_short(all_series, windows)
    return windows, windows_of("validation", held, settings, settings.horizon)


def warn_of_short(all_series: Sequence[Series], train: Windows) -> None:
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
        return before - math.ceil(before * float(settings.validation)), before, rows
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
